//! The text of the files of a crate.

use std::{collections::BTreeMap, fs, io, path::Path};

/// The files of `src`, by their paths below it.
#[derive(Debug, Default)]
pub(crate) struct Sources(BTreeMap<String, String>);

impl Sources {
    /// Reads all Rust files below `src`.
    pub(crate) fn read(manifest_dir: &Path) -> io::Result<Self> {
        let mut sources = Self::default();
        sources.read_folder(&manifest_dir.join("src"), "")?;
        Ok(sources)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                self.read_folder(&path, &format!("{prefix}{name}/"))?;
            } else if name.ends_with(".rs") {
                self.0
                    .insert(format!("{prefix}{name}"), fs::read_to_string(&path)?);
            }
        }
        Ok(())
    }

    /// Returns the text of a file.
    pub(crate) fn text(&self, file: &str) -> Option<&str> {
        self.0.get(file).map(String::as_str)
    }

    /// Returns the paths of all files except programs, which use the library from outside.
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

/// Returns true if the file holds only tests.
pub(crate) fn is_test(file: &str) -> bool {
    file.split('/')
        .any(|part| part == "tests" || part == "tests.rs")
}

/// Returns true if the file may only declare and re-export.
pub(crate) fn is_index(file: &str) -> bool {
    file == "lib.rs" || file == "mod.rs" || file.ends_with("/mod.rs")
}

/// Returns true if an entry (a file, or a folder with a final slash) covers the file.
pub(crate) fn covers(entry: &str, file: &str) -> bool {
    if entry.ends_with('/') {
        file.starts_with(entry)
    } else {
        file == entry
    }
}
