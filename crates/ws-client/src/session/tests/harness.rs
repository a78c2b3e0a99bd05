//! A client on in-memory streams, and a server that the test scripts.

use std::{
    io,
    num::NonZeroUsize,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use futures::{SinkExt as _, Stream, StreamExt as _, stream};
use proto::message::{CONGRATULATION, Credentials};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role},
    },
};

use crate::{
    config::{Goal, LoginSource},
    connect::Upgraded,
    console::{EchoControl, EchoState, PromptMode, Reader, Records, StdioConsole},
    exit::Exit,
    session::{
        client::run_to_exit,
        session::{ClientSession, LoginPlan, Timeouts},
    },
    websocket::Connection,
};

/// The size of the in-memory stream: few frames fit whole.
pub(super) const TINY: usize = 16;

/// The notice about lines behind `exit`.
pub(super) const EXIT_NOTICE: &str = "ws-client: {count} not sent\nws-client: a line \"exit\" \
                                      ends the session; --literal sends it as a message\n";

/// The notice about an empty input.
pub(super) const EMPTY_INPUT: &str = "ws-client: the input is empty, so there is nothing to do; \
                                      --linger forever stays and prints what comes\n";

/// The linger time of the default goal.
pub(super) const LINGER: Duration = Duration::from_secs(1);

pub(super) const TIMEOUTS: Timeouts = Timeouts {
    close_deadline: Duration::from_secs(5),
    reply_deadline: Duration::from_secs(30),
    run_limit: None,
    pings: None,
};

/// The exit code and the output of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RunOutcome {
    pub(super) exit: Exit,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// A writer whose content can be read after it was moved away.
#[derive(Debug, Clone, Default)]
pub(super) struct CapturedOutput(Arc<Mutex<Vec<u8>>>);

impl CapturedOutput {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl AsyncWrite for CapturedOutput {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A reader that counts its reads, to show that there were none.
pub(super) struct ReadCounter<R>(pub(super) R, pub(super) Arc<Mutex<usize>>);

impl<R: AsyncRead + Unpin> AsyncRead for ReadCounter<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        *self.1.lock().unwrap() += 1;
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

/// A terminal that records its echo states.
#[derive(Debug, Clone, Default)]
pub(super) struct FakeEcho(pub(super) Arc<Mutex<Vec<EchoState>>>);

impl EchoControl for FakeEcho {
    fn set_echo(&mut self, state: EchoState) {
        self.0.lock().unwrap().push(state);
    }
}

/// The server side, scripted by the test.
pub(super) struct Server(pub(super) WebSocketStream<DuplexStream>);

impl Server {
    pub(super) async fn text(&mut self) -> String {
        self.0
            .next()
            .await
            .unwrap()
            .unwrap()
            .into_text()
            .unwrap()
            .to_string()
    }

    pub(super) async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Accepts the login of `admin`.
    pub(super) async fn accept_login(&mut self) {
        assert_eq!(self.text().await, "admin:123456");
        self.say(CONGRATULATION).await;
    }

    /// Answers this many messages.
    pub(super) async fn echo(&mut self, count: usize) {
        for _ in 0..count {
            let text = self.text().await;
            self.say(&format!("your submit context: {text}")).await;
        }
    }

    /// Returns code and reason of the client's Close frame, and waits for the end of the stream.
    pub(super) async fn closed(&mut self) -> (u16, String) {
        let closed = match self.0.next().await.unwrap().unwrap() {
            Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
            other => panic!("no close frame: {other:?}"),
        };
        assert!(self.0.next().await.is_none());
        closed
    }

    /// Drops messages, and waits for the client's Close frame and the end of the stream.
    pub(super) async fn until_closed(&mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }

