//! The answers of IAM and STS as values. They are our own, so only what we write is read.

use serde_json::{Map, Value};

/// Elements inside each other; no answer of ours goes deeper.
const DEPTH: usize = 16;

/// The content of `<…Result>` of an answer; `None` when there is none, or it is not as we write it.
pub(super) fn result(answer: &str) -> Option<Value> {
    let mut reader = Reader { rest: answer };
    // The outermost element is the response.
    reader.open()?;
    loop {
        let name = reader.open()?;
        let value = reader.value(name, DEPTH)?;
        if name.ends_with("Result") {
            return Some(value);
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// The name of the element that begins here.
    fn open(&mut self) -> Option<&'a str> {
        let tag = self.rest.strip_prefix('<')?;
        let (inside, rest) = tag.split_once('>')?;
        if inside.starts_with('/') {
            return None;
        }
        self.rest = rest;
        Some(inside.split(' ').next().unwrap_or(inside))
    }

    /// What is in the element that has been opened, past its end.
    fn value(&mut self, name: &str, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        let (text, _) = self.rest.split_once('<')?;
        self.rest = &self.rest[text.len()..];
        let mut members = Map::new();
        let mut items = Vec::new();
        while let Some(child) = self.open() {
            let value = self.value(child, depth)?;
            if child == "member" {
                items.push(value);
            } else {
                members.insert(child.to_owned(), value);
            }
        }
        self.rest = self.rest.strip_prefix("</")?.strip_prefix(name)?.strip_prefix('>')?;
        Some(if !items.is_empty() {
            Value::Array(items)
        } else if !members.is_empty() {
            Value::Object(members)
        } else {
            Value::String(unescape(text))
        })
    }
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#xD;", "\r")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use slipway_wire::query::{IAM_NAMESPACE, empty_response, response};

    #[test]
    fn what_we_write_is_read_again() {
        let answer = response("ListUsers", IAM_NAMESPACE, "id", |result| {
            result.list("Users", ["a<&>", "b"], |member, name| member.text("UserName", name));
            result.boolean("IsTruncated", false);
        });
        let value = json!({"Users": [{"UserName": "a<&>"}, {"UserName": "b"}], "IsTruncated": "false"});
        assert_eq!(result(&answer), Some(value));
    }

    #[test]
    fn an_answer_without_result_has_none_and_nothing_else_panics() {
        assert_eq!(result(&empty_response("DeleteUser", IAM_NAMESPACE, "id")), None);
        for odd in ["", "<", "<a", "<a>", "<a><b>", "<a></a>", "text", &"<a>".repeat(100_000)] {
            assert_eq!(result(odd), None);
        }
    }
}
