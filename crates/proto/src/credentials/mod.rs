//! Credentials files: the accounts of a server, the password file of a client, and the check of their
//! modes. Tickets, by which the users of these accounts log in again.

mod accounts;
mod fingerprint;
mod password_file;
mod ticket_issuer;
mod ticket_secrets;
mod world_accessible;

pub use self::{
    accounts::{Accounts, Identity, Revoked, VerifyError},
    fingerprint::{CredentialFingerprint, FingerprintError},
    password_file::{PasswordFileError, password_from_file},
    ticket_issuer::{IssuedTicket, TicketError, TicketIssuer, TicketPolicy, VerifiedTicket},
    ticket_secrets::{TicketSecrets, TicketSecretsError},
    world_accessible::WorldAccessible,
};

#[cfg(test)]
mod tests;
