//! CBOR as others write it: by another encoder, and by one that uses every freedom that RFC 8949 leaves.

use ciborium::Value as Cbor;
use proptest::sample::Index;
use serde_json::Value;

use super::model;

/// A value as a tree of CBOR values. JSON does not tell points in time from numbers; the shape does, where it fits.
pub(crate) fn tree(module: &str, name: &str, value: &Value) -> Cbor {
    shaped(module, Some(name), value)
}

fn shaped(module: &str, name: Option<&str>, value: &Value) -> Cbor {
    let shape = name.map(|name| &model(module)["shapes"][name]);
    let is = |kind: &str| shape.is_some_and(|shape| shape["type"] == kind);
    let inner = |key: &str| shape.and_then(|shape| shape.get(key)?.as_str());
    let member = |name: &str| shape.and_then(|shape| shape.get("members")?.get(name)?.as_str());
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(value) => Cbor::Bool(*value),
        Value::String(text) => Cbor::from(text.as_str()),
        Value::Number(_) if is("timestamp") => Cbor::Tag(1, Box::new(number(value))),
        Value::Number(_) if is("double") => Cbor::Float(value.as_f64().expect("a number")),
        Value::Number(_) => number(value),
        Value::Array(elements) => {
            Cbor::Array(elements.iter().map(|value| shaped(module, inner("member"), value)).collect())
        }
        Value::Object(members) => {
            let of = |name: &str| if is("map") { inner("value") } else { member(name) };
            let pair = |(name, value): (&String, &Value)| {
                (Cbor::from(name.as_str()), shaped(module, of(name), value))
            };
            Cbor::Map(members.iter().map(pair).collect())
        }
    }
}

fn number(value: &Value) -> Cbor {
    let whole = value.as_i64().map(Cbor::from).or_else(|| value.as_u64().map(Cbor::from));
    whole.unwrap_or_else(|| Cbor::Float(value.as_f64().expect("a number")))
}

/// The plain form.
pub(crate) fn plain(tree: &Cbor) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(tree, &mut out).expect("writes into memory");
    out
}

/// The same tree in any other form: indefinite lengths, chunks, wide numbers, members that are null or `undefined`,
/// unknown members.
pub(crate) struct Free<'a> {
    pub(crate) out: Vec<u8>,
    pub(crate) choices: std::iter::Cycle<std::slice::Iter<'a, Index>>,
}

impl<'a> Free<'a> {
    pub(crate) fn write(tree: &Cbor, choices: &'a [Index]) -> Vec<u8> {
        let mut free = Free { out: Vec::new(), choices: choices.iter().cycle() };
        free.item(tree, true);
        free.out
    }

    fn choose(&mut self, among: usize) -> usize {
        self.choices.next().map_or(0, |index| index.index(among))
    }

    /// A head in one of the widths that hold its number.
    fn head(&mut self, major: u8, number: u64) {
        let widths: Vec<usize> = [(0, 24u128), (1, 1 << 8), (2, 1 << 16), (4, 1 << 32), (8, 1 << 64)]
            .into_iter()
            .filter(|(_, end)| u128::from(number) < *end)
            .map(|(width, _)| width)
            .collect();
        let width = widths[self.choose(widths.len())];
        let info = match width {
            0 => number as u8,
            _ => 24 + width.ilog2() as u8,
        };
        self.out.push(major << 5 | info);
        self.out.extend_from_slice(&number.to_be_bytes()[8 - width..]);
    }

    fn text(&mut self, text: &str) {
        if self.choose(3) > 0 {
            self.head(3, text.len() as u64);
            self.out.extend_from_slice(text.as_bytes());
            return;
        }
        self.out.push(0x7f);
        for character in text.chars() {
            let mut bytes = [0; 4];
            let chunk = character.encode_utf8(&mut bytes);
            self.head(3, chunk.len() as u64);
            self.out.extend_from_slice(chunk.as_bytes());
        }
        self.out.push(0xff);
    }

    fn float(&mut self, number: f64) {
        if f64::from(number as f32).to_bits() == number.to_bits() && self.choose(2) == 0 {
            self.out.push(0xfa);
            self.out.extend((number as f32).to_be_bytes());
        } else {
            self.out.push(0xfb);
            self.out.extend(number.to_be_bytes());
        }
    }

    /// `is_structure`: absent and unknown members may be added.
    fn item(&mut self, tree: &Cbor, is_structure: bool) {
        match tree {
            Cbor::Map(entries) => {
                let extra = is_structure && self.choose(2) == 0;
                let definite = self.choose(2) == 0;
                if definite {
                    self.head(5, (entries.len() + 2 * usize::from(extra)) as u64);
                } else {
                    self.out.push(0xbf);
                }
                if extra {
                    self.text("~null");
                    let nothing = [0xf6, 0xf7][self.choose(2)];
                    self.out.push(nothing);
                    self.text("~unknown");
                    self.item(tree, false);
                }
                for (key, value) in entries {
                    self.text(key.as_text().expect("a text"));
                    self.item(value, false);
                }
                self.out.extend((!definite).then_some(0xff));
            }
            Cbor::Array(elements) => {
                let definite = self.choose(2) == 0;
                if definite {
                    self.head(4, elements.len() as u64);
                } else {
                    self.out.push(0x9f);
                }
                for element in elements {
                    self.item(element, false);
                }
                self.out.extend((!definite).then_some(0xff));
            }
            Cbor::Text(text) => self.text(text),
            Cbor::Integer(number) => {
                let number = i128::from(*number);
                if number < 0 { self.head(1, (-1 - number) as u64) } else { self.head(0, number as u64) }
            }
            Cbor::Float(number) => self.float(*number),
            Cbor::Bool(value) => self.out.push(0xf4 + u8::from(*value)),
            Cbor::Tag(tag, value) => {
                self.head(6, *tag);
                self.item(value, false);
            }
            other => panic!("no such value in a model: {other:?}"),
        }
    }
}
