//! `ws-server ctl`: lists and changes the sessions of a running server, for operators.
//!
//! The command sends a request to the Unix socket of [`admin`](crate::admin), and prints the response
//! as text or as JSON.

use std::{
    error::Error,
    fmt::{self, Write as _},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use comfy_table::{CellAlignment, Table, presets};
use http::{HeaderValue, Method, Request, StatusCode, header::HOST};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use humantime::format_duration;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proto::{
    escape::{Escaped, is_unsafe},
    plural::plural,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, time::timeout};

use crate::{
    admin::api::{
        Allow, Drain, Draining, ErrorResponse, Kick, Kicked, Publish, Purge, Purged,
        RevocationList, Revoke, SessionInfo, Sessions, UserRevoked,
    },
    reload::ReloadOutcome,
};

/// The deadline for a response. A reload reads files, which may be on a slow file system.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum length of a response, enough for hundreds of thousands of sessions.
const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;

/// A request to a server.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub(crate) enum Action {
    /// List the open sessions
    Sessions,
    /// Close one connection; its user may log in again
    Kick {
        /// The number of the connection, as in `sessions` and in the log
        id: u64,
    },
    /// Close all sessions of a user, and refuse the user's logins until the credential changes
    Revoke {
        /// The user name
        #[arg(allow_hyphen_values = true)]
        user: String,
    },
    /// List the users whose logins are revoked
    Revocations,
    /// Allow the logins of a revoked user again
    Allow {
        /// The user name
        #[arg(allow_hyphen_values = true)]
        user: String,
    },
    /// Reload the configuration and the accounts
    Reload,
    /// Close all connections, then stop the server
    Drain {
        /// Tell the clients that the server starts again (close code 1012)
        #[arg(long)]
        restart: bool,
    },
    /// Publish a message in a room
    Publish {
        /// The path of the room, such as /room/lobby
        room: String,
        /// The text of the message
        #[arg(allow_hyphen_values = true)]
        text: String,
    },
    /// Drop the history of a room, which new members would get
    Purge {
        /// The path of the room, such as /room/lobby
        room: String,
    },
}

/// The format in which a response is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    /// Text for a user.
    Text,
    /// The JSON of the response, for a script.
    Json,
}

/// The reason why `ctl` fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CtlError {
    /// The socket does not accept a connection.
    #[error("cannot connect to the server at {}: {error}{}", path.display(), hint(error))]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The cause. No source of the error: the remedy follows it.
        error: io::Error,
    },
    /// The process behind the socket runs as a user who is not trusted.
    #[error(
        "the server at {} runs as another user (uid {uid}), who does not own the folder of the socket, so nothing was sent; run as that user if it is the right server",
        path.display()
    )]
    ForeignServer {
        /// The socket.
        path: PathBuf,
        /// The user id of the process.
        uid: u32,
    },
    /// The connection failed.
    #[error("the connection to the server failed")]
    Disconnected(#[source] Box<dyn Error + Send + Sync>),
    /// No response within [`TIMEOUT`].
    #[error("the server did not respond within {}", format_duration(TIMEOUT))]
    TimedOut,
    /// The server refused the request.
    #[error("{}", Escaped(.0))]
    Refused(String),
    /// The response exceeds [`MAX_RESPONSE_BYTES`].
    #[error("this is not the socket of a ws-server: the response is too long")]
    ResponseTooLarge,
    /// The response is not one of a `ws-server`.
    #[error("this is not the socket of a ws-server: unexpected response, status {0}")]
    UnexpectedResponse(StatusCode),
}

/// Returns the remedy for a failed connection.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "; start it, or name another socket with --socket"
        }
        io::ErrorKind::PermissionDenied => "; run as the user of the server, or as root",
        _ => "",
    }
}

impl CtlError {
    fn of_body(error: Box<dyn Error + Send + Sync>) -> Self {
        if error.is::<LengthLimitError>() {
            Self::ResponseTooLarge
        } else {
            Self::Disconnected(error)
        }
    }
}

impl From<hyper::Error> for CtlError {
    fn from(error: hyper::Error) -> Self {
        Self::Disconnected(error.into())
    }
}

