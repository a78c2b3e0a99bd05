//! Opening of a connection within one deadline: TCP, then TLS for `wss://`, then the opening
//! handshake.

use std::{io, time::Duration};

use proto::{key::Key, message::Credentials};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};

use super::stream::MaybeTlsStream;
use crate::{
    endpoint::Endpoint,
    exit::Exit,
    handshake::{
        BearerToken, HandshakeError, Head, HeaderFields, MAX_BODY_BYTES, MAX_HEAD_BYTES, Origin,
        RawResponse, ReadError, Request, Subprotocols, Verdict, excerpt, final_head,
    },
    tls::{TlsConnectError, TlsFailure, TransportKind},
};

/// The time limit for the body of a refusal. A body arrives with the head or shortly after it, and
/// is not worth a longer wait.
const BODY_TIMEOUT: Duration = Duration::from_millis(500);

/// A stream after a successful opening handshake.
#[derive(Debug)]
pub struct Upgraded<S> {
    /// The stream.
    pub stream: S,
    /// The bytes that arrived behind the response head: the first frames.
    pub rest: Vec<u8>,
    /// True if the server selected a subprotocol.
    pub has_subprotocol: bool,
}

/// A point in time, with the duration that led to it.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    span: Duration,
}

impl Deadline {
    /// Returns the deadline after this duration.
    pub fn after(span: Duration) -> Self {
        Self {
            at: Instant::now() + span,
            span,
        }
    }
}

/// The server to connect to, and the parameters of each connection.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) endpoint: Endpoint,
    pub(crate) transport: TransportKind,
    pub(crate) origin: Option<Origin>,
    pub(crate) subprotocols: Subprotocols,
    pub(crate) fields: HeaderFields,
    /// The token to send, if the login is by token.
    pub(crate) bearer: Option<BearerToken>,
    /// The longest time for TCP, TLS and the opening handshake together.
    pub(crate) connect_deadline: Duration,
}

impl Dialer {
    /// Opens a connection. Credentials, if given, are sent with the opening handshake.
    pub(crate) async fn dial(
        &self,
        credentials: Option<&Credentials>,
    ) -> Result<Upgraded<MaybeTlsStream<TcpStream>>, ConnectError> {
        let deadline = Deadline::after(self.connect_deadline);
        let mut request = Request::new(self.endpoint.clone(), new_key()?, self.origin.clone())
            .with_subprotocols(self.subprotocols.clone())
            .with_fields(self.fields.clone());
        if let Some(credentials) = credentials {
            request = request.with_credentials(credentials);
        } else if let Some(token) = &self.bearer {
            request = request.with_bearer(token);
        }
        let stream = stream(&self.endpoint, &self.transport, deadline).await?;
        match open(stream, &request, deadline).await {
            Err(ConnectError::Refused(HandshakeError::Closed)) => {
                let demanded = self.transport.certificate_demanded(&self.endpoint);
                Err(demanded.map_or(
                    ConnectError::Refused(HandshakeError::Closed),
                    ConnectError::Tls,
                ))
            }
            opened => opened,
        }
    }
}

/// Draws a random `Sec-WebSocket-Key` (RFC 6455 section 4.1).
///
/// # Errors
///
/// The system returns no random bytes.
pub fn new_key() -> Result<Key, ConnectError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(ConnectError::Random)?;
    Ok(Key::new(nonce))
}

/// Connects to an endpoint by TCP.
///
/// # Errors
///
/// No allowed address accepts the connection before the deadline.
pub async fn tcp(endpoint: &Endpoint, deadline: Deadline) -> Result<TcpStream, ConnectError> {
    let authority = || endpoint.authority();
    match timeout_at(deadline.at, connect_any_address(endpoint)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(source)) => Err(ConnectError::Tcp {
            authority: authority(),
            source,
        }),
        Err(_) => Err(ConnectError::TimedOut {
            authority: authority(),
            span: deadline.span,
        }),
    }
}

