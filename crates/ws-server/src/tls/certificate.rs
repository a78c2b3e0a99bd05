//! What all clients find wrong with a certificate, whomever they trust.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use humantime::format_rfc3339_seconds;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

/// Why no client takes a certificate. The server serves with it nevertheless: it may be that only
/// the clock is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateFlaw {
    /// Its time is over.
    #[error("the certificate expired at {}: renew it", format_rfc3339_seconds(*.0))]
    Expired(SystemTime),
    /// Its time has not come.
    #[error("the certificate holds from {} on: look at the clock", format_rfc3339_seconds(*.0))]
    Early(SystemTime),
    /// It is for an authority, as what `openssl req -x509` makes unless it is told otherwise.
    #[error(
        "the certificate is one for an authority (CA:TRUE), and many clients refuse it: make one \
         with basicConstraints=CA:FALSE"
    )]
    IsCa,
    /// It is for another purpose.
    #[error("the certificate is not meant for servers, and clients refuse it: use another one")]
    WrongPurpose,
}

impl CertificateFlaw {
    /// What is wrong with a certificate at this time, as far as that does not depend on who is
    /// trusted.
    pub(super) fn of(certificate: &CertificateDer<'_>, now: SystemTime) -> Option<Self> {
        match problem(certificate, since_epoch(now))? {
            Error::CertExpired { not_after, .. } => Some(Self::Expired(moment(not_after)?)),
            Error::CertNotValidYet { not_before, .. } => Some(Self::Early(moment(not_before)?)),
            Error::CaUsedAsEndEntity => Some(Self::IsCa),
            Error::RequiredEkuNotFoundContext(_) => Some(Self::WrongPurpose),
            // That nobody is trusted here, at least.
            _ => None,
        }
    }
}

/// When a certificate expires.
pub(super) fn expiry(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    // At the end of all time it has expired, and the error tells when.
    match problem(certificate, Duration::from_secs(u64::MAX))? {
        Error::CertExpired { not_after, .. } => moment(not_after),
        _ => None,
    }
}

/// What comes of checking a certificate when nobody is trusted. The time is checked first, then
/// what the certificate is for, and who has signed it last.
fn problem(certificate: &CertificateDer<'_>, time: Duration) -> Option<Error> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let time = UnixTime::since_unix_epoch(time);
    let (usage, nobody) = (KeyUsage::server_auth(), []);
    let verified = certificate.verify_for_usage(&[], &nobody, &[], time, usage, None, None);
    verified.err()
}

fn since_epoch(time: SystemTime) -> Duration {
    // A clock that stands before the epoch is told that everything is still to come.
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn moment(time: UnixTime) -> Option<SystemTime> {
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

    /// When the certificates here begin to hold, when they expire, and a second before and after.
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
    fn what_clients_refuse_is_found_and_nothing_else() {
        let good = |_: &mut CertificateParams| ();
        assert_eq!(flaw(good, BEGIN), None);
        assert_eq!(flaw(good, END), None);
        assert_eq!(
            flaw(good, AFTER).unwrap(),
            "the certificate expired at 2030-02-01T00:00:00Z: renew it"
        );
        assert_eq!(
            flaw(good, BEFORE).unwrap(),
            "the certificate holds from 2030-01-01T00:00:00Z on: look at the clock"
        );
        let of_authority = |params: &mut CertificateParams| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        };
        assert_eq!(
            flaw(of_authority, BEGIN).unwrap(),
            "the certificate is one for an authority (CA:TRUE), and many clients refuse it: make \
             one with basicConstraints=CA:FALSE"
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
    fn the_end_of_a_certificate_is_known() {
        assert_eq!(expiry(&certificate(|_| ())), Some(at(END)));
        assert_eq!(expiry(&CertificateDer::from(vec![0])), None);
    }
}
