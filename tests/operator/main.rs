//! Operators' programs with the server: `openssl`, `sslscan`, `testssl`, `promtool`,
//! `fail2ban-regex`, `systemd-analyze`, and nginx and Caddy with TLS.
//!
//! `.ci/operator` installs them.

#[cfg(test)]
mod client_tls;
#[cfg(test)]
mod fail2ban;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod public_deployment;
#[cfg(test)]
mod reverse_proxy;
#[cfg(test)]
mod systemd;
#[cfg(test)]
mod tls;
