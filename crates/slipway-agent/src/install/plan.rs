//! From the AppSpec file to instructions. Every conflict is found here, before the first copy (AS-039).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use slipway_appspec::bundle::source_path;
use slipway_appspec::{AclEntry, FileExistsBehavior, FileMapping, Mode, Os, SecurityContext};

use super::{InstallError, InstallRequest, select};
use crate::sys::within::{self, resolve};

/// An Install that makes more is a mistake or an attack; its plan would not fit into memory.
const MAX_OBJECTS: usize = 2_000_000;

/// A user or group: as written, and its number on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) id: u32,
}

/// One step of an Install.
#[derive(Debug, Clone)]
pub(super) enum Instruction {
    Copy {
        source: PathBuf,
        destination: PathBuf,
        /// Recreate the link instead of copying what it names (AS-033).
        link: bool,
        /// Something is there and OVERWRITE allows to replace it.
        replaces: bool,
    },
    MakeDirectory {
        path: PathBuf,
        /// A file is there and OVERWRITE allows to replace it.
        replaces: bool,
    },
    ChangeOwner {
        owner: Option<Account>,
        group: Option<Account>,
        path: PathBuf,
    },
    ChangeMode {
        mode: Mode,
        path: PathBuf,
    },
    SetAcl {
        entries: Vec<AclEntry>,
        path: PathBuf,
    },
    SetContext {
        context: SecurityContext,
        path: PathBuf,
    },
}

/// Everything that an Install will do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) instructions: Vec<Instruction>,
    pub(super) retained: Vec<PathBuf>,
}

pub(super) fn plan(request: &InstallRequest<'_>) -> Result<Plan, InstallError> {
    plan_at_most(MAX_OBJECTS, request)
}

/// A plan that makes at most so many objects.
pub(super) fn plan_at_most(most: usize, request: &InstallRequest<'_>) -> Result<Plan, InstallError> {
    let archive = fs::canonicalize(request.archive_dir)
        .map_err(|error| InstallError::io(request.archive_dir, error))?;
    let mut planner = Planner {
        request,
        most,
        archive,
        line: 0,
        plan: Plan::default(),
        copies: HashMap::new(),
        directories: HashSet::new(),
        existing: HashSet::new(),
    };
    for mapping in &request.app_spec.files {
        planner.mapping(mapping)?;
    }
    let mut plan = planner.plan;
    let permissions = select::instructions(request, &plan.instructions)?;
    plan.instructions.extend(permissions);
    Ok(plan)
}

struct Planner<'a> {
    request: &'a InstallRequest<'a>,
    most: usize,
    /// The revision's real directory.
    archive: PathBuf,
    /// The line of the `files` item at hand.
    line: usize,
    plan: Plan,
    /// Source by destination.
    copies: HashMap<PathBuf, PathBuf>,
    directories: HashSet<PathBuf>,
    /// Directories that were there before.
    existing: HashSet<PathBuf>,
}

