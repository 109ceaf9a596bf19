//! `context`: SELinux labels and the grammar of their range (AS-059, AS-060).

use std::fmt::Write as _;

use super::permissions::SECTION;
use super::reader::Reader;
use crate::model::SecurityContext;
use crate::yaml::{Node, get};

/// The highest category of SELinux's multi-category policy.
const MAX_CATEGORY: u32 = 1023;

pub(super) fn read(node: &Node, reader: &mut Reader) -> Option<SecurityContext> {
    if node.is_null() {
        return None;
    }
    let entries = reader.map(node, SECTION, "a map with type for context")?;
    reader.unknown_keys(entries, &["user", "name", "type", "range"], "context");
    if let Some(entry) = get(entries, "user") {
        reader.warn((entry.line, entry.column), "context.user is ignored by some agents, which read name");
    }
    let name = reader.optional_text(entries, "name", SECTION);
    let user = reader.optional_text(entries, "user", SECTION).or(name);
    let range = match reader.optional_text(entries, "range", SECTION) {
        Some(range) => match normal_range(&range) {
            Ok(range) => Some(range),
            Err(message) => {
                let at = get(entries, "range").map_or(node, |entry| &entry.value);
                reader.refuse(at, message);
                reader.help("write sN[-sN][:cN[.cN],...], such as s0 or s0-s1:c0.c5,c9");
                None
            }
        },
        None => None,
    };
    let Some(kind) = reader.optional_text(entries, "type", SECTION) else {
        reader.refuse(
            node,
            format!(
                "The deployment failed because the application specification file specifies an invalid context type ({}). Update the permissions section of the AppSpec file, and then try again.",
                node.render()
            ),
        );
        reader.help("add type: and the SELinux type");
        return None;
    };
    Some(SecurityContext { user, kind, range })
}

/// `sN[-sN][:cN[.cN](,cN[.cN])*]` in normal form, or the text of the error.
pub(crate) fn normal_range(range: &str) -> Result<String, String> {
    let (sensitivities, categories) = match range.split(':').collect::<Vec<_>>().as_slice() {
        [sensitivities] => (*sensitivities, None),
        [sensitivities, categories] => (*sensitivities, Some(*categories)),
        _ => return Err(format!("invalid range part {range}")),
    };
    let (low, high) = match sensitivities.split('-').collect::<Vec<_>>().as_slice() {
        [one] => (sensitivity(one)?, sensitivity(one)?),
        [low, high] => (sensitivity(low)?, sensitivity(high)?),
        _ => return Err(format!("invalid range part {sensitivities}")),
    };
    if high < low {
        return Err(format!(
            "The deployment failed because of a problem with the SELinux range specified ({range}) for the context parameter in the permissions section of the application specification file. Make corrections in the permissions section of the AppSpec file, and then try again."
        ));
    }
    let mut normal = format!("s{low}");
    if high > low {
        let _ = write!(normal, "-s{high}");
    }
    if let Some(categories) = categories {
        normal.push(':');
        normal.push_str(&normal_categories(categories)?);
    }
    Ok(normal)
}

fn sensitivity(text: &str) -> Result<u32, String> {
    number(text, 's').ok_or_else(|| format!("invalid sensitivity {text}"))
}

fn category(text: &str) -> Result<u32, String> {
    number(text, 'c')
        .filter(|category| *category <= MAX_CATEGORY)
        .ok_or_else(|| format!("invalid category {text}"))
}

fn number(text: &str, letter: char) -> Option<u32> {
    let digits = text.strip_prefix(letter)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

fn normal_categories(text: &str) -> Result<String, String> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for part in text.split(',') {
        let run = match part.split('.').collect::<Vec<_>>().as_slice() {
            [one] => (category(one)?, category(one)?),
            [first, last] => (category(first)?, category(last)?),
            _ => return Err(format!("invalid range part {part}")),
        };
        if run.1 < run.0 || (part.contains('.') && run.1 == run.0) {
            return Err(format!("invalid category range c{}.c{}", run.0, run.1));
        }
        runs.push(run);
    }
    runs.sort_unstable();
    if runs.windows(2).any(|pair| pair[1].0 <= pair[0].1) {
        return Err("duplicate categories".to_owned());
    }
    let mut joined: Vec<(u32, u32)> = Vec::new();
    for (first, last) in runs {
        match joined.last_mut() {
            Some(run) if run.1 + 1 == first => run.1 = last,
            _ => joined.push((first, last)),
        }
    }
    let parts: Vec<String> = joined
        .into_iter()
        .map(|(first, last)| if first == last { format!("c{first}") } else { format!("c{first}.c{last}") })
        .collect();
    Ok(parts.join(","))
}
