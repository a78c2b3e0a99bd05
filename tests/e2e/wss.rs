//! The client over TLS: which certificates it takes, what it says about the others, and that nothing
//! is sent before they were checked.

use std::{fmt::Write as _, fs, path::PathBuf, sync::Arc};

use futures::{SinkExt as _, StreamExt as _};
use integration_tests::{
    Authority, CONGRATULATION, Finished, Issued, PATIENCE, Server, Terminal, TlsFront, Visit,
    client, client_binary, end, run, self_signed, spawn,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        sign::{CertifiedKey, SingleCertAndKey},
        version::{TLS12, TLS13},
    },
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

const LOOPBACK: &[&str] = &["127.0.0.1", "::1", "localhost"];

/// An authority, and a file with its certificate.
struct Trusted {
    authority: Authority,
    directory: TempDir,
}

impl Trusted {
    fn new() -> Self {
        let trusted = Self {
            authority: Authority::new(),
            directory: TempDir::new().unwrap(),
        };
        trusted.write("authority.pem", &trusted.authority.certificate());
        trusted
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The file.
    fn cacert(&self) -> String {
        let path = self.directory.path().join("authority.pem");
        path.into_os_string().into_string().unwrap()
    }

    /// Runs a client that trusts the authority.
    async fn run(&self, url: &str, stdin: &str) -> Finished {
        run(client([url, "--cacert", &self.cacert()]), stdin).await
    }
}

#[tokio::test]
async fn the_dialogue_by_address_and_by_name() {
    let server = Server::start().await;
    let trusted = Trusted::new();
    let issued = trusted.authority.issue(LOOPBACK);
    for host in ["127.0.0.1", "::1", "localhost"] {
        let bound = if host == "::1" { "::1" } else { "127.0.0.1" };
        let mut front = TlsFront::on(bound, server.address, issued.server_config()).await;
        let url = match host {
            "localhost" => front.url_by(host),
            _ => front.url(),
        };
        let finished = trusted.run(&url, "admin:123456\nhello\nexit\n").await;
        assert_eq!(finished.code, Some(0), "{url}: {finished:?}");
        assert_eq!(finished.stdout(), "your submit context: hello\n");
        assert_eq!(
            finished.stderr,
            "congratulation, you have connect with server\nnow, you can do something else\n\
             you have enter \"exit\", goodbye\n"
        );
        let visit = front.visit().await;
        assert!(matches!(visit, Visit::Finished(100..)), "{visit:?}");
    }
}

#[tokio::test]
async fn a_wrong_certificate_is_told_and_nothing_is_sent() {
    let server = Server::start().await;
    let trusted = Trusted::new();
    let other = Authority::named("somebody else");
    let same_name = Authority::new();
    let authority = &trusted.authority;
    let file = trusted.cacert();
    for (issued, said) in [
        (authority.issue_expired(LOOPBACK), "expired on "),
        (authority.issue_early(LOOPBACK), "is not valid before "),
        (
            authority.issue(&["localhost", "*.example.org", "10.1.2.3"]),
            "is not for 127.0.0.1, but for localhost, *.example.org, 10.1.2.3; use a name that it \
             is for, if that is the right server\n",
        ),
        (
            authority.issue(&["a.b", "c.d", "e.f", "g.h", "i.j", "k.l", "m.n"]),
            "is not for 127.0.0.1, but for a.b, c.d, e.f, g.h, i.j and 2 more; use a name that it \
             is for, if that is the right server\n",
        ),
        (
            authority.issue(&[]),
            "is not for 127.0.0.1, but for nobody; use a name that it is for, if that is the right \
             server\n",
        ),
        (
            self_signed(LOOPBACK),
            &format!("is self-signed, and not in {file}; if it is the right one, put it there\n"),
        ),
        (
            other.issue(LOOPBACK),
            &format!("comes from no authority in {file}, and no others are trusted\n"),
        ),
        (
            same_name.issue(LOOPBACK),
            "names an authority that is trusted, but is signed by another key; that authority may \
             have been made anew, or somebody uses its name\n",
        ),
    ] {
        let mut front = TlsFront::before(server.address, &issued).await;
        let finished = trusted.run(&front.url(), "admin:123456\nhello\n").await;
        assert_eq!(finished.code, Some(5), "{finished:?}");
        assert_eq!(finished.stdout(), "");
        let start = format!("ws-client: the certificate of {} {said}", front.authority());
        assert!(finished.stderr.starts_with(&start), "{start}{finished:?}");
        assert_eq!(front.visit().await, Visit::Refused);
        // The tool judges no better.
        let tool = ["handshake", &front.url(), "--cacert", &file];
        let finished = run(client(tool), "").await;
        assert_eq!(finished.code, Some(5), "{finished:?}");
        assert_eq!(finished.stdout(), "");
        assert!(finished.stderr.starts_with(&start), "{finished:?}");
        assert_eq!(front.visit().await, Visit::Refused);
    }
}

/// A certificate is shown to everybody, so whoever shows it has to have its key as well.
#[tokio::test]
async fn a_certificate_without_its_key_is_told_and_nothing_is_sent() {
    let server = Server::start().await;
    let trusted = Trusted::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let other = trusted.authority.issue(LOOPBACK);
    let chain = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(other.private_key.as_bytes()).unwrap();
    let key = ring::sign::any_supported_type(&key).unwrap();
    let pair = Arc::new(CertifiedKey::new(vec![chain], key));
    for version in [&TLS12, &TLS13] {
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&pair))));
        let mut front = TlsFront::on("127.0.0.1", server.address, config).await;
        let finished = trusted.run(&front.url(), "admin:123456\nhello\n").await;
        assert_eq!(finished.code, Some(5), "{finished:?}");
        assert_eq!(finished.stdout(), "");
        assert_eq!(
            finished.stderr,
            format!(
                "ws-client: the certificate of {} is not its own: it does not have the key; it was \
                 set up with another one, or somebody else answers in its place\n",
                front.authority()
            )
        );
        assert_eq!(front.visit().await, Visit::Refused);
    }
}

