//! The few elements that are read of IAM's, STS's and S3's answers.

/// The text of the first element of that name, if it holds no other element.
pub(crate) fn element(xml: &str, name: &str) -> Option<String> {
    elements(xml, name).next()
}

/// The texts of all elements of that name.
pub(crate) fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = String> + 'a {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (text, later) = after.split_once(&close)?;
        rest = later;
        Some(plain(text))
    })
}

fn plain(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::{element, elements};

    #[test]
    fn elements_are_found_by_name_and_their_text_is_unescaped() {
        let xml = "<?xml?><Error><Code>NoSuchKey</Code><Message>a &lt;b&gt; &amp;lt;</Message></Error>";
        assert_eq!(element(xml, "Code").as_deref(), Some("NoSuchKey"));
        assert_eq!(element(xml, "Message").as_deref(), Some("a <b> &lt;"));
        assert_eq!(element("<Code>", "Code"), None);
        let list = "<L><member>a</member><member>b</member></L>";
        assert_eq!(elements(list, "member").collect::<Vec<_>>(), ["a", "b"]);
    }
}
