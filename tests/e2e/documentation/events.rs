//! The table of the page on events, compared with the events of real runs.

use std::collections::BTreeSet;

use futures::{SinkExt as _, StreamExt as _};
use integration_tests::{ProcessOutput, ServerProcess, client, run};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_tungstenite::{
    accept_async,
    tungstenite::{
        Bytes, Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::pages::Page;

/// The name of an event, a field and its type.
type Row = (String, String, String);

/// Returns the events that a client wrote. The name of each comes first.
fn events(finished: &ProcessOutput) -> Vec<Value> {
    let lines = finished.stdout().lines();
    let parsed = lines.map(|line| {
        assert!(line.starts_with("{\"event\":\""), "{line}");
        serde_json::from_str(line).unwrap()
    });
    parsed.collect()
}

fn rows(events: &[Value]) -> BTreeSet<Row> {
    let mut rows = BTreeSet::new();
    for event in events {
        let fields = event.as_object().unwrap();
        for (field, value) in fields.iter().filter(|(field, _)| *field != "event") {
            let kind = match value {
                Value::String(_) => "string",
                Value::Number(_) => "number",
                Value::Null => "null",
                other => panic!("{other} in {event}"),
            };
            let name = fields["event"].as_str().unwrap().to_owned();
            rows.insert((name, field.clone(), kind.to_owned()));
        }
    }
    rows
}

/// Sends a binary message and a pong, and closes without a code.
async fn serve(listener: TcpListener, frame: Option<CloseFrame>) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut socket = accept_async(stream).await.unwrap();
    let binary = Bytes::from_static(b"\0\xff");
    socket.send(Message::Binary(binary)).await.unwrap();
    socket.send(Message::Pong(Bytes::new())).await.unwrap();
    socket.send(Message::Close(frame)).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
}

/// Runs a client without a login against [`serve`].
async fn run_against_peer(frame: Option<CloseFrame>) -> ProcessOutput {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let arguments = [url.as_str(), "--json", "--auth", "none", "-w", "forever"];
    let (finished, ()) = tokio::join!(run(client(arguments), ""), serve(listener, frame));
    finished
}

#[tokio::test]
async fn events_table_lists_each_field_and_type() {
    let server = ServerProcess::start().await;
    let url = server.url();
    let echoed = run(client([&url, "--json"]), "admin:123456\nhello\n").await;
    assert_eq!(echoed.code, Some(0), "{echoed:?}");
    let frame = CloseFrame {
        code: CloseCode::Away,
        reason: "bye".into(),
    };
    let closed = run_against_peer(Some(frame)).await;
    assert_eq!(closed.code, Some(8), "{closed:?}");
    let without_code = run_against_peer(None).await;
    let unreachable = run(client(["--json", "ws://127.0.0.1:1"]), "").await;
    assert_eq!(unreachable.code, Some(4), "{unreachable:?}");
    let runs = [&echoed, &closed, &without_code, &unreachable];
    for finished in runs {
        let end = events(finished).pop().unwrap();
        assert_eq!(end["event"], "end");
        assert_eq!(end["exit"].as_i64(), finished.code.map(i64::from));
    }
    let close = &events(&closed)[5];
    assert_eq!(close.to_string(), {
        r#"{"by":"server","code":1001,"event":"close","reason":"bye"}"#
    });

    let found = rows(&runs.map(events).concat());
    let table =
        Page::read("crates/ws-client/docs/events.md").table(&["Event", "Field", "Type", "Meaning"]);
    let listed = table.iter().flat_map(|row| {
        let [event, field] = [0, 1].map(|cell| row[cell].trim_matches('`').to_owned());
        let kinds = row[2].split(" or ").map(str::to_owned);
        kinds.map(move |kind| (event.clone(), field.clone(), kind))
    });
    assert_eq!(listed.collect::<BTreeSet<_>>(), found);
}