/// Sends a request to a server, and returns the output to print.
///
/// # Errors
///
/// No connection, no valid response in time, or a refusal by the server.
pub(crate) async fn run(
    socket: &Path,
    action: &Action,
    format: OutputFormat,
) -> Result<String, CtlError> {
    let client = Client { socket, format };
    match action {
        Action::Sessions => client.get("/sessions", table).await,
        Action::Kick { id } => client.post("/kick", &Kick { id: *id }, kicked).await,
        Action::Revoke { user } => {
            let user = user.clone();
            client.post("/revoke", &Revoke { user }, revoked).await
        }
        Action::Revocations => client.get("/revocations", revocations).await,
        Action::Allow { user } => {
            let user = user.clone();
            client.post("/allow", &Allow { user }, allowed).await
        }
        Action::Reload => client.post("/reload", &(), reloaded).await,
        Action::Drain { restart } => {
            let drain = Drain { restart: *restart };
            client.post("/drain", &drain, draining).await
        }
        Action::Publish { room, text } => {
            let publish = Publish {
                room: room.clone(),
                text: text.clone(),
            };
            client.post("/publish", &publish, published).await
        }
        Action::Purge { room } => {
            let room = room.clone();
            client.post("/purge", &Purge { room }, purged).await
        }
    }
}

/// A client of one server.
struct Client<'a> {
    socket: &'a Path,
    format: OutputFormat,
}

impl Client<'_> {
    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        to_text: impl FnOnce(&T) -> String,
    ) -> Result<String, CtlError> {
        self.request(Method::GET, path, Bytes::new(), to_text).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        to_text: impl FnOnce(&T) -> String,
    ) -> Result<String, CtlError> {
        let body = serde_json::to_vec(body).expect("texts and numbers are JSON");
        self.request(Method::POST, path, body.into(), to_text).await
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        to_text: impl FnOnce(&T) -> String,
    ) -> Result<String, CtlError> {
        let exchange = self.exchange(method, path, body);
        let (status, body) = timeout(TIMEOUT, exchange)
            .await
            .map_err(|_| CtlError::TimedOut)??;
        if status != StatusCode::OK {
            return Err(match serde_json::from_slice(&body) {
                Ok(ErrorResponse { error }) => CtlError::Refused(error),
                Err(_) => CtlError::UnexpectedResponse(status),
            });
        }
        let response =
            serde_json::from_slice(&body).map_err(|_| CtlError::UnexpectedResponse(status))?;
        Ok(match self.format {
            OutputFormat::Text => to_text(&response),
            OutputFormat::Json => safe_json(&body),
        })
    }

    /// Checks the user of the process behind the socket.
    ///
    /// # Errors
    ///
    /// The user is not trusted, or cannot be found out.
    fn check_peer(&self, stream: &UnixStream) -> Result<(), CtlError> {
        let unreachable = |error| CtlError::Unreachable {
            path: self.socket.to_owned(),
            error,
        };
        let uid = stream.peer_cred().map_err(unreachable)?.uid();
        let folder = match self.socket.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        let folder_owner = std::fs::metadata(folder).ok().map(|folder| folder.uid());
        if is_trusted(uid, rustix::process::geteuid().as_raw(), folder_owner) {
            return Ok(());
        }
        Err(CtlError::ForeignServer {
            path: self.socket.to_owned(),
            uid,
        })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), CtlError> {
        let stream = UnixStream::connect(self.socket).await;
        let stream = stream.map_err(|error| CtlError::Unreachable {
            path: self.socket.to_owned(),
            error,
        })?;
        self.check_peer(&stream)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("our paths are URIs");
        let host = HeaderValue::from_static("localhost");
        request.headers_mut().insert(HOST, host);
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_RESPONSE_BYTES);
            let body = body.collect().await.map_err(CtlError::of_body)?;
            Ok((status, body.to_bytes()))
        };
        tokio::pin!(exchange, connection);
        tokio::select! {
            result = &mut exchange => result,
            // The connection may end together with the response.
            ended = &mut connection => {
                ended?;
                exchange.await
            }
        }
    }
}

/// Returns true if a server of this user may get requests: it is root, the caller, or the owner of
/// the socket's folder. In a folder that others can write to, such as `/tmp`, anyone could listen.
fn is_trusted(server: u32, caller: u32, folder_owner: Option<u32>) -> bool {
    server == 0 || server == caller || folder_owner == Some(server)
}

