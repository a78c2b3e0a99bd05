//! Tests of the accounts and of the tickets of their users.

mod accounts;
mod ticket_issuer;
