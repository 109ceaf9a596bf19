//! Listing by prefix and delimiter, page by page.
//!
//! A listing walks the keys in byte order. With a delimiter, keys that go on after the delimiter are rolled up into one
//! *common prefix*, and the walk jumps over all of them with one seek: its cost is that of what it returns.

use rusqlite::Connection;

use super::rows::{UploadRow, VersionRow};
use crate::error::ArtifactError;

/// What to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) delimiter: Option<String>,
    /// Go on behind this key or common prefix.
    pub(crate) after: Option<String>,
    /// Within the key `after`, go on behind this version or upload.
    pub(crate) after_id: Option<String>,
    pub(crate) limit: usize,
}

/// One line of a listing.
#[derive(Debug, Clone)]
pub(crate) enum Entry<R> {
    Row(R),
    Prefix(String),
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub(crate) struct Page<R> {
    pub(crate) entries: Vec<Entry<R>>,
    pub(crate) truncated: bool,
}

impl<R: Listed> Page<R> {
    /// The key or common prefix that the next page starts behind.
    pub(crate) fn last_name(&self) -> Option<&str> {
        Some(match self.entries.last()? {
            Entry::Row(row) => row.key(),
            Entry::Prefix(prefix) => prefix,
        })
    }

    pub(crate) fn split(self) -> (Vec<R>, Vec<String>) {
        let (mut rows, mut prefixes) = (Vec::new(), Vec::new());
        for entry in self.entries {
            match entry {
                Entry::Row(row) => rows.push(row),
                Entry::Prefix(prefix) => prefixes.push(prefix),
            }
        }
        (rows, prefixes)
    }
}

/// A row that can be listed.
pub(crate) trait Listed {
    fn key(&self) -> &str;
    fn cursor(&self) -> Cursor;
}

/// Where a walk goes on.
#[derive(Debug, Clone)]
pub(crate) enum Cursor {
    /// At this key.
    From(String),
    /// Behind this key.
    After(String),
    /// Behind this version of this key.
    Version(String, i64),
    /// Behind this upload of this key.
    Upload(String, String),
}

impl Cursor {
    fn key(&self) -> &str {
        match self {
            Self::From(key) | Self::After(key) | Self::Version(key, _) | Self::Upload(key, _) => key,
        }
    }
}

impl Listed for VersionRow {
    fn key(&self) -> &str {
        &self.key
    }

    fn cursor(&self) -> Cursor {
        Cursor::Version(self.key.clone(), self.id)
    }
}

impl Listed for UploadRow {
    fn key(&self) -> &str {
        &self.key
    }

