//! The check, on crates that are a few lines long.

use crate::{Check, Report, Violations, sources::Sources};

/// A table of three layers.
const TABLE: &str = "//! # Layers\n//!\n//! | layer | modules |\n//! |---|---|\n\
                     //! | top | `top.rs` |\n\
                     //! | middle | `middle/` |\n\
                     //! | bottom | `bottom.rs`, `base.rs` |\n\
                     mod top; mod middle; mod bottom; mod base;\n";

/// Checks a crate of those layers.
fn check_with(check: &Check, files: &[(&str, &str)]) -> Result<Report, Violations> {
    let mut all = vec![
        ("lib.rs", TABLE),
        ("top.rs", ""),
        (
            "middle/mod.rs",
            "mod one; mod two; pub use self::one::{One, sub::Deep};",
        ),
        (
            "middle/one.rs",
            "pub struct One; pub mod sub { pub struct Deep; }",
        ),
        ("middle/two.rs", ""),
        ("bottom.rs", "pub struct Bottom;"),
        ("base.rs", "pub fn base() {}"),
    ];
    for (file, text) in files {
        all.retain(|(other, _)| other != file);
        all.push((file, text));
    }
    check.examine(&all.into_iter().collect::<Sources>())
}

fn check(files: &[(&str, &str)]) -> Result<Report, Violations> {
    check_with(&Check::new(""), files)
}

fn violations(files: &[(&str, &str)]) -> Vec<String> {
    check(files).unwrap_err().lines
}

/// Returns the upward imports as `src/from -> src/to as path`.
fn upward(files: &[(&str, &str)]) -> Vec<String> {
    let lines = check(files).err().into_iter().flat_map(|found| found.lines);
    let upward = lines.filter_map(|line| {
        let (from, rest) = line.split_once(" (layer ")?;
        let (_, rest) = rest.split_once(") imports ")?;
        let (to, rest) = rest.split_once(" (layer ")?;
        let path = rest.split('`').nth(1)?;
        Some(format!("{from} -> {to} as {path}"))
    });
    upward.collect()
}

#[test]
fn path_attribute_names_the_file_of_a_module() {
    let one = "#[path = \"tests/one.rs\"] mod tests;\
               pub struct One; pub mod sub { pub struct Deep; }";
    let files = [
        ("middle/one.rs", one),
        (
            "middle/tests/one.rs",
            "use super::One; use crate::base::base;",
        ),
    ];
    assert!(check(&files).is_ok());
}

#[test]
fn path_attribute_of_the_root_names_a_file() {
    let lib = TABLE.replace("mod base;", "#[path = \"base.rs\"] mod renamed;");
    let files = [("lib.rs", &*lib), ("base.rs", "use crate::middle::One;")];
    assert_eq!(
        upward(&files),
        ["src/base.rs -> src/middle/one.rs as crate::middle::One"]
    );
}

#[test]
fn downward_imports_pass_and_are_counted() {
    let report = check(&[
        ("top.rs", "use crate::{middle::One, bottom::Bottom};"),
        ("middle/two.rs", "use super::One; use crate::base::base;"),
    ]);
    let expected = Report {
        files: 7,
        imports: 4,
        largest_cycle: 0,
    };
    assert_eq!(report, Ok(expected));
}

#[test]
fn upward_import_names_both_files_and_layers() {
    let found = check(&[("bottom.rs", "use crate::middle::One;")]).unwrap_err();
    assert_eq!(
        found.to_string(),
        "src/bottom.rs (layer bottom) imports src/middle/one.rs (layer middle, which is higher) \
         as `crate::middle::One`; move what it needs down, or pass it as an argument\n\
         7 files, 1 imports between them, 0 files in the largest cycle"
    );
}

