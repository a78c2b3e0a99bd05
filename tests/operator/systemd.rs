//! Checks of the systemd unit that need no running systemd. The unit must be valid, restrictive,
//! and sufficient for the server.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use integration_tests::{
    ACCOUNTS, ADMIN, AdminClient, CONFIGURATION, LoginMethod, NOT_RELOADED, RELOADED, ServerFiles,
    ServerProcess, account, accounts, assert_echo, authorization, ctl_ok, fixture, peer_program,
    resolved, run_ok, send_request, server_binary, shipped,
};
use raw_peer::{HANDSHAKE, frame};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{net::UnixDatagram, process::Command};

/// The directory of the units.
const UNITS: &str = "deploy/systemd";

/// The unit and its drop-ins.
const UNIT: &str = "ws-server.service";
const DROP_INS: [&str; 3] = ["copied-credentials.conf", "port-443.conf", "tls.conf"];

/// The path of the server in the unit.
const INSTALLED: &str = "/usr/local/bin/ws-server";

/// The highest accepted exposure level, in tenths. It was 12 when the unit was written: 3 for
/// Internet sockets and 5 for host networking, which a server needs.
const EXPOSURE: &str = "13";

/// Copies the unit with these drop-ins, for the server under test.
fn installed(drop_ins: &[&str]) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let copy = |name: &str, to: PathBuf| {
        let unit = fs::read_to_string(shipped(UNITS).join(name)).unwrap();
        fs::write(to, unit.replace(INSTALLED, &server_binary())).unwrap();
    };
    let unit = directory.path().join(UNIT);
    copy(UNIT, unit.clone());
    let added = directory.path().join(format!("{UNIT}.d"));
    fs::create_dir(&added).unwrap();
    for name in drop_ins {
        copy(name, added.join(name));
    }
    (directory, unit)
}

/// Runs `systemd-analyze`, which must succeed, and returns its output.
async fn systemd_analyze(arguments: &[&str]) -> String {
    let mut command = Command::new(peer_program("systemd/systemd-analyze"));
    command.args(arguments);
    run_ok(command).await
}

