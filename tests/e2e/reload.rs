//! Reloads of the configuration and the accounts: what is applied, when, and what is logged.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use integration_tests::{
    ACCOUNTS, AFTER_RESTART, CONFIGURATION, HANDSHAKE_REFUSED, LoginMethod, RELOADED,
    SESSION_OPENED, ServerFiles, ServerProcess, accounts, assert_echo, close_frame_of,
    handshake_with, send_request,
};
use proto::close::CloseReason;
use raw_peer::frame;
use rustix::process::Signal;
use tokio::task::spawn_blocking;

/// The documented poll interval of the files.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A configuration with a ping after one to two idle seconds, which a test uses as a clock.
const PING_EVERY_SECOND: &str = "[limits]\nping_interval = \"1s\"\nping_timeout = \"1h\"\n";

/// The ways to write a file.
const WRITES: [fn(&ServerFiles, &str, &str); 2] = [ServerFiles::overwrite, ServerFiles::replace];

/// Asserts the text of a log line after its timestamp.
#[track_caller]
fn assert_log_line(line: &str, expected: &str) {
    let (_time, text) = line
        .split_once(' ')
        .expect("a line begins with a timestamp");
    assert_eq!(text.trim_start(), expected);
}

#[tokio::test]
async fn changed_accounts_apply_after_overwrite_or_rename() {
    for write in WRITES {
        let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
        let mut server = files.serve().await;
        LoginMethod::Message.assert_rejected(&server, "joe:2").await;
        write(&files, ACCOUNTS, &accounts(&[("jane", "1"), ("joe", "2")]));
        let reloaded = server.log_line(RELOADED).await;
        assert_log_line(
            &reloaded,
            "INFO audit: reloaded event=reloaded cause=\"the files have changed\" users=2 sessions_ended=0",
        );
        for method in LoginMethod::ALL {
            assert_echo(&mut method.log_in(&server, "joe:2").await, "hello").await;
        }
    }
}

#[tokio::test]
async fn configuration_applies_after_overwrite_or_rename() {
    for write in WRITES {
        let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
        let mut server = files.serve().await;
        write(&files, CONFIGURATION, "[echo]\nprefix = \"> \"\n");
        let reloaded = server.log_line(RELOADED).await;
        assert_log_line(
            &reloaded,
            "INFO audit: reloaded event=reloaded cause=\"the files have changed\" users=1 changed=\"echo.prefix\" \
             sessions_ended=0",
        );
        let mut peer = LoginMethod::Message.log_in(&server, "jane:1").await;
        peer.send(frame::text("hello")).await;
        assert_eq!(peer.text().await, "> hello");
    }
}

#[tokio::test]
async fn sighup_reloads_the_files() {
    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    let mut server = files.serve().await;
    server.signal(Signal::HUP);
    let reloaded = server.log_line(RELOADED).await;
    assert_log_line(
        &reloaded,
        "INFO audit: reloaded event=reloaded cause=\"SIGHUP\" users=1 sessions_ended=0",
    );
    files.replace(ACCOUNTS, &accounts(&[("joe", "2")]));
    server.signal(Signal::HUP);
    let reloaded = server.log_line(RELOADED).await;
    assert!(reloaded.contains(" users=1 "), "{reloaded}");
    LoginMethod::Message.log_in(&server, "joe:2").await;
}

#[tokio::test]
async fn credentials_argument_file_is_watched() {
    const NAMED: &str = "named.toml";
    let files = ServerFiles::new("", &accounts(&[("configured", "1")]));
    files.overwrite(NAMED, &accounts(&[("jane", "1")]));
    let mut command = files.command();
    command.arg("--credentials").arg(files.path(NAMED));
    let mut server = ServerProcess::spawn(command).await;
    let read = server.log_line("read ").await;
    let named = format!(" and {} with 1 user", files.path(NAMED).display());
    assert!(read.ends_with(&named), "{read}");
    let mut session = LoginMethod::Message.log_in(&server, "jane:1").await;
    LoginMethod::Message
        .assert_rejected(&server, "configured:1")
        .await;
    // The argument overrides this key.
    files.replace(CONFIGURATION, "credentials = \"none.toml\"");
    files.replace(NAMED, &accounts(&[("joe", "2")]));
    let reloaded = server.log_line(RELOADED).await;
    assert_log_line(
        &reloaded,
        "INFO audit: reloaded event=reloaded cause=\"the files have changed\" users=1 sessions_ended=1",
    );
    assert_eq!(session.close().await.0, 3000);
    LoginMethod::Message.log_in(&server, "joe:2").await;
}

