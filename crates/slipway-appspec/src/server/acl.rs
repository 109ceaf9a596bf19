//! `acls`: entries of access control lists (AS-056..AS-058).

use super::permissions::SECTION;
use super::reader::Reader;
use crate::model::{AclEntry, AclQualifier};
use crate::yaml::Node;

pub(super) fn read(node: &Node, reader: &mut Reader) -> Option<Vec<AclEntry>> {
    if node.is_null() {
        return None;
    }
    let items = reader.list(node, SECTION, "a list of strings for acls")?;
    let mut entries = Vec::with_capacity(items.len());
    for item in items {
        if matches!(item.value, crate::yaml::Value::List(_) | crate::yaml::Value::Map(_)) {
            reader.misshapen(item, SECTION, "a string in the acls list");
            continue;
        }
        match parse_entry(&item.render()) {
            Ok(entry) => entries.push(entry),
            Err(message) => {
                reader.refuse(item, message);
                reader.help("write [default:]user:NAME:rwx, [default:]group:NAME:rwx or mask::rwx");
            }
        }
    }
    Some(entries)
}

/// `[d|default:][u|user|g|group|m|mask|o|other:][name]:perms`; two parts that name no kind are a user.
fn parse_entry(text: &str) -> Result<AclEntry, String> {
    let parts: Vec<&str> = text.trim().split(':').collect();
    let invalid = || {
        format!(
            "The deployment failed because of a problem with the acls permission settings in the application specification file. Invalid acl entry ({text})."
        )
    };
    let [head @ .., permissions] = parts.as_slice() else { return Err(invalid()) };
    let (default, head) = match head {
        ["d" | "default", rest @ ..] => (true, rest),
        all => (false, all),
    };
    let (qualifier, name) = match head {
        [word] => match qualifier(word) {
            Some(qualifier) => (qualifier, ""),
            None if is_default(word) => return Err(invalid()),
            None => (AclQualifier::User, *word),
        },
        [word, name] => (qualifier(word).ok_or_else(invalid)?, *name),
        _ => return Err(invalid()),
    };
    let base = matches!(qualifier, AclQualifier::Mask | AclQualifier::Other);
    if base && !name.is_empty() {
        return Err(invalid());
    }
    if name.is_empty() && !default && qualifier != AclQualifier::Mask {
        return Err(format!(
            "The deployment failed because of a problem with the acls permission settings in the application specification file. Use mode to set the base acl entry ({text}). Update the permissions section of the AppSpec file, and then try again."
        ));
    }
    Ok(AclEntry { default, qualifier, name: name.to_owned(), bits: bits(text, permissions)? })
}

fn is_default(word: &str) -> bool {
    matches!(word, "d" | "default")
}

fn qualifier(word: &str) -> Option<AclQualifier> {
    Some(match word {
        "u" | "user" | "" => AclQualifier::User,
        "g" | "group" => AclQualifier::Group,
        "m" | "mask" => AclQualifier::Mask,
        "o" | "other" => AclQualifier::Other,
        _ => return None,
    })
}

fn bits(entry: &str, permissions: &str) -> Result<u8, String> {
    if let [digit @ b'0'..=b'7'] = permissions.as_bytes() {
        return Ok(digit - b'0');
    }
    let mut bits = 0;
    for character in permissions.chars() {
        bits |= match character {
            'r' => 4,
            'w' => 2,
            'x' => 1,
            '-' => 0,
            other => {
                return Err(format!(
                    "The deployment failed because the access control list (ACL) named {entry} in the application specification file contains an invalid character ({other}). Correct the ACL in the hooks section of the AppSpec file, and then try again."
                ));
            }
        };
    }
    Ok(bits)
}
