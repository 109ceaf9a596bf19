//! AWS JSON 1.1.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use crate::codec::{self, Codec};
use crate::{ApiError, ErrorKind, words};

/// The codec of AWS JSON 1.1.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Codec for Json {
    const CONTENT_TYPE: &'static str = "application/x-amz-json-1.1";

    fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
        let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
        check_number_of_values(body)?;
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let value = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| refused(&member(error.path()), error.inner()))?;
        deserializer.end().map_err(|error| refused("", &error))?;
        Ok(value)
    }

    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, ApiError> {
        serde_json::to_vec(value).map_err(|error| codec::unwritable(&error))
    }

    fn encode_error(error: &ApiError) -> Vec<u8> {
        serde_json::json!({ "__type": error.kind.as_str(), "message": error.message })
            .to_string()
            .into_bytes()
    }
}

/// Refuses bodies of too many values before anything is made of them.
fn check_number_of_values(body: &[u8]) -> Result<(), ApiError> {
    if body.len() <= codec::MOST_VALUES {
        return Ok(());
    }
    let (mut values, mut in_string, mut escaped) = (0, false, false);
    let (mut line, mut line_start) = (1, 0);
    for (at, byte) in body.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'\n' => (line, line_start) = (line + 1, at + 1),
            // A value follows each of these.
            b'[' | b'{' | b',' | b':' if !in_string => values += 1,
            _ => {}
        }
        if values > codec::MOST_VALUES {
            let message = format!("the body: too many values (line {line}, column {})", at + 1 - line_start);
            return Err(ApiError::new(ErrorKind::SerializationException, message));
        }
    }
    Ok(())
}

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
    words::cut(out)
}

fn refused(member: &str, error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    // serde_json ends its messages with the position, which is told here in another form.
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&position).unwrap_or(&text);
    let subject = words::subject(member);
    let problem = match error.classify() {
        Category::Data => words::of_wire(text),
        Category::Eof => "the JSON ends too early".to_owned(),
        Category::Syntax | Category::Io => format!("not valid JSON: {text}"),
    };
    let (line, column) = (error.line(), error.column());
    ApiError::new(
        ErrorKind::SerializationException,
        format!("{subject}: {problem} (line {line}, column {column})"),
    )
}
