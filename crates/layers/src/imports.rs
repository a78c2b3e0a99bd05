//! The imports between files: each path, resolved to the file that defines what it names.

use std::collections::BTreeSet;

use crate::{
    paths::Written,
    tree::{ROOT, Tree},
};

/// An import of one file by another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) from: String,
    pub(crate) to: String,
    /// The path as it is written, from the root of the crate.
    pub(crate) path: Vec<String>,
    /// True if one of the files only declares and re-exports.
    pub(crate) by_index: bool,
}

/// Something that a path leads to.
#[derive(Debug, Clone, Copy)]
enum Target {
    Module(usize),
    /// An item of this module.
    Item(usize),
}

impl Target {
    fn module(self) -> usize {
        match self {
            Self::Module(module) | Self::Item(module) => module,
        }
    }
}

/// The kind that a name is looked up for first: a module and an item may have the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefer {
    Module,
    Item,
}

/// The names that are being looked up, so that globs which import each other come to an end.
type Pending = BTreeSet<(usize, String)>;

/// Returns the imports between different files.
pub(crate) fn imports(tree: &Tree) -> BTreeSet<Import> {
    let mut imports = BTreeSet::new();
    for (index, module) in tree.modules.iter().enumerate() {
        for (written, path) in &module.written {
            let Some(path) = tree.absolute(index, path, &mut Pending::new()) else {
                continue;
            };
            let target = tree.resolve(&path, &mut Pending::new());
            let mut targets = vec![target];
            if *written == Written::Glob && tree.modules[target.module()].is_index {
                targets.extend(tree.re_exports(target.module()));
            }
            for target in targets {
                let to = &tree.modules[target.module()];
                if to.file != module.file {
                    imports.insert(Import {
                        from: module.file.clone(),
                        to: to.file.clone(),
                        path: path.clone(),
                        by_index: module.is_index || to.is_index,
                    });
                }
            }
        }
    }
    imports
}

impl Tree {
    /// Rewrites a path to begin at the root of the crate. It is `None` if it begins elsewhere.
    fn absolute(&self, from: usize, path: &[String], pending: &mut Pending) -> Option<Vec<String>> {
        let (head, rest) = path.split_first()?;
        let mut start = match head.as_str() {
            "crate" => Vec::new(),
            "self" => self.path(from),
            "super" => {
                let parent = self.modules[from].parent?;
                if rest.first().is_some_and(|next| next == "super") {
                    return self.absolute(parent, rest, pending);
                }
                self.path(parent)
            }
            _ => self.local(from, head, pending)?,
        };
        start.extend_from_slice(rest);
        Some(start)
    }

    /// Returns the path of a name at the beginning of another path.
    fn local(&self, from: usize, name: &str, pending: &mut Pending) -> Option<Vec<String>> {
        let module = &self.modules[from];
        let own = || {
            let mut path = self.path(from);
            path.push(name.to_owned());
            path
        };
        if module.children.contains_key(name) || module.items.contains(name) {
            return Some(own());
        }
        if !pending.insert((from, name.to_owned())) {
            return None;
        }
        let aliases = module.aliases.iter().filter(|(alias, _)| alias == name);
        let mut aliases = aliases.filter_map(|(_, path)| {
            // `use tokio::net;` is not about a name of this module.
            self.absolute(from, path, pending)
        });
        if let Some(path) = aliases.next() {
            return Some(path);
        }
        drop(aliases);
        module.globs.iter().find_map(|glob| {
            let path = self.absolute(from, glob, pending)?;
            match self.resolve(&path, pending) {
                Target::Module(target) => self.local(target, name, pending),
                Target::Item(_) => None,
            }
        })
    }

    /// Returns the module or item at the end of a path from the root, or the last one on the way.
    fn resolve(&self, path: &[String], pending: &mut Pending) -> Target {
        let mut at = Target::Module(ROOT);
        for (index, name) in path.iter().enumerate() {
            let Target::Module(module) = at else { break };
            let prefer = if index + 1 == path.len() {
                Prefer::Item
            } else {
                Prefer::Module
            };
            match self.find(module, name, prefer, pending) {
                Some(found) => at = found,
                None => break,
            }
        }
        at
    }

    /// Finds a name in a module, and follows re-exports to where it is defined.
    fn find(&self, at: usize, name: &str, prefer: Prefer, pending: &mut Pending) -> Option<Target> {
        let module = &self.modules[at];
        let child = module.children.get(name).copied().map(Target::Module);
        if prefer == Prefer::Module && child.is_some() {
            return child;
        }
        if module.items.contains(name) {
            return Some(Target::Item(at));
        }
        for (_, path) in module.aliases.iter().filter(|(alias, _)| alias == name) {
            if let Some(path) = self.absolute(at, path, pending) {
                return Some(self.resolve(&path, pending));
            }
        }
        if child.is_some() || !pending.insert((at, format!("{name} by glob"))) {
            return child;
        }
        module.globs.iter().find_map(|glob| {
            let path = self.absolute(at, glob, pending)?;
            match self.resolve(&path, pending) {
                Target::Module(target) if target != at => self.find(target, name, prefer, pending),
                Target::Module(_) | Target::Item(_) => None,
            }
        })
    }

    /// Returns all that a module re-exports.
    fn re_exports(&self, at: usize) -> Vec<Target> {
        let module = &self.modules[at];
        let aliases = module.aliases.iter().map(|(_, path)| path);
        aliases
            .chain(&module.globs)
            .filter_map(|path| self.absolute(at, path, &mut Pending::new()))
            .map(|path| self.resolve(&path, &mut Pending::new()))
            .collect()
    }
}
