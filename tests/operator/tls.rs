//! `openssl`, `sslscan` and `testssl` against the TLS server.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use integration_tests::{
    Authority, CERTIFICATE, PRIVATE_KEY, SERVER_NAME, ServerFiles, ServerProcess, accounts,
    peer_program, run, run_ok, run_within,
};
use raw_peer::HANDSHAKE;
use serde::Deserialize;
use tokio::process::Command;

/// The file name of the authority's certificate.
const AUTHORITY: &str = "authority.pem";

/// The time limit of `testssl`, which makes hundreds of handshakes.
const LONG: Duration = Duration::from_mins(5);

/// Starts a TLS server with a short login deadline. Writes the certificate of its authority beside
/// the configuration.
async fn start_tls_server() -> (ServerFiles, ServerProcess) {
    let authority = Authority::new();
    let issued = authority.issue(&[SERVER_NAME, "127.0.0.1"]);
    let configuration = "[login]\ndeadline = \"1s\"\n";
    let files = ServerFiles::with_tls(configuration, &accounts(&[("jane", "1")]), &issued);
    files.overwrite(AUTHORITY, &authority.certificate());
    let server = files.serve().await;
    (files, server)
}

/// Returns an `openssl s_client` command that trusts only this authority.
fn s_client(server: &ServerProcess, authority: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(peer_program("openssl/openssl"));
    command
        .args(["s_client", "-connect", &server.address.to_string()])
        .args([
            "-servername",
            SERVER_NAME,
            "-verify_hostname",
            SERVER_NAME,
            "-verify_return_error",
        ])
        // Wait for the response after the end of stdin.
        .arg("-ign_eof")
        .arg("-CAfile")
        .arg(authority)
        .args(arguments);
    command
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn s_client_upgrades_over_tls_1_2_and_1_3() {
    let (files, server) = start_tls_server().await;
    for (version, line) in [
        (
            "-tls1_2",
            "New, TLSv1.2, Cipher is ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
        ("-tls1_3", "New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384"),
    ] {
        let command = s_client(
            &server,
            &files.path(AUTHORITY),
            &[version, "-alpn", "http/1.1"],
        );
        let printed = run(command, HANDSHAKE).await.text();
        for part in [
            line,
            "Verification: OK",
            "Verified peername: localhost",
            "ALPN protocol: http/1.1",
            "HTTP/1.1 101 Switching Protocols",
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            // The Close frame, then the end of TLS.
            "login timeout",
            "closed\n",
        ] {
            assert!(printed.contains(part), "{part:?} is not in {printed}");
        }
    }
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn old_versions_and_other_alpn_get_an_alert() {
    let (files, server) = start_tls_server().await;
    // `openssl` disables these versions by default.
    let old = ["-cipher", "DEFAULT@SECLEVEL=0"];
    for (arguments, alert) in [
        // The alert depends on the other offered parameters.
        ([&["-tls1_1"], &old[..]].concat(), "SSL alert number"),
        ([&["-tls1"], &old[..]].concat(), "SSL alert number"),
        (vec!["-alpn", "h2"], "alert no application protocol"),
    ] {
        let command = s_client(&server, &files.path(AUTHORITY), &arguments);
        let finished = run(command, HANDSHAKE).await;
        let printed = finished.text();
        assert_eq!(finished.code, Some(1), "{printed}");
        assert!(printed.contains(alert), "{printed}");
        assert!(!printed.contains("HTTP/1.1 101"), "{printed}");
    }
}

/// Runs `openssl` in this directory.
async fn openssl(arguments: &[&str], directory: &Path) {
    let mut command = Command::new(peer_program("openssl/openssl"));
    command.args(arguments).current_dir(directory);
    let finished = run(command, "").await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn private_keys_of_every_type_and_format_load() {
    let files = ServerFiles::new(&ServerFiles::naming_tls(""), &accounts(&[("jane", "1")]));
    let directory = files.path("");
    for (arguments, head) in [
        (&["genrsa", "-traditional"][..], "BEGIN RSA PRIVATE KEY"),
        (&["genrsa"], "BEGIN PRIVATE KEY"),
        (
            &["ecparam", "-name", "prime256v1", "-genkey", "-noout"],
            "BEGIN EC PRIVATE KEY",
        ),
        // With the curve parameters before the key.
        (
            &["ecparam", "-name", "secp384r1", "-genkey"],
            "BEGIN EC PRIVATE KEY",
        ),
        (&["genpkey", "-algorithm", "ed25519"], "BEGIN PRIVATE KEY"),
    ] {
        let key = [arguments, &["-out", PRIVATE_KEY]].concat();
        openssl(&key, &directory).await;
        files.allow(PRIVATE_KEY, 0o600);
        let written = fs::read_to_string(files.path(PRIVATE_KEY)).unwrap();
        assert!(written.contains(head), "{arguments:?}");
        let certificate = [
            "req",
            "-x509",
            "-key",
            PRIVATE_KEY,
            "-out",
            CERTIFICATE,
            "-days",
            "1",
        ];
        let names = [
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ];
        openssl(&[&certificate[..], &names].concat(), &directory).await;
        let server = files.serve().await;
        let command = s_client(&server, &files.path(CERTIFICATE), &[]);
        let printed = run(command, "GET / HTTP/1.1\r\n\r\n").await.text();
        for part in ["Verification: OK", "HTTP/1.1 400 Bad Request"] {
            assert!(printed.contains(part), "{arguments:?}: {printed}");
        }
    }
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn encrypted_key_error_names_a_working_fix() {
    let files = ServerFiles::new(&ServerFiles::naming_tls(""), &accounts(&[("jane", "1")]));
    let directory = files.path("");
    for form in [&["-traditional"][..], &[]] {
        let key = [
            "genrsa",
            "-aes128",
            "-passout",
            "pass:word",
            "-out",
            PRIVATE_KEY,
        ];
        openssl(&[&key[..], form].concat(), &directory).await;
        files.allow(PRIVATE_KEY, 0o600);
        let certificate = [
            "req",
            "-x509",
            "-passin",
            "pass:word",
            "-subj",
            "/CN=localhost",
        ];
        let names = ["-key", PRIVATE_KEY, "-out", CERTIFICATE];
        openssl(&[&certificate[..], &names].concat(), &directory).await;
        let finished = run(files.command_with(&["--check-config"]), "").await;
        assert_eq!(finished.code, Some(2));
        assert_eq!(
            finished.stderr,
            format!(
                "ws-server: {}: the private key in it is encrypted: write it without a password with \
                 `openssl pkey -in FILE -out NEW`\n",
                files.path(PRIVATE_KEY).display()
            )
        );
        let without = [
            "pkey",
            "-passin",
            "pass:word",
            "-in",
            PRIVATE_KEY,
            "-out",
            "new.key",
        ];
        openssl(&without, &directory).await;
        fs::rename(files.path("new.key"), files.path(PRIVATE_KEY)).unwrap();
        run_ok(files.command_with(&["--check-config"])).await;
    }
}

/// Returns the attributes of each element of this name.
fn elements<'a>(xml: &'a str, name: &str) -> Vec<BTreeMap<&'a str, &'a str>> {
    let start = format!("<{name} ");
    let elements = xml.split(&start).skip(1);
    elements
        .map(|element| {
            let (attributes, _) = element.split_once('>').expect("the quotation is closed");
            let mut parts = attributes.split('"');
            let mut found = BTreeMap::new();
            while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                found.insert(name.trim().trim_end_matches('='), value);
            }
            found
        })
        .collect()
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn sslscan_finds_no_weakness() {
    let (_files, server) = start_tls_server().await;
    let mut command = Command::new(peer_program("sslscan/sslscan"));
    command.args(["--xml=-", &server.address.to_string()]);
    let finished = run(command, "").await;
    let xml = finished.stdout();

    let protocols = elements(xml, "protocol");
    let protocols: Vec<_> = protocols
        .iter()
        .map(|it| (it["type"], it["version"], it["enabled"]))
        .collect();
    assert_eq!(
        protocols,
        [
            ("ssl", "2", "0"),
            ("ssl", "3", "0"),
            ("tls", "1.0", "0"),
            ("tls", "1.1", "0"),
            ("tls", "1.2", "1"),
            ("tls", "1.3", "1"),
        ],
        "{xml}"
    );
    let ciphers = elements(xml, "cipher");
    assert_eq!(ciphers.len(), 6, "{xml}");
    for cipher in ciphers {
        assert!(
            ["strong", "acceptable"].contains(&cipher["strength"]),
            "{cipher:?}"
        );
    }
    let renegotiation = elements(xml, "renegotiation");
    assert!(
        renegotiation
            .iter()
            .all(|it| it["supported"] == "0" || it["secure"] == "1"),
        "{xml}"
    );
    // `sslscan` omits the element if its own library lacks compression.
    let compression = elements(xml, "compression");
    assert!(compression.iter().all(|it| it["supported"] == "0"), "{xml}");
    let heartbleed = elements(xml, "heartbleed");
    assert_eq!(heartbleed.len(), 2, "{xml}");
    assert!(heartbleed.iter().all(|it| it["vulnerable"] == "0"), "{xml}");
    let keys = elements(xml, "pk");
    assert!(
        !keys.is_empty() && keys.iter().all(|it| it["error"] == "false"),
        "{xml}"
    );
    for part in ["<self-signed>false<", "<expired>false<"] {
        assert!(xml.contains(part), "{part} is not in {xml}");
    }
}

/// A finding of `testssl`.
#[derive(Debug, Deserialize)]
struct TestsslFinding {
    id: String,
    severity: String,
    #[serde(rename = "finding")]
    text: String,
}

/// Findings about any certificate of a test authority, which is short-lived and has no revocation
/// list, and about the local `openssl`.
const EXPECTED_FINDINGS: [&str; 4] = [
    "cert_expirationStatus",
    "cert_notAfter",
    "cert_revocation",
    "engine_problem",
];

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn testssl_finds_no_weakness() {
    let (files, server) = start_tls_server().await;
    let findings = files.path("findings.json");
    let mut command = Command::new(peer_program("testssl.sh/testssl"));
    command
        .args(["--quiet", "--color", "0", "--warnings", "off"])
        .args(["--protocols", "--std", "--server-preference", "--fs"])
        .args(["--server-defaults", "--vulnerable"])
        .arg("--jsonfile")
        .arg(&findings)
        .arg("--add-ca")
        .arg(files.path(AUTHORITY))
        .args(["--ip", "127.0.0.1"])
        .arg(format!("https://{SERVER_NAME}:{}/", server.address.port()));
    let printed = run_within(LONG, command, "").await.text();

    let findings = fs::read_to_string(findings).expect(&printed);
    let findings: Vec<TestsslFinding> =
        serde_json::from_str(&findings).expect("the findings are JSON");
    let bad: Vec<_> = findings
        .iter()
        .filter(|it| !["OK", "INFO", "LOW"].contains(&it.severity.as_str()))
        .filter(|it| !EXPECTED_FINDINGS.contains(&it.id.as_str()))
        // On a busy machine the client of `testssl` may close before it receives the ticket.
        .filter(|it| !(it.id == "sessionresumption_ticket" && it.severity == "WARN"))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    // The scan was complete.
    for (id, expected) in [
        ("TLS1_3", "offered with final"),
        ("TLS1_1", "not offered"),
        ("heartbleed", "not vulnerable, no heartbeat extension"),
        ("ROBOT", "not vulnerable, no RSA key transport cipher"),
        ("cert_chain_of_trust", "passed."),
        ("PFS", "offered"),
    ] {
        let found = findings.iter().find(|it| it.id == id);
        let found = found.unwrap_or_else(|| panic!("no finding {id}: {findings:#?}"));
        assert_eq!(found.text, expected, "{id}");
    }
}