#[test]
fn upward_import_is_found_in_every_form() {
    for text in [
        "use crate::middle::One;",
        "use crate::middle::one::One as Other;",
        "use crate::{base, middle::{one::{One}}};",
        "use super::middle::One;",
        "use super::middle::one::{self};",
        "pub(crate) use crate::middle::one::*;",
        "use crate::middle::*;",
        "use crate::middle; fn f() -> middle::One {}",
        "use crate as root; fn f() -> root::middle::One {}",
        "fn f() { use crate::middle::One; }",
        "fn f() { crate::middle::One::new() }",
        "fn f(one: &dyn crate::middle::One) {}",
        "fn f() { let x = <crate::middle::One>::new(); }",
        "fn f() { println!(\"{}\", [crate::middle::One]) }",
        "fn f() { select! { one = super::middle::One::new() => {} } }",
        "#[arg(parser = crate::middle::One::parse)] struct S;",
        "macro_rules! m { () => { $crate::middle::One } }",
        "mod tests { use crate::middle::One; }",
        "mod tests { use super::super::middle::One; }",
        "use crate::middle; mod tests { use super::*; fn f() -> middle::One {} }",
    ] {
        let found = upward(&[("bottom.rs", text)]);
        let is_named = |line: &String| line.starts_with("src/bottom.rs -> src/middle/");
        assert!(found.iter().any(is_named), "{text}: {found:?}");
    }
}

#[test]
fn other_paths_are_no_imports() {
    for text in [
        "use std::middle::One;",
        "use middle::One; fn f() -> ::middle::Two {}",
        "/// See [`crate::middle::One`].\nfn f() {}",
        "fn f() { <T>::middle::One; x!(<T>::crate::middle::One) }",
        "use self::inner::One; mod inner { pub struct One; }",
        "mod tests { use super::Bottom; }",
    ] {
        assert_eq!(
            check(&[("bottom.rs", text)]).map(|report| report.imports),
            Ok(0),
            "{text}"
        );
    }
}

#[test]
fn re_exports_are_followed_to_the_definition() {
    let files = [
        (
            "middle/mod.rs",
            "mod one; mod two; pub use two::Renamed; pub use crate::base::base as low;",
        ),
        ("middle/two.rs", "pub use super::one::One as Renamed;"),
        ("bottom.rs", "use crate::middle::{Renamed, low};"),
    ];
    assert_eq!(
        upward(&files),
        ["src/bottom.rs -> src/middle/one.rs as crate::middle::Renamed"]
    );
}

#[test]
fn test_that_imports_its_own_file_hides_no_import() {
    let one = "pub struct One; mod tests { use crate::middle::One; }";
    let files = [
        ("middle/mod.rs", "mod one; mod two; pub use self::one::One;"),
        ("middle/one.rs", one),
        ("middle/two.rs", "use super::One;"),
    ];
    assert_eq!(check(&files).map(|report| report.imports), Ok(1));
}

#[test]
fn index_that_re_exports_from_above_is_reported() {
    let files = [(
        "middle/mod.rs",
        "mod one; mod two; pub use crate::top::Top;",
    )];
    assert_eq!(
        upward(&files),
        ["src/middle/mod.rs -> src/top.rs as crate::top::Top"]
    );
}

#[test]
fn module_and_function_of_one_name_are_told_apart() {
    let files = [
        ("middle/mod.rs", "mod one; mod two; pub use self::one::one;"),
        ("middle/one.rs", "pub fn one() {} use super::two::Two;"),
        ("middle/two.rs", "pub struct Two;"),
        ("top.rs", "use crate::middle::one;"),
    ];
    assert_eq!(check(&files).map(|report| report.imports), Ok(2));
}

#[test]
fn cycle_in_one_layer_is_reported() {
    let found = check(&[
        ("bottom.rs", "use crate::base::base; pub struct Bottom;"),
        ("base.rs", "fn base() { crate::bottom::Bottom; }"),
    ])
    .unwrap_err();
    assert_eq!(found.report.largest_cycle, 2);
    let text = "2 files import each other in a cycle: src/base.rs, src/bottom.rs; move what they \
                share to a file below them";
    assert_eq!(found.lines, [text]);
}

#[test]
fn import_through_the_own_index_closes_no_cycle() {
    let files = [
        (
            "middle/one.rs",
            "pub struct One; pub mod sub { pub struct Deep; }",
        ),
        (
            "middle/two.rs",
            "use super::{One, Deep}; fn f() { super::one::One; }",
        ),
    ];
    assert_eq!(check(&files).map(|report| report.largest_cycle), Ok(0));
}

#[test]
fn test_files_import_their_layer_and_below() {
    let index = ("middle/mod.rs", "mod one; mod two; #[cfg(test)] mod tests;");
    let cycle = (
        "middle/tests.rs",
        "use super::one::One; use crate::base::base;",
    );
    let one = (
        "middle/one.rs",
        "pub struct One; fn f() { super::tests::help() }",
    );
    assert!(check(&[index, cycle, one]).is_ok());
    let above = ("middle/tests.rs", "use crate::top::Top;");
    assert_eq!(
        upward(&[index, above]),
        ["src/middle/tests.rs -> src/top.rs as crate::top::Top"]
    );
}

