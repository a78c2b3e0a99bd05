//! Connections from loopback addresses.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::net::{TcpSocket, TcpStream};

/// Returns a loopback address, so that tests can act as different peers.
pub fn loopback_address(number: usize) -> Ipv4Addr {
    let [.., third, fourth] = u32::try_from(number)
        .expect("the number fits into 32 bits")
        .to_be_bytes();
    // A network that no test uses by itself.
    Ipv4Addr::new(127, 1, third, fourth)
}

/// Connects from a loopback address, with `TCP_NODELAY`.
pub async fn connect_from(address: Ipv4Addr, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((address, 0).into())?;
    let stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
