//! Reading the XML answers of IAM and S3: these calls need the text of a few elements, whose names are unique.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// The texts of all elements called `name`, in order; an answer that is not XML has none.
pub(super) fn texts(xml: &[u8], name: &str) -> Vec<String> {
    let Ok(xml) = std::str::from_utf8(xml) else { return Vec::new() };
    let mut reader = Reader::from_str(xml);
    let mut found = Vec::new();
    let mut current: Option<String> = None;
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(element) if element.local_name().as_ref() == name.as_bytes() => {
                current = Some(String::new());
            }
            Event::Empty(element) if element.local_name().as_ref() == name.as_bytes() => {
                found.push(String::new());
            }
            Event::End(element) if element.local_name().as_ref() == name.as_bytes() => {
                found.extend(current.take());
            }
            Event::Text(text) => {
                if let (Some(current), Ok(text)) = (&mut current, text.decode()) {
                    current.push_str(&text);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(current) = &mut current {
                    if let Ok(Some(character)) = reference.resolve_char_ref() {
                        current.push(character);
                    } else if let Some(text) =
                        reference.decode().ok().and_then(|name| resolve_predefined_entity(&name))
                    {
                        current.push_str(text);
                    }
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    found
}

/// The text of the first element called `name`.
pub(super) fn text(xml: &[u8], name: &str) -> Option<String> {
    texts(xml, name).into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::{text, texts};

    #[test]
    fn elements_are_found_wherever_they_are_and_escapes_are_resolved() {
        let xml = br#"<R xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><L><member><Id>a&amp;b&#xD;</Id></member>
            <member><Id>c</Id></member></L><Empty/><Message>no &lt;user&gt;</Message></R>"#;
        assert_eq!(texts(xml, "Id"), ["a&b\r", "c"]);
        assert_eq!(text(xml, "Message").as_deref(), Some("no <user>"));
        assert_eq!(text(xml, "Empty").as_deref(), Some(""));
        assert_eq!(text(xml, "Nothing"), None);
    }

    #[test]
    fn what_is_not_xml_has_no_elements() {
        for bad in [&b"\xff"[..], b"<a><b", b"plain", b""] {
            assert_eq!(texts(bad, "a"), Vec::<String>::new());
        }
    }
}
