//! The examples are read before they are run: none may grow beyond what fits a page or two.

use std::fs;
use std::path::Path;

/// Lines that an example may have at most, its tests apart.
fn most(example: &str) -> usize {
    match example {
        "machine-auth" => 99,
        _ => 149,
    }
}

#[test]
fn every_example_is_short_and_has_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for entry in fs::read_dir(&folder).expect("the examples") {
        let example = entry.expect("an entry").path();
        let name = example
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let main = fs::read_to_string(example.join("main.rs")).expect("a main.rs");
        let lines = main.lines().count();
        assert!(lines <= most(&name), "{name} has {lines} lines");
        assert!(
            main.lines().all(|line| line.chars().count() <= 150),
            "{name} has long lines"
        );
        let tests = fs::read_to_string(example.join("tests.rs")).expect("a tests.rs");
        assert!(tests.contains("#[tokio::test]"), "{name} is not tried");
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} examples");
}
