//! Parameters of a query request.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::{QueryError, QueryErrorKind};

/// The longest body that is read. A policy document of the greatest size, percent-encoded, fits several times.
pub const MAX_BODY: usize = 256 * 1024;

/// The most parameters of one request.
pub const MAX_PARAMETERS: usize = 1024;

/// The parameters of a request, in the order of their names. Parameters that an action does not know are ignored.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Form {
    parameters: BTreeMap<String, String>,
}

/// Names only: a value can be a secret.
impl std::fmt::Debug for Form {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Form").field(&self.parameters.keys()).finish()
    }
}

impl Form {
    /// Reads an `application/x-www-form-urlencoded` body, or the query part of a URL.
    ///
    /// Refuses what has two readings: bad percent escapes, text that is not UTF-8, a parameter given twice.
    pub fn parse(body: &[u8]) -> Result<Self, QueryError> {
        if body.len() > MAX_BODY {
            let message = format!("the request is longer than {MAX_BODY} bytes");
            return Err(QueryError::new(QueryErrorKind::RequestEntityTooLarge, message));
        }
        let mut parameters = BTreeMap::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            let name = decode(name)?;
            if parameters.len() == MAX_PARAMETERS {
                return Err(malformed(format!("more than {MAX_PARAMETERS} parameters")));
            }
            if parameters.contains_key(&name) {
                return Err(malformed(format!("the parameter {name} is given twice")));
            }
            parameters.insert(name, decode(value)?);
        }
        Ok(Self { parameters })
    }

    /// What the request asks for.
    pub fn action(&self) -> Result<&str, QueryError> {
        self.get("Action").filter(|action| !action.is_empty()).ok_or_else(|| {
            QueryError::new(QueryErrorKind::MissingAction, "the request is missing an action parameter")
        })
    }

    /// The version of the API that the client was written for.
    pub fn version(&self) -> Option<&str> {
        self.get("Version")
    }

    /// The answer to an action that the service does not have.
    pub fn unknown_action(&self) -> QueryError {
        let action = self.get("Action").unwrap_or_default();
        let version = self.version().unwrap_or_default();
        let message = format!("Could not find operation {action} for version {version}");
        QueryError::new(QueryErrorKind::InvalidAction, message)
    }

    /// All parameters, by name.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A parameter's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// A parameter's value; an error that names the parameter if it is absent.
    pub fn required(&self, name: &str) -> Result<&str, QueryError> {
        self.get(name).ok_or_else(|| QueryError::validation(name, None, "Member must not be null"))
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, QueryError> {
        let number = |value: &str| {
            value
                .parse()
                .map_err(|_| QueryError::validation(name, Some(value), "Member must be a whole number"))
        };
        self.get(name).map(number).transpose()
    }

    /// A truth value, `true` or `false`.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, QueryError> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(value) => Err(QueryError::validation(name, Some(value), "Member must be true or false")),
        }
    }

    /// The values of `NAME.member.N` in the order of N, gaps closed.
    pub fn list(&self, name: &str) -> Result<Vec<&str>, QueryError> {
        Ok(self.items(name)?.into_iter().filter_map(Item::value).collect())
    }

    /// The values of `NAME.N` in the order of N, gaps closed.
    pub fn flat_list(&self, name: &str) -> Result<Vec<&str>, QueryError> {
        Ok(self.items_below(&format!("{name}."))?.into_iter().filter_map(Item::value).collect())
    }

    /// The structures `NAME.member.N.FIELD` in the order of N, gaps closed.
    pub fn items(&self, name: &str) -> Result<Vec<Item<'_>>, QueryError> {
        self.items_below(&format!("{name}.member."))
    }

    fn items_below(&self, prefix: &str) -> Result<Vec<Item<'_>>, QueryError> {
        let mut indices = BTreeSet::new();
        let below = self
            .parameters
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .map(|(name, _)| name);
        for name in below.take_while(|name| name.starts_with(prefix)) {
            let rest = &name[prefix.len()..];
            let index = rest.split_once('.').map_or(rest, |(index, _)| index);
            // One spelling for each index, so that `1` and `01` cannot be two values of one place.
            let canonical = index.bytes().all(|byte| byte.is_ascii_digit()) && !index.starts_with('0');
            let number = index.parse::<u32>().ok().filter(|_| canonical);
            indices.insert(number.ok_or_else(|| malformed(format!("{name} has no list index")))?);
        }
        Ok(indices.into_iter().map(|index| Item { form: self, name: format!("{prefix}{index}") }).collect())
    }
}

/// One element of a list of a [`Form`].
#[derive(Debug, Clone)]
pub struct Item<'a> {
    form: &'a Form,
    name: String,
}

impl<'a> Item<'a> {
    /// The element itself, where the list is one of plain values.
    pub fn value(self) -> Option<&'a str> {
        self.form.get(&self.name)
    }

    /// A field, where the list is one of structures.
    pub fn get(&self, field: &str) -> Option<&'a str> {
        self.form.get(&format!("{}.{field}", self.name))
    }

    /// A field; an error that names it if it is absent.
    pub fn required(&self, field: &str) -> Result<&'a str, QueryError> {
        self.form.required(&format!("{}.{field}", self.name))
    }
}

