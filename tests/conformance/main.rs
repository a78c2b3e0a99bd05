//! RFC 6455 as the Autobahn testsuite judges it: `ws-server` behind its login, and the connection
//! code of `ws-client`.
//!
//! `.ci/autobahn` installs the suite. What it found, case by case, is left below
//! `target/autobahn/reports`.

#[cfg(test)]
mod client;
#[cfg(test)]
mod login_proxy;
#[cfg(test)]
mod server;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod suite_report;
