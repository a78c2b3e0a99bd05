//! The TOML in the pages.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use integration_tests::{Authority, run, server_binary};
use proto::credentials::Accounts;
use tempfile::TempDir;
use tokio::process::Command;
use ws_client::{
    config::{Config, Flags},
    console::Mode,
};

use super::pages::Page;

const ACCOUNTS: &str = "[[user]]\nname = \"admin\"\npassword = \"1\"\n";

#[tokio::test]
async fn toml_blocks_are_valid_configurations() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("credentials.toml"), ACCOUNTS).unwrap();
    fs::write(at("authority.pem"), Authority::new().certificate()).unwrap();
    fs::write(at("password"), "1\n").unwrap();
    fs::write(at("tickets.secret"), "0f".repeat(32)).unwrap();
    fs::set_permissions(at("tickets.secret"), Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(at("programs")).unwrap();
    fs::set_permissions(at("programs"), Permissions::from_mode(0o755)).unwrap();
    let (mut accounts, mut clients, mut servers) = (0, 0, 0);
    for page in Page::all() {
        for block in page.blocks("toml") {
            if block.contains("[[user]]") {
                accounts += 1;
                let parsed = Accounts::from_toml(&block);
                assert!(parsed.is_ok(), "{}: {parsed:?}\n{block}", page.path);
            } else if page.path.starts_with("crates/ws-client/") {
                clients += 1;
                fs::write(at("client.toml"), &block).unwrap();
                let flags = Flags {
                    config: Some(at("client.toml")),
                    ..Flags::default()
                };
                let loaded = Config::load(flags, Path::new(""), Mode::Interactive);
                assert!(loaded.is_ok(), "{}: {loaded:?}\n{block}", page.path);
            } else {
                servers += 1;
                fs::write(at("server.toml"), &block).unwrap();
                let mut command = Command::new(server_binary());
                command.args(["--check-config", "--config", "server.toml"]);
                command.current_dir(directory.path());
                let finished = run(command, "").await;
                assert_eq!(
                    finished.code,
                    Some(0),
                    "{}: {finished:?}\n{block}",
                    page.path
                );
            }
        }
    }
    assert!(
        accounts > 0 && clients > 0 && servers > 2,
        "{accounts} {clients} {servers}"
    );
}
