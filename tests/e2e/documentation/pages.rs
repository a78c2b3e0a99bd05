//! The pages of the repository, and the parts of a page.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use integration_tests::root;

/// The directories that have pages, besides the root.
const DIRECTORIES: [&str; 3] = [".github", "config", "crates"];

/// A page in Markdown.
pub(super) struct Page {
    /// The path, from the root of the repository.
    pub(super) path: String,
    pub(super) text: String,
}

/// A part of a page: prose, or a fenced block.
enum Part<'a> {
    Prose(&'a str),
    Block { language: &'a str, text: String },
}

impl Page {
    /// Reads one page.
    pub(super) fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path));
        Self {
            path: path.to_owned(),
            text: text.unwrap_or_else(|error| panic!("{path}: {error}")),
        }
    }

    /// Reads all pages, in the order of their paths.
    pub(super) fn all() -> Vec<Self> {
        let mut files: Vec<PathBuf> = vec!["README.md".into(), "CHANGELOG.md".into()];
        for directory in DIRECTORIES {
            collect(&root(), Path::new(directory), &mut files);
        }
        files.sort();
        let paths = files.iter().map(|file| file.to_str().unwrap());
        paths.map(Self::read).collect()
    }

    fn parts(&self) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let Some(language) = line.trim_start().strip_prefix("```") else {
                parts.push(Part::Prose(line));
                continue;
            };
            let mut text = String::new();
            loop {
                let line = lines.next();
                let line = line.unwrap_or_else(|| panic!("{}: a block has no end", self.path));
                if line.trim_start() == "```" {
                    break;
                }
                text.push_str(line);
                text.push('\n');
            }
            parts.push(Part::Block { language, text });
        }
        parts
    }

    /// Returns the blocks of a language, in order.
    pub(super) fn blocks(&self, wanted: &str) -> Vec<String> {
        let parts = self.parts().into_iter();
        let blocks = parts.filter_map(|part| match part {
            Part::Block { language, text } if language == wanted => Some(text),
            Part::Block { .. } | Part::Prose(_) => None,
        });
        blocks.collect()
    }

    fn prose(&self) -> Vec<&str> {
        let parts = self.parts().into_iter();
        let prose = parts.filter_map(|part| match part {
            Part::Prose(line) => Some(line),
            Part::Block { .. } => None,
        });
        prose.collect()
    }

    /// Returns the targets of all links, pictures included.
    pub(super) fn links(&self) -> Vec<String> {
        let text = without_code(&self.prose().join("\n"));
        let links = text.split("](").skip(1);
        let targets = links.map(|rest| rest.split(')').next().unwrap().to_owned());
        targets.collect()
    }

    /// Returns the anchors of the headings, as GitHub makes them.
    pub(super) fn anchors(&self) -> HashSet<String> {
        let prose = self.prose();
        let headings = prose.iter().filter(|line| line.starts_with('#'));
        headings
            .map(|heading| anchor(heading.trim_start_matches('#').trim()))
            .collect()
    }

    /// Returns the cells of the rows below a table's header, which begins with these cells.
    pub(super) fn table(&self, header: &[&str]) -> Vec<Vec<String>> {
        let rows: Vec<_> = self.prose().into_iter().map(cells).collect();
        let start = rows.iter().position(|row| row.starts_with_cells(header));
        let start = start.unwrap_or_else(|| panic!("{} has no table {header:?}", self.path));
        let rows = rows.into_iter().skip(start + 2);
        rows.take_while(|row| !row.is_empty()).collect()
    }
}

trait StartsWithCells {
    fn starts_with_cells(&self, cells: &[&str]) -> bool;
}

impl StartsWithCells for Vec<String> {
    fn starts_with_cells(&self, cells: &[&str]) -> bool {
        self.len() >= cells.len() && self.iter().zip(cells).all(|(ours, other)| ours == other)
    }
}

/// Returns the cells of a row, or none for another line.
fn cells(line: &str) -> Vec<String> {
    let row = line.trim().strip_prefix('|');
    let row = row.and_then(|row| row.strip_suffix('|'));
    let cells = row.into_iter().flat_map(|row| row.split(" | "));
    cells.map(|cell| cell.trim().to_owned()).collect()
}

/// Removes code spans, which may hold anything that looks like a link.
fn without_code(text: &str) -> String {
    text.split('`').step_by(2).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    let kept = kept.map(|c| if c == ' ' { '-' } else { c });
    kept.flat_map(char::to_lowercase).collect()
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root.join(directory)).unwrap() {
        let entry = entry.unwrap();
        let path = directory.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
}