#[tokio::test]
async fn the_day_of_an_expired_certificate_is_told() {
    let server = Server::start().await;
    let trusted = Trusted::new();
    let issued = trusted.authority.issue_expired(LOOPBACK);
    let front = TlsFront::before(server.address, &issued).await;
    let finished = trusted.run(&front.url(), "").await;
    let yesterday = time::OffsetDateTime::now_utc() - time::Duration::DAY;
    let (said, rest) = finished.stderr.split_once(" expired on ").unwrap();
    assert_eq!(
        said,
        format!("ws-client: the certificate of {}", front.authority())
    );
    // The day may have changed since.
    let days = [yesterday, yesterday - time::Duration::MINUTE].map(|then| then.date().to_string());
    assert!(days.contains(&rest[..10].to_owned()), "{rest}");
    assert_eq!(
        &rest[19..],
        " UTC; whoever runs the server has to renew it, unless the clock here is wrong\n"
    );
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_by_itself() {
    let server = Server::start().await;
    let trusted = Trusted::new();
    let issued = self_signed(LOOPBACK);
    let both = trusted.authority.certificate() + &issued.certificate;
    trusted.write("authority.pem", &both);
    for issued in [issued, trusted.authority.issue(LOOPBACK)] {
        let front = TlsFront::before(server.address, &issued).await;
        let finished = trusted.run(&front.url(), "admin:123456\nhello\n").await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
}

/// What a client says that has these roots from the system, and trusts no other.
async fn with_system_roots(url: &str, roots: &str) -> Finished {
    let mut command = client([url]);
    command
        .env("SSL_CERT_FILE", roots)
        .env_remove("SSL_CERT_DIR");
    run(command, "admin:123456\nhello\n").await
}

/// What it says first: how much of the input it has not sent is counted as far as it knows.
fn first_line(finished: &Finished) -> &str {
    finished.stderr.lines().next().unwrap_or_default()
}

#[tokio::test]
async fn without_cacert_the_roots_of_the_system_are_trusted() {
    let server = Server::start().await;
    let trusted = Trusted::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let front = TlsFront::before(server.address, &issued).await;
    let finished = with_system_roots(&front.url(), &trusted.cacert()).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout(), "your submit context: hello\n");

    let other = trusted.write(
        "other.pem",
        &Authority::named("somebody else").certificate(),
    );
    let finished = with_system_roots(&front.url(), other.to_str().unwrap()).await;
    assert_eq!(finished.code, Some(5), "{finished:?}");
    assert_eq!(
        first_line(&finished),
        format!(
            "ws-client: the certificate of {} comes from an authority that this system does not \
             trust; if it can be trusted, name a file with its certificate with --cacert FILE",
            front.authority()
        )
    );
    let front = TlsFront::before(server.address, &self_signed(LOOPBACK)).await;
    let finished = with_system_roots(&front.url(), other.to_str().unwrap()).await;
    assert_eq!(finished.code, Some(5), "{finished:?}");
    assert_eq!(
        first_line(&finished),
        format!(
            "ws-client: the certificate of {} is self-signed: nobody else vouches for it; if it is \
             the right one, name a file that holds it with --cacert FILE",
            front.authority()
        )
    );
}

/// `--cacert` is instead of them, and not besides.
#[tokio::test]
async fn with_cacert_the_roots_of_the_system_are_not_trusted() {
    let server = Server::start().await;
    let (trusted, system) = (Trusted::new(), Trusted::new());
    let issued = system.authority.issue(LOOPBACK);
    let front = TlsFront::before(server.address, &issued).await;
    let mut command = client([front.url(), "--cacert".to_owned(), trusted.cacert()]);
    command.env("SSL_CERT_FILE", system.cacert());
    let finished = run(command, "").await;
    assert_eq!(finished.code, Some(5), "{finished:?}");
}

#[tokio::test]
async fn a_system_that_trusts_nobody_is_told() {
    let trusted = Trusted::new();
    let empty = trusted.write("empty.pem", "");
    for (roots, why) in [
        (empty.to_str().unwrap(), ""),
        (
            "/nonexistent",
            " (failed to read PEM from file: No such file or directory (os error 2) at \
             '/nonexistent')",
        ),
    ] {
        let finished = with_system_roots("wss://127.0.0.1:1", roots).await;
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert_eq!(
            finished.stderr,
            format!(
                "ws-client: this system trusts no authority{why}, so no certificate can be \
                 checked; install its certificates (often called ca-certificates), or name a file \
                 with those to be trusted with --cacert FILE\n"
            )
        );
    }
}

const WARNING: &str = "ws-client: warning: --insecure checks no certificate; others may read and \
                       change what is sent\n";

#[tokio::test]
async fn insecure_checks_nothing_and_says_so() {
    let server = Server::start().await;
    let authority = Authority::new();
    for issued in [
        self_signed(&["elsewhere.example"]),
        authority.issue_expired(LOOPBACK),
    ] {
        let front = TlsFront::before(server.address, &issued).await;
        let finished = run(
            client([front.url().as_str(), "--insecure"]),
            "admin:123456\nhello\n",
        )
        .await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(finished.stdout(), "your submit context: hello\n");
        let rest = finished.stderr.strip_prefix(WARNING);
        assert!(
            rest.is_some_and(|rest| rest.starts_with("congratulation")),
            "{finished:?}"
        );
        let tool = client(["handshake", "--insecure", &front.url()]);
        let finished = run(tool, "").await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert_eq!(finished.stderr, WARNING);
        let line = "\n  certificate  NOT CHECKED, because of --insecure\n";
        assert!(finished.stdout().contains(line), "{finished:?}");
    }
}

#[tokio::test]
async fn insecure_warns_at_each_connection() {
    let server = Server::start().await;
    let front = TlsFront::before(server.address, &self_signed(LOOPBACK)).await;
    let arguments = [&front.url(), "--insecure", "--auth", "basic"];
    let mut terminal = Terminal::spawn(&client_binary(), &arguments);
    for (shown, typed) in [
        ("please enter your username and password:", "admin:1\r"),
        ("it refuses the credentials", "admin:123456\r"),
        ("please enter your context:", "exit\r"),
    ] {
        terminal.expect(shown).await;
        terminal.type_text(typed).await;
    }
    assert_eq!(terminal.finish().await, Some(0));
    let written = terminal.written();
    assert_eq!(written.matches(WARNING.trim_end()).count(), 2, "{written}");
}

#[tokio::test]
async fn what_speaks_no_tls_is_told() {
    let server = Server::start().await;
    let url = server.url().replace("ws://", "wss://");
    let trusted = Trusted::new();
    let finished = trusted.run(&url, "admin:123456\n").await;
    assert_eq!(finished.code, Some(5), "{finished:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    for (answer, said) in [
        (
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            format!(
                "{authority} does not speak TLS; look at the port, or use ws:// if the server is \
                 meant to be without TLS"
            ),
        ),
        (
            "220 mail.example ESMTP\r\n",
            format!(
                "{authority} does not speak TLS; look at the port, or use ws:// if the server is \
                 meant to be without TLS"
            ),
        ),
        (
            "",
            format!(
                "{authority} ended the connection within the TLS handshake; it may not speak TLS, \
                 or not to everybody"
            ),
        ),
    ] {
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            // All of it is the handshake.
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            (hello[0], String::from_utf8_lossy(&rest).contains("GET"))
        };
        let url = format!("wss://{authority}");
        let (finished, seen) = tokio::join!(trusted.run(&url, ""), serve);
        assert_eq!(finished.code, Some(5), "{finished:?}");
        assert_eq!(finished.stderr, format!("ws-client: {said}\n"));
        assert_eq!(seen, (22, false), "a handshake of TLS, and nothing else");
    }
}

