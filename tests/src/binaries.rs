//! Paths of the binaries of this package.

/// Returns the path of the server binary.
pub fn server_binary() -> String {
    binary("e2e-ws-server")
}

/// Returns the path of the client binary.
pub fn client_binary() -> String {
    binary("e2e-ws-client")
}

/// Returns the path of the ordinary server for the benchmarks.
pub fn plain_server_binary() -> String {
    binary("plain-server")
}

/// Returns the path of the ordinary room for the benchmarks.
pub fn plain_room_binary() -> String {
    binary("plain-room")
}

/// Returns the path of the minimal server for the benchmarks.
pub fn bare_server_binary() -> String {
    binary("bare-server")
}

/// Returns the path of a binary, which cargo passes to tests and benchmarks.
fn binary(name: &str) -> String {
    std::env::var(format!("CARGO_BIN_EXE_{name}"))
        .unwrap_or_else(|_| panic!("the path of {name} is missing: run this by `cargo test`"))
}
