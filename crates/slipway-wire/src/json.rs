//! AWS JSON 1.1.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use crate::codec::Codec;
use crate::{ApiError, ErrorKind};

/// The codec of AWS JSON 1.1.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Codec for Json {
    const CONTENT_TYPE: &'static str = "application/x-amz-json-1.1";

    fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
        let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let value = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| refused(&member(error.path()), error.inner()))?;
        deserializer.end().map_err(|error| refused("", &error))?;
        Ok(value)
    }

    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, ApiError> {
        serde_json::to_vec(value).map_err(|error| {
            ApiError::new(ErrorKind::InternalFailure, format!("the answer cannot be written: {error}"))
        })
    }

    fn encode_error(error: &ApiError) -> Vec<u8> {
        serde_json::json!({ "__type": error.kind.as_str(), "message": error.message })
            .to_string()
            .into_bytes()
    }
}

/// Paths longer than this are cut: part of a path can be the client's own map keys.
const LONGEST_PATH: usize = 200;

/// The member that a path leads to, `revision.s3Location.bucket` or `tags[1].Key`; empty for the body itself.
fn member(path: &Path) -> String {
    let known: Vec<&Segment> =
        path.iter().take_while(|segment| !matches!(segment, Segment::Unknown)).collect();
    let mut out = String::new();
    for segment in known {
        if !out.is_empty() && matches!(segment, Segment::Map { .. }) {
            out.push('.');
        }
        out.push_str(&segment.to_string());
    }
    match out.char_indices().nth(LONGEST_PATH) {
        Some((end, _)) => format!("{}…", &out[..end]),
        None => out,
    }
}

fn refused(member: &str, error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    // serde_json ends its messages with the position, which is told here in another form.
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&position).unwrap_or(&text);
    let subject = if member.is_empty() { "the body" } else { member };
    let problem = match error.classify() {
        Category::Data => in_json_words(text),
        Category::Eof => "the JSON ends too early".to_owned(),
        Category::Syntax | Category::Io => format!("not valid JSON: {text}"),
    };
    let (line, column) = (error.line(), error.column());
    ApiError::new(
        ErrorKind::SerializationException,
        format!("{subject}: {problem} (line {line}, column {column})"),
    )
}

/// serde's words for a mismatch, in the words of JSON. What was found is told by its kind only: the value may be
/// large or secret.
fn in_json_words(text: &str) -> String {
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
        _ => "something else",
    };
    format!("expected {expected}, found {found}")
}