#[tokio::test]
async fn who_forgets_the_s_of_wss_is_told() {
    let trusted = Trusted::new();
    let server = Server::start().await;
    let front = TlsFront::before(server.address, &trusted.authority.issue(LOOPBACK)).await;
    let url = front.url().replace("wss://", "ws://");
    let finished = run(client([url.as_str()]), "admin:123456\n").await;
    assert_eq!(finished.code, Some(6), "{finished:?}");
    assert_eq!(
        finished.stderr,
        "ws-client: the server's answer is no WebSocket handshake: status line: the answer is one \
         of TLS; the URL must begin with wss:// here\n"
    );
}

/// The name of a self-signed certificate, often `localhost`, may be that of one that is trusted.
#[tokio::test]
async fn a_self_signed_certificate_is_told_whatever_its_name() {
    let server = Server::start().await;
    let trusted = Trusted::new();
    trusted.write("authority.pem", &self_signed(LOOPBACK).certificate);
    let file = trusted.cacert();
    let front = TlsFront::before(server.address, &self_signed(LOOPBACK)).await;
    let finished = trusted.run(&front.url(), "").await;
    assert_eq!(finished.code, Some(5), "{finished:?}");
    assert_eq!(
        finished.stderr,
        format!(
            "ws-client: the certificate of {} is self-signed, and not in {file}; if it is the \
             right one, put it there\n",
            front.authority()
        )
    );
}

