//! Conformance to RFC 6455 by the Autobahn testsuite: of `ws-server` behind its login, and of the
//! connection code of `ws-client`.
//!
//! `.ci/autobahn` installs the suite. The reports of all cases are in `target/autobahn/reports`.

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