    pub(super) async fn close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        self.0.send(Message::Close(Some(frame))).await.unwrap();
        let mut answered = false;
        while let Some(Ok(message)) = self.0.next().await {
            answered |= message.is_close();
        }
        assert!(answered, "the client answers a close frame");
    }
}

pub(super) const USER_EXIT: (u16, &str) = (1000, "user exit");

pub(super) fn configured(line: &str) -> LoginSource {
    LoginSource::Configured(Credentials::parse(line).unwrap())
}

/// Returns both ends of a connection.
pub(super) async fn connected() -> (Connection<DuplexStream>, Server) {
    let (ours, theirs) = tokio::io::duplex(TINY);
    let upgraded = Upgraded {
        stream: ours,
        rest: Vec::new(),
        has_subprotocol: false,
    };
    let connection = Connection::new(upgraded, 1 << 20).await;
    let server = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
    (connection, Server(server))
}

/// The client side of a test: input, login, prompts and interrupts.
pub(super) struct TestClient<I, N> {
    pub(super) input: I,
    pub(super) login: LoginSource,
    pub(super) prompt_mode: PromptMode<FakeEcho>,
    pub(super) interrupts: N,
}

impl<I, N> TestClient<I, N> {
    /// Returns this client with other interrupts.
    pub(super) fn interrupted_by<M>(self, interrupts: M) -> TestClient<I, M> {
        TestClient {
            input: self.input,
            login: self.login,
            prompt_mode: self.prompt_mode,
            interrupts,
        }
    }
}

/// Creates a client without configured credentials, prompts and interrupts.
pub(super) fn client_of<I>(input: I) -> TestClient<I, stream::Pending<()>> {
    TestClient {
        input,
        login: LoginSource::Ask,
        prompt_mode: PromptMode::Off,
        interrupts: stream::pending(),
    }
}

pub(super) fn script(input: &[u8]) -> TestClient<&[u8], stream::Pending<()>> {
    client_of(input)
}

pub(super) fn person(input: &[u8]) -> TestClient<&[u8], stream::Pending<()>> {
    TestClient {
        prompt_mode: PromptMode::On(FakeEcho::default()),
        ..client_of(input)
    }
}

/// Returns an input that begins with these bytes, and the end on which to type more.
pub(super) async fn open_input(bytes: &[u8]) -> (DuplexStream, DuplexStream) {
    let (ours, mut typing) = tokio::io::duplex(100_000);
    typing.write_all(bytes).await.unwrap();
    (ours, typing)
}

/// Creates a console. Its messages are for a terminal if there are prompts, and for a program
/// otherwise.
pub(super) fn console_of<I, O, E>(
    input: I,
    stdout: O,
    stderr: E,
    prompt_mode: PromptMode<FakeEcho>,
) -> StdioConsole<I, O, E, FakeEcho>
where
    I: AsyncRead + Unpin,
    O: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
{
    let max_line_bytes = NonZeroUsize::new(1 << 16).unwrap();
    let reader = match &prompt_mode {
        PromptMode::On(_) => Reader::Terminal,
        PromptMode::Off => Reader::Program(Records::Lines),
    };
    StdioConsole::new(input, (stdout, reader), stderr, prompt_mode, max_line_bytes)
}

/// Runs a session until it ends.
pub(super) async fn run<I, N>(
    connection: Connection<DuplexStream>,
    client: TestClient<I, N>,
) -> RunOutcome
where
    I: AsyncRead + Unpin,
    N: Stream<Item = ()> + Unpin,
{
    run_with(connection, client, Goal::default(), TIMEOUTS).await
}

/// Runs a session with this goal and these limits until it ends.
pub(super) async fn run_with<I, N>(
    connection: Connection<DuplexStream>,
    client: TestClient<I, N>,
    goal: Goal,
    timeouts: Timeouts,
) -> RunOutcome
where
    I: AsyncRead + Unpin,
    N: Stream<Item = ()> + Unpin,
{
    let (stdout, stderr) = (CapturedOutput::default(), CapturedOutput::default());
    let console = console_of(
        client.input,
        stdout.clone(),
        stderr.clone(),
        client.prompt_mode,
    );
    let session = ClientSession::new(connection, console, timeouts).with_goal(goal);
    let running = run_to_exit(
        session,
        LoginPlan::Messages(client.login),
        client.interrupts,
    );
    // No session of these tests takes a day. On a paused clock, one that hangs fails at once.
    let exit = timeout(Duration::from_hours(24), running).await;
    let exit = exit.expect("the session ends");
    RunOutcome {
        exit,
        stdout: stdout.text(),
        stderr: stderr.text(),
    }
}

pub(super) fn outcome(exit: Exit, stdout: &str, stderr: &str) -> RunOutcome {
    RunOutcome {
        exit,
        stdout: stdout.into(),
        stderr: stderr
            .replace(
                "{welcome}",
                "congratulation, you have connect with server\nnow, you can do something else\n",
            )
            .replace(
                "{hint}",
                "ws-client: enter username:password (default of ws-server: 6 attempts in 30 s)\n",
            ),
    }
}
