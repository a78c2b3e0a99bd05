//! The modules of a crate: what each defines, imports and names.

use std::collections::{BTreeMap, BTreeSet};

use syn::{
    Attribute, Expr, ExprLit, Item, ItemMod, ItemUse, Lit, Macro, Meta, Path, Visibility,
    visit::{self, Visit},
};

use crate::{
    paths::{self, Imported, Written},
    sources::{Sources, is_index},
    violation::Violation,
};

/// The root of a crate.
pub(crate) const ROOT: usize = 0;

/// The modules of a crate, the root first.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) modules: Vec<Module>,
    /// Index files that define something.
    pub(crate) faults: Vec<Violation>,
}

/// A module: a file, or a part of one.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) file: String,
    pub(crate) parent: Option<usize>,
    pub(crate) name: String,
    pub(crate) children: BTreeMap<String, usize>,
    /// The names of the items that it defines.
    pub(crate) items: BTreeSet<String>,
    /// The names that it imports, with the paths that they stand for.
    pub(crate) aliases: Vec<(String, Vec<String>)>,
    /// The paths of which it imports all.
    pub(crate) globs: Vec<Vec<String>>,
    /// Every path that it writes.
    pub(crate) written: Vec<(Written, Vec<String>)>,
    /// True if it declares and re-exports, and nothing else.
    pub(crate) is_index: bool,
}

impl Tree {
    /// Parses the modules that `lib.rs` declares, and those that they declare.
    pub(crate) fn parse(sources: &Sources) -> Self {
        let mut tree = Self::default();
        tree.add_file("lib.rs", String::new(), None, sources);
        tree
    }

    /// Returns the names of the modules from the root to this one.
    pub(crate) fn path(&self, module: usize) -> Vec<String> {
        let module = &self.modules[module];
        let Some(parent) = module.parent else {
            return Vec::new();
        };
        let mut path = self.path(parent);
        path.push(module.name.clone());
        path
    }

    fn add_module(&mut self, file: &str, name: String, parent: Option<usize>) -> usize {
        let index = self.modules.len();
        if let Some(parent) = parent {
            let children = &mut self.modules[parent].children;
            children.insert(name.clone(), index);
        }
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            name,
            children: BTreeMap::new(),
            items: BTreeSet::new(),
            aliases: Vec::new(),
            globs: Vec::new(),
            written: Vec::new(),
            is_index: false,
        });
        index
    }

    fn add_file(&mut self, file: &str, name: String, parent: Option<usize>, sources: &Sources) {
        let module = self.add_module(file, name, parent);
        let parsed = syn::parse_file(sources.text(file).unwrap_or_default())
            .unwrap_or_else(|error| panic!("cannot parse src/{file}: {error}"));
        let mut visitor = Visitor {
            tree: self,
            sources,
            module,
        };
        visitor.visit_file(&parsed);
        visitor.define(&parsed.items);
        if is_index(file) {
            let module = &mut self.modules[module];
            module.is_index = module.items.is_empty();
            let items: Vec<String> = module.items.iter().cloned().collect();
            if !items.is_empty() {
                self.faults.push(Violation::DefinesItems {
                    file: file.to_owned(),
                    items,
                });
            }
        }
    }
}

/// Fills one module from its syntax tree.
struct Visitor<'a> {
    tree: &'a mut Tree,
    sources: &'a Sources,
    module: usize,
}

impl Visitor<'_> {
    fn module(&mut self) -> &mut Module {
        &mut self.tree.modules[self.module]
    }

    /// Notes the names of what the module defines.
    fn define(&mut self, items: &[Item]) {
        let index = is_index(&self.module().file);
        for item in items {
            let ident = match item {
                Item::Const(item) => &item.ident,
                Item::Enum(item) => &item.ident,
                Item::Fn(item) => &item.sig.ident,
                Item::Static(item) => &item.ident,
                Item::Struct(item) => &item.ident,
                Item::Trait(item) => &item.ident,
                Item::TraitAlias(item) => &item.ident,
                Item::Type(item) => &item.ident,
                Item::Union(item) => &item.ident,
                Item::Macro(item) => match &item.ident {
                    Some(ident) => ident,
                    None => continue,
                },
                Item::Mod(item) if index && item.content.is_some() => &item.ident,
                Item::Impl(_) if index => {
                    self.module().items.insert("impl".to_owned());
                    continue;
                }
                _ => continue,
            };
            let name = paths::name(ident);
            self.module().items.insert(name);
        }
    }

    fn write(&mut self, written: Written, path: Vec<String>) {
        self.module().written.push((written, path));
    }

    fn write_tokens(&mut self, tokens: proc_macro2::TokenStream) {
        for path in paths::in_tokens(tokens) {
            self.write(Written::Code, path);
        }
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = paths::name(&item.ident);
        let parent = self.module;
        if let Some((_, items)) = &item.content {
            let file = self.module().file.clone();
            self.module = self.tree.add_module(&file, name, Some(parent));
            for item in items {
                self.visit_item(item);
            }
            self.define(items);
            self.module = parent;
            return;
        }
        let own = &self.module().file;
        let folder = match own.rsplit_once('/') {
            _ if !is_index(own) => own.trim_end_matches(".rs").to_owned() + "/",
            Some((folder, _)) => folder.to_owned() + "/",
            None => String::new(),
        };
        let beside = own.rsplit_once('/').map_or("", |(folder, _)| folder);
        let files = match item.attrs.iter().find_map(path_attribute) {
            Some(path) => vec![format!("{beside}/{path}")],
            None => vec![
                format!("{folder}{name}.rs"),
                format!("{folder}{name}/mod.rs"),
            ],
        };
        let sources = self.sources;
        if let Some(file) = files.iter().find(|file| sources.text(file).is_some()) {
            self.tree.add_file(file, name, Some(parent), sources);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for Imported { path, alias } in paths::imports(&item.tree) {
            if let Some(alias) = alias {
                self.module().aliases.push((alias, path.clone()));
                self.write(Written::Use, path);
            } else {
                self.module().globs.push(path.clone());
                self.write(Written::Glob, path);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let names = path.segments.iter();
            let names = names.map(|segment| paths::name(&segment.ident));
            self.write(Written::Code, names.collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.visit_path(&called.path);
        self.write_tokens(called.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.write_tokens(list.tokens.clone());
        }
        visit::visit_attribute(self, attribute);
    }

    // `pub(in crate::a)` is no import.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

/// Returns the file that `#[path = "..."]` names, from the folder of the file that declares it.
fn path_attribute(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    match &pair.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(path),
            ..
        }) if pair.path.is_ident("path") => Some(path.value()),
        _ => None,
    }
}