/// Returns the JSON of a response with each character escaped that could change a terminal's
/// display. In valid JSON such a character is whitespace, or inside a string.
fn safe_json(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut safe = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        match c {
            '\n' => safe.push('\n'),
            '\r' | '\t' => safe.push(' '),
            c if is_unsafe(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(safe, "\\u{unit:04x}").expect("a string takes everything");
                }
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Formats sessions as a table.
fn table(Sessions { sessions }: &Sessions) -> String {
    if sessions.is_empty() {
        return "no sessions".to_owned();
    }
    let mut table = plain_table(&[
        "ID",
        "USER",
        "PEER",
        "PATH",
        "SINCE",
        "IN",
        "BYTES IN",
        "OUT",
        "BYTES OUT",
    ]);
    for session in sessions {
        table.add_row(row(session));
    }
    for numbers in [0, 4, 5, 6, 7, 8] {
        if let Some(column) = table.column_mut(numbers) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    trim(table)
}

/// Creates a table without lines.
fn plain_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table
}

/// Formats a table, two spaces between its columns.
fn trim(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn row(session: &SessionInfo) -> [String; 9] {
    [
        session.id.to_string(),
        session
            .user
            .as_ref()
            .map_or("-".to_owned(), |user| Escaped(user).to_string()),
        Escaped(&session.peer).to_string(),
        Escaped(&session.path).to_string(),
        match session.ending {
            Some(_) => "ending".to_owned(),
            None => ShortDuration(session.seconds).to_string(),
        },
        session.messages_in.to_string(),
        session.bytes_in.to_string(),
        session.messages_out.to_string(),
        session.bytes_out.to_string(),
    ]
}

/// A time span in its two greatest units, such as `2h 5m`.
struct ShortDuration(f64);

impl fmt::Display for ShortDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Duration::try_from_secs_f64(self.0).unwrap_or_default();
        let whole = format_duration(Duration::from_secs(seconds.as_secs())).to_string();
        let mut parts = whole.split(' ');
        f.write_str(parts.next().unwrap_or_default())?;
        parts.next().map_or(Ok(()), |part| write!(f, " {part}"))
    }
}

fn kicked(Kicked { id, user, peer }: &Kicked) -> String {
    let user = user.as_deref().unwrap_or("not logged in");
    format!(
        "closing connection {id}: {}, from {}",
        Escaped(user),
        Escaped(peer)
    )
}

fn revoked(
    UserRevoked {
        user,
        sessions_ended,
        kept,
    }: &UserRevoked,
) -> String {
    let (user, sessions) = (Escaped(user), sessions(*sessions_ended));
    let mut text = format!(
        "logins of {user} revoked until the credential changes or `ctl allow`; {sessions} ended"
    );
    if !kept {
        text.push_str(
            "\na restart of the server forgets this: set login.revocations_file, or remove the user \
             from the credentials file",
        );
    }
    text
}

/// Formats revocations as a table.
fn revocations(RevocationList { revocations }: &RevocationList) -> String {
    if revocations.is_empty() {
        return "no revocations".to_owned();
    }
    let mut table = plain_table(&["USER", "SINCE", "BY"]);
    for it in revocations {
        let row = [&it.user, &it.since, &it.by];
        table.add_row(row.map(|text| Escaped(text).to_string()));
    }
    trim(table)
}

fn allowed(Allow { user }: &Allow) -> String {
    format!("logins of {} allowed again", Escaped(user))
}

fn reloaded(reloaded: &ReloadOutcome) -> String {
    let users = plural(reloaded.users, "user", "users");
    let mut lines = vec![format!(
        "reloaded: {users}, {} ended",
        sessions(reloaded.sessions_ended)
    )];
    for (keys, what) in [
        (&reloaded.changed, "changed"),
        (&reloaded.at_next_start, "takes effect after a restart"),
    ] {
        if !keys.is_empty() {
            lines.push(format!("{what}: {}", Escaped(&keys.join(", "))));
        }
    }
    lines.join("\n")
}

fn draining(Draining { sessions: count }: &Draining) -> String {
    format!(
        "draining: closing {}, then the server exits",
        sessions(*count)
    )
}

fn published(Publish { room, text }: &Publish) -> String {
    format!("published in {}: {}", Escaped(room), Escaped(text))
}

fn purged(Purged { room, messages }: &Purged) -> String {
    let messages = plural(*messages, "message", "messages");
    format!("dropped the history of {}: {messages}", Escaped(room))
}

fn sessions(count: usize) -> String {
    plural(count, "session", "sessions")
}

#[cfg(test)]
mod tests {
    use super::{ShortDuration, is_trusted, kicked, revoked, safe_json, table};
    use crate::admin::api::{Kicked, SessionInfo, Sessions, UserRevoked};

    /// The process behind a socket may be any program.
    #[test]
    fn response_of_a_foreign_socket_escaped() {
        let evil = "a\u{1b}[2J\u{9b}1m\n".to_owned();
        let shown = "a\\u{1b}[2J\\u{9b}1m\\n";
        let text = kicked(&Kicked {
            id: 1,
            user: Some(evil.clone()),
            peer: evil.clone(),
        });
        assert_eq!(text, format!("closing connection 1: {shown}, from {shown}"));
        let text = revoked(&UserRevoked {
            user: evil.clone(),
            sessions_ended: 0,
            kept: true,
        });
        assert!(
            text.starts_with(&format!("logins of {shown} revoked")),
            "{text}"
        );
        let mut session = session(1, Some(&evil), 1.0);
        session.peer = evil;
        let table = table(&Sessions {
            sessions: vec![session],
        });
        assert_eq!(table.lines().count(), 2);
        assert_eq!(table.matches(shown).count(), 2, "{table}");
        assert_eq!(
            safe_json("{\r\t\"a\":\n\"\u{9b}\u{202e}ü\"}\n".as_bytes()),
            "{  \"a\":\n\"\\u009b\\u202eü\"}"
        );
    }

    #[test]
    fn server_of_other_user_not_trusted() {
        for (server, caller, folder_owner, trusted) in [
            (0, 1000, None, true),
            (1000, 1000, None, true),
            (990, 0, Some(990), true),
            (990, 1000, Some(990), true),
            (990, 1000, Some(0), false),
            (990, 0, Some(0), false),
            (990, 1000, None, false),
        ] {
            assert_eq!(is_trusted(server, caller, folder_owner), trusted);
        }
    }

    fn session(id: u64, user: Option<&str>, seconds: f64) -> SessionInfo {
        SessionInfo {
            id,
            user: user.map(ToOwned::to_owned),
            peer: "127.0.0.1:40000".to_owned(),
            path: "/room/a\u{1b}".to_owned(),
            seconds,
            ending: None,
            messages_in: 1,
            bytes_in: 5,
            messages_out: 10,
            bytes_out: 260,
        }
    }

    #[test]
    fn sessions_printed_as_aligned_table() {
        let sessions = vec![
            session(7, Some("jane"), 59.9),
            session(1000, None, 86_400.0 + 3600.0 * 2.0 + 61.0),
        ];
        let table = table(&Sessions { sessions });
        let expected = [
            "  ID  USER  PEER             PATH             SINCE  IN  BYTES IN  OUT  BYTES OUT",
            "   7  jane  127.0.0.1:40000  /room/a\\u{1b}      59s   1         5   10        260",
            "1000  -     127.0.0.1:40000  /room/a\\u{1b}  1day 2h   1         5   10        260",
        ];
        assert_eq!(table.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn closing_session_marked_in_table() {
        let ending = SessionInfo {
            ending: Some("login revoked: by an operator".to_owned()),
            ..session(7, Some("jane"), 59.9)
        };
        let sessions = vec![ending];
        let table = table(&Sessions { sessions });
        let row: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row[4..], ["ending", "1", "5", "10", "260"]);
    }

    #[test]
    fn duration_shows_two_largest_units() {
        for (seconds, age) in [
            (0.4, "0s"),
            (61.0, "1m 1s"),
            (7_505.0, "2h 5m"),
            (90_061.0, "1day 1h"),
        ] {
            assert_eq!(ShortDuration(seconds).to_string(), age);
        }
    }
}
