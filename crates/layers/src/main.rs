//! Checks the crates in the given folders: `cargo run -p layers crates/ws-client`.
#![expect(
    clippy::print_stdout,
    reason = "the report is the output of this program"
)]

use std::{env, process::ExitCode};

use layers::Check;

fn main() -> ExitCode {
    let mut exit = ExitCode::SUCCESS;
    let folders: Vec<_> = env::args_os().skip(1).collect();
    if folders.is_empty() {
        println!("usage: layers CRATE...; each is the folder of a Cargo.toml");
        return ExitCode::from(2);
    }
    for folder in folders {
        print!("{}: ", folder.display());
        match Check::new(folder).run() {
            Ok(report) => println!("{report}"),
            Err(violations) => {
                println!("\n{violations}");
                exit = ExitCode::FAILURE;
            }
        }
    }
    exit
}
