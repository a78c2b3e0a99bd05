//! The deployment steps of `docs/operation.md`, run below another root, up to the first
//! `systemctl` command.

use std::{env, fs};

use integration_tests::{
    ServerProcess, client, echoed_lines, revoked_message, root, run, server_binary,
};
use tempfile::TempDir;
use tokio::process::Command;

#[tokio::test]
#[ignore = "needs the programs of .ci/operator"]
async fn page_steps_start_a_server_that_clients_trust() {
    let page = root().join("crates/ws-server/docs/operation.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## Run it as a service\n").unwrap();
    let (_, steps) = section.split_once("```sh\n").unwrap();
    let (steps, systemd) = steps.split_once("systemctl").unwrap();
    assert!(systemd.starts_with(" daemon-reload\n"), "{systemd}");
    let scratch = TempDir::new().unwrap();
    let at = |path: &str| scratch.path().join(path).display().to_string();
    for directory in ["usr/local/bin", "etc/systemd/system", "run/ws-server"] {
        fs::create_dir_all(at(directory)).unwrap();
    }
    let steps = steps
        // A test has no right to change the groups of the system.
        .replace("groupadd --system --force ws-server-files\n", "")
        .replace(" -g ws-server-files", "")
        .replace("target/release/ws-server", &server_binary())
        .replace("/usr/", &at("usr/"))
        .replace("/etc/", &at("etc/"))
        // Replace the runtime directories of the unit.
        .replace("/run/credentials/ws-server.service/", &at("etc/ws-server/"))
        .replace("/run/ws-server/", &at("run/ws-server/"))
        .replace("[::]:443", "127.0.0.1:0")
        .replace("127.0.0.1:9180", "127.0.0.1:0")
        .replace("ws.example.org", "localhost");
    let path = format!("{}:{}", at("usr/local/bin"), env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-e", "-c", &steps]);
    command.env("PATH", path).current_dir(root());
    let finished = run(command, "secret\n").await;
    assert_eq!(finished.code, Some(0), "{steps}{finished:?}");
    for unit in [
        "ws-server.service",
        "ws-server.service.d/tls.conf",
        "ws-server.service.d/port-443.conf",
    ] {
        let unit = at(&format!("etc/systemd/system/{unit}"));
        assert!(fs::exists(&unit).unwrap(), "{unit}");
    }

    let configuration = at("etc/ws-server/server.toml");
    let mut command = Command::new(at("usr/local/bin/ws-server"));
    command.args(["--config", &configuration]);
    let server = ServerProcess::spawn(command).await;
    let url = format!("wss://localhost:{}", server.address.port());
    let command = client(["--cacert", &at("etc/ws-server/tls.crt"), &url]);
    let finished = run(command, "jane:secret\nhello\n").await;
    assert_eq!(finished.stdout(), echoed_lines(["hello"]), "{finished:?}");
    let mut command = Command::new(at("usr/local/bin/ws-server"));
    command.args(["ctl", "--config", &configuration, "revoke", "jane"]);
    let finished = run(command, "").await;
    assert_eq!(
        finished.stdout(),
        revoked_message("jane", 0),
        "{finished:?}"
    );
}
