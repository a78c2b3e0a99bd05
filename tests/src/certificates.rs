//! Certificates that are made for one test, and trusted by nobody else.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// Issues certificates. A client that is given [`Authority::certificate`] trusts them.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, as a server has them in its files.
#[derive(Debug, Clone)]
pub struct IssuedCertificate {
    /// The certificate, as PEM.
    pub certificate: String,
    /// Its key, as PEM of PKCS#8.
    pub private_key: String,
}

impl Authority {
    /// An authority that nobody knows yet.
    pub fn new() -> Self {
        Self::named("an authority of the tests")
    }

    /// One with this name. Another one of the same name is not the same.
    pub fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, key());
        Self(authority.expect("the parameters fit each other"))
    }

    /// Its certificate, as PEM, for those who are to trust it.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names and addresses, which is valid now.
    pub fn issue(&self, names: &[&str]) -> IssuedCertificate {
        let now = OffsetDateTime::now_utc();
        self.issue_between(names, now - Duration::DAY, now + Duration::DAY)
    }

    /// One whose time is over.
    pub fn issue_expired(&self, names: &[&str]) -> IssuedCertificate {
        let now = OffsetDateTime::now_utc();
        self.issue_between(names, now - 2 * Duration::DAY, now - Duration::DAY)
    }

    /// One whose time has not come.
    pub fn issue_early(&self, names: &[&str]) -> IssuedCertificate {
        let now = OffsetDateTime::now_utc();
        self.issue_between(names, now + Duration::DAY, now + 2 * Duration::DAY)
    }

    fn issue_between(
        &self,
        names: &[&str],
        from: OffsetDateTime,
        to: OffsetDateTime,
    ) -> IssuedCertificate {
        let mut params = params(names);
        (params.not_before, params.not_after) = (from, to);
        params.use_authority_key_identifier_extension = true;
        let key = key();
        let certificate = params.signed_by(&key, &self.0);
        IssuedCertificate {
            certificate: certificate.expect("the parameters fit each other").pem(),
            private_key: key.serialize_pem(),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A certificate that only its own key vouches for.
pub fn self_signed(names: &[&str]) -> IssuedCertificate {
    let key = key();
    let certificate = params(names).self_signed(&key);
    IssuedCertificate {
        certificate: certificate.expect("the parameters fit each other").pem(),
        private_key: key.serialize_pem(),
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("they are names");
    params
        .distinguished_name
        .push(DnType::CommonName, "a server of the tests");
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("there is randomness")
}
