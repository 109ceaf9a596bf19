//! A small document tree over parser events: raw scalar text, whether it was quoted, and its place.
//!
//! A resolved YAML value has already lost what the rules of AppSpec files ask for: the digits of
//! `0644` (D-15), the line of a wrong value, the first of two equal keys (AS-014).

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use crate::error::AppSpecError;
use crate::text::not_yaml;

/// Real files nest five levels; the limit keeps hostile ones from exhausting the stack.
const MAX_DEPTH: usize = 64;
/// Bound on nodes after the expansion of aliases (AMB-30).
const MAX_NODES: usize = 200_000;

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    /// `plain` tells unquoted text: only that can be a number or a boolean.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The scalar's text as typed; null is `None`, as is a list or a map.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What a message shows between parentheses; nothing for null.
    pub(crate) fn render(&self) -> String {
        match &self.value {
            Value::Null => String::new(),
            Value::Scalar { text, .. } => text.clone(),
            Value::List(items) => {
                format!("[{}]", items.iter().map(Self::render).collect::<Vec<_>>().join(", "))
            }
            Value::Map(entries) => {
                let pairs: Vec<_> =
                    entries.iter().map(|entry| format!("{}: {}", entry.key, entry.value.render())).collect();
                format!("{{{}}}", pairs.join(", "))
            }
        }
    }

    /// The word for this kind of value in structural messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "blank",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    fn weight(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Self::weight).sum(),
            Value::Map(entries) => entries.iter().map(|entry| 1 + entry.value.weight()).sum(),
            _ => 0,
        }
    }
}

/// The entry of a map by its key.
pub(crate) fn get<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.key == key)
}

/// A key that occurs twice in one map; the later one holds (AS-014).
#[derive(Debug)]
pub(crate) struct Duplicate {
    pub(crate) key: String,
    pub(crate) first_line: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// The first document of a stream (AS-020).
#[derive(Debug)]
pub(crate) struct Document {
    /// `None` for a file without any value (AS-015).
    pub(crate) root: Option<Node>,
    pub(crate) duplicates: Vec<Duplicate>,
}

/// Loads the first document of the text.
pub(crate) fn load(text: &str) -> Result<Document, AppSpecError> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if let Some(before) = text.find('\0') {
        let line = text[..before].matches('\n').count() + 1;
        let column = text[..before].chars().rev().take_while(|c| *c != '\n').count() + 1;
        // The scanner takes NUL for the end of the input and would drop the rest in silence.
        return Err(not_yaml("control characters are not allowed", line, column));
    }
    Loader { parser: Parser::new_from_str(text), anchors: HashMap::new(), duplicates: Vec::new(), nodes: 0 }
        .document()
}

struct Loader<'input> {
    parser: Parser<'input, StrInput<'input>>,
    anchors: HashMap<usize, Node>,
    duplicates: Vec<Duplicate>,
    nodes: usize,
}

impl<'input> Loader<'input> {
    fn document(mut self) -> Result<Document, AppSpecError> {
        let root = loop {
            let (event, span) = self.next()?;
            match event {
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
                Event::StreamEnd | Event::DocumentEnd => break None,
                event => {
                    let root = self.node(event, span, 0)?;
                    // What follows the value must end the document, else the value was cut short:
                    // `version:0.0` and a line after it is one broken key, not a text (AS-019).
                    self.next()?;
                    break Some(root);
                }
            }
        };
        Ok(Document { root: root.filter(|root| !root.is_null()), duplicates: self.duplicates })
    }

    fn next(&mut self) -> Result<(Event<'input>, Span), AppSpecError> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(scan_error(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'input>, span: Span, depth: usize) -> Result<Node, AppSpecError> {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        if depth > MAX_DEPTH {
            return Err(not_yaml("values are nested too deeply", line, column));
        }
        self.count(1, line, column)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref()), anchor),
            Event::SequenceStart(anchor, _) => (Value::List(self.list(depth)?), anchor),
            Event::MappingStart(anchor, _) => (Value::Map(self.map(depth)?), anchor),
            Event::Alias(id) => return self.alias(id, line, column),
            _ => return Err(not_yaml("the document ends unexpectedly", line, column)),
        };
        let node = Node { value, line, column };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, AppSpecError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(items);
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, AppSpecError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut merged: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if merge && collect_merge(&value, &mut merged) {
                continue;
            }
            let entry = Entry { key: key.render(), line: key.line, column: key.column, value };
            if let Some(&at) = places.get(&entry.key) {
                self.duplicates.push(Duplicate {
                    key: entry.key.clone(),
                    first_line: entries[at].line,
                    line: entry.line,
                    column: entry.column,
                });
                entries[at] = entry;
            } else {
                places.insert(entry.key.clone(), entries.len());
                entries.push(entry);
            }
        }
        for entry in merged {
            // A key written out in the map beats the merged one, the first of several merges the later.
            if !places.contains_key(&entry.key) {
                places.insert(entry.key.clone(), entries.len());
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    fn alias(&mut self, id: usize, line: usize, column: usize) -> Result<Node, AppSpecError> {
        let Some(node) = self.anchors.get(&id) else {
            return Err(not_yaml("an alias refers to a value that contains it", line, column));
        };
        let weight = node.weight();
        // The copy keeps the place of the anchor: that is where a wrong value has to be corrected.
        let copy = if self.nodes + weight > MAX_NODES { None } else { Some(node.clone()) };
        self.count(weight, line, column)?;
        copy.ok_or_else(|| not_yaml("aliases expand to too many values", line, column))
    }

    fn count(&mut self, nodes: usize, line: usize, column: usize) -> Result<(), AppSpecError> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(not_yaml("the file holds too many values", line, column));
        }
        Ok(())
    }
}

/// Takes the entries of a `<<` value; false when the value cannot be merged and `<<` is a plain key.
fn collect_merge(value: &Node, merged: &mut Vec<Entry>) -> bool {
    match &value.value {
        Value::Map(entries) => merged.extend(entries.iter().cloned()),
        Value::List(items) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => {
            for item in items {
                collect_merge(item, merged);
            }
        }
        _ => return false,
    }
    true
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let string = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    let plain = style == ScalarStyle::Plain && !string;
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar { text: text.to_owned(), plain }
}

fn scan_error(error: &ScanError) -> AppSpecError {
    not_yaml(error.info(), error.marker().line(), error.marker().col() + 1)
}
