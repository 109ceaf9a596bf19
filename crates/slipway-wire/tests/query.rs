//! What any text does to the query protocol.

use proptest::prelude::*;
use quick_xml::events::Event;
use slipway_wire::query::{self, Form, QueryError, QueryErrorKind};

/// Every byte escaped, the way no client does and every server must read.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat()
}

/// The text of the element `name`, read by an XML parser that is not ours.
fn text_of(xml: &str, name: &str) -> String {
    let mut reader = quick_xml::Reader::from_str(xml);
    let (mut inside, mut text) = (false, String::new());
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Start(start) if start.name().as_ref() == name.as_bytes() => inside = true,
            Event::End(end) if end.name().as_ref() == name.as_bytes() => inside = false,
            Event::Text(part) if inside => text.push_str(&part.decode().expect("UTF-8")),
            Event::GeneralRef(reference) if inside => {
                let raw = format!("&{};", reference.decode().expect("UTF-8"));
                text.push_str(&quick_xml::escape::unescape(&raw).expect("a known reference"));
            }
            Event::Eof => return text,
            _ => {}
        }
    }
}

/// Whether XML 1.0 can carry the character at all.
fn is_xml(character: char) -> bool {
    !matches!(character, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}

proptest! {
    #[test]
    fn any_bytes_are_a_form_or_an_error(body in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(form) = Form::parse(&body) {
            let _ = (form.action(), form.list("a"), form.items("a"), form.flat_list("a"));
        }
    }

    #[test]
    fn almost_forms_are_a_form_or_an_error(body in "([a.&=%+0-9]|member|Action){0,60}") {
        if let Ok(form) = Form::parse(body.as_bytes()) {
            let _ = (form.action(), form.list("a"), form.items("a"), form.flat_list("a"));
        }
    }

    #[test]
    fn parameters_survive_the_form(parameters in prop::collection::btree_map(any::<String>(), any::<String>(), 0..8)) {
        let pairs: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        let form = Form::parse(pairs.join("&").as_bytes()).expect("a good form");
        for (name, value) in &parameters {
            prop_assert_eq!(form.get(name), Some(value.as_str()));
        }
    }

    #[test]
    fn any_text_survives_the_xml(text in any::<String>()) {
        let carried: String = text.chars().map(|c| if is_xml(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
        let body = query::response("GetUser", query::IAM_NAMESPACE, &text, |user| user.text("Name", &text));
        prop_assert_eq!(text_of(&body, "Name"), carried.as_str());
        prop_assert_eq!(text_of(&body, "RequestId"), carried.as_str());

        let error = QueryError::new(QueryErrorKind::InvalidInput, text.as_str());
        let body = query::error(query::STS_NAMESPACE, &error, "id");
        prop_assert_eq!(text_of(&body, "Message"), carried);
    }
}