/// A server that takes a connection and says nothing.
async fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[tokio::test]
async fn silence_in_the_tls_handshake_ends_at_the_deadline() {
    let (_listener, url) = silent().await;
    let trusted = Trusted::new();
    let cacert = trusted.cacert();
    let flags = ["--connect-deadline", "50ms", "--cacert", &cacert];
    let said = format!(
        "ws-client: {} did not complete the TLS handshake within 50ms\n",
        &url["wss://".len()..]
    );
    for arguments in [vec![url.as_str()], vec!["handshake", &url]] {
        let finished = run(client([&arguments[..], &flags].concat()), "").await;
        assert_eq!(finished.code, Some(7), "{finished:?}");
        assert_eq!(finished.stderr, said);
    }
}

/// TCP, TLS and the answer have one deadline.
#[tokio::test]
async fn silence_behind_tls_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let trusted = Trusted::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let front = TlsFront::before(listener.local_addr().unwrap(), &issued).await;
    let cacert = trusted.cacert();
    let url = front.url();
    let flags = ["--connect-deadline", "500ms", "--cacert", &cacert, &url];
    let finished = run(client(flags), "").await;
    assert_eq!(finished.code, Some(7), "{finished:?}");
    let late = [
        "ws-client: the server did not complete its answer within 500ms\n".to_owned(),
        // On a machine that is busy with something else.
        format!(
            "ws-client: {} did not complete the TLS handshake within 500ms\n",
            front.authority()
        ),
    ];
    assert!(late.contains(&finished.stderr), "{finished:?}");
}

#[tokio::test]
async fn an_interrupt_ends_the_tls_handshake() {
    let (listener, url) = silent().await;
    let trusted = Trusted::new();
    let mut child = spawn(client([&url, "--cacert", &trusted.cacert()]));
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut hello = [0; 1];
    stream.read_exact(&mut hello).await.unwrap();
    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(end(&mut child).await.code(), Some(130));
}

#[tokio::test]
async fn a_server_that_is_gone_is_a_lost_connection() {
    let server = Server::start().await;
    let trusted = Trusted::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let front = TlsFront::before(server.address, &issued).await;
    let mut child = spawn(client([&front.url(), "--cacert", &trusted.cacert()]));
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    stdin.write_all(b"admin:123456\nhello\n").await.unwrap();
    let line = timeout(PATIENCE, stdout.next_line())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(line.unwrap(), "your submit context: hello");
    // TCP ends, and TLS says nothing about it.
    drop(front);
    assert_eq!(end(&mut child).await.code(), Some(8));
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .await
        .unwrap();
    let said = "ws-client: the connection was lost: the server ended it without a close frame\n";
    assert!(stderr.ends_with(said), "{stderr}");
}

