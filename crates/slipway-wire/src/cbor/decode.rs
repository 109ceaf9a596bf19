//! From bytes to structures, within limits.
//!
//! A body is small (the server reads 1 MiB), but CBOR can claim much in little: lists of 2^63 elements, ten thousand
//! lists inside each other, a million empty objects. Claims are held against the bytes that there are, nesting and the
//! number of values against limits, so that memory stays in proportion to the body.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::Error;
use super::head::{Head, Length};
use crate::codec::MOST_VALUES;
use crate::{timestamp, words};

/// Lists, objects and tags inside each other: as many as the JSON codec takes.
const DEEPEST: usize = 127;

/// The tag of points in time, in seconds since 1970.
const EPOCH_SECONDS: u64 = 1;
const TIMESTAMP: &str = "a point in time (tag 1, seconds since 1970)";

/// Reads one body.
pub(super) struct Decoder<'de> {
    input: &'de [u8],
    at: usize,
    /// Where the last head was: the place of whatever goes wrong.
    last: usize,
    depth: usize,
    values: usize,
    /// Everything is read, as much as there are words for it: see [`Decoder::showing`].
    shows: bool,
    /// The way to the value that is being read. Left as it is when that fails.
    path: Vec<Step<'de>>,
}

enum Step<'de> {
    Member(Cow<'de, str>),
    Element(usize),
}

impl<'de> Decoder<'de> {
    pub(super) fn new(input: &'de [u8]) -> Self {
        Self { input, at: 0, last: 0, depth: 0, values: 0, shows: false, path: Vec::new() }
    }

    /// A decoder for a tree of any values: whatever a structure skips is read, too, tags as what they tag, bytes as
    /// their number.
    pub(super) fn showing(input: &'de [u8]) -> Self {
        Self { shows: true, ..Self::new(input) }
    }

    /// Nothing follows the one item that a body is.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        self.last = self.at;
        if self.at == self.input.len() { Ok(()) } else { Err(Error::Invalid("trailing bytes")) }
    }

    /// The message of a refusal: which member, what is wrong, where.
    pub(super) fn in_words(&self, error: &Error) -> String {
        let mut member = String::new();
        for step in &self.path {
            match step {
                Step::Member(name) if member.is_empty() => member.push_str(name),
                Step::Member(name) => {
                    member.push('.');
                    member.push_str(name);
                }
                Step::Element(index) => {
                    write!(member, "[{index}]").expect("writing to a String cannot fail");
                }
            }
        }
        let member = words::cut(member);
        let problem = match error {
            Error::Data(text) => words::of_wire(text),
            other => other.to_string(),
        };
        let place = if *error == Error::Ends { self.input.len() } else { self.last };
        format!("{}: {problem} (byte {place})", words::subject(&member))
    }

    fn left(&self) -> usize {
        self.input.len() - self.at
    }

    fn peek(&self) -> Result<Head, Error> {
        Head::read(&self.input[self.at..]).map(|(head, _)| head)
    }

    fn head(&mut self) -> Result<Head, Error> {
        self.last = self.at;
        let (head, length) = Head::read(&self.input[self.at..])?;
        self.at += length;
        self.values += if matches!(head, Head::Array(_) | Head::Map(_)) { 2 } else { 1 };
        if self.values > MOST_VALUES {
            return Err(Error::Invalid("too many values"));
        }
        Ok(head)
    }

    /// The next bytes.
    fn take(&mut self, length: u64) -> Result<&'de [u8], Error> {
        let length =
            usize::try_from(length).ok().filter(|length| *length <= self.left()).ok_or(Error::Ends)?;
        let bytes = &self.input[self.at..self.at + length];
        self.at += length;
        Ok(bytes)
    }

    /// The next chunk of a string of indefinite length; `None` at its end.
    fn chunk(&mut self, is_text: bool) -> Result<Option<&'de [u8]>, Error> {
        match self.head()? {
            Head::Break => Ok(None),
            Head::Text(Some(length)) if is_text => self.take(length).map(Some),
            Head::Bytes(Some(length)) if !is_text => self.take(length).map(Some),
            _ => Err(Error::Invalid("a chunk of another type than its string")),
        }
    }

    fn text(&mut self, length: Length) -> Result<Cow<'de, str>, Error> {
        let utf8 = |bytes| str::from_utf8(bytes).map_err(|_| Error::Invalid("a text that is not UTF-8"));
        if let Some(length) = length {
            return self.take(length).and_then(utf8).map(Cow::Borrowed);
        }
        let mut text = String::new();
        while let Some(chunk) = self.chunk(true)? {
            text.push_str(utf8(chunk)?);
        }
        Ok(Cow::Owned(text))
    }

    /// The name of a member, or the key of a map.
    fn name(&mut self) -> Result<Cow<'de, str>, Error> {
        if self.shows && !matches!(self.peek()?, Head::Text(_) | Head::Break) {
            self.skip()?;
            return Ok(Cow::Borrowed("?"));
        }
        match self.head()? {
            Head::Text(length) => self.text(length),
            Head::Break => Err(Error::Invalid("a break where none belongs")),
            _ => Err(Error::Data("expected a text as a member's name".to_owned())),
        }
    }

    /// Goes into a list or an object of that many data items.
    fn enter(&mut self, length: Length, items_each: u64) -> Result<Inside, Error> {
        let left = self.left() as u64;
        let claimed = length.and_then(|length| length.checked_mul(items_each));
        if length.is_some() && claimed.is_none_or(|claimed| claimed > left) {
            return Err(Error::Ends);
        }
        self.deeper()?;
        Ok(Inside { left: length, count: 0 })
    }

    fn deeper(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > DEEPEST { Err(Error::Invalid("nested too deeply")) } else { Ok(()) }
    }

    /// Reads and drops one data item, whatever it is.
    fn skip(&mut self) -> Result<(), Error> {
        match self.head()? {
            Head::Text(length) => self.text(length).map(drop),
            Head::Bytes(Some(length)) => self.take(length).map(drop),
            Head::Bytes(None) => {
                while self.chunk(false)?.is_some() {}
                Ok(())
            }
            Head::Array(length) => {
                let mut inside = self.enter(length, 1)?;
                while inside.next(self)? {
                    self.skip()?;
                }
                self.depth -= 1;
                Ok(())
            }
            Head::Map(length) => {
                let mut inside = self.enter(length, 2)?;
                while inside.next(self)? {
                    self.skip()?;
                    self.skip()?;
                }
                self.depth -= 1;
                Ok(())
            }
            Head::Tag(_) => {
                self.deeper()?;
                self.skip()?;
                self.depth -= 1;
                Ok(())
            }
            Head::Break => Err(Error::Invalid("a break where none belongs")),
            Head::Unsigned(_) | Head::Negative(_) | Head::Bool(_) | Head::Null | Head::Float(_) => Ok(()),
        }
    }
}

