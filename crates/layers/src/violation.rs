//! The faults that the check reports.

/// One fault, with the files that it is about and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The crate has no table.
    #[error(
        "src/lib.rs: no layer table; add a heading `# Layers` to the crate's documentation, \
         followed by a table with the columns layer and modules"
    )]
    NoTable,
    /// The table names what is not there.
    #[error(
        "src/lib.rs: the layer table names `{module}`, which is neither a file nor a folder of \
         src; remove it, or write a folder with a slash behind it"
    )]
    MissingModule {
        /// The entry of the table.
        module: String,
    },
    /// A file is in no layer of the table.
    #[error("src/{file}: in no layer; add the file or its folder to the layer table of src/lib.rs")]
    NoLayer {
        /// The file.
        file: String,
    },
    /// A file is not part of the crate.
    #[error("src/{file}: no module declares it; declare it, or remove the file")]
    Undeclared {
        /// The file.
        file: String,
    },
    /// A `mod.rs` or `lib.rs` defines something.
    #[error(
        "src/{file}: defines {}, but this file may only declare and re-export; move that to a \
         file of its own",
        .items.join(", ")
    )]
    DefinesItems {
        /// The `mod.rs`.
        file: String,
        /// The names of the items.
        items: Vec<String>,
    },
    /// A module has a file `x.rs` and a folder `x/`.
    #[error("src/{file}: is beside a folder of the same name; move it into that folder")]
    BesideItsFolder {
        /// The file.
        file: String,
    },
    /// A file imports a file of a higher layer.
    #[error(
        "src/{from} (layer {from_layer}) imports src/{to} (layer {to_layer}, which is higher) as \
         `{path}`; move what it needs down, or pass it as an argument"
    )]
    Upward {
        /// The file that imports.
        from: String,
        /// Its layer.
        from_layer: String,
        /// The file that defines the item.
        to: String,
        /// The layer of that file.
        to_layer: String,
        /// The path from the root of the crate.
        path: String,
    },
    /// Files import each other in a circle.
    #[error(
        "{count} files import each other in a circle, the shortest way around is {way}; move what \
         both ends need to a file below them",
        way = way(.shortest)
    )]
    Circle {
        /// The number of files that all reach each other.
        count: usize,
        /// The shortest circle among them.
        shortest: Vec<String>,
    },
    /// A file imports a module that a rule of the caller keeps from it.
    #[error(
        "src/{from} imports `{path}` (src/{to}), but files of src/{folder} may import only {}; \
         re-export the item from one of these",
        .allowed.join(", ")
    )]
    NotAllowed {
        /// The file that imports.
        from: String,
        /// The file that defines the item.
        to: String,
        /// The path from the root of the crate.
        path: String,
        /// The folder that the rule is about.
        folder: String,
        /// The modules that the rule permits.
        allowed: Vec<String>,
    },
}

/// Returns the circle as `a -> b -> a`.
fn way(circle: &[String]) -> String {
    circle
        .iter()
        .chain(circle.first())
        .map(|file| format!("src/{file}"))
        .collect::<Vec<_>>()
        .join(" -> ")
}
