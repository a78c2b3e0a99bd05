//! The client with `openssl` servers that offer only obsolete TLS.

use std::process::Stdio;

use integration_tests::{ServerFiles, TEST_TIMEOUT, client, peer_program, run, self_signed};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// Starts an `openssl` server with these flags. Returns the process and its host and port.
async fn openssl(files: &ServerFiles, flags: &[&str]) -> (Child, String) {
    let mut child = Command::new(peer_program("openssl/openssl"))
        .args(["s_server", "-accept", "127.0.0.1:0", "-cert"])
        .arg(files.path("certificate.pem"))
        .arg("-key")
        .arg(files.path("key.pem"))
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl starts");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let authority = timeout(TEST_TIMEOUT, async {
        loop {
            let line = lines.next_line().await.unwrap();
            let line = line.expect("openssl prints its address");
            if let Some(authority) = line.strip_prefix("ACCEPT ") {
                return authority.to_owned();
            }
        }
    });
    let authority = authority.await.expect("the server listens in time");
    (child, authority)
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn client_rejects_obsolete_tls() {
    let issued = self_signed(&["127.0.0.1"]);
    let files = ServerFiles::new("", "");
    files.overwrite("certificate.pem", &issued.certificate);
    files.overwrite("key.pem", &issued.private_key);
    let trusted = files.path("certificate.pem");
    for flags in [
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"][..],
        &["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
    ] {
        let (_server, authority) = openssl(&files, flags).await;
        let url = format!("wss://{authority}");
        for trust in [
            &["--cacert", trusted.to_str().unwrap()][..],
            &["--insecure"],
        ] {
            let arguments = [trust, &[&url]].concat();
            let finished = run(client(&arguments), "").await;
            assert_eq!(finished.code, Some(5), "{flags:?}: {finished:?}");
            let last = finished.stderr.lines().last();
            let output =
                format!("ws-client: {authority} has no version or cipher of TLS in common");
            assert!(
                last.is_some_and(|last| last.starts_with(&output)),
                "{flags:?}: {last:?}"
            );
        }
    }
}
