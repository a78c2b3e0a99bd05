//! The layer table in the documentation of a crate.

use crate::sources::{Sources, covers, is_test};

/// The layers, the highest first.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    modules: Vec<String>,
}

/// A layer of a table. A greater one is lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Layer(usize);

impl Table {
    /// Finds the table in the text of `lib.rs`.
    pub(crate) fn parse(text: &str) -> Self {
        let rows = text
            .lines()
            .filter_map(|line| line.strip_prefix("//!"))
            .map(str::trim)
            .skip_while(|line| !is_heading(line))
            .skip(1)
            .take_while(|line| !line.starts_with('#'))
            .filter(|line| line.starts_with('|'))
            // The header, and the line below it.
            .skip(2)
            .filter_map(row)
            .collect();
        Self { rows }
    }

    /// Returns the layer of a file: that of the longest entry that covers it.
    pub(crate) fn layer(&self, file: &str) -> Option<Layer> {
        self.entries()
            .filter(|(_, module)| covers(module, file))
            .max_by_key(|(_, module)| module.len())
            .map(|(layer, _)| layer)
    }

    /// Returns the name of a layer.
    pub(crate) fn name(&self, layer: Layer) -> &str {
        &self.rows[layer.0].name
    }

    /// Returns a line for each difference between the table and the files that it is about.
    pub(crate) fn faults(&self, sources: &Sources) -> Vec<String> {
        if self.rows.is_empty() {
            return vec![
                "src/lib.rs: no layer table; add a heading `# Layers` to the crate's \
                 documentation, followed by a table with the columns layer and modules"
                    .to_owned(),
            ];
        }
        let missing = self
            .entries()
            .filter(|(_, module)| !sources.files().any(|file| covers(module, file)))
            .map(|(_, module)| {
                format!(
                    "src/lib.rs: the layer table names `{module}`, which is neither a file nor a \
                     folder of src; remove it, or write a folder with a slash behind it"
                )
            });
        let is_own_test = |file: &str| is_test(file) && !file.contains('/');
        let without_layer = sources
            .files()
            .filter(|file| *file != "lib.rs" && !is_own_test(file) && self.layer(file).is_none())
            .map(|file| {
                format!(
                    "src/{file}: in no layer; add the file or its folder to the layer table of \
                     src/lib.rs"
                )
            });
        missing.chain(without_layer).collect()
    }

    fn entries(&self) -> impl Iterator<Item = (Layer, &str)> {
        self.rows.iter().enumerate().flat_map(|(index, row)| {
            let modules = row.modules.iter();
            modules.map(move |module| (Layer(index), module.as_str()))
        })
    }
}

fn is_heading(line: &str) -> bool {
    line.starts_with('#') && line.trim_start_matches('#').trim() == "Layers"
}

fn row(line: &str) -> Option<Row> {
    let mut cells = line.trim_matches('|').split('|');
    Some(Row {
        name: cells.next()?.trim().to_owned(),
        // Every second part is between backticks.
        modules: cells
            .next()?
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect(),
    })
}
