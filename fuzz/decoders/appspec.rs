//! AppSpec files.

use slipway_appspec::{Os, ParseOptions, ValidateOptions, decode, inspect, validate};

/// A file as a host and as its author read it.
pub(crate) fn appspec(input: &[u8]) -> String {
    let Ok(text) = decode(input) else { return "not-text".to_owned() };
    validate(&text, &ValidateOptions::default());
    inspect(&text, &ParseOptions::new(Os::Windows));
    match inspect(&text, &ParseOptions::new(Os::Linux)).spec {
        Ok(_) => "ok".to_owned(),
        Err(_) => "refused".to_owned(),
    }
}
