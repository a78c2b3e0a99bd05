//! The services whose sessions have a backend: a connection or a process of their own.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    service::{
        connect_request::{BackendError, ConnectRequest},
        program::{ProgramBackend, ProgramService},
        relay::{Relay, RelayBackend},
        stream::{StreamBackend, StreamService},
    },
    session::{Ended, PathPattern, Session},
};

/// The time to start a program, which is usually a millisecond.
const START_DEADLINE: Duration = Duration::from_secs(5);

/// A service that connects a backend for each session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum BackedService {
    /// The relay.
    Relay(Relay),
    /// The stream.
    Stream(StreamService),
    /// The program.
    Program(ProgramService),
}

/// The backend of one session.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a backend is always boxed")]
pub(crate) enum Backend {
    /// The connection of a relay.
    Relay(RelayBackend),
    /// The connection of a stream.
    Stream(StreamBackend),
    /// A program.
    Program(ProgramBackend),
}

impl BackedService {
    /// Returns the time for [`BackedService::connect`].
    pub(crate) fn connect_deadline(&self) -> Duration {
        match self {
            Self::Relay(relay) => relay.connect_deadline,
            Self::Stream(stream) => stream.connect_deadline,
            Self::Program(_) => START_DEADLINE,
        }
    }

    /// Returns the greatest number of descriptors of a backend.
    pub(crate) fn descriptors(&self) -> usize {
        match self {
            Self::Relay(_) | Self::Stream(_) => 1,
            // The pipes of stdin, stdout and stderr.
            Self::Program(_) => 3,
        }
    }

    /// Returns the subprotocols of a route that does not list any.
    pub(crate) fn subprotocols(&self) -> &'static [&'static str] {
        match self {
            Self::Relay(_) | Self::Program(_) => &[],
            // Clients of `websockify` offer it.
            Self::Stream(_) => &["binary"],
        }
    }

    /// Returns the paths in the options, to be made absolute.
    pub(crate) fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Relay(relay) => relay.paths_mut(),
            Self::Stream(stream) => stream.to.0.path_mut().into_iter().collect(),
            Self::Program(program) => program.paths_mut(),
        }
    }

    /// Checks the options against each other, the pattern of the route and the system.
    ///
    /// # Errors
    ///
    /// The key, and the problem with its remedy.
    pub(crate) fn check(&self, pattern: &PathPattern) -> Result<(), (&'static str, String)> {
        match self {
            Self::Relay(relay) => relay
                .check()
                .map_err(|(key, problem)| (key, problem.to_owned())),
            Self::Stream(_) => Ok(()),
            Self::Program(program) => program.check(pattern),
        }
    }

    /// Returns the files in the options, which are read when the configuration is loaded.
    pub(crate) fn named_files(&self) -> Vec<&Path> {
        match self {
            Self::Relay(relay) => relay.named_files(),
            Self::Stream(_) | Self::Program(_) => Vec::new(),
        }
    }

    /// Connects a backend. The caller sets a deadline. Dropping the future must leave nothing behind.
    pub(crate) async fn connect(
        &self,
        request: ConnectRequest<'_>,
    ) -> Result<Backend, BackendError> {
        match self {
            Self::Relay(relay) => relay.connect(request).await.map(Backend::Relay),
            Self::Stream(stream) => stream.connect(request).await.map(Backend::Stream),
            Self::Program(program) => program.connect(request).await.map(Backend::Program),
        }
    }
}

impl Backend {
    /// Returns the subprotocol for the response to the client. `chosen` is the one of the route's list
    /// that the client offers.
    pub(crate) fn subprotocol(&self, chosen: Option<String>) -> Option<String> {
        match self {
            // Its upstream selects.
            Self::Relay(relay) => relay.subprotocol().map(ToOwned::to_owned),
            Self::Stream(_) | Self::Program(_) => chosen,
        }
    }

    /// Runs the session until one side ends it.
    ///
    /// # Errors
    ///
    /// The reason for the end of the session. There is no other result.
    pub(crate) async fn run<S>(&mut self, session: &mut Session<S>) -> Result<Infallible, Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self {
            Self::Relay(relay) => relay.run(session).await,
            Self::Stream(stream) => stream.run(session).await,
            Self::Program(program) => program.run(session).await,
        }
    }

    /// Ends the backend of a session that has ended, while the session closes. It must bound its time by
    /// deadlines. Dropping the future must leave nothing behind.
    pub(crate) async fn close(self, ended: &Ended) {
        match self {
            Self::Relay(relay) => relay.close(ended).await,
            Self::Stream(stream) => stream.close(ended).await,
            Self::Program(program) => program.close(ended).await,
        }
    }
}
