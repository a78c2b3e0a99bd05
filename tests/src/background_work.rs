//! Work beside what is measured.

use std::{
    net::{Ipv4Addr, SocketAddr},
    thread,
};

use futures::future::{Either, select};
use tokio::{
    io,
    net::{TcpSocket, TcpStream},
    sync::oneshot,
    task::LocalSet,
};

/// Work on a thread of its own, which gives way to whoever measures on the same processor.
#[derive(Debug)]
pub struct BackgroundWork<T> {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<Option<T>>,
}

impl<T: Send + 'static> BackgroundWork<T> {
    /// Begins the work, which may spawn more of it on the same thread.
    pub fn start<F: Future<Output = T>>(work: impl FnOnce() -> F + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            // On Linux this is about the thread.
            rustix::process::nice(19).expect("a thread may give way");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            // What the work has spawned ends with the set.
            let spawned = LocalSet::new();
            let over = async { select(Box::pin(work()), stopped).await };
            match spawned.block_on(&runtime, over) {
                Either::Left((done, _)) => Some(done),
                Either::Right(_) => None,
            }
        });
        Self { stop, thread }
    }

    /// Whether the work is done.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the work, and returns what it came to; none if it was not done.
    pub fn stop(self) -> Option<T> {
        // The thread may be over, or have panicked, which is told next.
        let _ = self.stop.send(());
        self.thread.join().expect("the work does not fail")
    }
}

/// One of this machine's own addresses, which stand for different peers.
pub fn loopback_address(number: usize) -> Ipv4Addr {
    let [.., third, fourth] = u32::try_from(number)
        .expect("there are not so many")
        .to_be_bytes();
    // None of those that others use by themselves.
    Ipv4Addr::new(127, 1, third, fourth)
}

/// A connection from one of them.
pub async fn connect_from(address: Ipv4Addr, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((address, 0).into())?;
    let stream = socket.connect(server).await?;
    // What is sent is to leave at once.
    stream.set_nodelay(true)?;
    Ok(stream)
}