/// The result must not depend on which versions the signals and polls happen to read.
#[tokio::test]
async fn repeated_sighups_apply_the_last_file() {
    const CHANGES: usize = 50;
    let files = ServerFiles::new("", &accounts(&[("user", "0")]));
    let mut server = files.serve().await;
    for change in 1..=CHANGES {
        let password = change.to_string();
        let mut users = vec![("user", password.as_str())];
        if change == CHANGES {
            users.push(("last", "1"));
        }
        files.replace(ACCOUNTS, &accounts(&users));
        for _ in 0..3 {
            server.signal(Signal::HUP);
        }
    }
    let lines = server.log_up_to(" users=2 ").await;
    assert!(
        !lines.iter().any(|line| line.contains("ERROR")),
        "{lines:?}"
    );
    for _ in 0..2 {
        for method in LoginMethod::ALL {
            method.log_in(&server, "last:1").await;
            method.log_in(&server, &format!("user:{CHANGES}")).await;
            method
                .assert_rejected(&server, &format!("user:{}", CHANGES - 1))
                .await;
        }
        // Repeat the checks after all pending reloads.
        server.signal(Signal::HUP);
        server.log_line(RELOADED).await;
    }
}

/// Asserts that an unusable change is not applied and is logged once, and that the next change is
/// applied. `FILE` in the message stands for the path of the file.
async fn assert_not_applied(change: impl FnOnce(&ServerFiles), file: &str, message: &str) {
    let good = accounts(&[("jane", "1")]);
    let files = ServerFiles::new(PING_EVERY_SECOND, &good);
    let mut server = files.serve().await;
    let mut session = LoginMethod::Message.log_in(&server, "jane:1").await;
    change(&files);
    let mut lines = server.log_up_to("ERROR").await;
    let error = lines.last().expect("the line was found");
    let message = message.replace("FILE", &files.path(file).display().to_string());
    assert_log_line(
        error,
        &format!(
            "ERROR audit: nothing was reloaded: {message} event=reload_failed cause=\"the files have changed\""
        ),
    );
    // Until this ping, several polls have seen the unchanged file.
    let mut clock = LoginMethod::Message.log_in(&server, "jane:1").await;
    assert_eq!(clock.frame().await.first, 0x89, "a ping");
    assert_echo(&mut session, "still here").await;
    for method in LoginMethod::ALL {
        method.log_in(&server, "jane:1").await;
    }
    files.replace(ACCOUNTS, &accounts(&[("jane", "1"), ("joe", "2")]));
    files.replace(CONFIGURATION, PING_EVERY_SECOND);
    lines.extend(server.log_up_to(" users=2 ").await);
    let about_files = lines.iter().filter(|line| line.contains("reloaded"));
    assert_eq!(about_files.count(), 2, "{lines:#?}");
    LoginMethod::Message.log_in(&server, "joe:2").await;
    assert_echo(&mut session, "still here").await;
}

#[tokio::test]
async fn broken_accounts_are_not_applied() {
    assert_not_applied(
        |files| files.replace(ACCOUNTS, "[[user]]\nname = \"joe\"\npasword = \"2\"\n"),
        ACCOUNTS,
        "FILE: line 3: `user.pasword`: unknown key `pasword`; did you mean `password`?",
    )
    .await;
}

#[tokio::test]
async fn missing_accounts_are_not_applied() {
    assert_not_applied(
        |files| files.remove(ACCOUNTS),
        ACCOUNTS,
        "cannot read FILE: No such file or directory (os error 2)",
    )
    .await;
}

#[tokio::test]
async fn broken_configuration_is_not_applied() {
    assert_not_applied(
        |files| {
            // Valid accounts beside a broken configuration are not applied either.
            files.replace(ACCOUNTS, &accounts(&[("joe", "2")]));
            files.replace(CONFIGURATION, "[echo]\nprefx = \"> \"\n");
        },
        CONFIGURATION,
        "FILE: line 2: `echo.prefx`: unknown key `prefx`; did you mean `prefix`?",
    )
    .await;
}

#[tokio::test]
async fn missing_configuration_is_not_applied() {
    assert_not_applied(
        |files| files.remove(CONFIGURATION),
        CONFIGURATION,
        "cannot read FILE: No such file or directory (os error 2)",
    )
    .await;
}

#[tokio::test]
async fn each_sighup_logs_the_mistake() {
    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    let mut server = files.serve().await;
    files.overwrite(ACCOUNTS, "");
    for _ in 0..2 {
        server.signal(Signal::HUP);
        server.log_line("cause=\"SIGHUP\"").await;
    }
    LoginMethod::Message.log_in(&server, "jane:1").await;
}

