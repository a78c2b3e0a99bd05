//! Files that import each other in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The imports of files: who imports whom.
pub(crate) type Graph<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// A set of files of which each can be reached from each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Circle {
    pub(crate) files: Vec<String>,
    /// The shortest way from one of the files back to it.
    pub(crate) shortest: Vec<String>,
}

/// Returns the circles of a graph, the largest first.
pub(crate) fn circles(graph: &Graph<'_>) -> Vec<Circle> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = graph
        .keys()
        .map(|file| (*file, reachable(graph, file)))
        .collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (file, from_here) in &reach {
        if seen.contains(file) || !from_here.contains(file) {
            continue;
        }
        let files: Vec<&str> = from_here
            .iter()
            .copied()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(file)))
            .collect();
        seen.extend(files.iter().copied());
        let ways = files.iter().filter_map(|file| way_back(graph, file));
        circles.push(Circle {
            shortest: ways.min_by_key(Vec::len).unwrap_or_default(),
            files: files.into_iter().map(str::to_owned).collect(),
        });
    }
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.files.len()));
    circles
}

/// Returns the files that a file imports, and those that they import.
fn reachable<'a>(graph: &Graph<'a>, file: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = graph.get(file).into_iter().flatten().copied().collect();
    while let Some(next) = open.pop() {
        // Names in the graph live as long as its keys.
        let Some((next, imports)) = graph.get_key_value(next) else {
            continue;
        };
        if found.insert(*next) {
            open.extend(imports);
        }
    }
    found
}

/// Returns the shortest way from a file back to it, without its end.
fn way_back(graph: &Graph<'_>, file: &str) -> Option<Vec<String>> {
    let mut queue = VecDeque::from([vec![file]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = queue.pop_front() {
        for next in graph.get(way.last()?).into_iter().flatten() {
            if *next == file {
                return Some(way.into_iter().map(str::to_owned).collect());
            }
            if seen.insert(*next) {
                let mut longer = way.clone();
                longer.push(next);
                queue.push_back(longer);
            }
        }
    }
    None
}
