//! Reloading the certificate and the private key.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::UNIX_EPOCH,
};

use futures::future::join_all;
use integration_tests::{
    ADMIN, AFTER_RESTART, AdminClient, CERTIFICATE, CONFIGURATION, IssuedCertificate, LoginMethod,
    PRIVATE_KEY, SERVER_NAME, ServerFiles, TEST_TIMEOUT, accounts, assert_echo, echoed,
};
use raw_peer::frame;
use rustix::process::Signal;
use tokio::time::timeout;

use crate::tls_server::{LINE, TlsServer};

/// The changed keys that a reload logs for a new pair.
const BOTH: &str = "tls.certificate, tls.private_key";

/// The number of open sessions, and of certificate replacements.
const SESSIONS: usize = 50;
const REPLACEMENTS: usize = 6;

#[tokio::test]
async fn certificate_replacement_disturbs_no_session() {
    let mut tls = TlsServer::new("").await;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(tls.log_in().await);
    }
    let is_over = AtomicBool::new(false);
    let messages = join_all(sessions.iter_mut().map(async |peer| {
        let mut sent = 0_usize;
        while !is_over.load(Ordering::Relaxed) {
            // Several messages in flight, all distinct.
            let texts: Vec<_> = (sent..sent + 8).map(|number| format!("{number}")).collect();
            for text in &texts {
                peer.send(frame::text(text)).await;
            }
            for text in &texts {
                assert_eq!(peer.text().await, echoed(text));
            }
            sent += texts.len();
        }
        sent
    }));
    let replace = async {
        for round in 0..REPLACEMENTS {
            let next = tls.issue_next();
            // Both ways to write a file, in both orders.
            let write = [ServerFiles::replace, ServerFiles::overwrite][round % 2];
            let mut names = [CERTIFICATE, PRIVATE_KEY];
            if round >= REPLACEMENTS / 2 {
                names.reverse();
            }
            for name in names {
                write(&tls.files, name, part(&next, name));
            }
            assert_eq!(tls.changed_keys().await.as_deref(), Some(BOTH));
            assert!(tls.client.is_shown(&tls.server, &next).await);
            // Another login sees the certificate before the next one is written.
            assert_echo(&mut tls.log_in().await, "hello").await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (sent, ()) = tokio::join!(messages, replace);
    assert!(sent.iter().all(|sent| *sent > REPLACEMENTS), "{sent:?}");
    for peer in &mut sessions {
        assert_echo(peer, "still here").await;
        peer.send(frame::close(1000, "")).await;
        assert_eq!(peer.close().await.0, 1000);
    }
}

#[tokio::test]
async fn expired_certificate_is_logged_and_measured() {
    const EXPIRY: &str = "ws_server_certificate_expiry_timestamp_seconds";
    let mut tls = TlsServer::new(ADMIN).await;
    let admin = AdminClient::for_server(&mut tls.server).await;
    let now = || UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!(admin.metric(EXPIRY).await > now());
    drop(tls.log_in().await);
    let expired = tls.authority.issue_expired(&[SERVER_NAME]);
    for name in [CERTIFICATE, PRIVATE_KEY] {
        tls.files.replace(name, part(&expired, name));
    }
    let line = tls.server.log_line(" WARN ").await;
    assert!(line.contains(" the certificate expired at 2"), "{line}");
    assert_eq!(tls.changed_keys().await.as_deref(), Some(BOTH));
    assert!(admin.metric(EXPIRY).await < now());
    let refused = tls.client.try_connect(&tls.server).await;
    refused.unwrap_err();
    // The server counts the failed handshake a moment later.
    let counted = async {
        for result in ["ok", "failed"] {
            let series = format!("ws_server_tls_handshakes_total{{result=\"{result}\"}}");
            while admin.metric(&series).await != 1 {}
        }
    };
    timeout(TEST_TIMEOUT, counted)
        .await
        .expect("both metrics count in time");
}

/// While two files are copied, they do not form a pair.
#[tokio::test]
async fn half_replaced_pair_is_not_applied() {
    let mut tls = TlsServer::new("").await;
    let mut session = tls.log_in().await;
    let mut before = tls.issued.clone();
    for order in [[CERTIFICATE, PRIVATE_KEY], [PRIVATE_KEY, CERTIFICATE]] {
        let next = tls.issue_next();
        tls.files.replace(order[0], part(&next, order[0]));
        assert_eq!(
            tls.reload_error().await,
            "server.key: the private key in it does not match the certificate: \
             `tls.certificate` and `tls.private_key` must be a pair, with the server's \
             certificate first in its file"
        );
        assert!(tls.client.is_shown(&tls.server, &before).await);
        tls.files.replace(order[1], part(&next, order[1]));
        let changed = tls.changed_keys().await;
        assert_eq!(changed.as_deref(), Some(BOTH));
        assert!(tls.client.is_shown(&tls.server, &next).await);
        before = next;
    }
    assert_echo(&mut session, "still here").await;
}

#[tokio::test]
async fn unusable_file_is_reported_and_not_applied() {
    let mut tls = TlsServer::new("").await;
    let mut session = tls.log_in().await;
    let issued = tls.issued.clone();
    let half = |pem: &str| pem[..pem.len() / 2].to_owned();
    for (name, content, problem) in [
        (
            CERTIFICATE,
            String::new(),
            "server.pem: there is no certificate in it: ",
        ),
        (
            CERTIFICATE,
            half(&issued.certificate),
            "server.pem: a certificate in it is malformed: ",
        ),
        (
            PRIVATE_KEY,
            String::new(),
            "server.key: there is no private key in it: ",
        ),
        (
            PRIVATE_KEY,
            half(&issued.private_key),
            "server.key: the private key in it is malformed or not supported: ",
        ),
    ] {
        tls.files.overwrite(name, &content);
        let error = tls.reload_error().await;
        assert!(error.starts_with(problem), "{error}");
        assert!(tls.client.is_shown(&tls.server, &issued).await);
        tls.files.overwrite(name, part(&issued, name));
        assert_eq!(tls.changed_keys().await, None, "the files are unchanged");
    }
    tls.files.remove(PRIVATE_KEY);
    let error = tls.reload_error().await;
    assert_eq!(
        error,
        "cannot read server.key: No such file or directory (os error 2)"
    );
    tls.files.replace(PRIVATE_KEY, &issued.private_key);
    assert_eq!(tls.changed_keys().await, None);

    tls.files.allow(PRIVATE_KEY, 0o644);
    assert_eq!(
        tls.reload_error().await,
        "server.key: every user of this machine can read or change this private key (mode 0644): \
         run `chmod o= server.key`"
    );
    tls.files.allow(PRIVATE_KEY, 0o640);
    assert_eq!(tls.changed_keys().await, None);
    assert!(tls.client.is_shown(&tls.server, &issued).await);
    assert_echo(&mut session, "still here").await;
}

#[tokio::test]
async fn sighup_reloads_the_certificate() {
    let mut tls = TlsServer::new("").await;
    let next = tls.issue_next();
    for name in [CERTIFICATE, PRIVATE_KEY] {
        tls.files.replace(name, part(&next, name));
    }
    tls.server.signal(Signal::HUP);
    let line = tls.server.log_line(" INFO audit: reloaded ").await;
    let expected = format!(" changed=\"{BOTH}\" ");
    assert!(line.contains(&expected), "{line}");
    assert!(tls.client.is_shown(&tls.server, &next).await);
}

#[tokio::test]
async fn renamed_certificate_files_are_watched() {
    let mut tls = TlsServer::new("").await;
    let next = tls.issue_next();
    tls.files.replace("next.pem", &next.certificate);
    tls.files.replace("next.key", &next.private_key);
    let naming = "[tls]\ncertificate = \"next.pem\"\nprivate_key = \"next.key\"\n";
    tls.files.replace(CONFIGURATION, naming);
    assert_eq!(tls.changed_keys().await.as_deref(), Some(BOTH));
    assert!(tls.client.is_shown(&tls.server, &next).await);
    // Only the certificate changes; the key would have to match it.
    let after = tls.authority.issue(&[SERVER_NAME]);
    tls.files.replace("next.pem", &after.certificate);
    let error = tls.reload_error().await;
    assert!(
        error.starts_with("next.key: the private key in it does not match"),
        "{error}"
    );
    tls.files.replace("next.key", &after.private_key);
    assert_eq!(tls.changed_keys().await.as_deref(), Some(BOTH));
    assert!(tls.client.is_shown(&tls.server, &after).await);
}

#[tokio::test]
async fn enabling_tls_requires_a_restart() {
    let mut tls = TlsServer::new("").await;
    tls.files.replace(CONFIGURATION, "");
    assert_eq!(tls.changed_keys().await, None);
    let warning = tls.server.log_line(AFTER_RESTART).await;
    assert!(warning.ends_with(" keys=\"tls\""), "{warning}");
    let mut peer = tls.log_in().await;
    assert_echo(&mut peer, "still encrypted").await;
    assert!(tls.client.is_shown(&tls.server, &tls.issued).await);

    // Files that changed meanwhile are applied when the configuration names them again.
    let next = tls.issue_next();
    for name in [CERTIFICATE, PRIVATE_KEY] {
        tls.files.replace(name, part(&next, name));
    }
    tls.files
        .replace(CONFIGURATION, &ServerFiles::naming_tls(""));
    assert_eq!(tls.changed_keys().await.as_deref(), Some(BOTH));
    assert!(tls.client.is_shown(&tls.server, &next).await);

    let files = ServerFiles::new("", &accounts(&[("jane", "1")]));
    let mut server = files.serve().await;
    files.replace(CERTIFICATE, &next.certificate);
    files.replace(PRIVATE_KEY, &next.private_key);
    files.replace(CONFIGURATION, &ServerFiles::naming_tls(""));
    let reloaded = server.log_line(" INFO audit: reloaded ").await;
    assert!(!reloaded.contains("changed="), "{reloaded}");
    let warning = server.log_line(AFTER_RESTART).await;
    assert!(warning.ends_with(" keys=\"tls\""), "{warning}");
    assert_echo(
        &mut LoginMethod::Message.log_in(&server, LINE).await,
        "still plain",
    )
    .await;
}

/// Uses the trace log, with valid and with unusable keys.
#[tokio::test]
async fn private_key_never_reaches_the_log() {
    let mut tls = TlsServer::with_log("", "trace").await;
    let mut keys = vec![tls.issued.private_key.clone()];
    let mut log_lines = Vec::new();
    let mut peer = tls.log_in().await;
    assert_echo(&mut peer, "hello").await;
    let next = tls.issue_next();
    keys.push(next.private_key.clone());
    let wrong = next.private_key.replace("PRIVATE KEY", "EC PRIVATE KEY");
    for content in [&next.private_key, &wrong, &next.private_key[..150]] {
        tls.files.overwrite(PRIVATE_KEY, content);
        log_lines.extend(tls.server.log_up_to("ERROR").await);
    }
    tls.files.overwrite(CERTIFICATE, &next.certificate);
    tls.files.overwrite(PRIVATE_KEY, &next.private_key);
    log_lines.extend(tls.server.log_up_to("INFO audit: reloaded").await);
    tls.server.signal(Signal::TERM);
    let (_, _, log) = tls.server.finish().await;
    log_lines.push(log);
    let log_lines = log_lines.concat();
    for key in keys {
        for line in key.lines().filter(|line| !line.starts_with('-')) {
            assert!(
                !log_lines.contains(&line[..line.len().min(16)]),
                "{log_lines}"
            );
        }
    }
}

/// Returns the part of a pair for this file name.
fn part<'a>(issued: &'a IssuedCertificate, name: &str) -> &'a str {
    match name {
        CERTIFICATE => &issued.certificate,
        _ => &issued.private_key,
    }
}
