//! The server under attack: each row of the tables, sent to a server that then still serves whoever
//! means well.
//!
//! Each row is a test of its own, named after it: `requests::two_hosts`,
//! `frames_before_login::unmasked_text`, `frames_after_login::unmasked_text`.

#![cfg(test)]

/// Makes a test of each row that has one of these names, by the `attack` function of the module.
macro_rules! test_each {
    ($($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                attack(stringify!($name)).await;
            }
        )*
    };
}

mod frames;
mod frames_after_login;
mod frames_before_login;
mod requests;
mod tables;
mod well_behaved;
