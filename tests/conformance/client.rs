//! Conformance of the client's connection code, with an echo in place of a session.

use std::{collections::VecDeque, task::Poll};

use futures::future::poll_fn;
use integration_tests::fixtures;
use tokio::time::timeout;
use ws_client::{
    config::{Config, Flags},
    connect::{self, Deadline},
    console::Mode,
    handshake::Request,
    websocket::{Connection, ConnectionEvent, Message, Reading},
};

use crate::suite::{Suite, TEST_TIMEOUT};

#[tokio::test]
#[ignore = "needs the Autobahn testsuite of .ci/autobahn"]
async fn client_conforms_to_rfc_6455() {
    let suite = Suite::for_subject("ws-client");
    let server = suite.fuzz_clients().await;
    let url = &server.url;
    let all = async {
        let mut count = String::new();
        run_connection(&format!("{url}/getCaseCount"), |message| {
            count = text(message);
            None
        })
        .await;
        for case in 1..=count.parse::<usize>().expect("the value is a number") {
            run_connection(&format!("{url}/runCase?case={case}&agent=ws-client"), Some).await;
        }
        run_connection(&format!("{url}/updateReports?agent=ws-client"), |_| None).await;
    };
    timeout(TEST_TIMEOUT, all)
        .await
        .expect("the cases end in time");
    suite.check(&[]);
}

/// Connects to a server, answers its messages, and closes when the server does, with the code of
/// the program.
async fn run_connection(url: &str, mut answer: impl FnMut(Message) -> Option<Message>) {
    let flags = Flags {
        url: Some(url.to_owned()),
        ..Flags::default()
    };
    let config = Config::load(flags, &fixtures(), Mode::Pipe).expect("the URL can be used");
    let deadline = Deadline::after(config.connect_deadline);
    let key = connect::new_key().expect("random bytes are available");
    let request = Request::new(config.endpoint, key, config.origin);
    let stream = connect::tcp(request.endpoint(), deadline).await;
    let stream = stream.expect("the server accepts");
    let opened = connect::open(stream, &request, deadline).await;
    let opened = opened.expect("the server accepts the handshake");
    let mut connection = Connection::new(opened, config.max_message_bytes.get()).await;
    let mut answers = VecDeque::new();
    let end = loop {
        if connection.is_free()
            && let Some(message) = answers.pop_front()
        {
            connection.queue(message);
        }
        // Send an answer before reading on: the next frame may be a protocol violation.
        let event = poll_fn(|cx| match connection.poll_event(cx, Reading::Paused) {
            Poll::Pending => connection.poll_event(cx, Reading::On),
            Poll::Ready(event) => Poll::Ready(event),
        });
        match event.await {
            ConnectionEvent::Received(message) => answers.extend(answer(message)),
            ConnectionEvent::Pong(_) | ConnectionEvent::Sent | ConnectionEvent::Flushed => {}
            ConnectionEvent::Closed(end) => break end,
        }
    };
    connection.finish_close(&end, config.close_deadline).await;
}

fn text(message: Message) -> String {
    match message {
        Message::Text(text) => text.to_string(),
        Message::Binary(bytes) => panic!("not a text: {bytes:?}"),
    }
}
