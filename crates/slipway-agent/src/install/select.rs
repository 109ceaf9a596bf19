//! Which of the new files and directories a permission applies to (AS-061..AS-067).

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use slipway_appspec::Permission;

use super::plan::{Account, Instruction, clean_destination};
use super::{InstallError, InstallRequest};
use crate::sys::accounts::{group_id, owner_id};

/// The pattern that matches at any depth (AS-064).
const EVERYTHING: &str = "**";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Link,
    Directory,
}

/// What this deployment makes, and nothing else, can get permissions (AS-061).
struct Created<'a> {
    path: &'a Path,
    kind: Kind,
}

/// The objects in the order in which they are made, and by path: an AppSpec file may hold tens of thousands of
/// permissions for as many objects.
struct Objects<'a> {
    created: &'a [Created<'a>],
    index: BTreeMap<&'a Path, usize>,
}

impl<'a> Objects<'a> {
    /// What is made at this path, unless it is a directory.
    fn file(&self, path: &Path) -> Option<&'a Created<'a>> {
        let created = &self.created[*self.index.get(path)?];
        (created.kind != Kind::Directory).then_some(created)
    }

    /// The directory itself and everything below it, in the order of the instructions.
    fn below(&self, directory: &Path) -> impl Iterator<Item = &'a Created<'a>> + use<'a> {
        // Paths are compared name by name, so what is below a directory follows it at once.
        let range = self.index.range::<Path, _>((Bound::Included(directory), Bound::Unbounded));
        let mut found: Vec<usize> =
            range.take_while(|(path, _)| path.starts_with(directory)).map(|(_, at)| *at).collect();
        found.sort_unstable();
        let created = self.created;
        found.into_iter().map(move |at| &created[at])
    }
}

/// The instructions for all `permissions`, in file order.
pub(super) fn instructions(
    request: &InstallRequest<'_>,
    made: &[Instruction],
) -> Result<Vec<Instruction>, InstallError> {
    let created: Vec<Created<'_>> = made
        .iter()
        .filter_map(|instruction| match instruction {
            Instruction::Copy { destination, link, .. } => {
                Some(Created { path: destination, kind: if *link { Kind::Link } else { Kind::File } })
            }
            Instruction::MakeDirectory { path, .. } => Some(Created { path, kind: Kind::Directory }),
            _ => None,
        })
        .collect();
    let index: BTreeMap<&Path, usize> =
        created.iter().enumerate().map(|(at, created)| (created.path, at)).collect();
    let created = Objects { created: &created, index };
    let mut instructions = Vec::new();
    let mut chosen: HashSet<&Path> = HashSet::new();
    for permission in &request.app_spec.permissions {
        check_context(request, permission)?;
        let accounts = Accounts::of(permission)?;
        for object in select(request, permission, &created)? {
            if !chosen.insert(object.path) {
                return Err(InstallError::PermissionTwice(object.path.to_owned()));
            }
            set(permission, &accounts, object, request, &mut instructions)?;
        }
    }
    Ok(instructions)
}

fn check_context(request: &InstallRequest<'_>, permission: &Permission) -> Result<(), InstallError> {
    let unconfined = permission.context.as_ref().is_some_and(|context| {
        context.kind.starts_with("unconfined_")
            || context.user.as_ref().is_some_and(|user| user.starts_with("unconfined_"))
    });
    if request.switches.reject_unconfined_selinux && unconfined {
        return Err(InstallError::Unconfined {
            object: permission.object.clone(),
            app_spec_name: request.app_spec_name.to_owned(),
            line: permission.line,
        });
    }
    Ok(())
}

/// The accounts of one permission, looked up once and before anything is copied (AS-055).
struct Accounts {
    owner: Option<Account>,
    group: Option<Account>,
}

impl Accounts {
    fn of(permission: &Permission) -> Result<Self, InstallError> {
        let owner = permission.owner.as_ref().map(|name| match owner_id(name) {
            Some(id) => Ok(Account { name: name.clone(), id }),
            None => Err(InstallError::NoUser(name.clone())),
        });
        let group = permission.group.as_ref().map(|name| match group_id(name) {
            Some(id) => Ok(Account { name: name.clone(), id }),
            None => Err(InstallError::NoGroup(name.clone())),
        });
        Ok(Self { owner: owner.transpose()?, group: group.transpose()? })
    }
}

