//! Certificates for tests.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// A certificate authority. Clients that get [`Authority::certificate`] trust what it issues.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key.
#[derive(Debug, Clone)]
pub struct IssuedCertificate {
    /// The certificate, as PEM.
    pub certificate: String,
    /// The private key, as PKCS#8 PEM.
    pub private_key: String,
}

impl Authority {
    /// Creates an authority.
    pub fn new() -> Self {
        Self::named("an authority of the tests")
    }

    /// Creates an authority with this name. Two authorities of the same name have different keys.
    pub fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, key());
        Self(authority.expect("the parameters fit each other"))
    }

    /// Returns the authority's certificate, as PEM.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate for these names and addresses that is valid now.
    pub fn issue(&self, names: &[&str]) -> IssuedCertificate {
        let now = OffsetDateTime::now_utc();
        self.issue_between(names, now - Duration::DAY, now + Duration::DAY)
    }

    /// Issues an expired certificate.
    pub fn issue_expired(&self, names: &[&str]) -> IssuedCertificate {
        let now = OffsetDateTime::now_utc();
        self.issue_between(names, now - 2 * Duration::DAY, now - Duration::DAY)
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

/// Creates a self-signed certificate.
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
    let mut params = CertificateParams::new(names).expect("the names are valid");
    params
        .distinguished_name
        .push(DnType::CommonName, "a server of the tests");
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("random bytes are available")
}
