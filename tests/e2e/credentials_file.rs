//! A credentials file that is incomplete for a while, that is no file, or that everybody may read.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

use integration_tests::{ACCOUNTS, LoginMethod, ServerFiles, accounts, assert_echo};
use rustix::process::Signal;
use tokio::time::sleep;

/// Users of the second part of a file lost their sessions, if the parts were a second apart.
#[tokio::test]
async fn file_written_in_two_parts_ends_no_session() {
    let users = [("jane", "1"), ("joe", "2")];
    let files = ServerFiles::new("", &accounts(&users));
    let mut server = files.serve().await;
    let mut joe = LoginMethod::Message.log_in(&server, "joe:2").await;
    files.overwrite(ACCOUNTS, &accounts(&users[..1]));
    sleep(Duration::from_secs(1)).await;
    let file = OpenOptions::new().append(true).open(files.path(ACCOUNTS));
    let rest = accounts(&[("joe", "2"), ("jim", "3")]);
    file.unwrap().write_all(rest.as_bytes()).unwrap();
    let line = server.log_line("reloaded").await;
    assert!(line.ends_with(" users=3 sessions_ended=0"), "{line}");
    assert_echo(&mut joe, "still here").await;
}

/// Without a second part, the users are removed a moment later.
#[tokio::test]
async fn user_removed_in_place_loses_session() {
    let files = ServerFiles::new("", &accounts(&[("jane", "1"), ("joe", "2")]));
    let mut server = files.serve().await;
    let mut joe = LoginMethod::Message.log_in(&server, "joe:2").await;
    let start = Instant::now();
    files.overwrite(ACCOUNTS, &accounts(&[("jane", "1")]));
    server.log_line("sessions_ended=1").await;
    assert!(start.elapsed() >= Duration::from_secs(2));
    assert_eq!(joe.close().await.0, 3000);
}

/// An operator who requests the reload vouches for the file.
#[tokio::test]
async fn requested_reload_removes_user_at_once() {
    let files = ServerFiles::new("", &accounts(&[("jane", "1"), ("joe", "2")]));
    let mut server = files.serve().await;
    files.overwrite(ACCOUNTS, &accounts(&[("jane", "1")]));
    server.signal(Signal::HUP);
    let line = server.log_line("cause=\"SIGHUP\"").await;
    assert!(line.contains(" users=1 "), "{line}");
}

/// Files of the kernel have a size of 0 and may have an endless content.
#[tokio::test]
async fn endless_file_is_refused_and_server_goes_on() {
    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    let mut server = files.serve().await;
    files.remove(ACCOUNTS);
    symlink("/proc/self/pagemap", files.path(ACCOUNTS)).unwrap();
    server.signal(Signal::HUP);
    let line = server.log_line("cause=\"SIGHUP\"").await;
    let problem = format!(
        "nothing was reloaded: cannot read {}: it has more than 64 MiB ",
        files.path(ACCOUNTS).display()
    );
    assert!(line.contains(&problem), "{line}");
    files.remove(ACCOUNTS);
    files.overwrite(ACCOUNTS, &accounts(&[("joe", "2")]));
    server.signal(Signal::HUP);
    server.log_line(" users=1 ").await;
    LoginMethod::Message.log_in(&server, "joe:2").await;
}

#[tokio::test]
async fn world_readable_credentials_are_warned_of() {
    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    files.allow(ACCOUNTS, 0o644);
    let mut server = files.serve().await;
    let path = files.path(ACCOUNTS).display().to_string();
    let warning = |mode: &str| {
        format!(
            "WARN {path}: everybody on this machine may read it or write to it (its mode is \
             {mode}), and it holds passwords: run `chmod o= {path}`"
        )
    };
    let line = server.log_line("may read it").await;
    assert!(line.ends_with(&warning("0644")), "{line}");
    // Not again, until it changes.
    files.allow(ACCOUNTS, 0o600);
    server.log_line("reloaded").await;
    files.allow(ACCOUNTS, 0o666);
    let line = server.log_line("may read it").await;
    assert!(line.ends_with(&warning("0666")), "{line}");
}