fn select<'a>(
    request: &InstallRequest<'_>,
    permission: &Permission,
    objects: &Objects<'a>,
) -> Result<Vec<&'a Created<'a>>, InstallError> {
    let object = clean_destination(Path::new(&permission.object))?;
    if let Some(file) = objects.file(&object) {
        if !permission.types.file {
            return Ok(Vec::new());
        }
        check_single_file(request, permission, file)?;
        return Ok(vec![file]);
    }
    Ok(objects
        .below(&object)
        .filter(|created| match created.kind {
            Kind::Directory => permission.types.directory,
            Kind::File | Kind::Link => permission.types.file,
        })
        .filter(|created| {
            let below = created.path.strip_prefix(&object);
            below.is_ok_and(|relative| matches(permission, &object, created.path, relative))
        })
        .collect())
}

fn check_single_file(
    request: &InstallRequest<'_>,
    permission: &Permission,
    file: &Created<'_>,
) -> Result<(), InstallError> {
    let object = permission.object.clone();
    if permission.pattern != EVERYTHING {
        return Err(InstallError::PatternOnFile { object, pattern: permission.pattern.clone() });
    }
    if !permission.except.is_empty() {
        return Err(InstallError::ExceptOnFile { except: format!("{:?}", permission.except), object });
    }
    if file.kind == Kind::Link && request.switches.reject_symlink_permission_targets {
        let app_spec_name = request.app_spec_name.to_owned();
        return Err(InstallError::PermissionOnLink { object, app_spec_name, line: permission.line });
    }
    Ok(())
}

fn matches(permission: &Permission, object: &Path, path: &Path, relative: &Path) -> bool {
    if relative.as_os_str().is_empty() {
        // Strictly below: the directory named as the object is not touched (AS-063, D-27).
        return false;
    }
    let chosen = permission.pattern == EVERYTHING || matches_child(&permission.pattern, relative);
    chosen && !permission.except.iter().any(|except| is_excepted(except, object, path, relative))
}

/// A pattern is compared with the name of an immediate child only (AS-064).
fn matches_child(pattern: &str, relative: &Path) -> bool {
    let mut components = relative.components();
    match (components.next(), components.next()) {
        (Some(name), None) => glob(pattern, &name.as_os_str().to_string_lossy()),
        _ => false,
    }
}

/// An item without a separator is a pattern for children; one with separators names a path: absolute,
/// from the root, or from the object (AS-065, AMB-8).
fn is_excepted(except: &str, object: &Path, path: &Path, relative: &Path) -> bool {
    if !except.contains('/') {
        return matches_child(except, relative);
    }
    let from_root = PathBuf::from("/").join(except);
    matches_path(&from_root, path) || (!except.starts_with('/') && matches_path(&object.join(except), path))
}

fn matches_path(pattern: &Path, path: &Path) -> bool {
    pattern.components().count() == path.components().count()
        && pattern.components().zip(path.components()).all(|(pattern, part)| {
            glob(&pattern.as_os_str().to_string_lossy(), &part.as_os_str().to_string_lossy())
        })
}

/// `*` is any run of characters, everything else is itself (AS-064).
pub(super) fn glob(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        // The earliest place leaves the most room for the pieces to come.
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// The instructions for one object. Ownership comes first: giving a file away clears set-user-id
/// (AS-069, AMB-9).
fn set(
    permission: &Permission,
    accounts: &Accounts,
    object: &Created<'_>,
    request: &InstallRequest<'_>,
    instructions: &mut Vec<Instruction>,
) -> Result<(), InstallError> {
    let path = || object.path.to_owned();
    if object.kind == Kind::File && permission.acls.iter().flatten().any(|entry| entry.default) {
        return Err(InstallError::DefaultAclOnFile);
    }
    if accounts.owner.is_some() || accounts.group.is_some() {
        instructions.push(Instruction::ChangeOwner {
            owner: accounts.owner.clone(),
            group: accounts.group.clone(),
            path: path(),
        });
    }
    // A link has no mode, list or label of its own; what it points to is not this deployment's to change.
    if object.kind == Kind::Link && request.switches.reject_symlink_permission_targets {
        return Ok(());
    }
    if let Some(mode) = permission.mode {
        instructions.push(Instruction::ChangeMode { mode, path: path() });
    }
    if let Some(entries) = &permission.acls {
        instructions.push(Instruction::SetAcl { entries: entries.clone(), path: path() });
    }
    if let Some(context) = &permission.context {
        instructions.push(Instruction::SetContext { context: context.clone(), path: path() });
    }
    Ok(())
}
