//! The command of a program: an executable file and its arguments.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The directories that are searched if the server has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The command of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramCommand {
    /// The executable file.
    pub file: PathBuf,
    /// The arguments, without the name of the program.
    pub arguments: Vec<String>,
}

/// Returns the directories in which commands are looked up.
pub(super) fn search_path() -> OsString {
    env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into())
}

/// Returns the file of a command without a `/`, as a shell finds it.
fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

impl ProgramCommand {
    /// Checks that the file can be executed.
    ///
    /// # Errors
    ///
    /// The problem and its remedy.
    pub(crate) fn check(&self) -> Result<(), String> {
        if is_executable(&self.file) {
            return Ok(());
        }
        let file = self.file.display();
        Err(if self.file.exists() {
            format!("{file} cannot be executed: name an executable file")
        } else {
            format!("{file} does not exist: name an executable file")
        })
    }
}

impl<'de> Deserialize<'de> for ProgramCommand {
    /// Reads a list of strings. A name without a `/` is looked up in `PATH`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "write the program and its arguments, such as [\"./chat.sh\", \"argument\"]";
        let words = Vec::<String>::deserialize(deserializer);
        let mut words = words.map_err(|_| D::Error::custom(expected))?.into_iter();
        let Some(name) = words.next().filter(|name| !name.is_empty()) else {
            return Err(D::Error::custom(expected));
        };
        let arguments: Vec<_> = words.collect();
        if name.contains('\0') || arguments.iter().any(|argument| argument.contains('\0')) {
            return Err(D::Error::custom("a command cannot contain a NUL"));
        }
        let file = if name.contains('/') {
            name.into()
        } else {
            find(&name, &search_path()).ok_or_else(|| {
                D::Error::custom("the program is not in PATH: write the path of its file")
            })?
        };
        Ok(Self { file, arguments })
    }
}

impl Serialize for ProgramCommand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let file = self.file.to_string_lossy();
        let words = [&*file].into_iter();
        serializer.collect_seq(words.chain(self.arguments.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::{ProgramCommand, find};

    #[test]
    fn name_is_looked_up_in_absolute_directories() {
        let directory = tempfile::tempdir().unwrap();
        let [first, second] = ["a", "b"].map(|name| directory.path().join(name));
        for (place, mode) in [(&first, 0o644), (&second, 0o755)] {
            fs::create_dir(place).unwrap();
            let file = place.join("program");
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = format!("relative:{}:{}", first.display(), second.display());
        let found = find("program", OsStr::new(&path));
        assert_eq!(found, Some(second.join("program")));
        assert_eq!(find("other", OsStr::new(&path)), None);
        assert_eq!(find("ls", OsStr::new("")), None);
    }

    #[test]
    fn file_must_exist_and_be_executable() {
        let directory = tempfile::tempdir().unwrap();
        let check = |file: &Path| {
            let command = ProgramCommand {
                file: file.to_owned(),
                arguments: Vec::new(),
            };
            command.check().map_err(|problem| {
                let (_, problem) = problem.split_once("program ").unwrap();
                problem.to_owned()
            })
        };
        let file = directory.path().join("program");
        let absent = "does not exist: name an executable file";
        assert_eq!(check(&file), Err(absent.to_owned()));
        fs::write(&file, "").unwrap();
        let plain = "cannot be executed: name an executable file";
        assert_eq!(check(&file), Err(plain.to_owned()));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(check(&file), Ok(()));
    }
}
