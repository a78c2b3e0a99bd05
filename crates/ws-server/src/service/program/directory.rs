//! The programs of a directory: one for each path below the route.
//!
//! A path is resolved component by component, each one relative to the open directory before it and
//! without following symbolic links. So it cannot leave the directory, whatever it contains.
//! `openat2` was refused: it resolves a whole path, and the place of the program in it is not known.
//!
//! The program is executed by its path. No other user can exchange it meanwhile: each component below the
//! directory, and the directory itself, belongs to root or to the user of the server, and others cannot
//! write to it. An execution by descriptor was refused: a script would get `/proc/self/fd/N` as its name.

use std::{
    ffi::OsStr,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat},
    io::Errno,
    process::geteuid,
};
use serde::{Deserialize, Serialize};

use crate::service::program::percent::decoded;

/// The flags to open a component. Nothing of a file is read, and a device is not opened.
const COMPONENT: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory of programs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct ProgramDirectory(pub PathBuf);

/// A program of a directory, and the rest of the path that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    /// The file.
    pub(super) file: PathBuf,
    /// The path of the file below the directory, decoded.
    pub(super) name: Vec<u8>,
    /// The path after it, decoded: empty, or it begins with a `/`.
    pub(super) path_info: Vec<u8>,
}

/// The reason why a path has no program.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScriptError {
    /// There is none.
    #[error("the directory has no such program")]
    Missing,
    /// A component cannot be opened.
    #[error("cannot open {0}: {1}")]
    Unreadable(PathBuf, io::Error),
    /// Other users can exchange the program.
    #[error("{0} must belong to root or the user of the server, and only they may write to it")]
    Exchangeable(PathBuf),
}

impl ProgramDirectory {
    /// Checks that the directory can be used.
    ///
    /// # Errors
    ///
    /// The problem and its remedy.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.open() {
            Ok(_) => Ok(()),
            Err(ScriptError::Missing) => Err(format!("{} is not a directory", self.0.display())),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Returns the program that a path below the route names, in normal form and without a leading `/`.
    /// Its first components that lead to a file are the name of the program.
    ///
    /// # Errors
    ///
    /// The path has no program that may be executed.
    pub(super) fn find(&self, path: &str) -> Result<Script, ScriptError> {
        let mut directory = self.open()?;
        let mut file = self.0.clone();
        let mut segments = path.split('/');
        while let Some(segment) = segments.next() {
            let name = decoded(segment);
            // The path is in normal form. Even so, no name may lead anywhere else.
            if name.is_empty() || name.starts_with(b".") || name.contains(&b'/') {
                return Err(ScriptError::Missing);
            }
            let name = OsStr::from_bytes(&name);
            file.push(name);
            let opened = match openat(&directory, name, COMPONENT, Mode::empty()) {
                Ok(opened) => opened,
                Err(Errno::NOENT | Errno::NAMETOOLONG | Errno::INVAL) => {
                    return Err(ScriptError::Missing);
                }
                Err(error) => return Err(ScriptError::Unreadable(file, error.into())),
            };
            let stat = stat(&opened, &file)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    check_writers(&stat, &file)?;
                    directory = opened;
                }
                FileType::RegularFile => {
                    check_writers(&stat, &file)?;
                    let below = file.strip_prefix(&self.0).unwrap_or(&file);
                    let name = below.as_os_str().as_bytes().to_vec();
                    let rest = segments.flat_map(|segment| [b"/".to_vec(), decoded(segment)]);
                    let path_info = rest.flatten().collect();
                    return Ok(Script {
                        file,
                        name,
                        path_info,
                    });
                }
                // A symbolic link, too.
                _ => return Err(ScriptError::Missing),
            }
        }
        Err(ScriptError::Missing)
    }

    /// Opens the directory. Its own path may contain symbolic links.
    fn open(&self) -> Result<OwnedFd, ScriptError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match openat(CWD, &self.0, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(ScriptError::Missing),
            Err(error) => return Err(ScriptError::Unreadable(self.0.clone(), error.into())),
        };
        check_writers(&stat(&opened, &self.0)?, &self.0)?;
        Ok(opened)
    }
}

fn stat(opened: &OwnedFd, file: &Path) -> Result<Stat, ScriptError> {
    fstat(opened).map_err(|error| ScriptError::Unreadable(file.to_owned(), error.into()))
}

/// Checks that only root and the user of the server can change a file or directory.
fn check_writers(stat: &Stat, file: &Path) -> Result<(), ScriptError> {
    let is_owned = stat.st_uid == 0 || stat.st_uid == geteuid().as_raw();
    let writers = Mode::from_raw_mode(stat.st_mode) & (Mode::WGRP | Mode::WOTH);
    if is_owned && writers.is_empty() {
        Ok(())
    } else {
        Err(ScriptError::Exchangeable(file.to_owned()))
    }
}

#[cfg(test)]
#[path = "tests/directory.rs"]
mod tests;
