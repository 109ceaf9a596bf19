//! Refusals in words: which member, what was expected, what was found. The same in every codec.

/// Paths longer than this are cut: part of a path can be the client's own map keys.
const LONGEST_PATH: usize = 200;

/// A path as a message carries it.
pub(crate) fn cut(path: String) -> String {
    match path.char_indices().nth(LONGEST_PATH) {
        Some((end, _)) => format!("{}…", &path[..end]),
        None => path,
    }
}

/// What a refusal is about: the member, or the whole body.
pub(crate) fn subject(member: &str) -> &str {
    if member.is_empty() { "the body" } else { member }
}

/// serde's words for a mismatch, in the words of the wire. What was found is told by its kind only: the value may be
/// large or secret.
pub(crate) fn of_wire(text: &str) -> String {
    let mismatch = text.strip_prefix("invalid type: ").map(|rest| (rest, false));
    let mismatch = mismatch.or_else(|| text.strip_prefix("invalid value: ").map(|rest| (rest, true)));
    // The last ", expected " is serde's own; an earlier one could be part of the client's string.
    let Some((found, expected, of_right_type)) =
        mismatch.and_then(|(rest, right)| rest.rsplit_once(", expected ").map(|(f, e)| (f, e, right)))
    else {
        return match text.strip_prefix("duplicate field ") {
            Some(name) => format!("{name} is given twice"),
            None => text.to_owned(),
        };
    };
    let expected = match expected {
        "i32" => "a 32-bit integer",
        "i64" => "a 64-bit integer",
        "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        other => other,
    };
    let found = match found.split_whitespace().next() {
        Some("integer" | "floating") if of_right_type => "a number out of range",
        // Whole numbers that no integer holds arrive as floating point, too.
        Some("floating") if expected.ends_with("integer") => "a fraction or too large a number",
        Some("integer" | "floating") => "a number",
        Some("string") if of_right_type => "another string",
        Some("string" | "character") => "a string",
        Some("boolean") => "a boolean",
        Some("null" | "unit") => "null",
        Some("sequence") => "a list",
        Some("map") => "an object",
        Some("byte") => "bytes",
        Some("tag") => "a tagged value",
        _ => "something else",
    };
    format!("expected {expected}, found {found}")
}
