//! The command-line arguments about certificates.

use std::path::PathBuf;

use super::trust::Trust;

/// The command-line arguments about certificates.
#[derive(Debug, clap::Args)]
pub struct TrustArguments {
    /// With wss://: trusts the root certificates in this file (PEM) instead of the system's.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// With wss://: does not check the certificate. Anyone on the network path can read and change
    /// everything, including passwords.
    #[arg(short = 'k', long, conflicts_with = "cacert")]
    insecure: bool,
}

impl TrustArguments {
    /// Returns the trust that the flags select, or `None` without a flag.
    pub fn trust(self) -> Option<Trust> {
        match (self.cacert, self.insecure) {
            (_, true) => Some(Trust::Insecure),
            (Some(path), false) => Some(Trust::File(path)),
            (None, false) => None,
        }
    }
}