/// How far a list or an object is read.
struct Inside {
    /// Elements or members that are to come; `None`: until a break.
    left: Length,
    count: usize,
}

impl Inside {
    /// Whether there is another element or member.
    fn next(&mut self, decoder: &mut Decoder<'_>) -> Result<bool, Error> {
        let more = match &mut self.left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None if decoder.peek()? == Head::Break => {
                decoder.head()?;
                self.left = Some(0);
                false
            }
            None => true,
        };
        self.count += usize::from(more);
        Ok(more)
    }
}

/// What a visitor of something else is told.
fn unexpected(head: Head) -> Unexpected<'static> {
    match head {
        Head::Unsigned(number) => Unexpected::Unsigned(number),
        Head::Negative(_) => Unexpected::Other("integer"),
        Head::Bytes(_) => Unexpected::Bytes(&[]),
        Head::Text(_) => Unexpected::Str(""),
        Head::Array(_) => Unexpected::Seq,
        Head::Map(_) => Unexpected::Map,
        Head::Tag(_) => Unexpected::Other("tag"),
        Head::Bool(value) => Unexpected::Bool(value),
        Head::Null => Unexpected::Unit,
        Head::Float(number) => Unexpected::Float(number),
        Head::Break => Unexpected::Other("break"),
    }
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = Error;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.shows && matches!(self.peek()?, Head::Bytes(_)) {
            let start = self.at;
            self.skip()?;
            return visitor.visit_string(format!("({} bytes)", self.at - start));
        }
        match self.head()? {
            Head::Unsigned(number) => visitor.visit_u64(number),
            Head::Negative(number) => match i64::try_from(number) {
                Ok(number) => visitor.visit_i64(-1 - number),
                Err(_) if self.shows => visitor.visit_f64(-1.0 - number as f64),
                Err(_) => visitor.visit_i128(-1 - i128::from(number)),
            },
            Head::Float(number) => visitor.visit_f64(number),
            Head::Bool(value) => visitor.visit_bool(value),
            Head::Null => visitor.visit_unit(),
            Head::Text(length) => match self.text(length)? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            Head::Array(length) => {
                let inside = self.enter(length, 1)?;
                let value = visitor.visit_seq(Elements { decoder: self, inside })?;
                self.depth -= 1;
                Ok(value)
            }
            Head::Map(length) => {
                let inside = self.enter(length, 2)?;
                let value = visitor.visit_map(Members { decoder: self, inside, name: Cow::Borrowed("") })?;
                self.depth -= 1;
                Ok(value)
            }
            Head::Break => Err(Error::Invalid("a break where none belongs")),
            Head::Tag(_) if self.shows => {
                self.deeper()?;
                let value = self.deserialize_any(visitor)?;
                self.depth -= 1;
                Ok(value)
            }
            // Not the visitor's choice: serde's own for strings would take bytes.
            head @ (Head::Bytes(_) | Head::Tag(_)) => Err(Error::invalid_type(unexpected(head), &visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.peek()? == Head::Null {
            self.head()?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == timestamp::MARK {
            let head = self.head()?;
            if head != Head::Tag(EPOCH_SECONDS) {
                return Err(Error::invalid_type(unexpected(head), &TIMESTAMP));
            }
            let tagged = self.peek()?;
            if !matches!(tagged, Head::Unsigned(_) | Head::Negative(_) | Head::Float(_)) {
                return Err(Error::invalid_type(unexpected(tagged), &TIMESTAMP));
            }
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct enum identifier
    }
}

struct Elements<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    inside: Inside,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if !self.inside.next(self.decoder)? {
            return Ok(None);
        }
        self.decoder.path.push(Step::Element(self.inside.count - 1));
        let value = seed.deserialize(&mut *self.decoder)?;
        self.decoder.path.pop();
        Ok(Some(value))
    }
}

struct Members<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    inside: Inside,
    /// The member whose value comes next.
    name: Cow<'de, str>,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if !self.inside.next(self.decoder)? {
            return Ok(None);
        }
        let name = self.decoder.name()?;
        let key = match &name {
            Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::<Error>::new(name)),
            Cow::Owned(name) => seed.deserialize(StrDeserializer::<Error>::new(name)),
        }?;
        // A member that is given twice is refused between its name and its value, with the path of its object.
        self.name = name;
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let name = std::mem::take(&mut self.name);
        self.decoder.path.push(Step::Member(name));
        let value = seed.deserialize(&mut *self.decoder)?;
        self.decoder.path.pop();
        Ok(value)
    }
}
