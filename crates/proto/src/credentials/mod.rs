//! Who may log in (the server's side), and whom to log in as (the client's side).

mod accounts;
mod password_file;

pub use self::{
    accounts::{Accounts, Identity, Revoked, VerifyError},
    password_file::{PasswordFileError, password_from_file},
};

#[cfg(test)]
mod tests;