fn decode(text: &[u8]) -> Result<String, QueryError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = rest.first_chunk::<2>().and_then(|[high, low]| {
                    Some(char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?)
                });
                bytes.push(digits.ok_or_else(|| malformed("a % without two hexadecimal digits"))? as u8);
                rest = &rest[2..];
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).map_err(|_| malformed("a parameter is not UTF-8"))
}

fn malformed(message: impl Into<String>) -> QueryError {
    QueryError::new(QueryErrorKind::MalformedQueryString, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(body: &str) -> Form {
        Form::parse(body.as_bytes()).expect("a good form")
    }

    fn refusal(body: &[u8]) -> QueryErrorKind {
        Form::parse(body).expect_err("a bad form").kind
    }

    #[test]
    fn plus_and_escapes_are_decoded_once() {
        let form = form("Action=A&Text=a+b%2Bc%26d%3De%2525%C3%A4&Empty=&Bare");
        assert_eq!(form.get("Text"), Some("a b+c&d=e%25ä"));
        assert_eq!((form.get("Empty"), form.get("Bare"), form.get("Absent")), (Some(""), Some(""), None));
    }

    #[test]
    fn a_form_with_two_readings_is_refused() {
        for body in ["a=%", "a=%4", "a=%zz", "a=%ff", "%ff=a", "a=1&a=2", "a=1&%61=2"] {
            assert_eq!(refusal(body.as_bytes()), QueryErrorKind::MalformedQueryString, "{body}");
        }
    }

    #[test]
    fn size_and_number_of_parameters_are_bounded() {
        let many = |count: usize| (0..count).map(|at| format!("p{at}=x")).collect::<Vec<_>>().join("&");
        assert!(Form::parse(many(MAX_PARAMETERS).as_bytes()).is_ok());
        assert_eq!(refusal(many(MAX_PARAMETERS + 1).as_bytes()), QueryErrorKind::MalformedQueryString);
        assert_eq!(refusal(&vec![b'a'; MAX_BODY + 1]), QueryErrorKind::RequestEntityTooLarge);
    }

    #[test]
    fn lists_come_in_the_order_of_their_numbers() {
        let form = form("L.member.10=ten&L.member.9=nine&L.member.1=one&Lx.member.1=other&F.2=b&F.1=a");
        assert_eq!(form.list("L"), Ok(vec!["one", "nine", "ten"]));
        assert_eq!(form.flat_list("F"), Ok(vec!["a", "b"]));
        assert_eq!(form.list("Absent"), Ok(vec![]));
    }

    /// The AWS CLI writes an empty list as the bare name.
    #[test]
    fn a_bare_name_is_an_empty_list() {
        assert_eq!(form("Tags=").list("Tags"), Ok(vec![]));
    }

    #[test]
    fn list_indices_have_one_spelling() {
        for body in [
            "L.member.01=a",
            "L.member.0=a",
            "L.member.=a",
            "L.member.x=a",
            "L.member.99999999999=a",
            "L.member.+1=a",
        ] {
            let form = form(body);
            assert!(form.list("L").is_err(), "{body}");
        }
    }

    #[test]
    fn structures_in_lists_are_read_field_by_field() {
        let form = form("Tags.member.2.Key=b&Tags.member.1.Key=a&Tags.member.1.Value=1");
        let tags = form.items("Tags").expect("good indices");
        let keys: Vec<_> = tags.iter().map(|tag| (tag.get("Key"), tag.get("Value"))).collect();
        assert_eq!(keys, [(Some("a"), Some("1")), (Some("b"), None)]);
        assert_eq!(
            tags[1].required("Value").expect_err("absent").message,
            "1 validation error detected: Value null at 'tags.member.2.Value' failed to satisfy constraint: Member must not be null"
        );
    }

    #[test]
    fn typed_parameters_name_themselves_when_wrong() {
        let form = form("MaxItems=ten&IsDefault=yes&Number=5&Flag=true");
        assert_eq!((form.integer("Number"), form.boolean("Flag")), (Ok(Some(5)), Ok(Some(true))));
        assert_eq!((form.integer("Absent"), form.boolean("Absent")), (Ok(None), Ok(None)));
        let error = form.integer("MaxItems").expect_err("not a number");
        assert!(error.message.contains("Value 'ten' at 'maxItems'"), "{error}");
        assert_eq!(form.boolean("IsDefault").expect_err("not a truth value").http_status(), 400);
    }

    #[test]
    fn a_request_without_action_and_one_with_an_unknown_one_are_told_apart() {
        assert_eq!(form("Version=1").action().expect_err("no action").kind, QueryErrorKind::MissingAction);
        assert_eq!(
            form("Action=Fly&Version=2010-05-08").unknown_action().message,
            "Could not find operation Fly for version 2010-05-08"
        );
    }

    #[test]
    fn values_stay_out_of_debug_output() {
        assert!(!format!("{:?}", form("Secret=hunter2")).contains("hunter2"));
    }
}
