//! A server that listens on a public address, and its requirements.

use integration_tests::{
    ACCOUNTS, Authority, CONFIGURATION, IssuedCertificate, LoginMethod, ProcessOutput, SERVER_NAME,
    ServerFiles, ServerProcess, accounts, admin_account, run,
};
use rustix::process::Signal;

use crate::tls_server::LINE;

/// The wildcard address.
const ANY_ADDRESS: &str = "0.0.0.0:0";

const LISTEN: &str = "listen = \"0.0.0.0:0\"\n";
const INSECURE: &str = "listen = \"0.0.0.0:0\"\nallow_insecure = true\n";

/// The error for a missing certificate, and the one for the development account.
const UNENCRYPTED: &str = "other machines can reach 0.0.0.0:0, and passwords would be sent \
                           unencrypted: write certificate and private_key under [tls], or \
                           allow_insecure = true behind a proxy that encrypts";
const DEVELOPMENT_PASSWORD: &str = "other machines can reach 0.0.0.0:0, and the account `admin` has its \
                                    development password, which is public: give it a \
                                    password_hash from `ws-server hash-password`";

fn development() -> String {
    admin_account()
}

fn jane() -> String {
    accounts(&[("jane", "1")])
}

fn issued() -> IssuedCertificate {
    Authority::new().issue(&[SERVER_NAME])
}

/// Runs a server, and asserts that it fails to start with this problem.
async fn assert_start_fails(files: &ServerFiles, arguments: &[&str], problem: &str) {
    let command = files.command_with(arguments);
    let ProcessOutput { code, stderr, .. } = run(command, "").await;
    let path = files.path(CONFIGURATION);
    assert_eq!(
        stderr,
        format!("ws-server: {}: {problem}\n", path.display())
    );
    assert_eq!(code, Some(2));
}

#[tokio::test]
async fn public_address_requires_tls_or_allow_insecure() {
    let plain = ServerFiles::new(LISTEN, &jane());
    assert_start_fails(&plain, &[], UNENCRYPTED).await;
    assert_start_fails(&plain, &["--check-config"], UNENCRYPTED).await;
    let here = ServerFiles::new("", &jane());
    assert_start_fails(&here, &["--listen", ANY_ADDRESS], UNENCRYPTED).await;

    let files = ServerFiles::with_tls(LISTEN, &jane(), &issued());
    let server = ServerProcess::spawn(files.command_with(&[])).await;
    assert!(
        server.url().starts_with("wss://0.0.0.0:"),
        "{}",
        server.url()
    );
    server.signal(Signal::TERM);
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(0));
    assert!(!log.contains("other machines can reach"), "{log}");
}

#[tokio::test]
async fn allow_insecure_logs_one_warning_at_start() {
    let files = ServerFiles::new(INSECURE, &jane());
    for _ in 0..2 {
        let server = ServerProcess::spawn(files.command_with(&[])).await;
        assert!(
            server.url().starts_with("ws://0.0.0.0:"),
            "{}",
            server.url()
        );
        server.signal(Signal::TERM);
        let (code, _, log) = server.finish().await;
        assert_eq!(code, Some(0));
        let warnings: Vec<_> = log
            .lines()
            .filter(|line| line.contains("other machines can reach"))
            .collect();
        let [warning] = warnings[..] else {
            panic!("expected one warning: {log}")
        };
        assert!(
            warning.contains(" WARN ") && warning.contains("allow_insecure"),
            "{warning}"
        );
    }
    // On a loopback address there is nothing to warn of.
    let here = ServerFiles::new("allow_insecure = true\n", &jane());
    let server = here.serve().await;
    server.signal(Signal::TERM);
    let (_, _, log) = server.finish().await;
    assert!(!log.contains("other machines can reach"), "{log}");
}

#[tokio::test]
async fn public_address_rejects_the_development_account() {
    let insecure = ServerFiles::new(INSECURE, &development());
    assert_start_fails(&insecure, &[], DEVELOPMENT_PASSWORD).await;
    let encrypted = ServerFiles::with_tls(LISTEN, &development(), &issued());
    assert_start_fails(&encrypted, &[], DEVELOPMENT_PASSWORD).await;
    assert_start_fails(&encrypted, &["--check-config"], DEVELOPMENT_PASSWORD).await;
}

/// A reload checks the new settings like a start, and also against the address of the running
/// server.
#[tokio::test]
async fn reload_rejects_insecure_public_settings() {
    let files = ServerFiles::new("", &jane());
    let mut server = ServerProcess::spawn(files.command()).await;
    // The `--listen` argument overrides the configuration, for this check as well.
    files.replace(CONFIGURATION, LISTEN);
    server.log_line("INFO audit: reloaded").await;

    let exposed = ServerFiles::new(INSECURE, &jane());
    let mut exposed_server = ServerProcess::spawn(exposed.command_with(&[])).await;
    exposed.replace(CONFIGURATION, LISTEN);
    let error = exposed_server.log_line("ERROR").await;
    assert!(
        error.contains("nothing was reloaded: ") && error.contains(UNENCRYPTED),
        "{error}"
    );
    exposed.replace(CONFIGURATION, INSECURE);
    exposed_server.log_line("INFO audit: reloaded").await;
    exposed.replace(ACCOUNTS, &development());
    let error = exposed_server.log_line("ERROR").await;
    assert!(error.contains(DEVELOPMENT_PASSWORD), "{error}");
    // The `listen` key applies at the next start and does not change the running server.
    exposed.replace(CONFIGURATION, "listen = \"127.0.0.1:0\"\n");
    let error = exposed_server.log_line("ERROR").await;
    assert!(error.contains(DEVELOPMENT_PASSWORD), "{error}");
    exposed.replace(ACCOUNTS, &jane());
    exposed_server.log_line("INFO audit: reloaded").await;
    LoginMethod::Message
        .assert_rejected(&exposed_server, "admin:123456")
        .await;

    let local = ServerFiles::new("listen = \"127.0.0.1:0\"\n", &development());
    let mut server = ServerProcess::spawn(local.command_with(&[])).await;
    for (configuration, problem) in [(LISTEN, UNENCRYPTED), (INSECURE, DEVELOPMENT_PASSWORD)] {
        local.replace(CONFIGURATION, configuration);
        let error = server.log_line("ERROR").await;
        assert!(error.contains(problem), "{error}");
    }
    LoginMethod::Message.log_in(&server, "admin:123456").await;
    LoginMethod::Message.assert_rejected(&server, LINE).await;
}
