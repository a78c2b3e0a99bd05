//! The check of one crate.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use crate::{
    imports::{Import, Modules},
    sources::{Sources, covers, is_index, is_test},
    table::Table,
};

/// A check of the crate in one folder.
#[derive(Debug)]
pub struct Check {
    manifest_dir: PathBuf,
    rules: Vec<Rule>,
}

/// A list of modules that the files of a folder may import.
#[derive(Debug)]
struct Rule {
    folder: String,
    allowed: Vec<String>,
}

/// The sizes of a crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The number of files of `src`, without programs.
    pub files: usize,
    /// The number of pairs of files of which one imports the other.
    pub imports: usize,
    /// The number of files in the largest cycle of imports, or 0.
    pub largest_cycle: usize,
}

/// The faults of a crate that does not keep to its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations {
    /// A line for each fault, with the files that it is about and what to do.
    pub lines: Vec<String>,
    /// The sizes of the crate.
    pub report: Report,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files, {} imports between them, {} files in the largest cycle",
            self.files, self.imports, self.largest_cycle
        )
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        write!(f, "{}", self.report)
    }
}

impl Check {
    /// Makes a check of the crate whose `Cargo.toml` is in this folder.
    pub fn new(manifest_dir: impl Into<PathBuf>) -> Self {
        Self {
            manifest_dir: manifest_dir.into(),
            rules: Vec::new(),
        }
    }

    /// Adds a rule: the files of this folder, such as `service`, import only these top-level modules
    /// and each other. The rule is about the path as it is written, so that a module may re-export
    /// what is below it. Files of tests are exempt.
    #[must_use]
    pub fn only(mut self, folder: &str, allowed: &[&str]) -> Self {
        self.rules.push(Rule {
            folder: format!("{folder}/"),
            allowed: allowed.iter().copied().map(str::to_owned).collect(),
        });
        self
    }

    /// Reads the crate and checks it.
    ///
    /// # Errors
    ///
    /// Returns all faults.
    ///
    /// # Panics
    ///
    /// Panics if a file cannot be read or is not Rust, and if a rule is about an empty folder.
    pub fn run(&self) -> Result<Report, Violations> {
        let sources = Sources::read(&self.manifest_dir).unwrap_or_else(|error| {
            panic!(
                "cannot read src of {}: {error}",
                self.manifest_dir.display()
            )
        });
        self.examine(&sources)
    }

    pub(crate) fn examine(&self, sources: &Sources) -> Result<Report, Violations> {
        let table = Table::parse(sources.text("lib.rs").unwrap_or_default());
        let modules = Modules::parse(sources);
        let imports = modules.imports();
        let mut lines = table.faults(sources);
        for (file, keywords) in modules.defining_indexes() {
            lines.push(format!(
                "src/{file}: defines something ({}), but this file may only declare and re-export; \
                 move that to a file of its own",
                keywords.join(", ")
            ));
        }
        lines.extend(upward(&imports, &table));
        for rule in &self.rules {
            assert!(
                sources.files().any(|file| covers(&rule.folder, file)),
                "a rule is about src/{}, which is empty",
                rule.folder
            );
            lines.extend(imports.iter().filter_map(|import| rule.broken_by(import)));
        }
        let graph = graph(&imports);
        let cycles = cycles(&graph);
        lines.extend(cycles.iter().map(|cycle| {
            let files: Vec<String> = cycle.iter().map(|file| format!("src/{file}")).collect();
            format!(
                "{} files import each other in a cycle: {}; move what they share to a file below \
                 them",
                cycle.len(),
                files.join(", ")
            )
        }));
        let report = Report {
            files: sources.files().count(),
            imports: graph.values().map(BTreeSet::len).sum(),
            largest_cycle: cycles.iter().map(BTreeSet::len).max().unwrap_or(0),
        };
        if lines.is_empty() {
            Ok(report)
        } else {
            Err(Violations { lines, report })
        }
    }
}

impl Rule {
    fn broken_by(&self, import: &Import) -> Option<String> {
        let concerned = covers(&self.folder, &import.from)
            && !covers(&self.folder, &import.to)
            && !is_test(&import.from);
        let is_allowed = import
            .path
            .first()
            .is_some_and(|top| self.allowed.contains(top));
        (concerned && !is_allowed).then(|| {
            format!(
                "src/{} imports `{}` (src/{}), but files of src/{} may import only {}; re-export \
                 the item from one of these",
                import.from,
                written(import),
                import.to,
                self.folder,
                self.allowed.join(", ")
            )
        })
    }
}

/// Returns a line for each pair of files of which the lower one imports the higher one.
fn upward(imports: &BTreeSet<Import>, table: &Table) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let lines = imports.iter().filter_map(|import| {
        let (from, to) = (table.layer(&import.from)?, table.layer(&import.to)?);
        (to < from && seen.insert((&import.from, &import.to))).then(|| {
            format!(
                "src/{} (layer {}) imports src/{} (layer {}, which is higher) as `{}`; move what \
                 it needs down, or pass it as an argument",
                import.from,
                table.name(from),
                import.to,
                table.name(to),
                written(import)
            )
        })
    });
    lines.collect()
}

/// The files that each file imports.
type Graph<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Returns the imports between files that define something and are not tests.
fn graph(imports: &BTreeSet<Import>) -> Graph<'_> {
    let mut graph = Graph::new();
    for import in imports {
        if !is_index(&import.from) && !is_index(&import.to) && !is_test(&import.from) {
            graph.entry(&import.from).or_default().insert(&import.to);
        }
    }
    graph
}

/// Returns the sets of files that import each other, directly or through other files.
fn cycles<'a>(graph: &Graph<'a>) -> BTreeSet<BTreeSet<&'a str>> {
    let closure: Graph<'a> = graph
        .keys()
        .map(|file| (*file, reachable(graph, file)))
        .collect();
    let reaches = |from: &str, to: &str| closure.get(from).is_some_and(|files| files.contains(to));
    let in_cycles = closure.keys().filter(|file| reaches(file, file));
    in_cycles
        .map(|file| {
            closure
                .keys()
                .copied()
                .filter(|other| reaches(file, other) && reaches(other, file))
                .collect()
        })
        .collect()
}

/// Returns the files that a file imports, and those that they import.
fn reachable<'a>(graph: &Graph<'a>, file: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![file];
    while let Some(next) = open.pop() {
        for import in graph.get(next).into_iter().flatten() {
            if found.insert(*import) {
                open.push(import);
            }
        }
    }
    found
}

fn written(import: &Import) -> String {
    format!("crate::{}", import.path.join("::"))
}
