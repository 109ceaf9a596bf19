//! Writes `src/generated` and `tests/generated` from the compact service models in `api/`.
//!
//! ```text
//! cargo run -p slipway-wire --bin wire-gen
//! ```
//!
//! The output is checked in; the test at the end of this file proves that it is current. When a broken generated
//! file keeps this program itself from building, restore `src/generated` from the last commit and run it again.

/// Appends formatted text to a `String`.
macro_rules! text {
    ($out:expr, $($format:tt)+) => {{
        use std::fmt::Write as _;
        write!($out, $($format)+).expect("writing to a String cannot fail")
    }};
}

/// Appends a formatted line to a `String`.
macro_rules! line {
    ($out:expr, $($format:tt)+) => {{
        use std::fmt::Write as _;
        writeln!($out, $($format)+).expect("writing to a String cannot fail")
    }};
}

mod emit_constraints;
mod emit_errors;
mod emit_operations;
mod emit_tests;
mod emit_types;
mod model;
mod names;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use model::Model;

/// What can go wrong while generating.
#[derive(Debug, thiserror::Error)]
enum GenerateError {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Model { path: PathBuf, source: serde_json::Error },
    #[error("rustfmt: {0}")]
    Rustfmt(String),
}

/// A service: the module that is generated and the model that it is generated from.
struct Service {
    module: &'static str,
    api: &'static str,
}

const SERVICES: [Service; 2] = [
    Service { module: "codedeploy", api: "api/codedeploy.json" },
    Service { module: "commands", api: "api/codedeploy-commands.json" },
];

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match write_all(root) {
        Ok(count) => {
            println!("{count} files written");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("wire-gen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_all(root: &Path) -> Result<usize, GenerateError> {
    let files = generate(root)?;
    for (path, text) in &files {
        let path = root.join(path);
        let failed = |source| GenerateError::File { path: path.clone(), source };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed)?;
        }
        fs::write(&path, text).map_err(failed)?;
    }
    Ok(files.len())
}

/// Every generated file: path below the crate's root, and text.
fn generate(root: &Path) -> Result<Vec<(String, String)>, GenerateError> {
    let mut models = Vec::new();
    for service in &SERVICES {
        models.push((service.module, load(&root.join(service.api))?));
    }

    let mut raw = vec![("src/generated/errors.rs".to_owned(), emit_errors::emit(&models))];
    for (module, model) in &models {
        let directory = format!("src/generated/{module}");
        raw.push((format!("{directory}/mod.rs"), emit_operations::module(model)));
        raw.push((format!("{directory}/types.rs"), emit_types::structures(model)));
        raw.push((format!("{directory}/values.rs"), emit_types::enums(model)));
        raw.push((format!("{directory}/operations.rs"), emit_operations::operations(model)));
        raw.push((format!("{directory}/service.rs"), emit_operations::service(model)));
        raw.push((format!("{directory}/constraints.rs"), emit_constraints::emit(model)));
    }
    raw.push(("tests/generated/mod.rs".to_owned(), emit_tests::emit(&models)));

    raw.into_iter().map(|(path, text)| Ok((path, rustfmt(root, &text)?))).collect()
}

fn load(path: &Path) -> Result<Model, GenerateError> {
    let text = fs::read(path).map_err(|source| GenerateError::File { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| GenerateError::Model { path: path.to_owned(), source })
}

/// `text` as `cargo fmt` leaves it, so that formatting the workspace never makes the generated code stale.
fn rustfmt(root: &Path, text: &str) -> Result<String, GenerateError> {
    let failed = |error: &dyn std::fmt::Display| GenerateError::Rustfmt(error.to_string());
    let mut child = Command::new("rustfmt")
        .current_dir(root)
        .args(["--edition", "2024"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let mut stdin = child.stdin.take().expect("stdin was asked to be piped");
    let input = text.to_owned();
    // Written from a second thread: rustfmt may fill its output pipe before it has read everything.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(|error| failed(&error))?;
    writer.join().map_err(|_| failed(&"the writing thread panicked"))?.map_err(|error| failed(&error))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn checked_in_code_is_what_the_models_say() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (path, expected) in generate(root).expect("the models generate") {
            let actual = fs::read_to_string(root.join(&path)).unwrap_or_default();
            assert!(actual == expected, "{path} is stale: run `cargo run -p slipway-wire --bin wire-gen`");
        }
    }

    #[test]
    fn no_generated_file_outlives_its_model() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let expected: BTreeSet<String> =
            generate(root).expect("the models generate").into_iter().map(|(path, _)| path).collect();
        let mut found = BTreeSet::new();
        for service in &SERVICES {
            let directory = format!("src/generated/{}", service.module);
            for entry in fs::read_dir(root.join(&directory)).expect("generated directory exists") {
                let name = entry.expect("readable entry").file_name();
                found.insert(format!("{directory}/{}", name.to_string_lossy()));
            }
        }
        assert_eq!(found.difference(&expected).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