    fn cursor(&self) -> Cursor {
        Cursor::Upload(self.key.clone(), self.id.clone())
    }
}

/// Current objects.
pub(crate) fn objects(sql: &Connection, query: &Query) -> Result<Page<VersionRow>, ArtifactError> {
    walk(query, start(query), |cursor, limit| {
        let behind = !matches!(cursor, Cursor::From(_));
        let text = format!(
            "SELECT {} FROM versions WHERE bucket = ?1 AND latest = 1 AND marker = 0 AND key {} ?2 \
             ORDER BY key LIMIT ?3",
            VersionRow::COLUMNS,
            if behind { ">" } else { ">=" },
        );
        let mut select = sql.prepare_cached(&text)?;
        let rows = select.query_map((&query.bucket, cursor.key(), limit), VersionRow::from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// All versions and delete markers, the newest of each key first.
pub(crate) fn versions(sql: &Connection, query: &Query) -> Result<Page<VersionRow>, ArtifactError> {
    let mut first = start(query);
    if let (Cursor::After(key), Some(version)) = (&first, &query.after_id)
        && let Some(row) = super::objects::find(sql, &query.bucket, key, Some(version))?
    {
        first = row.cursor();
    }
    walk(query, first, |cursor, limit| {
        let below = match cursor {
            Cursor::From(_) => i64::MAX,
            Cursor::Version(_, id) => *id,
            Cursor::After(_) | Cursor::Upload(..) => i64::MIN,
        };
        let text = format!(
            "SELECT {} FROM versions WHERE bucket = ?1 AND key >= ?2 AND (key > ?2 OR id < ?3) \
             ORDER BY key, id DESC LIMIT ?4",
            VersionRow::COLUMNS
        );
        let mut select = sql.prepare_cached(&text)?;
        let rows = select.query_map((&query.bucket, cursor.key(), below, limit), VersionRow::from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// Uploads under way.
pub(crate) fn uploads(sql: &Connection, query: &Query) -> Result<Page<UploadRow>, ArtifactError> {
    let mut first = start(query);
    if let (Cursor::After(key), Some(upload)) = (&first, &query.after_id) {
        first = Cursor::Upload(key.clone(), upload.clone());
    }
    walk(query, first, |cursor, limit| {
        // `None` compares as unknown, which lets no upload of the cursor's own key through.
        let above = match cursor {
            Cursor::From(_) => Some(""),
            Cursor::Upload(_, id) => Some(id.as_str()),
            Cursor::After(_) | Cursor::Version(..) => None,
        };
        let text = format!(
            "SELECT {} FROM uploads WHERE bucket = ?1 AND key >= ?2 AND (key > ?2 OR id > ?3) \
             ORDER BY key, id LIMIT ?4",
            UploadRow::COLUMNS
        );
        let mut select = sql.prepare_cached(&text)?;
        let rows = select.query_map((&query.bucket, cursor.key(), above, limit), UploadRow::from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

fn start(query: &Query) -> Cursor {
    match &query.after {
        Some(after) if after.as_str() >= query.prefix.as_str() => {
            // The last page ended with this common prefix: all of its keys are told.
            let rolled_up = common_prefix(after, query).is_some_and(|p| p == *after);
            match successor(after) {
                Some(next) if rolled_up => Cursor::From(next),
                _ => Cursor::After(after.clone()),
            }
        }
        _ => Cursor::From(query.prefix.clone()),
    }
}

fn walk<R: Listed>(
    query: &Query,
    start: Cursor,
    mut fetch: impl FnMut(&Cursor, i64) -> Result<Vec<R>, ArtifactError>,
) -> Result<Page<R>, ArtifactError> {
    let mut entries = Vec::new();
    if query.limit == 0 {
        return Ok(Page { entries, truncated: false });
    }
    let mut cursor = start;
    loop {
        // One more than fits tells whether there is a next page; with a delimiter most rows of a batch may be skipped.
        let room = query.limit + 1 - entries.len();
        let batch = if query.delimiter.is_some() { room.min(64) } else { room };
        let rows = fetch(&cursor, batch as i64)?;
        let exhausted = rows.len() < batch;
        let mut jumped = false;
        for row in rows {
            if !row.key().starts_with(&query.prefix) {
                return Ok(Page { entries, truncated: false });
            }
            if entries.len() == query.limit {
                return Ok(Page { entries, truncated: true });
            }
            let Some(prefix) = common_prefix(row.key(), query) else {
                cursor = row.cursor();
                entries.push(Entry::Row(row));
                continue;
            };
            let next = successor(&prefix);
            entries.push(Entry::Prefix(prefix));
            let Some(next) = next else { return Ok(Page { entries, truncated: false }) };
            cursor = Cursor::From(next);
            jumped = true;
            break;
        }
        if exhausted && !jumped {
            return Ok(Page { entries, truncated: false });
        }
    }
}

/// The part of a key up to and including the first delimiter behind the listing's prefix.
fn common_prefix(key: &str, query: &Query) -> Option<String> {
    let delimiter = query.delimiter.as_deref()?;
    let rest = key.strip_prefix(query.prefix.as_str())?;
    let end = rest.find(delimiter)? + delimiter.len();
    Some(key[..query.prefix.len() + end].to_owned())
}

/// The smallest string greater than every string that starts with `prefix`. UTF-8 sorts like its code points, so the
/// last character steps up by one.
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successor_skips_every_key_of_the_prefix_and_nothing_else() {
        assert_eq!(successor("a/").as_deref(), Some("a0"));
        assert_eq!(successor("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{10ffff}"), None);
    }
}
