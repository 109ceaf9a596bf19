//! The table of rules and tests tells the truth.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The name behind `fn ` or `def ` of every function below a directory.
fn functions(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "py") {
            for line in fs::read_to_string(&path).unwrap().lines() {
                let line = line.trim_start().trim_start_matches("async ");
                if let Some(rest) = line.strip_prefix("fn ").or_else(|| line.strip_prefix("def ")) {
                    names.insert(rest.split('(').next().unwrap_or_default().to_owned());
                }
            }
        }
    }
}

#[test]
fn every_test_in_the_table_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut names = BTreeSet::new();
    for directory in ["crates/slipway-appspec", "crates/slipway-agent", "crates/slipway-cli/tests"] {
        functions(&root.join(directory), &mut names);
    }
    for file in fs::read_dir(root.join("tests")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "py") {
            let text = fs::read_to_string(&path).unwrap();
            let tests = text.lines().filter_map(|line| line.strip_prefix("def "));
            names.extend(tests.filter_map(|line| line.split('(').next()).map(str::to_owned));
        }
    }
    let table = include_str!("coverage.md");
    let rows = table.lines().filter(|line| line.starts_with("| AS-") || line.starts_with("| D-"));
    let named: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 70, "{} tests", named.len());
    let gone: Vec<&&str> = named.iter().filter(|name| !names.contains(**name)).collect();
    assert!(gone.is_empty(), "no such tests: {gone:#?}");
}
