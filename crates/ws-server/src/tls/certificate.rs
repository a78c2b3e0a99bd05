//! Flaws of a certificate that every client finds, whatever roots it trusts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use humantime::format_rfc3339_seconds;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

/// A flaw for which clients refuse a certificate. The server only warns: its own clock may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateFlaw {
    /// The certificate has expired.
    #[error("the certificate expired at {}: renew it", format_rfc3339_seconds(*.0))]
    Expired(SystemTime),
    /// The certificate is not valid yet.
    #[error("the certificate is not valid before {}: check the clock", format_rfc3339_seconds(*.0))]
    Early(SystemTime),
    /// The certificate is a CA certificate, the default of `openssl req -x509`.
    #[error(
        "the certificate is a CA certificate (CA:TRUE), which many clients refuse: create one with \
         basicConstraints=CA:FALSE"
    )]
    IsCa,
    /// The extended key usage excludes servers.
    #[error(
        "the certificate is not for servers (extended key usage), so clients refuse it: use another one"
    )]
    WrongPurpose,
}

impl CertificateFlaw {
    /// Returns the flaw of a certificate at this time, independent of trusted roots.
    pub(super) fn of(certificate: &CertificateDer<'_>, now: SystemTime) -> Option<Self> {
        match problem(certificate, since_epoch(now))? {
            Error::CertExpired { not_after, .. } => Some(Self::Expired(to_system_time(not_after)?)),
            Error::CertNotValidYet { not_before, .. } => {
                Some(Self::Early(to_system_time(not_before)?))
            }
            Error::CaUsedAsEndEntity => Some(Self::IsCa),
            Error::RequiredEkuNotFoundContext(_) => Some(Self::WrongPurpose),
            // Without trusted roots there is always an error, such as an unknown issuer.
            _ => None,
        }
    }
}

/// Returns the expiry time of a certificate, or `None` if it cannot be parsed.
pub(super) fn expiry(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    // At the greatest time every certificate has expired, and the error contains the expiry time.
    match problem(certificate, Duration::from_secs(u64::MAX))? {
        Error::CertExpired { not_after, .. } => to_system_time(not_after),
        _ => None,
    }
}

/// Verifies a certificate without trusted roots, and returns the first error. webpki checks the
/// validity period first, then the usage, then the signatures.
fn problem(certificate: &CertificateDer<'_>, time: Duration) -> Option<Error> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let time = UnixTime::since_unix_epoch(time);
    let (usage, no_roots) = (KeyUsage::server_auth(), []);
    let verified = certificate.verify_for_usage(&[], &no_roots, &[], time, usage, None, None);
    verified.err()
}

fn since_epoch(time: SystemTime) -> Duration {
    // A clock before the epoch counts as the epoch.
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn to_system_time(time: UnixTime) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs()))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
    };
    use tokio_rustls::rustls::pki_types::CertificateDer;

    use super::{CertificateFlaw, expiry};

    /// The validity period of the test certificates, and a second before and after it.
    const BEFORE: &str = "2029-12-31T23:59:59Z";
    const BEGIN: &str = "2030-01-01T00:00:00Z";
    const END: &str = "2030-02-01T00:00:00Z";
    const AFTER: &str = "2030-02-01T00:00:01Z";

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2030, 1, 1);
        params.not_after = date_time_ymd(2030, 2, 1);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    fn at(time: &str) -> SystemTime {
        humantime::parse_rfc3339(time).unwrap()
    }

    fn flaw(change: impl FnOnce(&mut CertificateParams), now: &str) -> Option<String> {
        let flaw = CertificateFlaw::of(&certificate(change), at(now));
        flaw.map(|flaw| flaw.to_string())
    }

    #[test]
    fn flaw_that_clients_refuse_is_found() {
        let good = |_: &mut CertificateParams| ();
        assert_eq!(flaw(good, BEGIN), None);
        assert_eq!(flaw(good, END), None);
        assert_eq!(
            flaw(good, AFTER).unwrap(),
            "the certificate expired at 2030-02-01T00:00:00Z: renew it"
        );
        assert_eq!(
            flaw(good, BEFORE).unwrap(),
            "the certificate is not valid before 2030-01-01T00:00:00Z: check the clock"
        );
        let is_ca = |params: &mut CertificateParams| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        };
        assert_eq!(
            flaw(is_ca, BEGIN).unwrap(),
            "the certificate is a CA certificate (CA:TRUE), which many clients refuse: create one \
             with basicConstraints=CA:FALSE"
        );
        for (purpose, is_wrong) in [
            (ExtendedKeyUsagePurpose::ServerAuth, false),
            (ExtendedKeyUsagePurpose::ClientAuth, true),
        ] {
            let with = |params: &mut CertificateParams| params.extended_key_usages = vec![purpose];
            let flaw = CertificateFlaw::of(&certificate(with), at(BEGIN));
            assert_eq!(flaw, is_wrong.then_some(CertificateFlaw::WrongPurpose));
        }
    }

    #[test]
    fn certificate_expiry_read() {
        assert_eq!(expiry(&certificate(|_| ())), Some(at(END)));
        assert_eq!(expiry(&CertificateDer::from(vec![0])), None);
    }
}
