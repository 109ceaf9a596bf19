//! From bytes to text, and the characters that do not print.

use crate::error::AppSpecError;

/// More than this is no AppSpec file; it would only cost memory on every host of a fleet.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Reads the bytes of an AppSpec file: UTF-8, or UTF-16 announced by its byte order mark.
pub fn decode(bytes: &[u8]) -> Result<String, AppSpecError> {
    if bytes.len() > MAX_BYTES {
        return Err(not_yaml(&format!("the file is larger than {MAX_BYTES} bytes"), 1, 1));
    }
    match bytes {
        [0xFF, 0xFE, rest @ ..] => decode_utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => decode_utf16(rest, u16::from_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => {
                let (line, column) = place(&bytes[..error.valid_up_to()]);
                Err(not_yaml("the file is not valid UTF-8", line, column))
            }
        },
    }
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, AppSpecError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    match String::from_utf16(&units) {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => Err(not_yaml("the file is not valid UTF-16", 1, 1)),
    }
}

fn place(before: &[u8]) -> (usize, usize) {
    let line = before.split(|byte| *byte == b'\n').count();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}

/// The text for malformed input; the reader's reason and place are in the message (AS-019).
pub(crate) fn not_yaml(reason: &str, line: usize, column: usize) -> AppSpecError {
    AppSpecError::new(
        format!(
            "The deployment failed because the application specification file is not valid YAML: {reason} at line {line} column {column}"
        ),
        line,
        column,
    )
}

/// What an author probably did wrong where the scanner stopped, told from the lines there.
pub(crate) fn hint(text: &str, line: usize) -> Option<&'static str> {
    // The scanner often notices one line late.
    let mut near = text.lines().skip(line.saturating_sub(2)).take(2);
    near.find_map(hint_of_line)
}

fn hint_of_line(line: &str) -> Option<&'static str> {
    let content = line.trim_start_matches([' ', '\t', '-']);
    if line[..line.len() - content.len()].contains('\t') {
        return Some("indent with spaces; YAML allows no tabs there");
    }
    match content.split_once(':') {
        Some((_, value)) if value.trim_start().starts_with('*') => {
            Some("quote a value that begins with *, such as pattern: \"*.txt\"")
        }
        Some((_, value)) if value.trim_start().starts_with(['%', '@', '`', '&', '!']) => {
            Some("quote a value that begins with a special character")
        }
        Some((key, value))
            if !value.is_empty()
                && !value.starts_with([' ', '\t'])
                && !key.contains(['"', '\'', '{', '[']) =>
        {
            Some("put a space behind the colon, such as version: 0.0")
        }
        _ => None,
    }
}

/// A character that an editor does not show (AS-024).
pub(crate) struct Invisible {
    pub(crate) what: &'static str,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Finds byte order marks, carriage returns and other control characters; each kind once, at its
/// first place, because a file from Windows has one per line.
pub(crate) fn invisible(text: &str) -> Vec<Invisible> {
    let mut found: Vec<Invisible> = Vec::new();
    let (mut line, mut column) = (1, 1);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let crlf = character == '\r' && characters.peek() == Some(&'\n');
        let what = match character {
            '\u{FEFF}' => Some("a byte order mark (BOM)"),
            '\r' if crlf => Some("a carriage return (Windows line end)"),
            '\r' => Some("a carriage return without a line feed"),
            '\u{200B}'..='\u{200F}' | '\u{2060}' => Some("an invisible formatting character"),
            other if other.is_control() && !matches!(other, '\n' | '\t' | '\u{85}') => {
                Some("a control character")
            }
            _ => None,
        };
        if let Some(what) = what
            && !found.iter().any(|earlier| earlier.what == what)
        {
            found.push(Invisible { what, line, column });
        }
        if character == '\n' || (character == '\r' && !crlf) {
            (line, column) = (line + 1, 1);
        } else {
            column += 1;
        }
    }
    found
}
