//! The paths that a file writes, as lists of names.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::{Ident, UseTree};

/// The place of a path in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// An import of one name.
    Use,
    /// An import of all names of a module.
    Glob,
    /// A use in the code.
    Code,
}

/// One import of a `use` item.
#[derive(Debug)]
pub(crate) struct Imported {
    /// The names of the path.
    pub(crate) path: Vec<String>,
    /// The name that it has here, unless it is a glob.
    pub(crate) alias: Option<String>,
}

/// Returns an identifier as the compiler compares it.
pub(crate) fn name(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

/// Takes the groups of a `use` item apart.
pub(crate) fn imports(tree: &UseTree) -> Vec<Imported> {
    let mut imported = Vec::new();
    collect(tree, &mut Vec::new(), &mut imported);
    imported
}

fn collect(tree: &UseTree, prefix: &mut Vec<String>, imported: &mut Vec<Imported>) {
    let mut push = |last: &Ident, alias: &Ident| {
        let mut path = prefix.clone();
        // `use a::{self}` imports `a`.
        if last != "self" || path.is_empty() {
            path.push(name(last));
        }
        let alias = if alias == "self" {
            path.last().cloned()
        } else {
            Some(name(alias))
        };
        imported.push(Imported { path, alias });
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(name(&path.ident));
            collect(&path.tree, prefix, imported);
            prefix.pop();
        }
        UseTree::Name(only) => push(&only.ident, &only.ident),
        UseTree::Rename(renamed) => push(&renamed.ident, &renamed.rename),
        UseTree::Glob(_) => imported.push(Imported {
            path: prefix.clone(),
            alias: None,
        }),
        UseTree::Group(group) => {
            for tree in &group.items {
                collect(tree, prefix, imported);
            }
        }
    }
}

/// Finds the paths in the arguments of a macro or an attribute, which are no syntax tree.
pub(crate) fn in_tokens(tokens: TokenStream) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    scan(tokens, &mut paths);
    paths
}

fn scan(tokens: TokenStream, paths: &mut Vec<Vec<String>>) {
    let mut path: Vec<String> = Vec::new();
    // The number of colons directly before the current token.
    let mut colons = 0;
    // True for the names of a path whose beginning is no name, as in `<T>::a::b`.
    let mut headless = false;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons == 2 {
                    headless |= path.is_empty();
                } else {
                    end(&mut path, headless, paths);
                    headless = false;
                }
                path.push(name(&ident));
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => {
                let joint = punct.spacing() == Spacing::Joint;
                colons = if colons == 1 || joint { colons + 1 } else { 0 };
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) | TokenTree::Group(_) => {
                end(&mut path, headless, paths);
                headless = false;
                colons = 0;
                if let TokenTree::Group(group) = token {
                    scan(group.stream(), paths);
                }
            }
        }
    }
    end(&mut path, headless, paths);
}

fn end(path: &mut Vec<String>, headless: bool, paths: &mut Vec<Vec<String>>) {
    let path = std::mem::take(path);
    if path.len() > 1 && !headless {
        paths.push(path);
    }
}
