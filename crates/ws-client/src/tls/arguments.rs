//! Who is trusted, on the command line.

use std::path::PathBuf;

use super::trust::Trust;

/// What the command line says about certificates.
#[derive(Debug, clap::Args)]
pub struct TrustArguments {
    /// With wss://: trusts the authorities whose certificates are in this file (PEM), instead of
    /// those of the system.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// With wss://: does not check the certificate. Whoever is on the way can read and change
    /// everything, passwords as well.
    #[arg(long, conflicts_with = "cacert")]
    insecure: bool,
}

impl TrustArguments {
    /// Who is to be trusted, if that was said.
    pub fn trust(self) -> Option<Trust> {
        match (self.cacert, self.insecure) {
            (_, true) => Some(Trust::Insecure),
            (Some(path), false) => Some(Trust::File(path)),
            (None, false) => None,
        }
    }
}
