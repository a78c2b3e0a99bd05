//! Runs in which the opening handshake carries the login, carries none, or needs none.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{SinkExt as _, Stream, stream};
use proto::{
    key::Key,
    message::{Credentials, SORRY},
    username::UserName,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::mpsc::{Receiver, channel},
    time::{Instant, timeout},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

use super::harness::{
    CapturedOutput, EXIT_NOTICE, FakeEcho, LINGER, ReadCounter, RunOutcome, Server, TIMEOUTS, TINY,
    TestClient, client_of, configured, console_of, outcome, person, script,
};
use crate::{
    config::{Auth, Goal, LoginSource},
    connect::{ConnectError, Deadline, open},
    console::{EchoState, PromptMode},
    endpoint::Endpoint,
    exit::Exit,
    handshake::{Request, Subprotocols},
    session::Client,
};

/// The `Authorization` value of `admin:123456`.
pub(super) const ADMIN: &str = "Basic YWRtaW46MTIzNDU2";

/// The `Authorization` value of `bad:1`.
const BAD: &str = "Basic YmFkOjE=";

const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\n\
                            WWW-Authenticate: Basic realm=\"x\"\r\n\r\nwho? \x1b.";

const REFUSED: &str = "ws-client: the server answered HTTP/1.1 401 Unauthorized: it refuses the \
                       credentials, saying \"who? \\u{1b}.\"\n";

const BASIC_HINT: &str = "ws-client: enter username:password\n";

/// The server end of each connection that the client opens.
pub(super) struct FakeListener(Receiver<DuplexStream>);

impl FakeListener {
    /// Accepts a connection and returns the values of its `Authorization` fields.
    pub(super) async fn accept_request(&mut self) -> (DuplexStream, Vec<String>) {
        let mut stream = self.0.recv().await.expect("a client comes");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        let request = String::from_utf8(request).unwrap();
        let fields = request.split("\r\n").filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("authorization")
                .then(|| value.to_owned())
        });
        (stream, fields.collect())
    }

    /// Accepts a connection with these credentials and completes the handshake.
    pub(super) async fn accept(&mut self, authorization: &str) -> Server {
        let (stream, asked) = self.accept_request().await;
        assert_eq!(asked, [authorization]);
        upgrade(stream).await
    }

    /// Refuses a connection with these credentials.
    async fn refuse(&mut self, authorization: &str, answer: &str) {
        let (mut stream, asked) = self.accept_request().await;
        assert_eq!(asked, [authorization]);
        stream.write_all(answer.as_bytes()).await.unwrap();
    }

    /// Returns true if there is no further connection.
    fn is_idle(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

pub(super) async fn upgrade(mut stream: DuplexStream) -> Server {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    stream.write_all(answer.as_bytes()).await.unwrap();
    Server(WebSocketStream::from_raw_socket(stream, Role::Server, None).await)
}

/// Runs a client and a scripted server until both end.
pub(super) async fn run_client<I, N>(
    auth: Auth,
    test_client: TestClient<I, N>,
    play: impl AsyncFnOnce(&mut FakeListener),
) -> RunOutcome
where
    I: AsyncRead + Unpin,
    N: Stream<Item = ()> + Unpin,
{
    let (connections, arrived) = channel(8);
    let dial = async |credentials: Option<&Credentials>| -> Result<_, ConnectError> {
        let (ours, theirs) = tokio::io::duplex(TINY);
        connections.try_send(theirs).unwrap();
        let endpoint = Endpoint::parse("ws://127.0.0.1:5678").unwrap();
        let mut request = Request::new(endpoint, Key::new(*b"the sample nonce"), None);
        if let Some(credentials) = credentials {
            request = request.with_credentials(credentials);
        }
        open(ours, &request, Deadline::after(Duration::from_secs(10))).await
    };
    let (stdout, stderr) = (CapturedOutput::default(), CapturedOutput::default());
    let console = console_of(
        test_client.input,
        stdout.clone(),
        stderr.clone(),
        test_client.prompt_mode,
    );
    let client = Client {
        console,
        timeouts: TIMEOUTS,
        goal: Goal::default(),
        url: "ws://127.0.0.1:5678/".to_owned(),
        subprotocols: Subprotocols::default(),
        max_message_bytes: 1 << 20,
        warning: None,
    };
    let mut listener = FakeListener(arrived);
    // A caller would otherwise hold the large future of a run.
    let running = Box::pin(client.run(auth, test_client.login, dial, test_client.interrupts));
    let both = async { tokio::join!(running, play(&mut listener)) };
    let (exit, ()) = timeout(Duration::from_hours(24), both)
        .await
        .expect("the visit ends");
    assert!(listener.is_idle(), "there is no further connection");
    RunOutcome {
        exit,
        stdout: stdout.text(),
        stderr: stderr.text(),
    }
}

async fn basic<I, N>(
    client: TestClient<I, N>,
    play: impl AsyncFnOnce(&mut FakeListener),
) -> RunOutcome
where
    I: AsyncRead + Unpin,
    N: Stream<Item = ()> + Unpin,
{
    run_client(Auth::Basic, client, play).await
}

#[tokio::test(start_paused = true)]
async fn pipe_first_line_is_credentials_rest_is_messages() {
    let found = basic(
        script(b"\n\r\nadmin:123456\r\nhello\n\n"),
        async |listener| {
            let mut server = listener.accept(ADMIN).await;
            // After Basic, this text is not awaited and is an ordinary message.
            server.say(SORRY).await;
            server.echo(2).await;
            assert_eq!(server.closed().await, (1000, "user exit".into()));
        },
    )
    .await;
    let messages = format!("{SORRY}\nyour submit context: hello\nyour submit context: \n");
    assert_eq!(found, outcome(Exit::Ok, &messages, ""));
}

#[tokio::test(start_paused = true)]
async fn greeting_is_not_the_last_answer() {
    let found = basic(script(b"admin:123456\nhello\n"), async |listener| {
        let mut server = listener.accept(ADMIN).await;
        let text = server.text().await;
        server.say("hello, admin").await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        server.say(&text).await;
        let answered = Instant::now();
        server.closed().await;
        assert_eq!(answered.elapsed(), LINGER);
    })
    .await;
    assert_eq!(found, outcome(Exit::Ok, "hello, admin\nhello\n", ""));
}

#[tokio::test(start_paused = true)]
async fn pipe_without_messages_closes_at_once() {
    let began = Instant::now();
    let found = basic(script(b"admin:123456\n"), async |listener| {
        listener.accept(ADMIN).await.closed().await;
    })
    .await;
    assert_eq!(found, outcome(Exit::Ok, "", ""));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn configured_credentials_leave_input_for_messages() {
    let client = TestClient {
        login: configured("admin:123456"),
        ..script(b"bad:1\n")
    };
    let found = basic(client, async |listener| {
        let mut server = listener.accept(ADMIN).await;
        server.echo(1).await;
        server.closed().await;
    })
    .await;
    assert_eq!(found, outcome(Exit::Ok, "your submit context: bad:1\n", ""));
}

#[tokio::test(start_paused = true)]
async fn pipe_refused_login_sends_no_further_line() {
    let input = b"bad:1\nadmin:123456\nhello\n";
    let found = basic(script(input), async |listener| {
        listener.refuse(BAD, UNAUTHORIZED).await;
    })
    .await;
    assert_eq!(
        found,
        outcome(
            Exit::LoginRefused,
            "",
            &format!("{REFUSED}ws-client: 2 lines were not sent\n")
        )
    );
}

#[tokio::test(start_paused = true)]
async fn refused_configured_login_leaves_input_unread() {
    let reads = Arc::new(Mutex::new(0));
    let client = TestClient {
        login: configured("bad:1"),
        ..client_of(ReadCounter(&b"a\n"[..], Arc::clone(&reads)))
    };
    let found = basic(client, async |listener| {
        listener.refuse(BAD, UNAUTHORIZED).await;
    })
    .await;
    assert_eq!(*reads.lock().unwrap(), 0);
    assert_eq!(found, outcome(Exit::LoginRefused, "", REFUSED));
}

#[tokio::test(start_paused = true)]
async fn interactive_refused_login_reconnects() {
    let echo = FakeEcho::default();
    let client = TestClient {
        login: configured("bad:1"),
        prompt_mode: PromptMode::On(echo.clone()),
        ..person(b"bad:1\n\nno colon\nadmin:\nadmin:123456\nhi\nexit\n")
    };
    let found = basic(client, async |listener| {
        listener.refuse(BAD, UNAUTHORIZED).await;
        listener.refuse(BAD, UNAUTHORIZED).await;
        let mut server = listener.accept(ADMIN).await;
        server.echo(1).await;
        server.closed().await;
    })
    .await;
    let prompt = "please enter your username and password: \n";
    assert_eq!(
        found,
        outcome(
            Exit::Ok,
            "your submit context: hi\n",
            &format!(
                "{REFUSED}{BASIC_HINT}{prompt}{REFUSED}{prompt}{prompt}\
                 ws-client: the line was not sent: credentials are written as \
                 username:password\n{prompt}\
                 ws-client: the line was not sent: the password is empty\n{prompt}\
                 please enter your context: please enter your context: \
                 you have enter \"exit\", goodbye\n"
            )
        )
    );
    let states = echo.0.lock().unwrap().clone();
    let shown = states.iter().position(|state| *state == EchoState::On);
    assert_eq!(shown, Some(5), "only messages are seen: {states:?}");
}

#[tokio::test(start_paused = true)]
async fn interactive_known_user_is_asked_for_password_only() {
    let client = TestClient {
        login: LoginSource::AskPassword(UserName::parse("jane").unwrap()),
        ..person(b"\na\nexit\nexit\n")
    };
    let found = basic(client, async |listener| {
        listener.refuse("Basic amFuZTph", UNAUTHORIZED).await;
        let mut server = listener.accept("Basic amFuZTpleGl0").await;
        server.closed().await;
    })
    .await;
    let prompt = "password for jane: \n";
    assert_eq!(
        found,
        outcome(
            Exit::Ok,
            "",
            &format!(
                "{prompt}ws-client: the line was not sent: the password is empty\n{prompt}{REFUSED}\
                 {prompt}\
                 please enter your context: you have enter \"exit\", goodbye\n"
            )
        )
    );
}

#[tokio::test(start_paused = true)]
async fn pipe_malformed_credentials_are_not_sent() {
    for (line, problem) in [
        ("hunter2", "credentials are written as username:password"),
        (":hunter2", "a name has at least one character"),
        ("hunter2:", "the password is empty"),
    ] {
        let input = format!("\n{line}\nhello\n");
        let found = basic(script(input.as_bytes()), async |_| {}).await;
        assert_eq!(
            found,
            outcome(
                Exit::Usage,
                "",
                &format!(
                    "ws-client: the input does not begin with credentials: {problem}\n\
                     ws-client: 2 lines were not sent\n"
                )
            )
        );
    }
    let found = basic(script(b"\xff:1\nhello\n"), async |_| {}).await;
    assert_eq!(found.exit, Exit::Usage);
    assert!(found.stderr.contains("line 1 of the input is not UTF-8"));
}

#[tokio::test(start_paused = true)]
async fn exit_before_login_makes_no_connection() {
    let goodbye = "you have enter \"exit\", goodbye\n";
    let found = basic(script(b"exit\n"), async |_| {}).await;
    assert_eq!(found, outcome(Exit::Ok, "", goodbye));
    let found = basic(script(b"exit\nhello\n"), async |_| {}).await;
    let unsent = format!("{goodbye}{}", EXIT_NOTICE.replace("{count}", "1 line was"));
    assert_eq!(found, outcome(Exit::Usage, "", &unsent));
    let found = basic(script(b"\n"), async |_| {}).await;
    let ended = "ws-client: the input ended before the login succeeded\n";
    assert_eq!(found, outcome(Exit::LoginRefused, "", ended));
    let prompt = "please enter your username and password: \n";
    let found = basic(person(b"exit\n"), async |_| {}).await;
    let stderr = format!("{BASIC_HINT}{prompt}{goodbye}");
    assert_eq!(found, outcome(Exit::Ok, "", &stderr));
    let found = basic(person(b""), async |_| {}).await;
    let stderr = format!("{BASIC_HINT}{prompt}");
    assert_eq!(found, outcome(Exit::Ok, "", &stderr));
}

#[tokio::test(start_paused = true)]
async fn other_refusal_ends_the_run() {
    let busy = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n";
    let found = basic(script(b"admin:123456\nhello\n"), async |listener| {
        listener.refuse(ADMIN, busy).await;
    })
    .await;
    assert_eq!(found.exit, Exit::HandshakeRefused);
    let counted = "ws-client: 1 line was not sent\n";
    assert!(found.stderr.ends_with(counted), "{found:?}");
    let found = basic(person(b"admin:123456\nbad:1\n"), async |listener| {
        listener.refuse(ADMIN, busy).await;
    })
    .await;
    assert_eq!(found.exit, Exit::HandshakeRefused);
}

#[tokio::test(start_paused = true)]
async fn interrupt_ends_prompt_and_handshake() {
    let (input, _typed) = tokio::io::duplex(TINY);
    let client = TestClient {
        prompt_mode: PromptMode::On(FakeEcho::default()),
        ..client_of(input)
    }
    .interrupted_by(stream::iter([()]));
    let found = basic(client, async |_| {}).await;
    assert_eq!(found, outcome(Exit::Interrupted, "", ""));

    let (mut interrupt, interrupts) = futures::channel::mpsc::channel(1);
    let client = TestClient {
        login: configured("admin:123456"),
        ..script(b"hello\n")
    }
    .interrupted_by(interrupts);
    let found = basic(client, async |listener| {
        let (mut stream, asked) = listener.accept_request().await;
        assert_eq!(asked, [ADMIN]);
        interrupt.send(()).await.unwrap();
        assert!(stream.read_u8().await.is_err(), "the client goes");
    })
    .await;
    assert_eq!(found, outcome(Exit::Interrupted, "", ""));
}

#[tokio::test(start_paused = true)]
async fn silent_server_times_out() {
    let found = basic(script(b"admin:123456\nhello\n"), async |listener| {
        let (mut stream, _) = listener.accept_request().await;
        assert_eq!(
            stream.read_u8().await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    })
    .await;
    assert_eq!(
        found,
        outcome(
            Exit::TimedOut,
            "",
            "ws-client: the server did not complete its answer within 10s\n\
             ws-client: 1 line was not sent\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn auth_none_first_line_is_a_message() {
    let found = run_client(Auth::None, script(b"\nadmin:123456\n"), async |listener| {
        let (stream, asked) = listener.accept_request().await;
        assert!(asked.is_empty(), "{asked:?}");
        let mut server = upgrade(stream).await;
        server.echo(2).await;
        server.closed().await;
    })
    .await;
    let messages = "your submit context: \nyour submit context: admin:123456\n";
    assert_eq!(found, outcome(Exit::Ok, messages, ""));
}

#[tokio::test(start_paused = true)]
async fn auth_none_prompts_for_messages_only() {
    let echo = FakeEcho::default();
    let client = TestClient {
        prompt_mode: PromptMode::On(echo.clone()),
        ..person(b"hi\nexit\n")
    };
    let found = run_client(Auth::None, client, async |listener| {
        let (stream, _) = listener.accept_request().await;
        let mut server = upgrade(stream).await;
        server.echo(1).await;
        server.closed().await;
    })
    .await;
    assert_eq!(
        found,
        outcome(
            Exit::Ok,
            "your submit context: hi\n",
            "please enter your context: please enter your context: \
             you have enter \"exit\", goodbye\n"
        )
    );
    assert!(!echo.0.lock().unwrap().contains(&EchoState::Off));
}

#[tokio::test(start_paused = true)]
async fn auth_none_is_refused_where_login_is_required() {
    let found = run_client(Auth::None, script(b"hello\n"), async |listener| {
        let (mut stream, _) = listener.accept_request().await;
        stream.write_all(UNAUTHORIZED.as_bytes()).await.unwrap();
    })
    .await;
    assert_eq!(found.exit, Exit::HandshakeRefused);
    assert!(
        found.stderr.contains("ws-client --auth basic sends them"),
        "{}",
        found.stderr
    );
}

#[tokio::test(start_paused = true)]
async fn auth_message_sends_no_authorization_field() {
    let client = TestClient {
        login: configured("admin:123456"),
        ..script(b"hello\n")
    };
    let found = run_client(Auth::Message, client, async |listener| {
        let (stream, asked) = listener.accept_request().await;
        assert!(asked.is_empty(), "{asked:?}");
        let mut server = upgrade(stream).await;
        server.accept_login().await;
        server.echo(1).await;
        server.closed().await;
    })
    .await;
    assert_eq!(
        found,
        outcome(Exit::Ok, "your submit context: hello\n", "{welcome}")
    );
}

#[tokio::test(start_paused = true)]
async fn unauthorized_without_credentials_is_refused() {
    let found = run_client(Auth::Message, script(b"admin:123456\n"), async |listener| {
        let (mut stream, asked) = listener.accept_request().await;
        assert!(asked.is_empty(), "{asked:?}");
        stream.write_all(UNAUTHORIZED.as_bytes()).await.unwrap();
    })
    .await;
    assert_eq!(found.exit, Exit::HandshakeRefused);
}
