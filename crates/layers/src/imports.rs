//! The imports between files: each path, resolved to the file that defines what it names.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    scan::Scan,
    sources::{Sources, is_index},
};

/// An import of one file by another.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) from: String,
    pub(crate) to: String,
    /// The path as it is written, from the root of the crate.
    pub(crate) path: Vec<String>,
}

/// The modules of a crate, and the files that define them.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    /// The file of each module, by its path from the root.
    files: BTreeMap<Vec<String>, String>,
    scans: BTreeMap<String, (Vec<String>, Scan)>,
}

/// The maximum number of re-exports that are followed for one path.
const MAX_REEXPORTS: usize = 16;

impl Modules {
    /// Reads `lib.rs`, and the files of the modules that it declares.
    ///
    /// # Panics
    ///
    /// Panics if a file is not Rust.
    pub(crate) fn parse(sources: &Sources) -> Self {
        let mut modules = Self::default();
        modules.add("lib.rs", Vec::new(), sources);
        modules
    }

    fn add(&mut self, file: &str, path: Vec<String>, sources: &Sources) {
        let scan = Scan::parse(sources.text(file).unwrap_or_default())
            .unwrap_or_else(|error| panic!("src/{file} is not Rust: {error}"));
        self.files.insert(path.clone(), file.to_owned());
        for declared in &scan.modules {
            let path = [&path[..], &declared.path].concat();
            if declared.is_inline {
                self.files.insert(path, file.to_owned());
                continue;
            }
            let folder = file.rfind('/').map_or("", |slash| &file[..=slash]);
            let stem = path.join("/");
            let candidates = match &declared.file {
                Some(name) => vec![format!("{folder}{name}")],
                None => vec![format!("{stem}.rs"), format!("{stem}/mod.rs")],
            };
            let found = candidates.iter().find(|file| sources.text(file).is_some());
            if let Some(file) = found {
                self.add(file, path, sources);
            }
        }
        self.scans.insert(file.to_owned(), (path, scan));
    }

    /// Returns the imports between different files.
    pub(crate) fn imports(&self) -> BTreeSet<Import> {
        let mut imports = BTreeSet::new();
        for (from, (module, scan)) in &self.scans {
            for mention in &scan.mentions {
                let inside = [&module[..], &mention.inside].concat();
                let Some(path) = self.absolute(from, inside, &mention.path) else {
                    continue;
                };
                let to = self.resolve(&path, MAX_REEXPORTS);
                if to != from {
                    imports.insert(Import {
                        from: from.clone(),
                        to: to.to_owned(),
                        path,
                    });
                }
            }
        }
        imports
    }

    /// Returns each file that may only declare and re-export but defines items, with the keywords of
    /// these items.
    pub(crate) fn defining_indexes(&self) -> impl Iterator<Item = (&str, &[String])> {
        let scans = self.scans.iter();
        scans
            .filter(|(file, (_, scan))| is_index(file) && !scan.defines.is_empty())
            .map(|(file, (_, scan))| (file.as_str(), &scan.defines[..]))
    }

    /// Returns the path from the root of the crate for a path that a module of this file uses. Returns
    /// `None` if it leads to another crate.
    fn absolute(&self, file: &str, inside: Vec<String>, path: &[String]) -> Option<Vec<String>> {
        let (head, rest) = path.split_first()?;
        let mut start = match head.as_str() {
            "crate" => Vec::new(),
            "self" => inside,
            "super" => {
                let (_, parent) = inside.split_last()?;
                let parent = parent.to_vec();
                if rest.first().is_some_and(|next| next == "super") {
                    return self.absolute(file, parent, rest);
                }
                parent
            }
            _ => {
                let mut child = inside;
                child.push(head.clone());
                if self.files.contains_key(&child) {
                    child
                } else {
                    self.imported(file, head, None)?
                }
            }
        };
        start.extend_from_slice(rest);
        Some(start)
    }

    /// Returns the path, from the root of the crate, of a name that a file imports: in the module
    /// `only`, or in any module of the file.
    fn imported(&self, file: &str, name: &str, only: Option<&[String]>) -> Option<Vec<String>> {
        let (module, scan) = &self.scans[file];
        scan.mentions.iter().find_map(|mention| {
            let inside = [&module[..], &mention.inside].concat();
            let is_match = mention.alias.as_deref() == Some(name)
                // `use net::net` is about another crate.
                && mention.path.first().is_some_and(|head| head != name)
                && only.is_none_or(|only| inside == only);
            is_match.then(|| self.absolute(file, inside, &mention.path))?
        })
    }

    /// Returns the file that defines the item or module at the end of a path from the root.
    fn resolve(&self, path: &[String], re_exports: usize) -> &str {
        let mut module = Vec::new();
        for (index, name) in path.iter().enumerate() {
            let child = [&module[..], std::slice::from_ref(name)].concat();
            let file = &self.files[&module];
            let is_last = index + 1 == path.len();
            let is_module = self.files.contains_key(&child);
            // A module and an item may have the same name; the last name is the item.
            if (is_last || !is_module)
                && re_exports > 0
                && let Some(mut target) = self.imported(file, name, Some(&module))
                && target != child
            {
                target.extend_from_slice(&path[index + 1..]);
                return self.resolve(&target, re_exports - 1);
            }
            if !is_module {
                break;
            }
            module = child;
        }
        &self.files[&module]
    }
}
