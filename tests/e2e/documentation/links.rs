//! Links between the pages.

use std::path::{Component, Path, PathBuf};

use integration_tests::root;

use super::pages::Page;

/// Removes `.` and `..` from a path.
fn normalized(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => assert!(normalized.pop(), "{} leaves the root", path.display()),
            Component::CurDir => {}
            other => normalized.push(other),
        }
    }
    normalized
}

/// Returns the faults of the links in a page.
fn faults(page: &Page) -> Vec<String> {
    let links = page.links().into_iter();
    let local = links.filter(|link| !link.contains("://"));
    let faults = local.filter_map(|link| {
        let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
        let path = match file {
            "" => PathBuf::from(&page.path),
            file => normalized(&Path::new(&page.path).with_file_name(file)),
        };
        let fault = if !root().join(&path).exists() {
            "the file is missing"
        } else if !anchor.is_empty()
            && !Page::read(path.to_str().unwrap())
                .anchors()
                .contains(anchor)
        {
            "the anchor is missing"
        } else {
            return None;
        };
        Some(format!("{}: {link}: {fault}", page.path))
    });
    faults.collect()
}

#[test]
fn local_links_lead_to_files_and_anchors() {
    let pages = Page::all();
    let faults: Vec<_> = pages.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let links: usize = pages.iter().map(|page| page.links().len()).sum();
    assert!(links > 100, "{links}");
}

/// A page that no other page links to is not found by a reader. A link to a directory shows its
/// pages.
#[test]
fn pages_are_reachable_from_the_readme() {
    let pages = Page::all();
    let mut reached = vec![PathBuf::from("README.md")];
    let mut next = 0;
    while let Some(path) = reached.get(next).cloned() {
        next += 1;
        let Some(page) = pages.iter().find(|page| Path::new(&page.path) == path) else {
            continue;
        };
        for link in page.links().iter().filter(|link| !link.contains("://")) {
            let file = link.split('#').next().unwrap();
            let target = normalized(&path.with_file_name(file));
            let shown = pages.iter().map(|page| PathBuf::from(&page.path));
            let shown = shown.filter(|page| *page == target || page.parent() == Some(&target));
            for page in shown {
                if !reached.contains(&page) {
                    reached.push(page);
                }
            }
        }
    }
    let lost = pages.iter().map(|page| &page.path);
    let lost: Vec<_> = lost
        .filter(|path| !reached.contains(&PathBuf::from(path)))
        .collect();
    assert!(lost.is_empty(), "{lost:#?}");
}
