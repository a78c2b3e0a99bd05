//! The limits and the identity of a program.

use std::{ffi::OsString, num::NonZeroUsize, time::Duration};

use rustix::{
    io::Errno,
    process::{
        Gid, Resource, Rlimit, Signal, Uid, getrlimit, set_parent_process_death_signal, setrlimit,
    },
    thread::{
        CapabilitySet, capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
        set_thread_res_uid,
    },
};

/// The argument for a limit that does not apply.
const OFF: &str = "-";

/// The limits and the identity of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ProgramLimits {
    /// The greatest number of open files.
    pub(super) open_files: Option<u64>,
    /// The greatest size of the address space, in bytes.
    pub(super) memory: Option<u64>,
    /// The greatest processor time, in seconds.
    pub(super) cpu_seconds: Option<u64>,
    /// The user and the group.
    pub(super) identity: Option<(u32, u32)>,
    /// No program that it executes gains privileges.
    pub(super) no_new_privileges: bool,
    /// The kernel kills the program when the server ends.
    pub(super) ends_with_server: bool,
}

impl ProgramLimits {
    /// Creates limits from the values of the keys.
    pub(super) fn new(
        max_open_files: Option<NonZeroUsize>,
        max_memory_bytes: Option<NonZeroUsize>,
        max_cpu_time: Option<Duration>,
    ) -> Self {
        let number = |value: NonZeroUsize| value.get() as u64;
        Self {
            open_files: max_open_files.map(number),
            memory: max_memory_bytes.map(number),
            // The kernel knows whole seconds.
            cpu_seconds: max_cpu_time
                .map(|time| time.as_secs() + u64::from(time.subsec_nanos() > 0)),
            ..Self::default()
        }
    }

    /// Checks that the server may set the identity and the number of open files.
    ///
    /// # Errors
    ///
    /// The key, and the problem with its remedy.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let needed = CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::KILL;
        let may_change = || {
            let own = capabilities(None);
            own.is_ok_and(|own| own.effective.contains(needed))
        };
        if self.identity.is_some() && !may_change() {
            let problem = "the server needs the capabilities CAP_SETUID, CAP_SETGID and CAP_KILL, \
                           which root has";
            return Err(("uid", problem.to_owned()));
        }
        if let (Some(wanted), Some(most)) = (self.open_files, getrlimit(Resource::Nofile).maximum)
            && wanted > most
        {
            let problem = format!("the hard limit of the server is {most}");
            return Err(("max_open_files", problem));
        }
        Ok(())
    }

    /// Returns the arguments for a helper.
    pub(super) fn to_arguments(&self) -> [String; 7] {
        let number = |value: Option<u64>| value.map_or(OFF.to_owned(), |value| value.to_string());
        let flag = |is_set: bool| number(is_set.then_some(1));
        [
            number(self.open_files),
            number(self.memory),
            number(self.cpu_seconds),
            number(self.identity.map(|(uid, _)| uid.into())),
            number(self.identity.map(|(_, gid)| gid.into())),
            flag(self.no_new_privileges),
            flag(self.ends_with_server),
        ]
    }

    /// Reads the arguments of a helper.
    pub(super) fn from_arguments(arguments: &mut impl Iterator<Item = OsString>) -> Option<Self> {
        let mut number = || -> Option<Option<u64>> {
            let argument = arguments.next()?.into_string().ok()?;
            if argument == OFF {
                return Some(None);
            }
            argument.parse().ok().map(Some)
        };
        let (open_files, memory, cpu_seconds) = (number()?, number()?, number()?);
        let identity = match (number()?, number()?) {
            (None, None) => None,
            (Some(uid), Some(gid)) => Some((uid.try_into().ok()?, gid.try_into().ok()?)),
            (Some(_), None) | (None, Some(_)) => return None,
        };
        Some(Self {
            open_files,
            memory,
            cpu_seconds,
            identity,
            no_new_privileges: number()?.is_some(),
            ends_with_server: number()?.is_some(),
        })
    }

    /// Applies the limits to this process, which must have one thread.
    ///
    /// # Errors
    ///
    /// The name of the limit that the kernel refuses.
    pub(super) fn apply(&self) -> Result<(), (&'static str, Errno)> {
        let named = |name: &'static str| move |error: Errno| (name, error);
        if let Some((uid, gid)) = self.identity {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            // The user last: it has no right to change groups.
            set_thread_groups(&[gid]).map_err(named("supplementary groups"))?;
            set_thread_res_gid(gid, gid, gid).map_err(named("group"))?;
            set_thread_res_uid(uid, uid, uid).map_err(named("user"))?;
        }
        let limit = |resource, soft: Option<u64>, hard: Option<u64>| match soft {
            None => Ok(()),
            Some(_) => setrlimit(
                resource,
                Rlimit {
                    current: soft,
                    maximum: hard,
                },
            ),
        };
        limit(Resource::Nofile, self.open_files, self.open_files)
            .map_err(named("number of open files"))?;
        limit(Resource::As, self.memory, self.memory).map_err(named("memory"))?;
        // SIGXCPU, and a second later SIGKILL.
        let last = self.cpu_seconds.map(|seconds| seconds.saturating_add(1));
        limit(Resource::Cpu, self.cpu_seconds, last).map_err(named("processor time"))?;
        if self.no_new_privileges {
            set_no_new_privs(true).map_err(named("privileges"))?;
        }
        // A change of the user would clear it.
        if self.ends_with_server {
            set_parent_process_death_signal(Some(Signal::KILL))
                .map_err(named("signal at the end of the server"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, num::NonZeroUsize, time::Duration};

    use super::ProgramLimits;

    fn read(arguments: &[&str]) -> Option<ProgramLimits> {
        ProgramLimits::from_arguments(&mut arguments.iter().map(OsString::from))
    }

    #[test]
    fn arguments_of_helper_read_back() {
        let number = NonZeroUsize::new(64);
        let limits = ProgramLimits::new(number, number, Some(Duration::from_millis(1500)));
        assert_eq!(limits.cpu_seconds, Some(2));
        let all = ProgramLimits {
            identity: Some((65534, 7)),
            no_new_privileges: true,
            ends_with_server: true,
            ..limits.clone()
        };
        for limits in [ProgramLimits::default(), limits, all] {
            let arguments = limits.to_arguments();
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            assert_eq!(read(&arguments), Some(limits));
            assert_eq!(read(&arguments[1..]), None);
        }
        for mistake in ["", "x", "-1", "18446744073709551616"] {
            let arguments = [mistake, "-", "-", "-", "-", "-", "-"];
            assert_eq!(read(&arguments), None, "{mistake}");
        }
        for (uid, gid) in [("1", "-"), ("-", "1"), ("4294967296", "1")] {
            assert_eq!(
                read(&["-", "-", "-", uid, gid, "-", "-"]),
                None,
                "{uid} {gid}"
            );
        }
    }
}
