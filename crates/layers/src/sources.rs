//! The text of the files of a crate.

use std::{collections::BTreeMap, fs, io, path::Path};

use crate::violation::Violation;

/// The files of `src`, by their paths below it.
#[derive(Debug, Default)]
pub(crate) struct Sources(BTreeMap<String, String>);

impl Sources {
    /// Reads all Rust files below `src`. The second value is what could not be read.
    pub(crate) fn read(manifest_dir: &Path) -> (Self, Vec<Violation>) {
        let mut sources = Self::default();
        let mut unreadable = Vec::new();
        sources.read_folder(&manifest_dir.join("src"), "", &mut unreadable);
        (sources, unreadable)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str, unreadable: &mut Vec<Violation>) {
        let mut failed = |file: &str, error: &io::Error| {
            unreadable.push(Violation::Unreadable {
                file: format!("src/{file}"),
                reason: error.to_string(),
            });
        };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return failed(prefix, &error),
        };
        let mut folders = Vec::new();
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => {
                    failed(prefix, &error);
                    continue;
                }
            };
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let relative = format!("{prefix}{name}");
            if path.is_dir() {
                folders.push((path, relative + "/"));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                match fs::read_to_string(&path) {
                    Ok(text) => _ = self.0.insert(relative, text),
                    Err(error) => failed(&relative, &error),
                }
            }
        }
        for (path, prefix) in folders {
            self.read_folder(&path, &prefix, unreadable);
        }
    }

    /// Returns the text of a file.
    pub(crate) fn text(&self, file: &str) -> Option<&str> {
        self.0.get(file).map(String::as_str)
    }

    /// Returns the paths of all files, but for programs: they use the library from outside.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.0
            .keys()
            .map(String::as_str)
            .filter(|file| *file != "main.rs" && !file.starts_with("bin/"))
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Sources {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(files: I) -> Self {
        let owned = |(file, text): (&str, &str)| (file.to_owned(), text.to_owned());
        Self(files.into_iter().map(owned).collect())
    }
}

/// Returns whether the file holds nothing but tests.
pub(crate) fn is_test(file: &str) -> bool {
    file.split('/')
        .any(|part| part == "tests" || part == "tests.rs")
}

/// Returns whether the file may only declare and re-export.
pub(crate) fn is_index(file: &str) -> bool {
    file == "lib.rs" || file == "mod.rs" || file.ends_with("/mod.rs")
}

/// Returns whether an entry, a file or a folder with a slash behind it, covers the file.
pub(crate) fn covers(entry: &str, file: &str) -> bool {
    if entry.ends_with('/') {
        file.starts_with(entry)
    } else {
        file == entry
    }
}
