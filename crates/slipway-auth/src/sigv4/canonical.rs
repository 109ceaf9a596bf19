//! The canonical forms of the parts of a request, as every AWS signer computes them.

use std::borrow::Cow;

use http::HeaderMap;

const UPPER_HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Canonical path.
///
/// S3 signs the path once encoded and never normalises it, because keys may hold `//` and `..`; every other
/// service normalises the path and encodes it once more than it was sent.
pub(super) fn path(raw: &str, service: &str) -> String {
    if service == "s3" {
        return single_encoded(if raw.is_empty() { "/" } else { raw });
    }
    let normal = normalize(raw);
    let mut out = String::with_capacity(normal.len() + 8);
    for byte in normal.bytes() {
        if byte == b'/' { out.push('/') } else { push_encoded(&mut out, byte) }
    }
    out
}

/// Brings a path that was encoded once into the one spelling of that encoding. `%2F` stays what it is: an
/// encoded slash and a slash are different paths.
fn single_encoded(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut bytes = raw.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match decode_escape(raw.as_bytes(), at) {
            Some(decoded) => {
                push_encoded(&mut out, decoded);
                bytes.nth(1);
            }
            None if byte == b'/' => out.push('/'),
            None => push_encoded(&mut out, byte),
        }
    }
    out
}

/// RFC 3986 dot segments and repeated slashes removed.
fn normalize(raw: &str) -> Cow<'_, str> {
    if raw.is_empty() {
        return Cow::Borrowed("/");
    }
    if raw.starts_with('/') && !raw.contains('.') && !raw.contains("//") {
        return Cow::Borrowed(raw);
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in raw.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let ends_in_directory = matches!(raw.rsplit('/').next(), Some("" | "." | ".."));
    let mut out = format!("/{}", kept.join("/"));
    if ends_in_directory && !out.ends_with('/') {
        out.push('/');
    }
    Cow::Owned(out)
}

/// Decoded name and value pairs of a raw query string, in the order sent.
pub(super) fn decode_query(raw: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    raw.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_component(name), decode_component(value))
        })
        .collect()
}

fn decode_component(raw: &str) -> Vec<u8> {
    let bytes = raw.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if let Some(decoded) = decode_escape(bytes, at) {
            out.push(decoded);
            at += 3;
        } else {
            out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
            at += 1;
        }
    }
    out
}

/// Canonical query string: each name and value encoded, sorted by encoded name, then value.
pub(super) fn query<'a>(pairs: impl Iterator<Item = &'a (Vec<u8>, Vec<u8>)>) -> String {
    let mut encoded: Vec<(String, String)> =
        pairs.map(|(name, value)| (encode_component(name), encode_component(value))).collect();
    encoded.sort();
    let mut out = String::new();
    for (name, value) in encoded {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(&name);
        out.push('=');
        out.push_str(&value);
    }
    out
}

fn encode_component(raw: &[u8]) -> String {
    let mut out = String::with_capacity(raw.len());
    for byte in raw {
        push_encoded(&mut out, *byte);
    }
    out
}

fn push_encoded(out: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        out.push(char::from(byte));
    } else {
        out.push('%');
        out.push(char::from(UPPER_HEX[usize::from(byte >> 4)]));
        out.push(char::from(UPPER_HEX[usize::from(byte & 15)]));
    }
}

fn decode_escape(bytes: &[u8], at: usize) -> Option<u8> {
    if bytes.get(at) != Some(&b'%') {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    Some(digit(*bytes.get(at + 1)?)? << 4 | digit(*bytes.get(at + 2)?)?)
}

/// Appends `name:value\n`; several fields of one name are joined by commas in the order sent. `None` when the
/// request has no such header.
pub(super) fn push_header(
    out: &mut Vec<u8>,
    headers: &HeaderMap,
    authority: Option<&str>,
    name: &str,
) -> Option<()> {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut any = false;
    for value in headers.get_all(name) {
        if any {
            out.push(b',');
        }
        push_folded(out, value.as_bytes());
        any = true;
    }
    if !any {
        // HTTP/2 carries the host in the request target and sends no Host header.
        push_folded(out, authority.filter(|_| name == "host")?.as_bytes());
    }
    out.push(b'\n');
    Some(())
}

/// Spaces around the value dropped, runs of spaces inside folded to one. Only spaces: signers leave tabs alone.
fn push_folded(out: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(|b| *b == b' ').filter(|word| !word.is_empty());
    for (i, word) in words.enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_outside_s3_are_normalised_and_encoded_twice() {
        for (raw, canonical) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/./", "/"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/../../a", "/a"),
            ("/a//b/", "/a/b/"),
            ("/foo%3Aaaa", "/foo%253Aaaa"),
            ("/a.b~c-d_e", "/a.b~c-d_e"),
        ] {
            assert_eq!(path(raw, "iam"), canonical, "{raw}");
        }
    }

    #[test]
    fn s3_paths_keep_their_shape_in_one_spelling() {
        for (raw, canonical) in [
            ("", "/"),
            ("/b/a//../k", "/b/a//../k"),
            ("/b/%7euser", "/b/~user"),
            ("/b/a%20b+c", "/b/a%20b%2Bc"),
            ("/b/a%2fb", "/b/a%2Fb"),
            ("/b/100%", "/b/100%25"),
        ] {
            assert_eq!(path(raw, "s3"), canonical, "{raw}");
        }
    }

    #[test]
    fn queries_are_sorted_by_encoded_name_then_value() {
        let canonical = |raw: &str| query(decode_query(raw).iter());
        assert_eq!(canonical("b=2&a=2&a=1&c"), "a=1&a=2&b=2&c=");
        assert_eq!(canonical("k=a+b&e=%e1%88%b4&&d=x=y"), "d=x%3Dy&e=%E1%88%B4&k=a%20b");
        assert_eq!(canonical(""), "");
    }

    #[test]
    fn header_values_are_trimmed_folded_and_joined() {
        let mut headers = HeaderMap::new();
        headers.append("x-amz-a", "  one   two ".parse().unwrap());
        headers.append("x-amz-a", "three".parse().unwrap());
        let mut out = Vec::new();
        push_header(&mut out, &headers, None, "x-amz-a").unwrap();
        push_header(&mut out, &headers, Some("example.com:1"), "host").unwrap();
        assert_eq!(out, b"x-amz-a:one two,three\nhost:example.com:1\n");
        assert_eq!(push_header(&mut out, &headers, Some("h"), "x-amz-b"), None);
    }
}
