//! The compact service model: what `api/*.json` contains, in the order in which it is written there.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

/// A JSON object whose members keep their order: the generated code follows the model's.
#[derive(Debug)]
pub(crate) struct Ordered<T>(Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Ordered<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Ordered<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Ordered(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// One service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    pub(crate) metadata: Metadata,
    pub(crate) operations: Ordered<Operation>,
    pub(crate) shapes: Ordered<Shape>,
}

/// The parts of the service's description that the wire shows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) api_version: String,
    pub(crate) endpoint_prefix: String,
    pub(crate) service_full_name: String,
    pub(crate) target_prefix: String,
}

/// One operation. Names refer to shapes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    pub(crate) input: String,
    pub(crate) output: Option<String>,
    pub(crate) errors: Vec<String>,
    #[serde(default)]
    pub(crate) deprecated: bool,
}

/// The type of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Structure,
    List,
    Map,
    String,
    Integer,
    Long,
    Double,
    Boolean,
    Timestamp,
}

/// One shape. An attribute that the generator does not know is an error, so that nothing is dropped silently.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) members: Ordered<String>,
    #[serde(default)]
    pub(crate) required: Vec<String>,
    pub(crate) member: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    #[serde(default, rename = "enum")]
    pub(crate) values: Vec<String>,
    pub(crate) min: Option<u64>,
    pub(crate) max: Option<u64>,
    pub(crate) pattern: Option<String>,
    #[serde(default)]
    pub(crate) exception: bool,
    #[serde(default)]
    pub(crate) fault: bool,
    #[serde(default)]
    pub(crate) deprecated: bool,
}

impl Model {
    /// The shape of that name; a model that names a missing shape is a broken input, not a runtime condition.
    pub(crate) fn shape(&self, name: &str) -> &Shape {
        self.shapes
            .get(name)
            .unwrap_or_else(|| panic!("the model names the shape {name} and does not define it"))
    }

    /// The structures that travel (exceptions are `ErrorKind`s).
    pub(crate) fn structures(&self) -> impl Iterator<Item = (&str, &Shape)> {
        self.shapes.iter().filter(|(_, shape)| shape.kind == Kind::Structure && !shape.exception)
    }

    /// The error shapes.
    pub(crate) fn exceptions(&self) -> impl Iterator<Item = (&str, &Shape)> {
        self.shapes.iter().filter(|(_, shape)| shape.exception)
    }

    /// The string shapes that list their values.
    pub(crate) fn enums(&self) -> impl Iterator<Item = (&str, &Shape)> {
        self.shapes.iter().filter(|(_, shape)| !shape.values.is_empty())
    }

    /// The Rust type of a value of that shape.
    pub(crate) fn rust_type(&self, name: &str) -> String {
        let shape = self.shape(name);
        let referred = |reference: &Option<String>| {
            self.rust_type(reference.as_deref().unwrap_or_else(|| panic!("{name} does not name its element")))
        };
        match shape.kind {
            Kind::Structure => name.to_owned(),
            Kind::List => format!("Vec<{}>", referred(&shape.member)),
            Kind::Map => format!("BTreeMap<{}, {}>", referred(&shape.key), referred(&shape.value)),
            Kind::String => "String".to_owned(),
            Kind::Integer => "i32".to_owned(),
            Kind::Long => "i64".to_owned(),
            Kind::Double => "f64".to_owned(),
            Kind::Boolean => "bool".to_owned(),
            Kind::Timestamp => "Timestamp".to_owned(),
        }
    }
}
