//! The `ws-server` binary; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ws_server::cli::main()
}
