//! The check of one crate.

use std::{collections::BTreeSet, fmt, path::PathBuf};

use crate::{
    circles::{Graph, circles},
    imports::{Import, imports},
    sources::{Sources, covers, is_test},
    table::Table,
    tree::Tree,
    violation::Violation,
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
    /// The number of files in the largest circle of imports, or 0.
    pub largest_circle: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files, {} imports between them, {} files in the largest circle",
            self.files, self.imports, self.largest_circle
        )
    }
}

/// A crate that does not keep to its layers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Violations {
    /// All faults.
    pub violations: Vec<Violation>,
    /// The sizes of the crate.
    pub report: Report,
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
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

    /// Adds a rule: the files of this folder, such as `service`, import only these modules and each
    /// other. A module is a path from the root, such as `session`. The rule is about the path as it
    /// is written, so that a module may re-export what is below it. Files of tests are exempt.
    #[must_use]
    pub fn only(mut self, folder: &str, allowed: &[&str]) -> Self {
        self.rules.push(Rule {
            folder: format!("{}/", folder.trim_end_matches('/')),
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
        let sources = Sources::read(&self.manifest_dir);
        self.examine(&sources.unwrap_or_else(|error| {
            panic!(
                "cannot read src of {}: {error}",
                self.manifest_dir.display()
            )
        }))
    }

    pub(crate) fn examine(&self, sources: &Sources) -> Result<Report, Violations> {
        let table = Table::parse(sources.text("lib.rs").unwrap_or_default());
        let tree = Tree::parse(sources);
        let imports = imports(&tree);
        let mut violations = table.faults(sources);
        violations.extend(misplaced(sources, &tree));
        violations.extend(upward(&imports, &table));
        for rule in &self.rules {
            let covered = sources.files().any(|file| covers(&rule.folder, file));
            assert!(
                covered,
                "a rule is about src/{}, which holds nothing",
                rule.folder
            );
            violations.extend(imports.iter().filter_map(|import| rule.broken_by(import)));
        }
        violations.extend(tree.faults);
        let graph = graph(&imports);
        let circles = circles(&graph);
        let report = Report {
            files: sources.files().count(),
            imports: graph.values().map(BTreeSet::len).sum(),
            largest_circle: circles.first().map_or(0, |circle| circle.files.len()),
        };
        violations.extend(circles.into_iter().map(|circle| Violation::Circle {
            count: circle.files.len(),
            shortest: circle.shortest,
        }));
        if violations.is_empty() {
            Ok(report)
        } else {
            Err(Violations { violations, report })
        }
    }
}

impl Rule {
    fn broken_by(&self, import: &Import) -> Option<Violation> {
        let allowed = |module: &String| {
            let mut names = import.path.iter();
            module
                .split("::")
                .all(|name| names.next().is_some_and(|own| own == name))
        };
        let concerned = covers(&self.folder, &import.from)
            && !covers(&self.folder, &import.to)
            && !is_test(&import.from);
        if !concerned || self.allowed.iter().any(allowed) {
            return None;
        }
        Some(Violation::NotAllowed {
            from: import.from.clone(),
            to: import.to.clone(),
            path: written(import),
            folder: self.folder.clone(),
            allowed: self.allowed.clone(),
        })
    }
}

/// Returns the imports between files that define something and are no tests.
fn graph(imports: &BTreeSet<Import>) -> Graph<'_> {
    let mut graph = Graph::new();
    for import in imports {
        if !import.by_index && !is_test(&import.from) {
            graph.entry(&import.from).or_default().insert(&import.to);
        }
    }
    graph
}

/// Returns the imports that run up the table, one for each pair of files.
fn upward(imports: &BTreeSet<Import>, table: &Table) -> Vec<Violation> {
    let mut seen = BTreeSet::new();
    imports
        .iter()
        .filter_map(|import| {
            let from_layer = table.layer(&import.from)?;
            let to_layer = table.layer(&import.to)?;
            let is_new = to_layer < from_layer && seen.insert((&import.from, &import.to));
            is_new.then(|| Violation::Upward {
                from: import.from.clone(),
                from_layer: table.name(from_layer).to_owned(),
                to: import.to.clone(),
                to_layer: table.name(to_layer).to_owned(),
                path: written(import),
            })
        })
        .collect()
}

/// Returns the files that no module declares, and those that stand beside their folder.
fn misplaced(sources: &Sources, tree: &Tree) -> Vec<Violation> {
    let declared: BTreeSet<&str> = tree.modules.iter().map(|module| &*module.file).collect();
    let mut misplaced = Vec::new();
    for file in sources.files() {
        let folder = file.trim_end_matches(".rs").to_owned() + "/";
        let file = file.to_owned();
        if !declared.contains(&*file) {
            misplaced.push(Violation::Undeclared { file });
        } else if sources.files().any(|other| covers(&folder, other)) {
            misplaced.push(Violation::BesideItsFolder { file });
        }
    }
    misplaced
}

fn written(import: &Import) -> String {
    format!("crate::{}", import.path.join("::"))
}
