//! The requirements on a server that other machines can reach.

use std::net::SocketAddr;

use proto::{credentials::Accounts, message::Credentials};

use crate::config::{config::Config, error::ExposedError};

/// The account that is shipped for development.
const DEVELOPMENT_LINE: &str = "admin:123456";

/// Returns true if other machines can reach an address that is listened on.
pub(crate) fn is_exposed(listen: SocketAddr) -> bool {
    !listen.ip().to_canonical().is_loopback()
}

/// Returns true if the accounts hold the development account with its password.
pub(crate) fn have_development_account(accounts: &Accounts) -> bool {
    let development = Credentials::parse(DEVELOPMENT_LINE);
    development.is_ok_and(|credentials| accounts.has_plain(&credentials))
}

/// Checks that a server may listen at the configured address.
pub(super) fn check(config: &Config, accounts: &Accounts) -> Result<(), ExposedError> {
    let listen = config.listen;
    if is_exposed(listen) && config.tls.certificate.is_none() && !config.allow_insecure {
        return Err(ExposedError::Insecure { listen });
    }
    check_accounts(listen, accounts)
}

/// Checks that a server that listens at this address may have these accounts.
pub(super) fn check_accounts(listen: SocketAddr, accounts: &Accounts) -> Result<(), ExposedError> {
    if is_exposed(listen) && have_development_account(accounts) {
        return Err(ExposedError::DevelopmentAccount { listen });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proto::credentials::Accounts;

    use super::{Config, ExposedError, check};

    const DEVELOPMENT: &str = "[[user]]\nname = \"admin\"\npassword = \"123456\"";
    const OTHER: &str = "[[user]]\nname = \"admin\"\npassword = \"1234567\"";
    const TLS: &str = "[tls]\ncertificate = \"c\"\nprivate_key = \"k\"";

    const LOOPBACK: [&str; 5] = [
        "127.0.0.1:1",
        "127.255.255.254:0",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
        "[::ffff:7f00:2]:1",
    ];

    const EXPOSED: [&str; 7] = [
        "0.0.0.0:1",
        "[::]:0",
        "192.0.2.1:1",
        "[2001:db8::1]:1",
        "[::ffff:0.0.0.0]:1",
        "[::ffff:192.0.2.1]:1",
        // An IPv4-compatible address (RFC 4291 section 2.5.5.1), which is not mapped.
        "[::127.0.0.1]:1",
    ];

    fn checked(listen: &str, more: &str, accounts: &str) -> Result<(), ExposedError> {
        let source = format!("listen = \"{listen}\"\n{more}");
        let config = Config::parse(&source, Path::new("")).unwrap();
        check(&config, &Accounts::from_toml(accounts).unwrap())
    }

    #[test]
    fn loopback_needs_no_encryption() {
        for listen in LOOPBACK {
            for more in ["", "allow_insecure = true", TLS] {
                assert_eq!(checked(listen, more, DEVELOPMENT), Ok(()), "{listen}");
            }
        }
    }

    #[test]
    fn exposed_server_needs_tls_or_allow_insecure() {
        for listen in EXPOSED {
            let insecure = ExposedError::Insecure {
                listen: listen.parse().unwrap(),
            };
            assert_eq!(checked(listen, "", OTHER), Err(insecure), "{listen}");
            for more in ["allow_insecure = true", TLS] {
                assert_eq!(checked(listen, more, OTHER), Ok(()), "{listen}");
            }
        }
    }

    #[test]
    fn exposed_development_account_is_refused() {
        for listen in EXPOSED {
            let development = ExposedError::DevelopmentAccount {
                listen: listen.parse().unwrap(),
            };
            for more in ["allow_insecure = true", TLS] {
                let checked = checked(listen, more, DEVELOPMENT);
                assert_eq!(checked, Err(development.clone()), "{listen}");
            }
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        assert_eq!(
            checked("0.0.0.0:80", "", OTHER).unwrap_err().to_string(),
            "other machines can reach 0.0.0.0:80, and passwords would be sent unencrypted: write \
             certificate and private_key under [tls], or allow_insecure = true behind a proxy that \
             encrypts"
        );
        assert_eq!(
            checked("[::]:443", TLS, DEVELOPMENT)
                .unwrap_err()
                .to_string(),
            "other machines can reach [::]:443, and the account `admin` has its development \
             password, which is public: give it a password_hash from `ws-server hash-password`"
        );
    }
}
