//! What the tests and benchmarks of this member spawn, how they wait for it, and what they attack
//! it with.
//!
//! Both binaries are built by cargo before whatever spawns them, on a fresh clone as well: the
//! member has a copy of each, named `e2e-ws-server` and `e2e-ws-client`. It deliberately is no
//! place for assertions about the product, which stand in the tests; but for [`properties`], which
//! fuzzing drives as well. Everything here panics, and says why, where a test has failed.

#![expect(
    clippy::missing_panics_doc,
    reason = "a test that has failed is told by a panic, everywhere"
)]

pub mod attacks;
pub mod properties;

mod admin_client;
mod background_work;
mod bench_report;
mod bench_server;
mod bench_stream;
mod browser;
mod certificates;
mod client_process;
mod comparison;
mod cpu_pinning;
mod http_response;
mod load_generator;
mod login;
mod message_cost;
mod nginx;
mod peer_programs;
mod server_files;
mod server_process;
mod terminal;
mod texts;
mod tls_client;
mod tls_proxy;
mod well_behaved_client;

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use tokio::{process::Child, time::timeout};

pub use self::{
    admin_client::{ADMIN, AdminClient, ctl, ctl_ok},
    background_work::{BackgroundWork, connect_from, loopback_address},
    bench_report::{BenchReport, is_selected, median, percentile},
    bench_server::BenchServer,
    browser::{Browser, ColourScheme},
    certificates::{Authority, IssuedCertificate, self_signed},
    client_process::{ProcessOutput, client, run, run_within, spawn, spawn_logged_in},
    comparison::Comparison,
    cpu_pinning::CpuPinning,
    http_response::HttpResponse,
    load_generator::{LoadGenerator, Workload},
    login::{
        CHALLENGE, LoginMethod, assert_echo, authorization, handshake_with, send_request,
        wrong_credentials_response,
    },
    message_cost::{ATTEMPTS, ROUNDS, WORKLOADS, message_cost},
    nginx::Nginx,
    peer_programs::peer_program,
    server_files::{
        ACCOUNTS, CERTIFICATE, CONFIGURATION, PRIVATE_KEY, ServerFiles, account, accounts, replace,
    },
    server_process::{ServerProcess, resolved},
    terminal::Terminal,
    texts::{
        CONGRATULATION, CREDENTIALS_PROMPT, GOODBYE, MESSAGE_PROMPT, PREFIX, SORRY, close_frame_of,
        echoed, echoed_lines, welcome_and_goodbye,
    },
    tls_client::{SERVER_NAME, TlsClient},
    tls_proxy::{RelayOutcome, TlsProxy},
    well_behaved_client::WellBehavedClient,
};

/// How long a test waits for what must come. It only bounds tests that fail.
pub const TEST_TIMEOUT: Duration = Duration::from_mins(1);

/// The path of the server binary.
pub fn server_binary() -> String {
    binary("e2e-ws-server")
}

/// The path of the client binary.
pub fn client_binary() -> String {
    binary("e2e-ws-client")
}

/// The path of the server that the benchmarks compare ours with.
pub fn plain_server_binary() -> String {
    binary("plain-server")
}

/// The path of the room that the benchmarks compare ours with.
pub fn plain_room_binary() -> String {
    binary("plain-room")
}

/// The path of the server that does the least.
pub fn bare_server_binary() -> String {
    binary("bare-server")
}

/// The path of a binary of this member, which cargo tells to the tests and benchmarks that it runs.
fn binary(name: &str) -> String {
    std::env::var(format!("CARGO_BIN_EXE_{name}"))
        .unwrap_or_else(|_| panic!("cargo tells where {name} is: run this by `cargo test`"))
}

/// The root of the workspace, where the README's commands are run.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the root is there")
}

/// Returns the directory of the files that most tests start both binaries with. It holds no `config`
/// directory, so both take their defaults there.
pub fn fixtures() -> PathBuf {
    root().join("tests/fixtures")
}

/// Returns the path of a fixture.
pub fn fixture(name: &str) -> PathBuf {
    fixtures().join(name)
}

/// A file of the shipped configuration. Only tests about the shipped files use it: users edit them.
pub fn shipped(name: &str) -> PathBuf {
    root().join("config").join(name)
}

/// Waits for the end of a process.
pub async fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let end = timeout(TEST_TIMEOUT, child.wait()).await;
    end.expect("the process ends in time")
        .expect("the process can be waited for")
}
