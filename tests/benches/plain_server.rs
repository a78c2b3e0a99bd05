//! The dialogue by tokio-tungstenite alone, in the simplest way: library defaults, a task for
//! each connection, a flush for each answer. It has no deadlines and no limits. The benchmarks
//! compare `ws-server` with it.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it is an ordinary program for a benchmark"
)]

use anyhow::Result;
use futures::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{accept_async, tungstenite::Message};

const CREDENTIALS: &str = "admin:123456";

#[tokio::main]
async fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on ws://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        // A failed connection does not affect the others.
        tokio::spawn(serve(stream));
    }
}

async fn serve(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut socket = accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        if matches!(message?, Message::Text(text) if text == CREDENTIALS) {
            socket
                .send(Message::text(proto::message::CONGRATULATION))
                .await?;
            break;
        }
        socket.send(Message::text(proto::message::SORRY)).await?;
    }
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(text) => {
                let answer = format!("your submit context: {text}");
                socket.send(Message::text(answer)).await?;
            }
            Message::Binary(bytes) => socket.send(Message::Binary(bytes)).await?,
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
        }
    }
    Ok(())
}
