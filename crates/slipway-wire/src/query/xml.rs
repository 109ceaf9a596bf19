//! Answers of IAM and STS.
//!
//! Element names are `&'static str`, so that nothing out of a request can become markup; everything else is escaped.

use super::QueryError;
use crate::Timestamp;

/// An element that is being filled.
#[derive(Debug)]
pub struct Node<'a> {
    out: &'a mut String,
}

impl Node<'_> {
    /// A child element with children of its own.
    pub fn element(&mut self, name: &'static str, fill: impl FnOnce(&mut Node<'_>)) {
        open(self.out, name);
        fill(&mut Node { out: self.out });
        close(self.out, name);
    }

    /// A child element with text.
    pub fn text(&mut self, name: &'static str, text: &str) {
        open(self.out, name);
        escape(self.out, text);
        close(self.out, name);
    }

    /// A child element with text, if there is any.
    pub fn optional(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// A child element with a whole number.
    pub fn integer(&mut self, name: &'static str, number: i64) {
        self.text(name, &number.to_string());
    }

    /// A child element with a truth value.
    pub fn boolean(&mut self, name: &'static str, value: bool) {
        self.text(name, if value { "true" } else { "false" });
    }

    /// A child element with a point in time.
    pub fn timestamp(&mut self, name: &'static str, time: Timestamp) {
        self.text(name, &time.to_iso8601());
    }

    /// A child element with one `member` for each item, which `fill` fills.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Node<'_>, T),
    ) {
        self.element(name, |list| {
            for item in items {
                list.element("member", |member| fill(member, item));
            }
        });
    }

    /// A child element with one `member` for each text.
    pub fn texts<T: AsRef<str>>(&mut self, name: &'static str, texts: impl IntoIterator<Item = T>) {
        self.element(name, |list| {
            for text in texts {
                list.text("member", text.as_ref());
            }
        });
    }
}

/// The answer to an action with a result.
pub fn response(
    action: &'static str,
    namespace: &'static str,
    request_id: &str,
    fill: impl FnOnce(&mut Node<'_>),
) -> String {
    write_response(action, namespace, request_id, |out| {
        tag(out, "<", action, "Result>");
        fill(&mut Node { out });
        tag(out, "</", action, "Result>");
    })
}

/// The answer to an action that returns nothing.
pub fn empty_response(action: &'static str, namespace: &'static str, request_id: &str) -> String {
    write_response(action, namespace, request_id, |_| {})
}

fn write_response(
    action: &'static str,
    namespace: &'static str,
    request_id: &str,
    result: impl FnOnce(&mut String),
) -> String {
    let mut out = String::with_capacity(1024);
    tag(&mut out, "<", action, "Response xmlns=\"");
    out.push_str(namespace);
    out.push_str("\">");
    result(&mut out);
    Node { out: &mut out }.element("ResponseMetadata", |metadata| metadata.text("RequestId", request_id));
    tag(&mut out, "</", action, "Response>");
    out
}

/// The answer with an error.
pub fn error(namespace: &'static str, error: &QueryError, request_id: &str) -> String {
    let mut out = String::with_capacity(512);
    tag(&mut out, "<ErrorResponse xmlns=\"", namespace, "\">");
    let mut node = Node { out: &mut out };
    node.element("Error", |node| {
        node.text("Type", if error.http_status() >= 500 { "Receiver" } else { "Sender" });
        node.text("Code", error.kind.as_str());
        node.text("Message", &error.message);
    });
    node.text("RequestId", request_id);
    out.push_str("</ErrorResponse>");
    out
}

fn open(out: &mut String, name: &str) {
    tag(out, "<", name, ">");
}

fn close(out: &mut String, name: &str) {
    tag(out, "</", name, ">");
}

fn tag(out: &mut String, before: &str, name: &str, after: &str) {
    out.push_str(before);
    out.push_str(name);
    out.push_str(after);
}

fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Readers turn a bare carriage return into a line feed.
            '\r' => out.push_str("&#xD;"),
            // XML 1.0 has no way to write these, not even escaped.
            '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {
                out.push(char::REPLACEMENT_CHARACTER);
            }
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{IAM_NAMESPACE, QueryErrorKind, STS_NAMESPACE};

    #[test]
    fn a_result_is_wrapped_and_followed_by_the_request_id() {
        let body = response("ListAccessKeys", IAM_NAMESPACE, "id-1", |result| {
            result.list("AccessKeyMetadata", ["AKIA1", "AKIA2"], |member, key| {
                member.text("AccessKeyId", key);
                member.timestamp("CreateDate", Timestamp::from_millis(1_700_000_000_123));
            });
            result.boolean("IsTruncated", false);
            result.integer("MaxItems", 100);
            result.texts("Names", ["a"]);
            result.optional("Marker", None);
        });
        assert_eq!(
            body,
            concat!(
                r#"<ListAccessKeysResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">"#,
                "<ListAccessKeysResult><AccessKeyMetadata>",
                "<member><AccessKeyId>AKIA1</AccessKeyId><CreateDate>2023-11-14T22:13:20.123Z</CreateDate></member>",
                "<member><AccessKeyId>AKIA2</AccessKeyId><CreateDate>2023-11-14T22:13:20.123Z</CreateDate></member>",
                "</AccessKeyMetadata><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems>",
                "<Names><member>a</member></Names></ListAccessKeysResult>",
                "<ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></ListAccessKeysResponse>",
            )
        );
    }

    #[test]
    fn an_action_that_returns_nothing_has_no_result_element() {
        assert_eq!(
            empty_response("DeleteUser", IAM_NAMESPACE, "id-2"),
            concat!(
                r#"<DeleteUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">"#,
                "<ResponseMetadata><RequestId>id-2</RequestId></ResponseMetadata></DeleteUserResponse>",
            )
        );
    }

    #[test]
    fn errors_say_whose_fault_they_are() {
        let sender = QueryError::new(QueryErrorKind::NoSuchEntity, "no user <a> & co");
        assert_eq!(
            error(IAM_NAMESPACE, &sender, "id-3"),
            concat!(
                r#"<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">"#,
                "<Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>no user &lt;a&gt; &amp; co</Message></Error>",
                "<RequestId>id-3</RequestId></ErrorResponse>",
            )
        );
        let receiver = QueryError::new(QueryErrorKind::InternalFailure, "");
        assert!(error(STS_NAMESPACE, &receiver, "").contains("<Type>Receiver</Type>"));
    }
}
