//! A room made of tokio-tungstenite and tokio's broadcast channel, in the simplest way: a task for
//! each member, which flushes each message. It has no deadline, and a slow member loses messages
//! without notice. The benchmarks compare the rooms of `ws-server` with it.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it is an ordinary program for a benchmark"
)]

use std::time::SystemTime;

use anyhow::Result;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast::{self, Sender, error::RecvError},
};
use tokio_tungstenite::{
    accept_async,
    tungstenite::{Message, Utf8Bytes},
};

#[tokio::main]
async fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on ws://{}", listener.local_addr()?);
    let (room, _) = broadcast::channel(256);
    loop {
        let (stream, _) = listener.accept().await?;
        // A failed connection does not affect the others.
        tokio::spawn(serve(stream, room.clone()));
    }
}

async fn serve(stream: TcpStream, room: Sender<Utf8Bytes>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut socket = accept_async(stream).await?;
    // The first message counts as the login, which is not measured here.
    socket.next().await;
    let mut messages = room.subscribe();
    socket
        .send(Message::text(proto::message::CONGRATULATION))
        .await?;
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
                    let object = json!({"from": "admin", "text": text.as_str(), "at": at});
                    room.send(object.to_string().into())?;
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok(()),
            },
            text = messages.recv() => match text {
                Ok(text) => socket.send(Message::Text(text)).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}
