//! The corpus as an ordinary test: every file must be answered as its name says, `ANSWER--WHAT`.

use std::path::Path;

/// Runs `decoder` over `fuzz/corpus/NAME`.
pub(crate) fn check(name: &str, decoder: fn(&[u8]) -> String) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut files = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&directory).expect("the corpus is there") {
        let path = entry.expect("a readable directory").path();
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        let (expected, _) = file.split_once("--").unwrap_or_else(|| panic!("{file} does not say its answer"));
        let answer = decoder(&std::fs::read(&path).expect("a readable file"));
        if answer != expected {
            wrong.push(format!("{file}: {answer}"));
        }
        files += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(files >= 10, "{files} files in {}", directory.display());
}
