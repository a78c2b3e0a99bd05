//! The Rust program of `crates/ws-server/docs/own-client.md`, from the first `use` on.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for readers of the page prints as they would"
)]

use std::{env, io, process, time::Duration};

use futures::{SinkExt as _, StreamExt as _};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, Message, http::StatusCode},
};

/// The close codes after which the same login may succeed later.
const RETRY: [u16; 7] = [1001, 1006, 1011, 1012, 1013, 1014, 3008];

/// The time for a handshake.
const CONNECT: Duration = Duration::from_secs(10);

/// The longest silence. The server pings after 40 s of it at the latest.
const SILENCE: Duration = Duration::from_mins(1);

/// The end of a connection.
enum End {
    /// Another attempt would fail in the same way.
    Stop(String),
    /// Another attempt may succeed, but not before this time has passed.
    Retry(String, Duration),
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let url = env::args().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    let input = io::read_to_string(io::stdin())?;
    let login = input.lines().next().unwrap_or_default();
    let mut failures = 0;
    loop {
        let (why, least) = match run_session(&url, login, &mut failures).await {
            End::Stop(why) => {
                eprintln!("{why}");
                process::exit(1);
            }
            End::Retry(why, least) => (why, least),
        };
        // It doubles up to 30 s, and a random part keeps clients apart.
        let longest = Duration::from_secs(30.min(2 << failures.min(4)));
        let pause = least + longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        failures += 1;
        eprintln!("{why}; next attempt in {:.1} s", pause.as_secs_f64());
        sleep(pause).await;
    }
}

/// Logs in, says hello, and prints messages until the connection ends.
async fn run_session(url: &str, login: &str, failures: &mut u32) -> End {
    try_session(url, login, failures)
        .await
        .unwrap_or_else(End::from)
}

async fn try_session(url: &str, login: &str, failures: &mut u32) -> Result<End, Error> {
    let Ok(connected) = timeout(CONNECT, connect_async(url)).await else {
        return Ok(lost("the handshake took too long"));
    };
    let (mut socket, _) = connected?;
    // Without a login, the route is public.
    let mut logged_in = login.is_empty();
    let first = if logged_in {
        *failures = 0;
        "hello"
    } else {
        login
    };
    socket.send(Message::text(first)).await?;
    let mut end = lost("no Close frame");
    loop {
        let Ok(next) = timeout(SILENCE, socket.next()).await else {
            return Ok(lost("the server is silent"));
        };
        match next {
            Some(Ok(Message::Text(text))) if logged_in => println!("{text}"),
            Some(Ok(Message::Text(text))) if text.contains("congratulation") => {
                logged_in = true;
                *failures = 0;
                socket.send(Message::text("hello")).await?;
            }
            Some(Ok(Message::Text(text))) => {
                end = End::Stop(format!("login refused: {text}"));
                socket.close(None).await?;
            }
            Some(Ok(Message::Close(frame))) if matches!(end, End::Retry(..)) => {
                let (code, reason) = frame.map_or((1005, String::new()), |frame| {
                    (frame.code.into(), frame.reason.to_string())
                });
                end = closed(code, &reason);
            }
            // Tungstenite answers pings and Close frames, as long as it is polled.
            Some(Ok(_)) => {}
            Some(Err(Error::ConnectionClosed)) | None => return Ok(end),
            Some(Err(error)) => return Err(error),
        }
    }
}

fn closed(code: u16, reason: &str) -> End {
    let why = format!("closed: {code} {reason}");
    if RETRY.contains(&code) {
        End::Retry(why, Duration::ZERO)
    } else {
        End::Stop(why)
    }
}

fn lost(why: &str) -> End {
    closed(1006, why)
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        let response = match error {
            Error::Http(response) => response,
            error => return lost(&error.to_string()),
        };
        let body = response.body().as_deref().unwrap_or_default();
        let text = String::from_utf8_lossy(body);
        let why = format!("refused: {} {}", response.status().as_u16(), text.trim());
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let field = response.headers().get("Retry-After");
                let seconds = field.and_then(|value| value.to_str().ok()?.parse().ok());
                End::Retry(why, Duration::from_secs(seconds.unwrap_or_default()))
            }
            _ => End::Stop(why),
        }
    }
}