/// The server waits until a file no longer changes, for half a second, and does not report intermediate
/// content.
#[tokio::test]
async fn partly_written_file_is_not_read() {
    let good = accounts(&[("joe", "2")]);
    let mut server;
    loop {
        let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
        server = files.serve().await;
        let (path, whole) = (files.path(ACCOUNTS), good.clone());
        let longest_pause = spawn_blocking(move || write_slowly(&path, &whole));
        if longest_pause.await.unwrap() < POLL_INTERVAL {
            let lines = server.log_up_to(RELOADED).await;
            assert!(
                lines.iter().all(|line| !line.contains("ERROR")),
                "{lines:#?}"
            );
            break;
        }
        // The machine was too busy to write continuously; try again.
    }
    LoginMethod::Message.log_in(&server, "joe:2").await;
    LoginMethod::Message
        .assert_rejected(&server, "jane:1")
        .await;
}

/// Writes changing prefixes of a file for longer than a poll interval, then the whole file. Returns the
/// longest pause between two writes.
fn write_slowly(path: &Path, whole: &str) -> Duration {
    let start = Instant::now();
    let (mut last, mut longest_pause) = (start, Duration::ZERO);
    for len in (1..whole.len() / 2).cycle() {
        fs::write(path, &whole[..len]).unwrap();
        let now = Instant::now();
        longest_pause = longest_pause.max(now - last);
        last = now;
        if now - start > POLL_INTERVAL * 3 / 2 {
            break;
        }
        thread::yield_now();
    }
    fs::write(path, whole).unwrap();
    longest_pause.max(last.elapsed())
}

/// Former fault: while a program touched the file every 100 ms, there was no reload and no revocation.
#[tokio::test]
async fn file_that_keeps_changing_is_reloaded() {
    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    let mut server = files.serve().await;
    let path = files.path(ACCOUNTS);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = spawn_blocking(move || {
        let mut count = 0;
        while stopped.recv_timeout(Duration::from_millis(100)).is_err() {
            count += 1;
            let content = format!("{}# {count}\n", accounts(&[("joe", "2")]));
            // Renamed, so that no reload reads a part of it.
            let whole = path.with_extension("new");
            fs::write(&whole, content).unwrap();
            fs::rename(&whole, &path).unwrap();
        }
    });
    server.log_line(RELOADED).await;
    LoginMethod::Message.log_in(&server, "joe:2").await;
    LoginMethod::Message
        .assert_rejected(&server, "jane:1")
        .await;
    stop.send(()).unwrap();
    writer.await.unwrap();
}

#[tokio::test]
async fn changed_credentials_path_is_watched() {
    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    let mut server = files.serve().await;
    files.replace("others.toml", &accounts(&[("joe", "2")]));
    files.replace(CONFIGURATION, "credentials = \"others.toml\"\n");
    let reloaded = server.log_line(RELOADED).await;
    assert!(reloaded.contains(" changed=\"credentials\" "), "{reloaded}");
    LoginMethod::Message.log_in(&server, "joe:2").await;
    LoginMethod::Message
        .assert_rejected(&server, "jane:1")
        .await;
    files.replace("others.toml", &accounts(&[("joe", "3")]));
    server.log_line(RELOADED).await;
    LoginMethod::Message.log_in(&server, "joe:3").await;
}

#[tokio::test]
async fn reload_changes_only_new_connections() {
    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    let mut server = files.serve().await;
    let from_elsewhere = handshake_with(&["Origin: https://chat.example"]);
    let refused = send_request(server.connect().await, &from_elsewhere).await;
    assert_eq!(refused.status_line, "HTTP/1.1 403 Forbidden");
    let mut old = LoginMethod::Message.log_in(&server, "jane:1").await;
    files.replace(
        CONFIGURATION,
        "allowed_origins = [\"https://chat.example\"]\n\
         [login]\nmax_attempts = 1\n\
         [limits]\nmax_message_bytes = \"1KiB\"\n\
         [echo]\nprefix = \"> \"\n",
    );
    let reloaded = server.log_line(RELOADED).await;
    let changed = " changed=\"allowed_origins, echo.prefix, limits.max_message_bytes, \
                   login.max_attempts\" ";
    assert!(reloaded.contains(changed), "{reloaded}");

    let long = "x".repeat(1025);
    assert_echo(&mut old, &long).await;

    let mut new = server.connect().await;
    new.send(&from_elsewhere).await;
    let head = new.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    new.send(frame::text("jane:1")).await;
    new.text().await;
    new.send(frame::text("hello")).await;
    assert_eq!(new.text().await, "> hello");
    new.send(frame::text(&long)).await;
    assert_eq!(
        new.close().await,
        close_frame_of(CloseReason::MessageTooBig)
    );

    let mut wrong = server.connect().await;
    wrong.upgrade().await;
    wrong.send(frame::text("jane:2")).await;
    assert_eq!(
        wrong.close().await,
        close_frame_of(CloseReason::TooManyAttempts)
    );
    assert_echo(&mut old, "still here").await;
}

