//! The steps that make the server a service.

use std::fs;

use integration_tests::{
    CONFIGURATION, LoginMethod, ServerProcess, assert_echo, fixture, root, run, server_binary,
};
use tempfile::TempDir;
use tokio::process::Command;

use super::pages::Page;

/// Runs the steps below another root, up to those of systemd.
#[tokio::test]
async fn deployment_steps_lead_to_a_server_for_jane() {
    let page = Page::read("config/deploy/README.md");
    let steps = &page.blocks("sh")[0];
    let (steps, systemd) = steps.split_once("systemctl").unwrap();
    assert!(systemd.starts_with(" daemon-reload\n"), "{systemd}");
    let scratch = TempDir::new().unwrap();
    for directory in ["usr/local/bin", "etc/systemd/system"] {
        fs::create_dir_all(scratch.path().join(directory)).unwrap();
    }
    let programs = scratch.path().join("usr/local/bin");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let steps = steps
        .replace("target/release/ws-server", &server_binary())
        .replace(
            "config/server.toml",
            fixture(CONFIGURATION).to_str().unwrap(),
        )
        .replace("/usr/", &format!("{}/usr/", scratch.path().display()))
        .replace("/etc/", &format!("{}/etc/", scratch.path().display()));
    let mut command = Command::new("sh");
    command
        .args(["-e", "-c", &steps])
        .env("PATH", path)
        .current_dir(root());
    let finished = run(command, "secret\n").await;
    assert_eq!(finished.code, Some(0), "{steps}{finished:?}");
    let holds = "credentials.toml holds 1 user: jane (passwords are not shown)\n";
    assert!(finished.stdout().ends_with(holds), "{finished:?}");

    let etc = scratch.path().join("etc");
    let unit = fs::read_to_string(etc.join("systemd/system/ws-server.service")).unwrap();
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let start = start
        .unwrap()
        .replace("/usr/", &format!("{}/usr/", scratch.path().display()))
        .replace("/etc/", &format!("{}/", etc.display()))
        .replace("%d", &etc.join("ws-server").display().to_string());
    let mut arguments = start.split(' ');
    let mut command = Command::new(arguments.next().unwrap());
    command.args(arguments).args(["--listen", "127.0.0.1:0"]);
    let server = ServerProcess::spawn(command).await;
    assert_echo(
        &mut LoginMethod::Basic.log_in(&server, "jane:secret").await,
        "hello",
    )
    .await;
}
