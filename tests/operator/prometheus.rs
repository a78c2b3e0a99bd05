//! The metrics, checked by `promtool` and by the parser of the Prometheus client library for
//! Python.

use std::collections::BTreeMap;

use integration_tests::{
    ADMIN, AdminClient, LoginMethod, ServerFiles, ServerProcess, assert_echo, peer_program, run,
};
use tokio::process::Command;

/// Prints each sample, and fails for a sample without metadata.
const PARSER: &str = r#"
import sys
from prometheus_client.parser import text_string_to_metric_families

for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.type in ("counter", "gauge"), family
    assert family.documentation, family
    for sample in family.samples:
        labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
        print(f"{sample.name}{{{labels}}} {sample.value:.0f}")
"#;

/// Returns the metrics after one successful and one failed login.
async fn scrape() -> String {
    let configuration = format!("{ADMIN}[[route]]\npath = \"/\"\nservice = \"echo\"\n");
    let files = ServerFiles::with_admin(&configuration);
    let mut server: ServerProcess = files.serve().await;
    let admin = AdminClient::for_server(&mut server).await;
    let mut session = LoginMethod::Message.log_in(&server, "admin:123456").await;
    assert_echo(&mut session, "hello").await;
    LoginMethod::Basic
        .assert_rejected(&server, "admin:wrong")
        .await;
    let answer = admin.request("GET", "/metrics").await;
    let kind = answer.field("content-type");
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    answer.body
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn promtool_accepts_the_metrics() {
    let mut promtool = Command::new(peer_program("prometheus/usr/bin/promtool"));
    promtool.args(["check", "metrics"]);
    let finished = run(promtool, scrape().await).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!((finished.stdout(), finished.stderr.as_str()), ("", ""));
}

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn prometheus_parser_reads_the_samples() {
    let mut parser = Command::new(peer_program("python-prometheus/bin/python"));
    parser.args(["-c", PARSER]);
    let finished = run(parser, scrape().await).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let samples: BTreeMap<&str, &str> = finished
        .stdout()
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap())
        .collect();
    for (sample, value) in [
        ("ws_server_connections{state=user}", "1"),
        ("ws_server_handshakes_total{status=101}", "1"),
        ("ws_server_handshakes_total{status=401}", "1"),
        ("ws_server_logins_total{method=message,result=ok}", "1"),
        (
            "ws_server_logins_total{method=basic,result=wrong_password}",
            "1",
        ),
        (
            "ws_server_logins_total{method=basic,result=unknown_user}",
            "0",
        ),
        ("ws_server_hashing_queue{}", "0"),
        ("ws_server_budget_refusals_total{}", "0"),
        ("ws_server_revocations_total{cause=user_removed}", "0"),
        ("ws_server_messages_total{direction=in}", "1"),
        ("ws_server_message_bytes_total{direction=out}", "26"),
        ("ws_server_reloads_total{result=ok}", "0"),
        ("ws_server_room_members{}", "0"),
        ("ws_server_room_evictions_total{}", "0"),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample}");
    }
    for timestamp in [
        "ws_server_last_reload_success_timestamp_seconds{}",
        "process_start_time_seconds{}",
    ] {
        let seconds: u64 = samples[timestamp].parse().unwrap();
        assert!(seconds > 1_700_000_000, "{timestamp} is {seconds}");
    }
}