#[tokio::test]
async fn a_server_that_stops_is_answered_to_the_end_of_tls() {
    let server = Server::start().await;
    let trusted = Trusted::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let mut front = TlsFront::before(server.address, &issued).await;
    let mut child = spawn(client([&front.url(), "--cacert", &trusted.cacert()]));
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    stdin.write_all(b"admin:123456\nhello\n").await.unwrap();
    let line = timeout(PATIENCE, stdout.next_line()).await.unwrap();
    assert_eq!(line.unwrap().as_deref(), Some("your submit context: hello"));
    server.signal(Signal::TERM);
    assert_eq!(end(&mut child).await.code(), Some(8));
    let visit = front.visit().await;
    assert!(matches!(visit, Visit::Finished(_)), "{visit:?}");
    let (code, _, log) = server.finish().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("cut off"), "{log}");
}

/// The end of TLS is not worth a word where both sides have said that all is over.
#[tokio::test]
async fn a_server_that_only_leaves_tls_in_a_hurry_has_ended_well() {
    let trusted = Trusted::new();
    let config = trusted.authority.issue(LOOPBACK).server_config();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let stream = acceptor.accept(stream).await.unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        let mut said = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = &message {
                said.push(text.to_string());
                let answer = Message::text(CONGRATULATION);
                socket.send(answer).await.unwrap();
            }
            if message.is_close() {
                socket.flush().await.unwrap();
                break;
            }
        }
        // TCP ends, and no close_notify comes before.
        drop(socket);
        said
    };
    let (finished, said) = tokio::join!(trusted.run(&url, "admin:123456\nhello\n"), serve);
    assert_eq!(said, ["admin:123456", "hello"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout(), format!("{CONGRATULATION}\n"));
    assert!(!finished.stderr.contains("ws-client: "), "{finished:?}");
}

#[tokio::test]
async fn long_messages_and_many_lines_come_back() {
    let server = Server::with("[limits]\nmax_message_bytes = \"16MiB\"\n").await;
    let trusted = Trusted::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let front = TlsFront::before(server.address, &issued).await;

    let prefix = "your submit context: ";
    let long = "0123456789abcdef".repeat((1 << 20) - 2);
    let finished = trusted
        .run(&front.url(), &format!("admin:123456\n{long}\n"))
        .await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout() == format!("{prefix}{long}\n"));

    let (mut input, mut expected) = ("admin:123456\n".to_owned(), String::new());
    for index in 0..20_000 {
        writeln!(input, "line {index}").unwrap();
        writeln!(expected, "{prefix}line {index}").unwrap();
    }
    let finished = trusted.run(&front.url(), &input).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout() == expected);
}

#[tokio::test]
async fn the_handshake_shows_tls_as_well() {
    let server = Server::start().await;
    let trusted = Trusted::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let mut with_alpn = issued.server_config();
    with_alpn.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let old = tls_1_2(&issued);
    for (config, version, cipher, protocol) in [
        (
            issued.server_config(),
            "TLS 1.3",
            "TLS13_",
            "nothing, which is as good",
        ),
        (with_alpn, "TLS 1.3", "TLS13_", "http/1.1"),
        (
            old,
            "TLS 1.2",
            "TLS_ECDHE_ECDSA_",
            "nothing, which is as good",
        ),
    ] {
        let mut front = TlsFront::on("127.0.0.1", server.address, config).await;
        let cacert = trusted.cacert();
        let tool = ["handshake", &front.url(), "--cacert", &cacert];
        let finished = run(client(tool), "").await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let report = finished.stdout();
        let authority = front.authority();
        let lines: Vec<&str> = report.lines().take(8).collect();
        assert_eq!(lines[0], format!("TLS with {authority}"));
        assert_eq!(lines[1], format!("  version      {version}"));
        assert!(
            lines[2].starts_with(&format!("  cipher       {cipher}")),
            "{report}"
        );
        assert_eq!(lines[3], format!("  ALPN         {protocol}"));
        assert_eq!(
            lines[4],
            format!("  certificate  right: it is for 127.0.0.1, by an authority in {cacert}")
        );
        assert_eq!(lines[5..7], ["", &format!("request to {authority}")]);
        assert_eq!(lines[7], "> GET / HTTP/1.1");
        let host = format!("\n> Host: {authority}\n");
        assert!(report.contains(&host), "{report}");
        assert!(
            report.ends_with("\nverdict: right, the WebSocket is open\n"),
            "{report}"
        );
        let visit = front.visit().await;
        assert!(matches!(visit, Visit::Finished(_)), "{visit:?}");
    }
}

