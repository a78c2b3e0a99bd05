//! Returns the paths of the binaries of this package.

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
