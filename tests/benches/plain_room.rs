//! A room by tokio-tungstenite and tokio's broadcast channel, written as one writes it first: a task
//! for each member, which sends and flushes each message by itself. It has no deadline, and a member
//! that reads slowly misses messages without being told. It is what the benchmarks compare the rooms
//! of `ws-server` with.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it is no part of the product, and is to be ordinary"
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
        // A connection that fails concerns nobody else.
        tokio::spawn(serve(stream, room.clone()));
    }
}

async fn serve(stream: TcpStream, room: Sender<Utf8Bytes>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut socket = accept_async(stream).await?;
    // Whatever comes first is taken for a login: it is not what is measured.
    socket.next().await;
    let mut said = room.subscribe();
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
            text = said.recv() => match text {
                Ok(text) => socket.send(Message::Text(text)).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}
