//! Files, flags and their result, for the other tests.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use crate::{
    config::{Auth, Config, Flags, LoginSource},
    console::Mode,
    tls::Trust,
};

/// Returns a directory with these files.
pub(super) fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("config")).unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    directory
}

pub(super) fn load(files: &[(&str, &str)], flags: Flags) -> Result<Config, String> {
    let directory = directory(files);
    let config = Config::load(flags, directory.path(), Mode::Interactive);
    let path = format!("{}/", directory.path().display());
    config.map_err(|error| {
        let cause = std::error::Error::source(&error);
        let cause = cause.map_or(String::new(), |cause| format!(": {cause}"));
        format!("{error}{cause}").replace(&path, "")
    })
}

pub(super) fn url(url: &str) -> Flags {
    Flags {
        url: Some(url.into()),
        ..Flags::default()
    }
}

pub(super) const WITH_LOGIN: &[(&str, &str)] = &[
    (
        "config/client.toml",
        "url = \"ws://127.0.0.1:99\"\n[login]\nuser = \"admin\"\npassword_file = \"secret\"\n",
    ),
    ("config/secret", "123456\n"),
];

/// A certificate without its key.
pub(super) const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBnzCCAUWgAwIBAgIUCMfv3VG3ZeRbKXfxwpncgUtWO+owCgYIKoZIzj0EAwIw
JDEiMCAGA1UEAwwZYW4gYXV0aG9yaXR5IG9mIHRoZSB0ZXN0czAgFw0yNjExMjUx
OTQwMzRaGA8yMTI2MTEwMTE5NDAzNFowJDEiMCAGA1UEAwwZYW4gYXV0aG9yaXR5
IG9mIHRoZSB0ZXN0czBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDoSjHqP1DAS
yCGEcPE83JGqvFFgheMIUVVfvEKWTcLZhl/T9x6uUAOhlyIfhC+QsKLhEA3SMfYa
1voO8VmEH1WjUzBRMB0GA1UdDgQWBBQoS/osfTzT62SpIQKawJPvCVUjVjAfBgNV
HSMEGDAWgBQoS/osfTzT62SpIQKawJPvCVUjVjAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIQDLp4tmKAHVC7+U4AhWYHs8flBRA8Xq3F+SI8YQUooc
BQIgROk3VbYdWkW3l86YO45ZYO++EgvfE3kRuB0X0gVaj+A=
-----END CERTIFICATE-----
";

/// Returns the login line that is sent without asking.
pub(super) fn line(config: &Config) -> Option<String> {
    match &config.login {
        LoginSource::Configured(credentials) => Some(credentials.line().expose().to_owned()),
        LoginSource::Ask | LoginSource::AskPassword(_) => None,
    }
}

/// Returns flags that need no root certificates, which the test system may lack.
pub(super) fn insecure(flags: Flags) -> Flags {
    Flags {
        trust: Some(Trust::Insecure),
        ..flags
    }
}

pub(super) fn with_headers(url: &str, headers: &[&str]) -> Flags {
    Flags {
        url: Some(url.into()),
        auth: Some(Auth::None),
        headers: headers.iter().map(ToString::to_string).collect(),
        ..Flags::default()
    }
}
