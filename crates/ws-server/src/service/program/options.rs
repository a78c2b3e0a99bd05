//! The keys of a route with the program service.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use proto::config::{As, Count, Limit, Size, TimeSpan, word};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{
    service::{
        ForwardedField,
        program::{ProgramCommand, ProgramDirectory, helper, limits::ProgramLimits},
    },
    session::PathPattern,
};

/// The program service, with the keys of its routes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramService {
    /// The program and its arguments, or `None` with a directory.
    pub command: Option<ProgramCommand>,
    /// The directory with a program for each path, or `None` with a command.
    pub directory: Option<ProgramDirectory>,
    /// The relation of messages to the program's input and output.
    #[serde(default, deserialize_with = "word")]
    pub mode: ProgramMode,
    /// The handling of messages with a line break, in the mode `line`.
    #[serde(default, deserialize_with = "word")]
    pub multiline: Multiline,
    /// The use of the program's stderr.
    #[serde(default, deserialize_with = "word")]
    pub stderr: Stderr,
    /// The variables of the server's environment that the program gets.
    #[serde(default, deserialize_with = "variables")]
    pub pass_env: Vec<String>,
    /// The fields of the client that are passed on although they are not by default.
    #[serde(default)]
    pub forward: Vec<ForwardedField>,
    /// The greatest number of processes of the route.
    #[serde(default = "default_max_processes", with = "As::<Count>")]
    pub max_processes: NonZeroUsize,
    /// The greatest length of a line of the program.
    #[serde(default = "default_max_line_bytes", with = "As::<Size>")]
    pub max_line_bytes: NonZeroUsize,
    /// The time after each step of the end: end of input, SIGINT, SIGTERM.
    #[serde(default = "default_grace", with = "As::<TimeSpan>")]
    pub grace: Duration,
    /// The greatest number of open files of a program.
    #[serde(default, with = "As::<Limit<Count>>")]
    pub max_open_files: Option<NonZeroUsize>,
    /// The greatest size of a program's address space.
    #[serde(default, with = "As::<Limit<Size>>")]
    pub max_memory_bytes: Option<NonZeroUsize>,
    /// The greatest processor time of a program, which is rounded up to seconds.
    #[serde(default, with = "As::<Limit<TimeSpan>>")]
    pub max_cpu_time: Option<Duration>,
    /// `true`: a program gains no privileges by executing others.
    #[serde(default)]
    pub no_new_privileges: bool,
    /// `true`: the kernel kills a program when the server has ended, even by SIGKILL.
    #[serde(default)]
    pub end_with_server: bool,
    /// The user that a program runs as, by number.
    #[serde(default, deserialize_with = "identity")]
    pub uid: Option<u32>,
    /// The group that a program runs as, by number.
    #[serde(default, deserialize_with = "identity")]
    pub gid: Option<u32>,
}

fn default_max_processes() -> NonZeroUsize {
    const { NonZeroUsize::new(256).unwrap() }
}

fn default_max_line_bytes() -> NonZeroUsize {
    const { NonZeroUsize::new(1024 * 1024).unwrap() }
}

/// The default of `grace`: three steps fit into the default of `drain_deadline`.
fn default_grace() -> Duration {
    Duration::from_secs(1)
}

/// The relation of messages to the program's input and output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgramMode {
    /// A text message is a line.
    #[default]
    Line,
    /// The bytes of messages are bytes of the streams.
    Binary,
}

/// The handling of messages with a line break inside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Multiline {
    /// The program gets several lines.
    #[default]
    Split,
    /// The session ends with 1003.
    Refuse,
}

/// The use of a program's stderr.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stderr {
    /// Its lines are logged.
    #[default]
    Log,
    /// Its lines are messages.
    Message,
}

/// Reads names of environment variables.
fn variables<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let is_name = |name: &String| !name.is_empty() && !name.contains(['=', '\0']);
    if names.iter().all(is_name) {
        Ok(names)
    } else {
        Err(D::Error::custom(
            "write names of environment variables, without values",
        ))
    }
}

/// Reads the number of a user or group.
fn identity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match u32::deserialize(deserializer) {
        // The greatest number stands for no change.
        Ok(number) if number != u32::MAX => Ok(Some(number)),
        Ok(_) | Err(_) => Err(D::Error::custom(
            "write the number of a user or group, such as 65534",
        )),
    }
}

impl ProgramService {
    /// Returns the limits of a program, if it has any.
    pub(super) fn limits(&self) -> Option<ProgramLimits> {
        let limits = ProgramLimits {
            identity: self.uid.zip(self.gid),
            no_new_privileges: self.no_new_privileges,
            ends_with_server: self.end_with_server,
            ..ProgramLimits::new(
                self.max_open_files,
                self.max_memory_bytes,
                self.max_cpu_time,
            )
        };
        (limits != ProgramLimits::default()).then_some(limits)
    }

    /// Checks the keys of the limits.
    fn check_limits(&self) -> Result<(), (&'static str, String)> {
        match (self.uid, self.gid) {
            (Some(_), None) => return Err(("uid", "write gid as well".to_owned())),
            (None, Some(_)) => return Err(("gid", "write uid as well".to_owned())),
            (Some(_), Some(_)) | (None, None) => {}
        }
        let Some(limits) = self.limits() else {
            return Ok(());
        };
        limits.check()?;
        if helper::is_ready() {
            return Ok(());
        }
        let keys = [
            ("max_open_files", self.max_open_files.is_some()),
            ("max_memory_bytes", self.max_memory_bytes.is_some()),
            ("max_cpu_time", self.max_cpu_time.is_some()),
            ("no_new_privileges", self.no_new_privileges),
            ("end_with_server", self.end_with_server),
        ];
        let first = keys.into_iter().find(|(_, is_set)| *is_set);
        let key = first.map_or("uid", |(key, _)| key);
        let problem = "limits need a call of `ws_server::run_helper` at the begin of `main`";
        Err((key, problem.to_owned()))
    }

    /// Returns the paths in the keys, to be made absolute.
    pub(crate) fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let command = self.command.as_mut().map(|command| &mut command.file);
        let directory = self.directory.as_mut().map(|directory| &mut directory.0);
        command.into_iter().chain(directory).collect()
    }

    /// Checks the keys against each other, and that the file of the command can be executed or the
    /// directory be opened. `pattern` is that of the route.
    ///
    /// # Errors
    ///
    /// The key, and the problem with its remedy.
    pub(crate) fn check(&self, pattern: &PathPattern) -> Result<(), (&'static str, String)> {
        if self.stderr == Stderr::Message && self.mode != ProgramMode::Line {
            let problem = "\"message\" is for the mode \"line\": write \"log\"";
            return Err(("stderr", problem.to_owned()));
        }
        self.check_limits()?;
        match (&self.command, &self.directory) {
            (None, None) => {
                let problem = "write `command`, or `directory` for one program per path";
                Err(("service", problem.to_owned()))
            }
            (Some(_), Some(_)) => {
                let problem = "write only one of command and directory";
                Err(("directory", problem.to_owned()))
            }
            (Some(command), None) => command.check().map_err(|problem| ("command", problem)),
            (None, Some(_)) if matches!(pattern, PathPattern::Exact(_)) => {
                let problem = "the path must end in /* or /**, which names the program";
                Err(("directory", problem.to_owned()))
            }
            (None, Some(directory)) => directory.check().map_err(|problem| ("directory", problem)),
        }
    }
}