#[test]
fn rule_holds_files_to_the_modules_it_names() {
    let files = [
        (
            "middle/mod.rs",
            "mod one; mod two; #[cfg(test)] mod tests; pub use crate::base::base;",
        ),
        ("middle/tests.rs", "use crate::bottom::Bottom;"),
        (
            "middle/one.rs",
            "use super::base; use crate::bottom::Bottom;",
        ),
        ("middle/two.rs", "use super::one::Bottom;"),
    ];
    let rule = |allowed| Check::new("").only("middle", allowed);
    assert!(check_with(&rule(&["bottom", "middle", "base"]), &files).is_ok());
    let found = check_with(&rule(&["middle"]), &files).unwrap_err();
    assert_eq!(
        found.lines,
        [
            "src/middle/mod.rs imports `crate::base::base` (src/base.rs), but files of src/middle/ \
             may import only middle; re-export the item from one of these",
            "src/middle/one.rs imports `crate::bottom::Bottom` (src/bottom.rs), but files of \
             src/middle/ may import only middle; re-export the item from one of these",
        ]
    );
}

#[test]
fn longest_entry_gives_the_layer() {
    let table = "//! # Layers\n//! | layer | modules |\n//! |---|---|\n//! | a | `x/` |\n\
                 //! | b | `x/low/` |\n\
                 mod x;";
    let files = [
        ("lib.rs", table),
        ("x/mod.rs", "mod high; mod low;"),
        ("x/high.rs", "pub struct High;"),
        ("x/low/mod.rs", "mod low;"),
        ("x/low/low.rs", "use crate::x::high::High;"),
    ];
    let sources: Sources = files.into_iter().collect();
    let found = Check::new("").examine(&sources).unwrap_err();
    assert_eq!(found.lines.len(), 1, "{found}");
    assert!(
        found.to_string().starts_with("src/x/low/low.rs (layer b)"),
        "{found}"
    );
}

#[test]
fn table_and_files_have_to_fit() {
    let table = "//! # Layers\n//! | layer | modules |\n//! |---|---|\n\
                 //! | a | `top.rs`, `gone.rs`, `base` |\n\
                 mod top; mod middle; mod bottom; mod base;";
    let texts = violations(&[("lib.rs", table), ("middle/more.rs", "")]);
    let no_layer = |file| {
        format!(
            "src/{file}: in no layer; add the file or its folder to the layer table of src/lib.rs"
        )
    };
    let missing = |module| {
        format!(
            "src/lib.rs: the layer table names `{module}`, which is neither a file nor a folder of \
             src; remove it, or write a folder with a slash behind it"
        )
    };
    assert_eq!(
        texts,
        [
            missing("gone.rs"),
            missing("base"),
            no_layer("base.rs"),
            no_layer("bottom.rs"),
            no_layer("middle/mod.rs"),
            no_layer("middle/more.rs"),
            no_layer("middle/one.rs"),
            no_layer("middle/two.rs"),
        ]
    );
}

#[test]
fn crate_without_table_is_reported() {
    let lib = (
        "lib.rs",
        "//! | a | `top.rs` |\nmod top; mod middle; mod bottom; mod base;",
    );
    assert!(violations(&[lib])[0].starts_with("src/lib.rs: no layer table; "));
}

#[test]
fn index_file_that_defines_something_is_reported() {
    for (text, keyword) in [
        ("fn helper() {}", "fn"),
        ("mod tests {}", "mod"),
        ("impl Clone for One {}", "impl"),
        ("macro_rules! shout { () => {} }", "macro_rules"),
    ] {
        let text = format!("mod one; mod two; pub use self::one::One; {text}");
        let expected = format!(
            "src/middle/mod.rs: defines something ({keyword}), but this file may only declare and \
             re-export; move that to a file of its own"
        );
        assert_eq!(violations(&[("middle/mod.rs", &text)]), [expected]);
    }
}

#[test]
fn own_sources_keep_to_their_layers() {
    let report = Check::new(env!("CARGO_MANIFEST_DIR")).run();
    assert_eq!(report.map(|report| report.largest_cycle), Ok(0));
}