async fn connect_any_address(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(
        io::ErrorKind::AddrNotAvailable,
        "the name stands for no address that may be used",
    );
    for address in lookup_host(endpoint.resolvable()).await? {
        if !endpoint.allows(address) {
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Disable Nagle's algorithm: a message is sent when it is written, not when another
                // one follows.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Connects to an endpoint by TCP, then by TLS if the transport asks for it.
///
/// # Errors
///
/// TCP or TLS fails, or the deadline passes.
pub async fn stream(
    endpoint: &Endpoint,
    transport: &TransportKind,
    deadline: Deadline,
) -> Result<MaybeTlsStream<TcpStream>, ConnectError> {
    let socket = tcp(endpoint, deadline).await?;
    secure(socket, endpoint, transport, deadline).await
}

/// Performs the TLS handshake on a connected socket if the transport asks for it.
///
/// # Errors
///
/// TLS fails, or the deadline passes.
pub async fn secure<S>(
    socket: S,
    endpoint: &Endpoint,
    transport: &TransportKind,
    deadline: Deadline,
) -> Result<MaybeTlsStream<S>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let tls = match transport {
        TransportKind::Tcp => return Ok(MaybeTlsStream::Plain(socket)),
        TransportKind::Tls(tls) => tls,
    };
    match timeout_at(deadline.at, tls.connect(endpoint, socket)).await {
        Ok(stream) => Ok(MaybeTlsStream::Tls(Box::new(stream?))),
        Err(_) => Err(ConnectError::Tls(TlsConnectError {
            authority: endpoint.authority(),
            failure: TlsFailure::TimedOut(deadline.span),
        })),
    }
}

/// Sends a request and reads the response: its heads, and the body of a refusal.
///
/// # Errors
///
/// TLS fails.
pub async fn exchange<S>(
    stream: &mut S,
    request: &Request,
    deadline: Deadline,
) -> Result<RawResponse, TlsConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut bytes = Vec::new();
    let heads = send_and_read_heads(stream, request, &mut bytes);
    let read_error = match timeout_at(deadline.at, heads).await {
        Ok(Err(HeadError::Response(incomplete))) => incomplete,
        Ok(Err(HeadError::Tls(failure))) => {
            return Err(TlsConnectError {
                authority: request.endpoint().authority(),
                failure,
            });
        }
        Ok(Ok(())) | Err(_) => ReadError::TimedOut(deadline.span),
    };
    let mut response = RawResponse::new(bytes, read_error);
    if response.incomplete().is_none() {
        let body_deadline = deadline.at.min(Instant::now() + BODY_TIMEOUT);
        // A body that is incomplete at its deadline is no error.
        let _ = timeout_at(body_deadline, read_body(stream, &mut response)).await;
    }
    Ok(response)
}

/// The reason why the heads are incomplete.
enum HeadError {
    Response(ReadError),
    Tls(TlsFailure),
}

/// Sends the request and reads up to and including the final head.
async fn send_and_read_heads<S>(
    stream: &mut S,
    request: &Request,
    bytes: &mut Vec<u8>,
) -> Result<(), HeadError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // A server may refuse and close before it has read the request: its response counts even if the
    // write fails.
    let _ = stream.write_all(&request.to_bytes()).await;
    let _ = stream.flush().await;
    loop {
        if final_head(bytes).end.is_some() {
            return Ok(());
        }
        if bytes.len() >= MAX_HEAD_BYTES {
            return Err(HeadError::Response(ReadError::TooLong));
        }
        match stream.read_buf(bytes).await {
            Ok(1..) => {}
            Ok(0) => return Err(HeadError::Response(ReadError::Closed)),
            Err(error) => {
                let read_error = HeadError::Response(ReadError::Closed);
                return Err(TlsFailure::from_stream(&error).map_or(read_error, HeadError::Tls));
            }
        }
    }
}

/// Reads the body of a refusal, as far as it is shown.
async fn read_body<S: AsyncRead + Unpin>(stream: &mut S, response: &mut RawResponse) {
    let head = Head::parse(response.final_head());
    if head.status.as_ref().is_ok_and(|status| status.code == 101) || head.status.is_err() {
        return;
    }
    let announced = head.values("Content-Length");
    let announced = announced.first().and_then(|length| length.parse().ok());
    let wanted = announced.unwrap_or(usize::MAX).min(MAX_BODY_BYTES);
    while response.rest().len() < wanted {
        match stream.read_buf(&mut response.bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Performs the opening handshake on a stream.
///
/// # Errors
///
/// TLS fails, or the response does not open a WebSocket.
pub async fn open<S>(
    mut stream: S,
    request: &Request,
    deadline: Deadline,
) -> Result<Upgraded<S>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let response = exchange(&mut stream, request, deadline).await?;
    let verdict = Verdict::check(&response, request.key(), request.subprotocols());
    let Some(error) = verdict.error() else {
        return Ok(Upgraded {
            stream,
            rest: response.rest().to_vec(),
            has_subprotocol: verdict.has_subprotocol(),
        });
    };
    let error = if request.presents_credentials() {
        error.with_credentials_sent()
    } else {
        error
    };
    let body = response.body();
    if !error.has_status() || body.is_empty() || is_page(&response) {
        return Err(ConnectError::Refused(error));
    }
    Err(ConnectError::RefusedWithBody {
        error,
        body: excerpt(&body, MAX_BODY_BYTES),
    })
}

/// Returns true if the body is an HTML page: its text is hard to extract and seldom says more than
/// the status.
fn is_page(response: &RawResponse) -> bool {
    let kinds = Head::parse(response.final_head()).values("Content-Type");
    kinds.first().is_some_and(|kind| {
        let essence = kind.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("text/html")
    })
}

/// The reason why no connection could be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The system returned no random bytes.
    #[error("the system gives no random bytes for the handshake's key")]
    Random(#[source] getrandom::Error),
    /// TCP failed.
    #[error("could not connect to {authority}")]
    Tcp {
        /// Host and port.
        authority: String,
        /// The error of the last address.
        source: io::Error,
    },
    /// TCP took too long.
    #[error("could not connect to {authority} within {span:?}")]
    TimedOut {
        /// Host and port.
        authority: String,
        /// The time limit.
        span: Duration,
    },
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsConnectError),
    /// The opening handshake failed.
    #[error(transparent)]
    Refused(HandshakeError),
    /// The opening handshake failed, and the response has a body.
    #[error("{}", .error.with_body(.body))]
    RefusedWithBody {
        /// The error of the handshake.
        error: HandshakeError,
        /// The first bytes of the body, escaped.
        body: String,
    },
}

impl ConnectError {
    /// Returns true if the server refused only the credentials, so that others may succeed.
    pub fn is_credentials_refused(&self) -> bool {
        match self {
            Self::Refused(error) | Self::RefusedWithBody { error, .. } => {
                matches!(error, HandshakeError::Credentials(..))
            }
            Self::Random(_) | Self::Tcp { .. } | Self::TimedOut { .. } | Self::Tls(_) => false,
        }
    }

    /// Returns the exit code of the program after this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Random(_) => Exit::Failure,
            Self::Tcp { .. } => Exit::Unreachable,
            Self::TimedOut { .. } => Exit::TimedOut,
            Self::Tls(error) => error.failure.exit(),
            Self::Refused(error) | Self::RefusedWithBody { error, .. } => error.exit(),
        }
    }
}
