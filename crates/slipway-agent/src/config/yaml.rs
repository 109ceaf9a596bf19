//! Flat YAML: the agent's configuration files are one mapping of names to scalars (AG-052).

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// A mapping whose keys have lost their leading colon; a null value counts as absent.
#[derive(Debug, Default)]
pub(super) struct FlatMap(HashMap<String, String>);

impl FlatMap {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Reads the first document. Nested values are skipped: no key of ours has one. The last duplicate wins.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut values = HashMap::new();
        let mut depth = 0_usize;
        let mut key: Option<String> = None;
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, _) = event.map_err(|error| error.to_string())?;
            match event {
                Event::MappingStart(..) if depth == 0 => depth = 1,
                Event::MappingStart(..) | Event::SequenceStart(..) if depth > 0 => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => {
                    depth = depth.saturating_sub(1);
                    if depth == 1 {
                        key = None;
                    }
                }
                Event::Scalar(value, style, ..) if depth == 1 => match key.take() {
                    None => key = Some(value.strip_prefix(':').unwrap_or(&value).to_owned()),
                    Some(name) => {
                        if style == ScalarStyle::Plain
                            && matches!(&*value, "" | "~" | "null" | "Null" | "NULL")
                        {
                            values.remove(&name);
                        } else {
                            // Ruby writes symbols as `:value`; no value of ours starts with a colon.
                            values.insert(name, value.into_owned());
                        }
                    }
                },
                Event::Alias(_) if depth == 1 => key = None,
                Event::Scalar(value, ..) if depth == 0 && !value.trim().is_empty() => {
                    return Err("a mapping of keys to values is expected".to_owned());
                }
                Event::SequenceStart(..) => return Err("a mapping of keys to values is expected".to_owned()),
                Event::DocumentEnd => break,
                _ => {}
            }
        }
        Ok(Self(values))
    }
}

#[cfg(test)]
mod tests {
    use super::FlatMap;

    #[test]
    fn keys_are_read_with_and_without_a_colon_and_the_last_duplicate_wins() {
        let map = FlatMap::parse(
            "---\n:log_dir: /a\nlog_dir: '/b'\n\n:proxy_uri:\nnested:\n  log_dir: /c\nlast: 1\n",
        );
        let map = map.expect("AG-052");
        assert_eq!(map.get("log_dir"), Some("/b"));
        assert_eq!(map.get("proxy_uri"), None);
        assert_eq!(map.get("last"), Some("1"));
    }

    #[test]
    fn a_file_that_is_no_mapping_is_refused_and_an_empty_one_is_not() {
        assert!(FlatMap::parse("- a\n- b\n").is_err());
        assert!(FlatMap::parse("just text").is_err());
        assert!(FlatMap::parse("a: [").is_err());
        assert!(FlatMap::parse("").expect("empty").get("a").is_none());
    }
}