/// How a server speaks that knows nothing newer.
fn tls_1_2(issued: &Issued) -> tokio_rustls::rustls::ServerConfig {
    use tokio_rustls::rustls::{ServerConfig, crypto::ring, version::TLS12};
    let builder = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth();
    issued.complete(builder)
}

/// One that wants a certificate of the client. In TLS 1.3, the client thinks by then that all is
/// well, and has sent its request.
#[tokio::test]
async fn a_server_that_wants_more_than_we_have_is_told() {
    use tokio_rustls::rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
        version::{TLS12, TLS13},
    };
    let server = Server::start().await;
    let trusted = Trusted::new();
    let issued = trusted.authority.issue(LOOPBACK);
    let mut configs = Vec::new();
    for version in [&TLS12, &TLS13] {
        let provider = std::sync::Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        let pem = trusted.authority.certificate();
        roots
            .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
            .unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build();
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap());
        configs.push((
            issued.complete(builder),
            "wants a certificate of the client, and ws-client has none",
        ));
    }
    let mut other_protocol = issued.server_config();
    other_protocol.alpn_protocols = vec![b"h2".to_vec()];
    configs.push((other_protocol, "does not speak HTTP/1.1 behind TLS"));
    for (config, said) in configs {
        let front = TlsFront::on("127.0.0.1", server.address, config).await;
        let said = format!("ws-client: {} {said}\n", front.authority());
        let finished = trusted.run(&front.url(), "").await;
        assert_eq!(finished.code, Some(5), "{finished:?}");
        assert_eq!(finished.stderr, said);
    }
}

#[tokio::test]
async fn a_flag_that_means_nothing_is_a_mistake() {
    let trusted = Trusted::new();
    let cacert = trusted.cacert();
    for (flags, name) in [
        (&["--insecure"][..], "--insecure"),
        (&["--cacert", &cacert], "--cacert"),
    ] {
        for start in [&[][..], &["handshake"]] {
            let arguments = [start, &["ws://127.0.0.1:1"], flags].concat();
            let finished = run(client(&arguments), "").await;
            assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
            assert_eq!(
                finished.stderr,
                format!(
                    "ws-client: {name} is about certificates, and a ws:// URL has none; leave it \
                     out, or use wss://\n"
                )
            );
        }
    }
}

#[tokio::test]
async fn a_file_without_certificates_is_a_mistake() {
    let trusted = Trusted::new();
    let key = trusted.authority.issue(LOOPBACK).private_key;
    let certificate = trusted.authority.certificate();
    let broken = certificate.replacen("MII", "MIJ", 1);
    let unended = &certificate[..certificate.len() - 10];
    for (name, content, said) in [
        ("empty.pem", "", EMPTY),
        ("key.pem", &key, EMPTY),
        ("der", "\u{0}\u{1}0\u{82}", EMPTY),
        (
            "unended.pem",
            unended,
            "a certificate in it has no line -----END CERTIFICATE-----",
        ),
        (
            "broken.pem",
            &(certificate.clone() + &broken),
            "certificate 2 in it is broken",
        ),
    ] {
        let path = trusted.write(name, content);
        let path = path.to_str().unwrap();
        for start in [&[][..], &["handshake"]] {
            let arguments = [start, &["wss://127.0.0.1:1", "--cacert", path]].concat();
            let finished = run(client(&arguments), "").await;
            assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
            assert_eq!(
                finished.stderr,
                format!("ws-client: the certificate file {path}: {said}\n")
            );
        }
    }
    let finished = run(
        client(["wss://127.0.0.1:1", "--cacert", "/nonexistent"]),
        "",
    )
    .await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(
        finished.stderr,
        "ws-client: the certificate file /nonexistent cannot be read: No such file or directory \
         (os error 2)\n"
    );
}

const EMPTY: &str =
    "it holds no certificate; it must be PEM, which begins with -----BEGIN CERTIFICATE-----";
