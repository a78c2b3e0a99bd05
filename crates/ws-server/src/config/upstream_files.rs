//! The files of routes with an upstream: trusted authorities, certificates and secrets.

use std::{os::unix::fs::MetadataExt as _, path::Path, sync::Arc};

use http::{HeaderMap, HeaderValue};
use proto::config::TomlError;
use zeroize::Zeroizing;

use crate::{
    config::{
        config::Config,
        error::{ConfigError, Problem},
        files::{OTHERS, read_bytes},
        tls::{read_certificates, read_private_key},
    },
    service::{BackedService, FieldValueSource, Relay, RelayFiles},
    tls::{TlsError, UpstreamTls},
};

impl Config {
    /// Reads the files that the routes name. `config` is the configuration file, for errors.
    pub(super) fn read_upstream_files(&mut self, config: &Path) -> Result<(), ConfigError> {
        for service in self.routes.backed_mut() {
            match service {
                BackedService::Relay(relay) => relay.files = files(relay, config)?,
                BackedService::Stream(_) | BackedService::Program(_) => {}
            }
        }
        Ok(())
    }
}

fn files(relay: &Relay, config: &Path) -> Result<RelayFiles, ConfigError> {
    let tls = relay.is_encrypted().then(|| upstream_tls(relay, config));
    let mut secrets = HeaderMap::new();
    for (key, source) in &relay.headers {
        if let FieldValueSource::File(path) = source {
            secrets.insert(key.name(), secret(path)?);
        }
    }
    Ok(RelayFiles {
        tls: tls.transpose()?,
        secrets: Arc::new(secrets),
    })
}

fn upstream_tls(relay: &Relay, config: &Path) -> Result<UpstreamTls, ConfigError> {
    let authorities = relay.ca.as_deref().map(|path| {
        read_certificates(path).map_err(|error| match error {
            ConfigError::Content {
                problem: Problem::Tls(TlsError::NoCertificate),
                ..
            } => ConfigError::content(path, TlsError::NoAuthority),
            error => error,
        })
    });
    let identity = match (&relay.certificate, &relay.private_key) {
        (Some(certificate), Some(key)) => {
            Some((read_certificates(certificate)?, read_private_key(key)?))
        }
        _ => None,
    };
    UpstreamTls::new(authorities.transpose()?, identity).map_err(|problem| {
        let path = match (&problem, &relay.private_key, &relay.ca) {
            (TlsError::ClientKeyMismatch, Some(key), _) => key,
            (TlsError::BrokenCertificate, _, Some(ca)) => ca,
            _ => config,
        };
        ConfigError::content(path, problem)
    })
}

/// Reads the value of a field, without one line break at its end.
fn secret(path: &Path) -> Result<HeaderValue, ConfigError> {
    let (content, metadata) = read_bytes(path).map_err(|error| ConfigError::read(path, error))?;
    let content = Zeroizing::new(content);
    let mode = metadata.mode();
    if mode & OTHERS != 0 {
        return Err(ConfigError::SecretWorldReadable {
            path: path.to_owned(),
            mode: mode & 0o777,
        });
    }
    let value = content.strip_suffix(b"\n").unwrap_or(&content);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    match HeaderValue::from_bytes(value) {
        Ok(mut value) if !value.is_empty() => {
            value.set_sensitive(true);
            Ok(value)
        }
        _ => {
            let problem = "write one line, which is the value of the field";
            Err(ConfigError::content(path, TomlError::whole(problem)))
        }
    }
}
