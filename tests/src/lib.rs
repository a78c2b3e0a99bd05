//! The harness of the integration tests and benchmarks: processes, peers, attacks and properties.
//!
//! Cargo builds copies of both binaries for this package, `e2e-ws-server` and `e2e-ws-client`,
//! before the tests that spawn them. The harness asserts nothing about the product, except in
//! [`properties`], which fuzzing uses too. Its functions panic where a test fails.

#![expect(
    clippy::missing_panics_doc,
    reason = "the harness panics where a test fails"
)]

pub mod attacks;
pub mod properties;

mod admin_client;
mod background_work;
mod bench_report;
mod bench_server;
mod bench_stream;
mod binaries;
mod browser;
mod certificates;
mod client_process;
mod comparison;
mod cpu_pinning;
mod http_response;
mod load_generator;
mod login;
mod loopback;
mod message_cost;
mod nginx;
mod paths;
mod peer_programs;
mod process;
mod server_files;
mod server_process;
mod terminal;
mod texts;
mod tls_client;
mod tls_proxy;
mod well_behaved_client;

pub use self::{
    admin_client::{ADMIN, AdminClient, ctl, ctl_ok, metric_over_socket},
    background_work::BackgroundWork,
    bench_report::{BenchReport, is_selected, mebibytes, median, percentile, to_f64},
    bench_server::BenchServer,
    binaries::{
        bare_server_binary, client_binary, plain_room_binary, plain_server_binary, server_binary,
    },
    browser::{Browser, ColourScheme},
    certificates::{Authority, IssuedCertificate, self_signed},
    client_process::{client, spawn_logged_in},
    comparison::Comparison,
    cpu_pinning::CpuPinning,
    http_response::HttpResponse,
    load_generator::{LoadGenerator, Workload},
    login::{
        CHALLENGE, LoginMethod, assert_echo, authorization, handshake_with, send_request,
        wrong_credentials_response,
    },
    loopback::{connect_from, loopback_address},
    message_cost::{ATTEMPTS, ROUNDS, WORKLOADS, message_cost},
    nginx::Nginx,
    paths::{fixture, fixtures, root, shipped},
    peer_programs::peer_program,
    process::{
        ProcessOutput, TEST_TIMEOUT, run, run_ok, run_within, send_signal, spawn, wait_for_exit,
        wait_for_output,
    },
    server_files::{
        ACCOUNTS, CERTIFICATE, CONFIGURATION, PRIVATE_KEY, ServerFiles, account, accounts,
        admin_account, password_hash,
    },
    server_process::{ServerProcess, resolved},
    terminal::Terminal,
    texts::{
        ADMIN_SESSION, AFTER_RESTART, AUTH_BASIC_HINT, CLOSED_BY_USER_EXIT, CONGRATULATION,
        CONNECTION_LOST, CREDENTIALS_PROMPT, CREDENTIALS_REFUSED, DRAINING, GOODBYE,
        HANDSHAKE_REFUSED, LOGIN_FAILED, LOGIN_FAILED_EVENT, MESSAGE_PROMPT, NOT_RELOADED, PREFIX,
        RELOADED, SESSION_ENDED, SESSION_OPENED, SORRY, close_frame_of, echoed, echoed_lines,
        revoked_message, users_of_file, welcome_and_goodbye,
    },
    tls_client::{SERVER_NAME, TlsClient},
    tls_proxy::{RelayOutcome, TlsProxy},
    well_behaved_client::WellBehavedClient,
};
