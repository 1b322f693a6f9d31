//! Files of a crate may import each other in a circle only within a small family: whoever reads one file of a circle has to read all of it.
//! That crates do not depend on each other in a circle, cargo sees to: it refuses to build such a workspace.

mod source;
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use source::{Source, files_of};

/// The most files that may import each other in a circle.
const MOST: usize = 5;

type Arrows<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

#[test]
fn no_circle_of_imports_is_larger_than_a_family() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = String::new();
    for name in crates(workspace) {
        let folder = workspace.join(&name).join("src");
        let root = ["lib.rs", "main.rs"]
            .into_iter()
            .find(|root| folder.join(root).exists())
            .unwrap_or_else(|| panic!("{name} has neither lib.rs nor main.rs"));
        let source = Source::read(root, &files_of(&folder));
        let arrows = source.arrows();
        for circle in circles(&arrows) {
            if circle.len() > MOST {
                wrong.push_str(&drawn(&name, &circle, &arrows));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "more than {MOST} files import each other in a circle; move what both sides need to a file that imports neither:\n{wrong}"
    );
}

/// The folders of the workspace's crates. The root's own is empty.
fn crates(workspace: &Path) -> Vec<String> {
    let manifest =
        std::fs::read_to_string(workspace.join("Cargo.toml")).expect("the workspace's manifest");
    let members = manifest
        .split_once("members = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .expect("a list of members")
        .0;
    let members = members.split(',').map(|name| name.trim().trim_matches('"'));
    let members = members.filter(|name| !name.is_empty());
    members.chain([""]).map(str::to_owned).collect()
}

/// The sets of files that all lead to each other, the largest first. Sets of one file are no circles.
fn circles<'a>(arrows: &Arrows<'a>) -> Vec<BTreeSet<&'a str>> {
    let reached: Arrows<'a> = arrows
        .keys()
        .map(|from| (*from, reached(arrows, from)))
        .collect();
    let leads = |from: &str, to: &str| reached.get(from).is_some_and(|found| found.contains(to));
    let mut circles = BTreeSet::new();
    for file in arrows.keys() {
        let circle: BTreeSet<&str> = arrows
            .keys()
            .filter(|other| leads(file, other) && leads(other, file))
            .copied()
            .collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    let mut circles: Vec<_> = circles.into_iter().collect();
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    circles
}

/// The files to which arrows lead from `from`.
fn reached<'a>(arrows: &Arrows<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(file) = waiting.pop() {
        for target in arrows.get(file).into_iter().flatten() {
            if found.insert(*target) {
                waiting.push(target);
            }
        }
    }
    found
}

/// A circle with its arrows, a line for each file.
fn drawn(name: &str, circle: &BTreeSet<&str>, arrows: &Arrows<'_>) -> String {
    let of = if name.is_empty() { "the binary" } else { name };
    let mut drawn = format!("{of}: {} files\n", circle.len());
    for file in circle {
        let targets: Vec<&str> = arrows[file].intersection(circle).copied().collect();
        let _ = writeln!(drawn, "  {file} -> {}", targets.join(", "));
    }
    drawn
}
