//! What a server must have before others than those on its own machine can reach it.

use std::net::SocketAddr;

use proto::{credentials::Accounts, message::Credentials};

use crate::config::{error::ExposedError, resolved::Config};

/// The account that is shipped for development, which is spoken of but never shown.
const DEVELOPMENT_LINE: &str = "admin:123456";

/// Whether others than those on this machine can reach an address that is listened on.
pub(crate) fn is_exposed(listen: SocketAddr) -> bool {
    !listen.ip().to_canonical().is_loopback()
}

/// Whether everybody knows how to log in.
pub(crate) fn have_development_account(accounts: &Accounts) -> bool {
    let development = Credentials::parse(DEVELOPMENT_LINE);
    development.is_ok_and(|credentials| accounts.has_plain(&credentials))
}

/// Checks that a server may listen where the configuration says.
pub(super) fn check(config: &Config, accounts: &Accounts) -> Result<(), ExposedError> {
    let listen = config.listen;
    if is_exposed(listen) && config.tls.is_none() && !config.allow_insecure {
        return Err(ExposedError::Insecure { listen });
    }
    check_accounts(listen, accounts)
}

/// Checks that a server that listens here may have these accounts.
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
        // This one is not mapped, and no address of anybody.
        "[::127.0.0.1]:1",
    ];

    fn checked(listen: &str, more: &str, accounts: &str) -> Result<(), ExposedError> {
        let source = format!("listen = \"{listen}\"\n{more}");
        let config = Config::resolve(&source, Path::new("")).unwrap();
        check(&config, &Accounts::from_toml(accounts).unwrap())
    }

    #[test]
    fn on_loopback_everything_goes() {
        for listen in LOOPBACK {
            for more in ["", "allow_insecure = true", TLS] {
                assert_eq!(checked(listen, more, DEVELOPMENT), Ok(()), "{listen}");
            }
        }
    }

    #[test]
    fn others_are_let_come_with_tls_or_on_purpose() {
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
    fn the_development_account_is_never_for_others() {
        for listen in EXPOSED {
            let development = ExposedError::DevelopmentAccount {
                listen: listen.parse().unwrap(),
            };
            for more in ["allow_insecure = true", TLS] {
                let refused = checked(listen, more, DEVELOPMENT);
                assert_eq!(refused, Err(development.clone()), "{listen}");
            }
        }
    }

    #[test]
    fn the_messages_say_what_to_do() {
        assert_eq!(
            checked("0.0.0.0:80", "", OTHER).unwrap_err().to_string(),
            "others can reach 0.0.0.0:80, and nothing is encrypted, passwords neither: write \
             certificate and private_key under [tls], or allow_insecure = true if something else \
             encrypts"
        );
        assert_eq!(
            checked("[::]:443", TLS, DEVELOPMENT)
                .unwrap_err()
                .to_string(),
            "others can reach [::]:443, and the account `admin` has its development password, \
             which everybody knows: give it a password_hash made by `ws-server hash-password`"
        );
    }
}
