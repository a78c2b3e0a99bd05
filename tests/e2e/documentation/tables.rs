//! Tables of the pages that list what the code defines.

use std::{collections::BTreeSet, fs};

use integration_tests::{
    ADMIN, AdminClient, LoginMethod, ServerFiles, accounts, root, self_signed,
};
use proto::close::{CloseCode, CloseReason, Retry};
use raw_peer::frame;

use super::pages::Page;

const MONITORING: &str = "crates/ws-server/docs/monitoring.md";

/// Returns the first cells of a table, without their backticks.
fn first_cells(page: &Page, header: &[&str]) -> BTreeSet<String> {
    let rows = page.table(header).into_iter();
    let mut cells = BTreeSet::new();
    for row in rows {
        let cell = row[0].trim_matches('`').to_owned();
        assert!(cells.insert(cell), "{row:?} is listed twice");
    }
    cells
}

/// Returns the metrics of a server after one session, followed by those of a server with TLS
/// and a route to an upstream.
async fn metrics() -> String {
    let accounts = accounts(&[("jane", "1")]);
    let files = ServerFiles::new(ADMIN, &accounts);
    let mut server = files.serve().await;
    let scraped = AdminClient::for_server(&mut server).await;
    let mut jane = LoginMethod::Basic.log_in(&server, "jane:1").await;
    jane.send(frame::close(1000, "")).await;
    jane.rest().await;
    let plain = scraped.metrics().await;

    let issued = self_signed(&["localhost"]);
    // Series of upstreams exist for routes that have one.
    let stream = "[[route]]\npath = \"/\"\nservice = \"stream\"\nto = \"tcp://127.0.0.1:1\"\n";
    let files = ServerFiles::with_tls(&format!("{stream}{ADMIN}"), &accounts, &issued);
    let mut server = files.serve().await;
    plain + &AdminClient::for_server(&mut server).await.metrics().await
}

#[tokio::test]
async fn metrics_table_lists_each_series() {
    let metrics = metrics().await;
    let types = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let exported: BTreeSet<_> = types.map(ToOwned::to_owned).collect();
    let rows = Page::read(MONITORING).table(&["Series", "Type", "Meaning"]);
    let listed = rows
        .iter()
        .map(|row| format!("{} {}", row[0].trim_matches('`'), row[1]));
    assert_eq!(listed.collect::<BTreeSet<_>>(), exported);
}

#[tokio::test]
async fn reasons_table_lists_each_login_result() {
    let metrics = metrics().await;
    let labels = metrics.lines().filter_map(|line| {
        let labels = line.strip_prefix("ws_server_logins_total{")?;
        let (_, result) = labels.split_once("result=\"")?;
        Some(result.split('"').next().unwrap().to_owned())
    });
    let mut exported: BTreeSet<_> = labels.collect();
    assert!(exported.remove("ok"));
    let listed = first_cells(&Page::read(MONITORING), &["`reason`", "Meaning"]);
    assert_eq!(listed, exported);
}

#[test]
fn audit_table_lists_each_event() {
    let source = root().join("crates/ws-server/src/log/audit.rs");
    let source = fs::read_to_string(source).unwrap();
    let events = source.split("event = %\"").skip(1);
    let events = events.map(|rest| rest.split('"').next().unwrap().to_owned());
    let listed = first_cells(&Page::read(MONITORING), &["`event`", "When", "Fields"]);
    assert_eq!(listed, events.collect());
}

#[test]
fn close_table_lists_each_code_and_its_retry() {
    let page = Page::read("crates/ws-server/docs/protocol.md");
    let rows = page.table(&["Code", "When the server sends it", "Reconnect?"]);
    let listed: BTreeSet<u16> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    let codes = CloseReason::ALL.map(|reason| reason.code().0);
    assert_eq!(listed, codes.into_iter().collect());
    for row in rows {
        let code = CloseCode(row[0].parse().unwrap());
        let expected = match code.retry() {
            Retry::No => "no",
            Retry::Now => "yes",
            Retry::Jitter => "yes, after a random delay",
            Retry::BackOff => "yes, with increasing delays",
        };
        assert_eq!(row[2], expected, "{code}");
    }
}