impl Planner<'_> {
    fn mapping(&mut self, mapping: &FileMapping) -> Result<(), InstallError> {
        self.line = mapping.line;
        let relative = source_path(&mapping.source, Os::host());
        let named = if relative.as_os_str().is_empty() {
            self.request.archive_dir.to_owned()
        } else {
            self.request.archive_dir.join(&relative)
        };
        let destination = clean_destination(Path::new(&mapping.destination))?;
        let parent = relative.parent().unwrap_or(Path::new(""));
        // The parents only: whether the object itself is a link that leads out is told when it is taken.
        let real = match (resolve(&self.archive, Path::new(""), parent), relative.file_name()) {
            (Ok(parent), Some(name)) => parent.join(name),
            (Ok(parent), None) => parent,
            (Err(reason), _) if self.request.switches.reject_path_traversal => {
                return Err(self.escape(&named, reason));
            }
            (Err(_), _) => named.clone(),
        };
        let mut above = Vec::new();
        match self.kind(&named, &real)? {
            Kind::Directory(real) => {
                self.directory(&destination)?;
                self.tree(&named, &real, &destination, &mut above)
            }
            kind => {
                self.directory(&destination)?;
                let name = named.file_name().unwrap_or_default();
                self.copy(&named, destination.join(name), kind.is_link())
            }
        }
    }

    /// The contents of a directory, in the order of their names (AS-029).
    fn tree(
        &mut self,
        named: &Path,
        real: &Path,
        destination: &Path,
        above: &mut Vec<PathBuf>,
    ) -> Result<(), InstallError> {
        if above.iter().any(|ancestor| ancestor == real) {
            return Err(self.escape(named, within::Escape::Circle));
        }
        above.push(real.to_owned());
        let failed = |error: io::Error| InstallError::io(named, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(real).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name());
        }
        names.sort();
        for name in names {
            let (named, real, destination) = (named.join(&name), real.join(&name), destination.join(&name));
            match self.kind(&named, &real)? {
                Kind::Directory(real) => {
                    self.directory(&destination)?;
                    self.tree(&named, &real, &destination, above)?;
                }
                kind => self.copy(&named, destination, kind.is_link())?,
            }
        }
        above.pop();
        Ok(())
    }

    /// What to do with an object of the revision; links to directories are followed (AS-033).
    fn kind(&self, named: &Path, real: &Path) -> Result<Kind, InstallError> {
        let Ok(metadata) = fs::symlink_metadata(real) else {
            // Reported when its turn to be copied comes (AS-032).
            return Ok(Kind::File);
        };
        if metadata.is_dir() {
            return Ok(Kind::Directory(real.to_owned()));
        }
        if metadata.is_file() {
            return Ok(Kind::File);
        }
        if !metadata.is_symlink() {
            return Err(InstallError::NotAFile(named.to_owned()));
        }
        let below = real.strip_prefix(&self.archive).unwrap_or(real);
        match resolve(&self.archive, Path::new(""), below) {
            Ok(target) if target.is_dir() => Ok(Kind::Directory(target)),
            Err(reason) if self.request.switches.reject_path_traversal => Err(self.escape(named, reason)),
            // A link out of the revision may be allowed, but nothing outside is ever read.
            Ok(_) | Err(_) => Ok(Kind::Link),
        }
    }

    fn escape(&self, path: &Path, reason: within::Escape) -> InstallError {
        InstallError::Escape {
            path: path.to_owned(),
            reason,
            app_spec_name: self.request.app_spec_name.to_owned(),
            line: self.line,
        }
    }

    fn copy(&mut self, source: &Path, destination: PathBuf, link: bool) -> Result<(), InstallError> {
        check_line_break(&destination)?;
        if let Some(first) = self.copies.get(&destination) {
            return Err(InstallError::TwoSources {
                second: source.to_owned(),
                first: first.clone(),
                destination,
            });
        }
        if self.directories.contains(&destination) {
            return Err(InstallError::FileOverDirectory { source_file: source.to_owned(), destination });
        }
        let mut replaces = false;
        if let Ok(metadata) = fs::symlink_metadata(&destination) {
            match self.behavior()? {
                FileExistsBehavior::Disallow => return Err(InstallError::Exists(destination)),
                FileExistsBehavior::Retain => {
                    self.plan.retained.push(destination);
                    return Ok(());
                }
                FileExistsBehavior::Overwrite if metadata.is_dir() && !is_empty(&destination) => {
                    return Err(InstallError::DirectoryInTheWay(destination));
                }
                FileExistsBehavior::Overwrite => replaces = true,
            }
        }
        self.copies.insert(destination.clone(), source.to_owned());
        self.check_number()?;
        self.plan.instructions.push(Instruction::Copy {
            source: source.to_owned(),
            destination,
            link,
            replaces,
        });
        Ok(())
    }

    /// Makes a directory and its missing parents; an existing one is no conflict (AS-031).
    fn directory(&mut self, path: &Path) -> Result<(), InstallError> {
        if self.directories.contains(path) || self.existing.contains(path) {
            return Ok(());
        }
        check_line_break(path)?;
        if let Some(source) = self.copies.get(path) {
            return Err(InstallError::DirectoryOverFile {
                destination: path.to_owned(),
                source_file: source.clone(),
            });
        }
        if path.is_dir() {
            self.existing.insert(path.to_owned());
            return Ok(());
        }
        let replaces = fs::symlink_metadata(path).is_ok();
        if replaces && self.behavior()? != FileExistsBehavior::Overwrite {
            // Nothing can be put below a file, so RETAIN has no way to go on either.
            return Err(InstallError::Exists(path.to_owned()));
        }
        if let Some(parent) = path.parent() {
            self.directory(parent)?;
        }
        self.directories.insert(path.to_owned());
        self.check_number()?;
        self.plan.instructions.push(Instruction::MakeDirectory { path: path.to_owned(), replaces });
        Ok(())
    }

    /// Few lines of an AppSpec file can ask for a revision thousands of times over.
    fn check_number(&self) -> Result<(), InstallError> {
        if self.plan.instructions.len() >= self.most {
            return Err(InstallError::TooMany(self.most));
        }
        Ok(())
    }

    /// The AppSpec file's setting, else the deployment's (AS-037).
    fn behavior(&self) -> Result<FileExistsBehavior, InstallError> {
        if let Some(behavior) = self.request.app_spec.file_exists_behavior {
            return Ok(behavior);
        }
        match self.request.file_exists_behavior.to_uppercase().as_str() {
            "" => Ok(FileExistsBehavior::Disallow),
            word => word.parse().map_err(|()| InstallError::UnknownBehavior(word.to_owned())),
        }
    }
}

enum Kind {
    /// With its real path.
    Directory(PathBuf),
    File,
    Link,
}

impl Kind {
    fn is_link(&self) -> bool {
        matches!(self, Self::Link)
    }
}

/// The destination as an absolute path without doubled or trailing separators; a relative one starts
/// at the agent's working directory (AS-030).
pub(super) fn clean_destination(path: &Path) -> Result<PathBuf, InstallError> {
    std::path::absolute(path)
        .map(|path| path.components().collect())
        .map_err(|error| InstallError::io(path, error))
}

fn check_line_break(path: &Path) -> Result<(), InstallError> {
    if path.as_os_str().as_bytes().contains(&b'\n') {
        return Err(InstallError::LineBreak(path.to_owned()));
    }
    Ok(())
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}