#[tokio::test]
async fn log_level_follows_the_configuration() {
    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    let mut command = files.command();
    command.env_remove("RUST_LOG");
    let mut server = ServerProcess::spawn_with_environment(command).await;
    files.replace(CONFIGURATION, "log_level = \"debug\"\n");
    let lines = server.log_up_to(RELOADED).await;
    assert!(
        !lines.iter().any(|line| line.contains("DEBUG")),
        "{lines:?}"
    );
    let detail = loop {
        // The log level changes a moment after the log line.
        send_request(
            server.connect().await,
            "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n",
        )
        .await;
        files.replace(CONFIGURATION, "log_level = \"debug\"\n# touched\n");
        server.signal(Signal::HUP);
        let lines = server.log_up_to(RELOADED).await;
        if let Some(line) = lines.into_iter().find(|line| line.contains("DEBUG")) {
            break line;
        }
    };
    assert!(detail.contains(HANDSHAKE_REFUSED), "{detail}");
    files.replace(CONFIGURATION, "log_level = \"error\"\n");
    server.log_line(" changed=\"log_level\" ").await;
    files.replace(
        CONFIGURATION,
        "log_level = \"error\"\nlisten = \"nowhere\"\n",
    );
    server.log_line("ERROR").await;
    LoginMethod::Message.log_in(&server, "jane:1").await;
    server.signal(Signal::TERM);
    let (_, _, log) = server.finish().await;
    let audit = ["login_ok", "drain_started", "drain_ended"];
    let events = log.lines().map(|line| {
        let (_, event) = line
            .split_once(" event=")
            .expect("the line is of the audit");
        event.split(' ').next().expect("the field has a value")
    });
    assert_eq!(events.collect::<Vec<_>>(), audit, "{log}");
}

/// The environment variable overrides the configuration.
#[tokio::test]
async fn rust_log_overrides_the_configuration() {
    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    let mut server = files.serve().await;
    files.replace(CONFIGURATION, "log_level = \"error\"\n");
    server.log_line(RELOADED).await;
    server.signal(Signal::HUP);
    server.log_line(RELOADED).await;
    LoginMethod::Message.log_in(&server, "jane:1").await;
    server.log_line(SESSION_OPENED).await;
}

#[tokio::test]
async fn keys_that_need_a_restart_are_logged() {
    let files = ServerFiles::new("listen = \"127.0.0.1:0\"\n", &accounts(&[("jane", "1")]));
    let mut server = ServerProcess::spawn(files.command_with(&[])).await;
    let mut old = LoginMethod::Message.log_in(&server, "jane:1").await;
    files.replace(
        CONFIGURATION,
        "listen = \"127.0.0.2:0\"\nworker_threads = 3\n\
         [login]\nhash_workers = 3\nmax_queued_logins = 3\nmax_attempts = 3\n",
    );
    let reloaded = server.log_line(RELOADED).await;
    assert!(
        reloaded.contains(" changed=\"login.max_attempts\" "),
        "{reloaded}"
    );
    let warning = server.log_line("WARN").await;
    assert_log_line(
        &warning,
        "WARN changed keys take effect after a restart keys=\"listen, login.hash_workers, \
         login.max_queued_logins, worker_threads\"",
    );
    assert_echo(&mut old, "still here").await;
    LoginMethod::Message.log_in(&server, "jane:1").await;
    // The value of the start again needs no restart.
    files.replace(CONFIGURATION, "listen = \"127.0.0.1:0\"\n");
    server.log_line(RELOADED).await;
    server.signal(Signal::TERM);
    let (_, _, log) = server.finish().await;
    assert!(!log.contains(AFTER_RESTART), "{log}");
}

/// The `--listen` argument overrides the configuration at each reload too.
#[tokio::test]
async fn listen_argument_is_not_a_changed_key() {
    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    let mut server = files.serve().await;
    files.replace(CONFIGURATION, "listen = \"127.0.0.1:1\"\n");
    let reloaded = server.log_line(RELOADED).await;
    assert!(!reloaded.contains("changed="), "{reloaded}");
    server.signal(Signal::TERM);
    let (_, _, log) = server.finish().await;
    assert!(!log.contains(AFTER_RESTART), "{log}");
}
