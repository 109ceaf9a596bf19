//! `files`: which parts of the revision go where (AS-025..AS-030).

use super::ParseOptions;
use super::reader::{Reader, escapes};
use crate::model::{FileMapping, Os};
use crate::yaml::{Entry, Node, get};

const SECTION: &str = "files";
const ITEM: &str = "a map with source and destination";

pub(super) fn read(node: &Node, options: &ParseOptions<'_>, reader: &mut Reader) -> Vec<FileMapping> {
    let items = reader.list(node, SECTION, "a list of maps").unwrap_or_default();
    items.iter().filter_map(|item| read_item(item, options, reader)).collect()
}

fn read_item(item: &Node, options: &ParseOptions<'_>, reader: &mut Reader) -> Option<FileMapping> {
    let entries = reader.map(item, SECTION, ITEM)?;
    reader.unknown_keys(entries, &["source", "destination"], "files item");
    let Some(source) = required(entries, "source", reader)? else {
        reader.refuse(
            item,
            "The deployment failed because the application specification file specifies a destination file, but no source file. Update the files section of the AppSpec file, and then try again.",
        );
        reader.help("add source: and a path in the bundle; source: / is the whole bundle");
        return None;
    };
    let Some(destination) = required(entries, "destination", reader)? else {
        reader.refuse(
            item,
            format!(
                "The deployment failed because the application specification file specifies only a source file ({source}). Add the name of the destination file to the files section of the AppSpec file, and then try again."
            ),
        );
        reader.help("add destination: and the full path of a directory on the host");
        return None;
    };
    if options.refuse_path_escapes && escapes(&source, options.os) {
        let at = get(entries, "source").map_or(item, |entry| &entry.value);
        reader.refuse(
            at,
            format!(
                "The deployment failed because the application specification file specifies a source file ({source}) that leads out of the revision ({} line {}). Update the files section of the AppSpec file, and then try again.",
                options.file_name, at.line
            ),
        );
        reader.help("name a path below the directory of the AppSpec file, without ..");
    }
    if !is_absolute(&destination, options.os) {
        let at = get(entries, "destination").map_or(item, |entry| &entry.value);
        reader.object_to(
            (at.line, at.column),
            format!("destination {destination} is not a fully qualified path"),
        );
        reader.help(match options.os {
            Os::Linux => format!("write /{}", destination.trim_start_matches("./")),
            Os::Windows => format!(r"write c:\{}", destination.trim_start_matches(r".\")),
        });
    }
    Some(FileMapping { source, destination, line: item.line, column: item.column })
}

/// The text of a required key as typed. Outer `None`: a value of the wrong kind, already reported;
/// inner `None`: missing, null or blank.
#[expect(clippy::option_option, reason = "wrong kind and missing lead to different texts")]
fn required(entries: &[Entry], key: &str, reader: &mut Reader) -> Option<Option<String>> {
    let Some(entry) = get(entries, key).filter(|entry| !entry.value.is_null()) else {
        return Some(None);
    };
    let Some(text) = entry.value.text() else {
        reader.misshapen(&entry.value, SECTION, &format!("a single value for {key}"));
        return None;
    };
    Some((!text.trim().is_empty()).then(|| text.to_owned()))
}

/// A fully qualified path (AS-030).
pub(super) fn is_absolute(path: &str, os: Os) -> bool {
    match os {
        Os::Linux => path.starts_with('/'),
        Os::Windows => {
            let mut characters = path.chars();
            let drive = characters.next().is_some_and(|c| c.is_ascii_alphabetic())
                && characters.next() == Some(':')
                && matches!(characters.next(), Some('\\' | '/'));
            drive || path.starts_with(r"\\")
        }
    }
}