/// Returns all values of a key in the unit, in order.
fn values(key: &str) -> Vec<String> {
    let unit = fs::read_to_string(shipped(UNITS).join(UNIT)).unwrap();
    let lines = unit.lines().filter_map(|line| line.strip_prefix(key));
    let values = lines.filter_map(|line| line.strip_prefix('='));
    values.map(str::to_owned).collect()
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn unit_is_well_formed_with_and_without_drop_ins() {
    for drop_ins in [
        &[][..],
        &DROP_INS[..1],
        &DROP_INS[1..2],
        &DROP_INS[2..],
        &DROP_INS,
    ] {
        let (_directory, unit) = installed(drop_ins);
        let unit = unit.to_str().unwrap();
        assert_eq!(systemd_analyze(&["verify", unit]).await, "", "{drop_ins:?}");
    }
    let shipped = fs::read_dir(shipped(UNITS)).unwrap();
    assert_eq!(
        shipped.count(),
        1 + DROP_INS.len(),
        "all shipped files are checked"
    );
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn unit_stays_below_the_exposure_threshold() {
    // The port needs a capability and an additional namespace setting.
    let with_a_port = "17";
    for (drop_ins, exposure) in [
        (&[][..], EXPOSURE),
        (&["copied-credentials.conf", "tls.conf"], EXPOSURE),
        (&["port-443.conf"], with_a_port),
    ] {
        let (_directory, unit) = installed(drop_ins);
        let (unit, threshold) = (unit.to_str().unwrap(), format!("--threshold={exposure}"));
        let text = systemd_analyze(&["security", "--offline=true", &threshold, unit]).await;
        assert!(
            text.contains("Overall exposure level for ws-server.service: 1."),
            "{text}"
        );
    }
}

/// Returns the system calls of each set that systemd defines.
async fn sets() -> BTreeMap<String, Vec<String>> {
    let mut sets: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut set = String::new();
    for line in systemd_analyze(&["syscall-filter"]).await.lines() {
        match line.trim() {
            "" => {}
            comment if comment.starts_with('#') => {}
            name if line.starts_with('@') => name.clone_into(&mut set),
            call => sets.entry(set.clone()).or_default().push(call.to_owned()),
        }
    }
    sets
}

/// Returns the system calls of a set, or the named call.
fn calls(sets: &BTreeMap<String, Vec<String>>, name: &str) -> BTreeSet<String> {
    match sets.get(name) {
        Some(names) => names.iter().flat_map(|name| calls(sets, name)).collect(),
        None => BTreeSet::from([name.to_owned()]),
    }
}

/// Returns the system calls that the unit allows.
async fn allowed() -> BTreeSet<String> {
    let sets = sets().await;
    let mut allowed = BTreeSet::new();
    for value in values("SystemCallFilter") {
        let (names, forbids) = match value.strip_prefix('~') {
            Some(names) => (names, true),
            None => (value.as_str(), false),
        };
        for call in names.split(' ').flat_map(|name| calls(&sets, name)) {
            if forbids {
                allowed.remove(&call);
            } else {
                allowed.insert(call);
            }
        }
    }
    allowed
}

/// Returns the system calls in the output of strace.
fn made(trace: &str) -> BTreeSet<String> {
    let calls = trace.lines().filter_map(|line| {
        // Lines begin with the thread id, and some report signals and exits.
        let (_thread, rest) = line.split_once(' ')?;
        let (call, _) = rest.trim_start().split_once('(')?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        call.chars().all(is_name).then(|| call.to_owned())
    });
    calls.collect()
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn server_makes_only_system_calls_of_the_unit() {
    // The password is "1".
    let hash = "password_hash = \"$argon2id$v=19$m=19456,t=2,p=1$\
                c29tZXNhbHRzb21lc2FsdA$vG3tUQ2QoxCxkjAyHBtLxyn9pC8VqzzbHmMyQCU1vXE\"";
    let users = accounts(&[("jane", "1")]) + &account("joe", hash);
    let routes = "[[route]]\npath = \"/\"\nservice = \"echo\"\n\
                  [[route]]\npath = \"/room\"\nservice = \"room\"\n";
    let files = ServerFiles::new(&format!("{ADMIN}{routes}"), &users);
    let manager = UnixDatagram::bind(files.path("notify")).unwrap();
    let trace = files.path("trace");
    let mut command = Command::new(peer_program("strace/strace"));
    command
        // Keeps the server, not strace, as the started process.
        .args([
            "--daemonize",
            "--follow-forks",
            "--quiet=attach,exit",
            "--output",
        ])
        .arg(&trace)
        .arg(server_binary())
        .arg("--config")
        .arg(files.path(CONFIGURATION))
        .args(["--listen", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", files.path("notify"));
    let mut server = ServerProcess::spawn(command).await;
    manager.recv(&mut [0; 4096]).await.unwrap();

    for method in LoginMethod::ALL {
        let mut session = method.log_in(&server, "jane:1").await;
        assert_echo(&mut session, "hello").await;
        session.send(frame::close(1000, "")).await;
        assert_eq!(session.close().await.0, 1000);
        session.end().await;
    }
    LoginMethod::Message.assert_rejected(&server, "joe:2").await;
    let publish = format!(
        "POST /room HTTP/1.1\r\nHost: localhost\r\n{}\r\nContent-Length: 5\r\n\r\nhello",
        authorization("jane:1")
    );
    for request in [
        "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n",
        &publish,
        &HANDSHAKE.replace("GET / ", "GET /nowhere "),
    ] {
        send_request(server.connect().await, request).await;
    }
    let admin = AdminClient::for_server(&mut server).await;
    admin.metrics().await;
    for action in [
        &["sessions"][..],
        &["publish", "/room", "hello"],
        &["purge", "/room"],
        &["revoke", "joe"],
    ] {
        ctl_ok(&files, action).await;
    }
    server.signal(Signal::HUP);
    server.log_line(RELOADED).await;
    files.replace(ACCOUNTS, "a mistake");
    server.log_line(NOT_RELOADED).await;
    let mut session = LoginMethod::Message.log_in(&server, "jane:1").await;
    server.signal(Signal::TERM);
    assert_eq!(session.close().await.0, 1001);
    session.send(frame::close(1001, "")).await;
    session.end().await;
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(0), "{log}");

    let made = made(&fs::read_to_string(trace).unwrap());
    for call in ["accept4", "execve", "listen", "sendto"] {
        assert!(made.contains(call), "{call} is not in {made:?}");
    }
    let allowed = allowed().await;
    assert!(
        allowed.contains("accept4") && !allowed.contains("chroot"),
        "{allowed:?}"
    );
    let forbidden: Vec<_> = made.difference(&allowed).collect();
    assert_eq!(forbidden, [""; 0]);
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn unit_allows_the_descriptors_of_default_limits() {
    let limit = values("LimitNOFILE").concat();
    let command = ServerProcess::limited_command(&format!("-n {limit}"), &fixture(CONFIGURATION));
    let mut server = ServerProcess::spawn(command).await;
    let lines = server.log_up_to("read ").await;
    let fewer = lines.iter().find(|line| line.contains("fewer connections"));
    assert_eq!(fewer, None);
}

#[tokio::test]
async fn unit_waits_longer_than_the_drain_deadline() {
    let seconds = |text: &str| humantime::parse_duration(text).unwrap();
    let configuration = resolved(&fixture("server.toml")).await;
    let (_, drain) = configuration.split_once("\ndrain_deadline = \"").unwrap();
    let (drain, _) = drain.split_once('"').unwrap();
    assert!(seconds(&values("TimeoutStopSec").concat()) > seconds(drain));
}
