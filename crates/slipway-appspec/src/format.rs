//! The canonical form of a file: what a host has understood, in the documented spacing (AS-022).

use std::fmt::{self, Write as _};

use crate::model::{AppSpec, FileMapping, Hook, ObjectTypes, Permission, Script};

/// Reading it again gives the same model; places and warnings aside.
impl fmt::Display for AppSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version: 0.0\nos: {}", self.os)?;
        if !self.files.is_empty() {
            writeln!(f, "files:")?;
            self.files.iter().try_for_each(|item| file(item, f))?;
        }
        if let Some(behavior) = self.file_exists_behavior {
            writeln!(f, "file_exists_behavior: {behavior}")?;
        }
        if !self.permissions.is_empty() {
            writeln!(f, "permissions:")?;
            self.permissions.iter().try_for_each(|item| permission(item, f))?;
        }
        if !self.hooks.is_empty() {
            writeln!(f, "hooks:")?;
            self.hooks.iter().try_for_each(|item| hook(item, f))?;
        }
        Ok(())
    }
}

fn file(item: &FileMapping, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "  - source: {}", Text(&item.source))?;
    writeln!(f, "    destination: {}", Text(&item.destination))
}

fn permission(item: &Permission, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "  - object: {}", Text(&item.object))?;
    // Quotation marks always, as the documentation writes it.
    writeln!(f, "    pattern: {}", Quoted(&item.pattern))?;
    if !item.except.is_empty() {
        let list: Vec<String> = item.except.iter().map(|text| Text(text).to_string()).collect();
        writeln!(f, "    except: [{}]", list.join(", "))?;
    }
    for (key, value) in [("owner", &item.owner), ("group", &item.group)] {
        if let Some(value) = value {
            writeln!(f, "    {key}: {}", Text(value))?;
        }
    }
    if let Some(mode) = item.mode {
        writeln!(f, "    mode: \"{mode}\"")?;
    }
    if let Some(acls) = &item.acls {
        list("acls", acls.iter().map(ToString::to_string), f)?;
    }
    if let Some(context) = &item.context {
        writeln!(f, "    context:")?;
        let labels =
            [("user", &context.user), ("type", &Some(context.kind.clone())), ("range", &context.range)];
        for (key, value) in labels {
            if let Some(value) = value {
                writeln!(f, "      {key}: {}", Text(value))?;
            }
        }
    }
    types(item.types, f)
}

/// Absent means both (AS-052).
fn types(types: ObjectTypes, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if types.file && types.directory {
        return Ok(());
    }
    let named = [(types.file, "file"), (types.directory, "directory")];
    list("type", named.into_iter().filter(|(named, _)| *named).map(|(_, word)| word.to_owned()), f)
}

fn list(key: &str, items: impl Iterator<Item = String>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let items: Vec<String> = items.collect();
    if items.is_empty() {
        return writeln!(f, "    {key}: []");
    }
    writeln!(f, "    {key}:")?;
    items.iter().try_for_each(|item| writeln!(f, "      - {}", Text(item)))
}

fn hook(item: &Hook, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if item.scripts.is_empty() {
        return writeln!(f, "  {}: []", Text(&item.event));
    }
    writeln!(f, "  {}:", Text(&item.event))?;
    item.scripts.iter().try_for_each(|item| script(item, f))
}

fn script(item: &Script, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "    - location: {}", Text(&item.location))?;
    writeln!(f, "      timeout: {}", item.timeout.as_secs())?;
    if let Some(runas) = &item.runas {
        writeln!(f, "      runas: {}", Text(runas))?;
    }
    if item.sudo {
        writeln!(f, "      sudo: true")?;
    }
    Ok(())
}

/// A single value: plain where no YAML reader can take it for anything but this text, else quoted.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
        // Digits, a sign or a dot in front may be a number, a single word a boolean or null.
        let path = self.0.contains('/') && self.0.chars().all(inside) && !self.0.starts_with(['-', '.']);
        let word = self.0.len() > 5
            && self.0.starts_with(|c: char| c.is_ascii_alphabetic())
            && self.0.chars().all(inside);
        if path || word || matches!(self.0, "file" | "/") {
            f.write_str(self.0)
        } else {
            Quoted(self.0).fmt(f)
        }
    }
}

/// A text between double quotation marks.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                '\u{2028}' | '\u{2029}' | '\u{FEFF}' => write!(f, "\\u{:04x}", u32::from(character))?,
                control if control.is_control() => write!(f, "\\u{:04x}", u32::from(control))?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}
