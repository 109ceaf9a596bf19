//! `permissions`: owners, modes and labels of what a deployment creates (AS-048..AS-060).

use super::reader::Reader;
use super::{ParseOptions, acl, context};
use crate::model::{Mode, ObjectTypes, Os, Permission};
use crate::yaml::{Entry, Node, Value, get};

pub(super) const SECTION: &str = "permissions";
const MODE_HELP: &str = "write one to four octal digits, such as 644 or 4755";
const KEYS: &[&str] = &["object", "pattern", "except", "owner", "group", "mode", "acls", "context", "type"];

pub(super) fn read(node: &Node, options: &ParseOptions<'_>, reader: &mut Reader) -> Vec<Permission> {
    let items = reader.list(node, SECTION, "a list of maps").unwrap_or_default();
    let mut permissions = Vec::with_capacity(items.len());
    for item in items {
        if let Some(permission) = read_item(item, reader) {
            permissions.push(permission);
        }
    }
    if options.os == Os::Windows && !items.is_empty() {
        reader.refuse(
            node,
            "The deployment failed because the application specification file specifiles file permissions, but the deployment is targeting one or more Windows Server instances. Permissions are supported only for Amazon Linux, Ubuntu Server, and Red Hat Enterprise Linux (RHEL) instances. Update the permissions section of the AppSpec file, and then try again.",
        );
        reader.help("remove the permissions section");
    }
    permissions
}

fn read_item(item: &Node, reader: &mut Reader) -> Option<Permission> {
    let entries = reader.map(item, SECTION, "a map with object")?;
    reader.unknown_keys(entries, KEYS, "permissions item");
    let Some(object) = reader.optional_text(entries, "object", SECTION) else {
        reader.refuse(
            item,
            "The deployment failed because a permission listed in the application specification file has no object value. Update the permissions section of the AppSpec file, and then try again.",
        );
        reader.help("add object: and the full path of a file or directory on the host");
        return None;
    };
    let pattern = reader.optional_text(entries, "pattern", SECTION).unwrap_or_else(|| "**".to_owned());
    if pattern.contains('/') {
        let at = get(entries, "pattern").map_or(item, |entry| &entry.value);
        reader.warn(
            (at.line, at.column),
            format!("pattern {pattern} contains a separator and matches nothing"),
        );
        reader.help("put the directory into object; a pattern is compared with names right below it");
    }
    Some(Permission {
        object: without_trailing_slash(&object),
        pattern,
        except: read_except(entries, reader),
        types: read_types(entries, reader),
        mode: get(entries, "mode").and_then(|entry| read_mode(&entry.value, reader)),
        acls: get(entries, "acls").and_then(|entry| acl::read(&entry.value, reader)),
        context: get(entries, "context").and_then(|entry| context::read(&entry.value, reader)),
        owner: reader.optional_text(entries, "owner", SECTION),
        group: reader.optional_text(entries, "group", SECTION),
        line: item.line,
        column: item.column,
    })
}

fn without_trailing_slash(object: &str) -> String {
    let stripped = object.trim_end_matches('/');
    if stripped.is_empty() { "/".to_owned() } else { stripped.to_owned() }
}

fn read_except(entries: &[Entry], reader: &mut Reader) -> Vec<String> {
    let Some(entry) = get(entries, "except") else { return Vec::new() };
    let items = reader.list(&entry.value, SECTION, "a list of strings for except").unwrap_or_default();
    let mut except = Vec::with_capacity(items.len());
    for item in items {
        match item.text() {
            Some(text) => except.push(text.trim().to_owned()),
            None => reader.misshapen(item, SECTION, "a string in the except list"),
        }
    }
    except
}

fn read_types(entries: &[Entry], reader: &mut Reader) -> ObjectTypes {
    let both = ObjectTypes { file: true, directory: true };
    let Some(node) = get(entries, "type").map(|entry| &entry.value).filter(|node| !node.is_null()) else {
        return both;
    };
    let Some(items) = reader.list(node, SECTION, "a list of file and directory for type") else {
        return both;
    };
    let mut types = ObjectTypes { file: false, directory: false };
    for item in items {
        match item.text() {
            Some("file") => types.file = true,
            Some("directory") => types.directory = true,
            _ => {
                reader.refuse(
                    item,
                    format!(
                        "The deployment failed because the application specification filespecifies a permission for an object type not supported for permissions ({}). Update the permissions section of the AppSpec file, and then try again.",
                        item.render()
                    ),
                );
                reader.help("write file or directory");
            }
        }
    }
    types
}

fn read_mode(node: &Node, reader: &mut Reader) -> Option<Mode> {
    let Value::Scalar { text, plain } = &node.value else {
        if !node.is_null() {
            reader.misshapen(node, SECTION, "a single value for mode");
        }
        return None;
    };
    if text.is_empty() || text.chars().count() > 4 {
        reader.refuse(
            node,
            format!(
                "The deployment failed because the length of a permissions mode ({text}) in the application specification file is invalid. Permissions modes must be between one and four characters long. Update the permissions section of the AppSpec file, and then try again."
            ),
        );
        reader.help(MODE_HELP);
        return None;
    }
    if let Some(invalid) = text.chars().find(|c| !c.is_digit(8)) {
        reader.refuse(
            node,
            format!(
                "The deployment failed because the permissions mode ({text}) in the application specification file contains an invalid character ({invalid}). Update the permissions section of the AppSpec file, and then try again."
            ),
        );
        reader.help(MODE_HELP);
        return None;
    }
    let bits = u32::from_str_radix(text, 8).expect("one to four octal digits fit");
    if *plain && text.starts_with('0') && text.len() > 1 {
        warn_of_octal(node, text, bits, reader);
    }
    Some(Mode::new(bits))
}

/// Unquoted digits with a leading zero are an octal number to YAML 1.1: other agents apply its decimal
/// digits as the mode (D-15, AMB-5).
fn warn_of_octal(node: &Node, text: &str, bits: u32, reader: &mut Reader) {
    let elsewhere = bits.to_string();
    if u32::from_str_radix(&elsewhere, 8) == Ok(bits) {
        return;
    }
    reader.warn(
        (node.line, node.column),
        format!(
            "mode {text} is applied as typed ({bits:04o}); quote it, because some agents read the unquoted number as {elsewhere}"
        ),
    );
    reader.help(format!("write mode: \"{text}\""));
}
