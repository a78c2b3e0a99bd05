//! A visit to a server, from the first connection to the last words. It has a console all along:
//! whatever becomes of the connection, somebody may be there to be told, or to have typed ahead.

use std::{future::Future, pin::pin, task::Poll};

use futures::{Stream, StreamExt as _, future::poll_fn};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    config::LoginSource,
    connect::{ConnectError, Opened},
    console::Console,
    ending::{Circumstances, Ending, Parting, Stage, Tally, conclude},
    exit::Exit,
    last_words::last_words,
    link::Link,
    session::{Session, Times},
};

/// A console, and what is kept to while it is used.
#[derive(Debug)]
pub(crate) struct Visit<C> {
    pub(crate) console: C,
    pub(crate) times: Times,
    /// See [`crate::config::Config::max_message_bytes`].
    pub(crate) max_message_bytes: usize,
}

impl<C: Console> Visit<C> {
    /// Runs the visit to its end. Until the connection is open, the first interrupt ends it.
    pub(crate) async fn run<S>(
        mut self,
        login: LoginSource,
        dial: impl Future<Output = Result<Opened<S>, ConnectError>>,
        mut interrupts: impl Stream<Item = ()> + Unpin,
    ) -> Exit
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let opened = tokio::select! {
            biased;
            Some(()) = interrupts.next() => Err(Ending::Interrupted),
            opened = self.connect(dial) => opened,
        };
        match opened {
            Ok(opened) => {
                let link = Link::new(opened, self.max_message_bytes).await;
                let session = Session::new(link, self.console, self.times);
                session.run(login, interrupts).await
            }
            Err(ending) => {
                self.console.hush();
                let exit = tokio::select! {
                    biased;
                    Some(()) = interrupts.next() => Exit::Interrupted,
                    exit = self.leave(&ending) => exit,
                };
                self.console.finish().await;
                exit
            }
        }
    }

    /// Connects, and has written meanwhile what is queued.
    async fn connect<S>(
        &mut self,
        dial: impl Future<Output = Result<Opened<S>, ConnectError>>,
    ) -> Result<Opened<S>, Ending> {
        let mut dial = pin!(dial);
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = dial.as_mut().poll(cx) {
                    return Poll::Ready(result.map_err(Ending::NoConnection));
                }
                match self.console.poll_turn(cx, None) {
                    Poll::Ready(turn) => turn.line().map(drop)?,
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Ends a visit that has not come to a session.
    async fn leave(&mut self, ending: &Ending) -> Exit {
        let circumstances = Circumstances {
            audience: self.console.audience(),
            stage: Stage::LoggingIn,
            tally: Tally::default(),
        };
        let deadline = self.times.close_deadline;
        let conclusion = conclude(ending, Parting::Unneeded, circumstances, deadline);
        last_words(&mut self.console, ending, conclusion, 0, deadline).await
    }
}
