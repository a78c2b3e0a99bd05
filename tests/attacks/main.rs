//! Attacks on the server. Each row of the tables goes to a server of its own, which must serve a
//! well-behaved client afterwards.
//!
//! Each row is a test that has its name: `requests::two_hosts`,
//! `frames_before_login::unmasked_text`, `frames_after_login::unmasked_text`.

#![cfg(test)]

/// Generates a test for each of these rows. The test calls the `attack` function of the module.
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
