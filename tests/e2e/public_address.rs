//! A server that others could reach, and what it must have before it starts there.

use integration_tests::{
    ACCOUNTS, Authority, CONFIGURATION, Files, Finished, Issued, LoginMethod, NAME, ServerProcess,
    accounts, run, server_binary,
};
use rustix::process::Signal;
use tokio::process::Command;

use crate::tls_server::LINE;

/// Every address of this machine.
const EVERYWHERE: &str = "0.0.0.0:0";

const LISTEN: &str = "listen = \"0.0.0.0:0\"\n";
const INSECURE: &str = "listen = \"0.0.0.0:0\"\nallow_insecure = true\n";

/// What the server says that is not encrypted, and what it says of the account.
const UNENCRYPTED: &str = "others can reach 0.0.0.0:0, and nothing is encrypted, passwords neither: \
                           write certificate and private_key under [tls], or allow_insecure = true \
                           if something else encrypts";
const KNOWN_TO_ALL: &str = "others can reach 0.0.0.0:0, and the account `admin` has its development \
                            password, which everybody knows: give it a password_hash made by \
                            `ws-server hash-password`";

fn development() -> String {
    accounts(&[("admin", "123456")])
}

fn jane() -> String {
    accounts(&[("jane", "1")])
}

fn issued() -> Issued {
    Authority::new().issue(&[NAME])
}

/// The command that starts a server where its configuration says.
fn command(files: &Files) -> Command {
    let mut command = Command::new(server_binary());
    command.arg("--config").arg(files.path(CONFIGURATION));
    command
}

/// Runs a server that does not start, and asserts what it says.
async fn is_refused(files: &Files, arguments: &[&str], problem: &str) {
    let mut command = command(files);
    command.args(arguments);
    let Finished { code, stderr, .. } = run(command, "").await;
    let path = files.path(CONFIGURATION);
    assert_eq!(
        stderr,
        format!("ws-server: {}: {problem}\n", path.display())
    );
    assert_eq!(code, Some(2));
}

#[tokio::test]
async fn a_server_for_others_starts_with_tls_or_on_purpose() {
    let plain = Files::new(LISTEN, &jane());
    is_refused(&plain, &[], UNENCRYPTED).await;
    is_refused(&plain, &["--check-config"], UNENCRYPTED).await;
    let here = Files::new("", &jane());
    is_refused(&here, &["--listen", EVERYWHERE], UNENCRYPTED).await;

    let files = Files::with_tls(LISTEN, &jane(), &issued());
    let server = ServerProcess::spawn(command(&files), None).await;
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
async fn on_purpose_there_is_one_warning_at_each_start() {
    let files = Files::new(INSECURE, &jane());
    for _ in 0..2 {
        let server = ServerProcess::spawn(command(&files), None).await;
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
            panic!("not one warning: {log}")
        };
        assert!(
            warning.contains(" WARN ") && warning.contains("allow_insecure"),
            "{warning}"
        );
    }
    // Where nobody else comes, there is nothing to warn of.
    let here = Files::new("allow_insecure = true\n", &jane());
    let server = here.serve().await;
    server.signal(Signal::TERM);
    let (_, _, log) = server.finish().await;
    assert!(!log.contains("other machines can reach"), "{log}");
}

#[tokio::test]
async fn the_development_account_is_never_for_others() {
    let insecure = Files::new(INSECURE, &development());
    is_refused(&insecure, &[], KNOWN_TO_ALL).await;
    let encrypted = Files::with_tls(LISTEN, &development(), &issued());
    is_refused(&encrypted, &[], KNOWN_TO_ALL).await;
    is_refused(&encrypted, &["--check-config"], KNOWN_TO_ALL).await;
}

/// What a reload would bring is judged as at a start, and so is the server that it would be brought
/// to.
#[tokio::test]
async fn no_reload_brings_what_is_refused_at_a_start() {
    let files = Files::new("", &jane());
    let mut server = ServerProcess::spawn(
        {
            let mut command = command(&files);
            command.args(["--listen", "127.0.0.1:0"]);
            command
        },
        None,
    )
    .await;
    // The address of the command line goes before the one in the file, here as everywhere.
    files.replace(CONFIGURATION, LISTEN);
    server.log_line("INFO audit: reloaded").await;

    let exposed = Files::new(INSECURE, &jane());
    let mut server_of_all = ServerProcess::spawn(command(&exposed), None).await;
    exposed.replace(CONFIGURATION, LISTEN);
    let error = server_of_all.log_line("ERROR").await;
    assert!(
        error.contains("nothing was reloaded: ") && error.contains(UNENCRYPTED),
        "{error}"
    );
    exposed.replace(CONFIGURATION, INSECURE);
    server_of_all.log_line("INFO audit: reloaded").await;
    exposed.replace(ACCOUNTS, &development());
    let error = server_of_all.log_line("ERROR").await;
    assert!(error.contains(KNOWN_TO_ALL), "{error}");
    // Where the next one is to listen does not help the one that runs.
    exposed.replace(CONFIGURATION, "listen = \"127.0.0.1:0\"\n");
    let error = server_of_all.log_line("ERROR").await;
    assert!(error.contains(KNOWN_TO_ALL), "{error}");
    exposed.replace(ACCOUNTS, &jane());
    server_of_all.log_line("INFO audit: reloaded").await;
    LoginMethod::Message
        .assert_rejected(&server_of_all, "admin:123456")
        .await;

    let local = Files::new("listen = \"127.0.0.1:0\"\n", &development());
    let mut server = ServerProcess::spawn(command(&local), None).await;
    for (configuration, problem) in [(LISTEN, UNENCRYPTED), (INSECURE, KNOWN_TO_ALL)] {
        local.replace(CONFIGURATION, configuration);
        let error = server.log_line("ERROR").await;
        assert!(error.contains(problem), "{error}");
    }
    LoginMethod::Message.log_in(&server, "admin:123456").await;
    LoginMethod::Message.assert_rejected(&server, LINE).await;
}
