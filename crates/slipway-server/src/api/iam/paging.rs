//! Long lists: `MaxItems` and `Marker`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use slipway_wire::query::{Node, QueryError, QueryErrorKind};

use super::call::Call;

const DEFAULT: i64 = 100;
const MOST: i64 = 1000;

/// A page that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// At most so many.
    pub(super) limit: usize,
    /// Behind this name.
    pub(super) after: Option<String>,
}

impl Page {
    pub(super) fn of(call: &Call<'_>) -> Result<Self, QueryError> {
        let limit = call.form.integer("MaxItems")?.unwrap_or(DEFAULT);
        if !(1..=MOST).contains(&limit) {
            let text = limit.to_string();
            return Err(QueryError::validation(
                "MaxItems",
                Some(&text),
                "Member must have value between 1 and 1000",
            ));
        }
        let after = call.form.get("Marker").map(decode).transpose()?;
        Ok(Self { limit: limit as usize, after })
    }

    /// Cuts a list that is longer than the page and says where it goes on. `name` is what the list is sorted by.
    pub(super) fn cut<T>(&self, mut items: Vec<T>, name: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
        if items.len() <= self.limit {
            return (items, None);
        }
        items.truncate(self.limit);
        let marker = items.last().map(|last| URL_SAFE_NO_PAD.encode(name(last)));
        (items, marker)
    }

    /// The page of a list that is at hand as a whole, sorted by name.
    pub(super) fn of_all<T>(&self, items: Vec<T>, name: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
        let rest = match &self.after {
            Some(after) => items.into_iter().filter(|item| name(item) > after.as_str()).collect(),
            None => items,
        };
        self.cut(rest, name)
    }
}

/// The end of every list.
pub(super) fn close(node: &mut Node<'_>, marker: Option<&str>) {
    node.boolean("IsTruncated", marker.is_some());
    node.optional("Marker", marker);
}

fn decode(marker: &str) -> Result<String, QueryError> {
    URL_SAFE_NO_PAD
        .decode(marker)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| QueryError::new(QueryErrorKind::ValidationError, format!("Invalid Marker: {marker}")))
}
