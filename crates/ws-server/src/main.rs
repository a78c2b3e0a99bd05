//! The `ws-server` binary, a wrapper of the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ws_server::cli::main()
}
