//! The instructions, one after another, each on record before it changes the disk.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::Path;
use std::thread;

use rustix::fs::FileType;

use super::place::Places;
use super::plan::{Account, Instruction, Plan};
use super::record::{CleanupRecord, unfinished};
use super::{InstallError, InstallRequest, labels};
use crate::sys::directory::{Directory, Follow, Identity, Object, identity};
use crate::sys::files::{is_root, open_without_following, set_mode};

/// So many paths are recorded, and so many files made durable, with one write to the disk.
const BATCH: usize = 4096;
/// More threads only wait for the disk together.
const MOST_THREADS: usize = 4;
/// Files up to this size are copied through memory.
const SMALL: usize = 64 * 1024;
/// From so many files on it is faster to write out the file system than one file after the other.
const MANY: usize = 16;

/// Executes the plan. Answers the number of files and of directories.
pub(super) fn execute(
    request: &InstallRequest<'_>,
    plan: &Plan,
    record: &mut CleanupRecord,
) -> Result<(usize, usize), InstallError> {
    let mut work = Work::new(request, plan)?;
    let mut rest = plan.instructions.as_slice();
    let mut touched = BTreeSet::new();
    let (mut files, mut directories) = (0, 0);
    while let Some(first) = rest.first() {
        if path_made(first).is_none() {
            work.attribute(first, record)?;
            rest = &rest[1..];
            continue;
        }
        let (batch, later) = rest.split_at(batch_length(rest));
        let before = record.length();
        record.announce(batch.iter().filter_map(path_made))?;
        let mut made = Vec::new();
        if let Err(error) = work.make(batch, record.path(), &mut made) {
            // What did not take its place is not ours to remove, whoever takes that place now (D-14).
            made.sort_unstable();
            record.retract_to(before, made.iter().filter_map(|index| path_made(&batch[*index])))?;
            return Err(error);
        }
        for instruction in batch {
            match instruction {
                Instruction::MakeDirectory { .. } => directories += 1,
                _ => files += 1,
            }
            touched.extend(path_made(instruction).and_then(Path::parent));
        }
        rest = later;
    }
    for directory in touched {
        work.places.sync(directory).map_err(|error| InstallError::io(directory, error))?;
    }
    Ok((files, directories))
}

/// What an instruction adds to the disk; `None` for those that change attributes.
fn path_made(instruction: &Instruction) -> Option<&Path> {
    match instruction {
        Instruction::Copy { destination, .. } => Some(destination),
        Instruction::MakeDirectory { path, .. } => Some(path),
        _ => None,
    }
}

/// How many instructions are recorded together. One that replaces a foreign object is recorded alone:
/// a crash must not condemn objects that were not replaced yet (D-14).
fn batch_length(instructions: &[Instruction]) -> usize {
    let replaces = |instruction: &Instruction| {
        matches!(
            instruction,
            Instruction::Copy { replaces: true, .. } | Instruction::MakeDirectory { replaces: true, .. }
        )
    };
    if replaces(&instructions[0]) {
        return 1;
    }
    instructions
        .iter()
        .take(BATCH)
        .take_while(|instruction| path_made(instruction).is_some() && !replaces(instruction))
        .count()
}

/// A file or link that is complete, or becomes so, beside its place.
struct Waiting<'a> {
    /// Of its instruction in the batch.
    index: usize,
    destination: &'a Path,
    replaces: bool,
    made: Option<Identity>,
    /// To be made durable by itself.
    file: Option<File>,
}

/// A file or link to be completed.
struct Copy<'a> {
    index: usize,
    source: &'a Path,
    destination: &'a Path,
    link: bool,
    replaces: bool,
}

/// Completes files and links beside their places.
struct Preparer<'w> {
    archive: Option<&'w Directory>,
    archive_dir: &'w Path,
    record: &'w Path,
    /// Each file is made durable by itself.
    alone: bool,
}

/// What was completed, and what ended it.
type Prepared<'a> = (Vec<Waiting<'a>>, Option<(usize, InstallError)>);

impl Preparer<'_> {
    /// Many small files are bound by system calls: several threads share them.
    fn prepare_all<'a>(&self, copies: &[Copy<'a>], follow: Follow) -> Vec<Prepared<'a>> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        if copies.len() < MANY || threads < 2 {
            return vec![self.prepare_some(copies, follow)];
        }
        thread::scope(|scope| {
            let shares = copies.chunks(copies.len().div_ceil(threads));
            let running: Vec<_> =
                shares.map(|share| scope.spawn(move || self.prepare_some(share, follow))).collect();
            let joined = running.into_iter().map(thread::ScopedJoinHandle::join);
            joined.map(|share| share.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    }

    fn prepare_some<'a>(&self, copies: &[Copy<'a>], follow: Follow) -> Prepared<'a> {
        let mut places = Places::new(follow);
        let mut buffer = vec![0; SMALL];
        let mut done = Vec::with_capacity(copies.len());
        for copy in copies {
            match self.prepare(copy, &mut places, &mut buffer) {
                Ok((identity, file)) => done.push(Waiting {
                    index: copy.index,
                    destination: copy.destination,
                    replaces: copy.replaces,
                    made: Some(identity),
                    // Descriptors are few.
                    file: file.filter(|_| self.alone),
                }),
                Err(error) => return (done, Some((copy.index, error))),
            }
        }
        (done, None)
    }

    fn prepare(
        &self,
        copy: &Copy<'_>,
        places: &mut Places,
        buffer: &mut [u8],
    ) -> Result<(Identity, Option<File>), InstallError> {
        let failed = |error| InstallError::io(copy.destination, error);
        let (directory, _) = places.of(copy.destination).map_err(failed)?;
        let name = unfinished_name(self.record, copy.destination);
        let source = Source { archive: self.archive, archive_dir: self.archive_dir, path: copy.source };
        let result = if copy.link {
            remove_if_present(directory, &name).map_err(failed)?;
            copy_link(&source, directory, &name, failed).map(|made| (made, None))
        } else {
            copy_file(&source, directory, &name, buffer, failed).map(|(made, file)| (made, Some(file)))
        };
        if result.is_err() {
            // What cannot be removed now is removed by the next clean-up.
            let _ = directory.remove_file(&name);
        }
        result
    }
}

fn unfinished_name(record: &Path, destination: &Path) -> OsString {
    unfinished(record, destination).file_name().map(OsStr::to_owned).unwrap_or_default()
}

/// The work on one plan.
pub(super) struct Work<'a> {
    /// The revision, unless its sources may lead out of it: then they are opened by their paths.
    archive: Option<Directory>,
    archive_dir: &'a Path,
    places: Places,
    follow: Follow,
    /// What gets attributes later, and which objects these paths were when they were made: nothing else may get them.
    made: HashMap<&'a Path, Option<Identity>>,
}

impl<'a> Work<'a> {
    pub(super) fn new(request: &InstallRequest<'a>, plan: &'a Plan) -> Result<Self, InstallError> {
        let archive = if request.switches.reject_path_traversal {
            let opened = Directory::open(request.archive_dir, Follow::Always);
            Some(opened.map_err(|error| InstallError::io(request.archive_dir, error))?)
        } else {
            None
        };
        let made = plan.instructions.iter().filter_map(path_changed).map(|path| (path, None)).collect();
        let follow = request.switches.follow();
        Ok(Self { archive, archive_dir: request.archive_dir, places: Places::new(follow), follow, made })
    }

    /// Makes files, links and directories; `made` tells which of them took their place. Files are complete and durable
    /// before they do (AS-031, AS-033), all of them together: the disk is waited for once, not once for each.
    pub(super) fn make(
        &mut self,
        batch: &'a [Instruction],
        record: &Path,
        made: &mut Vec<usize>,
    ) -> Result<(), InstallError> {
        let mut waiting = VecDeque::new();
        let result = self.try_make(batch, record, &mut waiting, made);
        if result.is_err() {
            self.give_up(waiting, record);
        }
        result
    }

    fn try_make(
        &mut self,
        batch: &'a [Instruction],
        record: &Path,
        waiting: &mut VecDeque<Waiting<'a>>,
        made: &mut Vec<usize>,
    ) -> Result<(), InstallError> {
        let many = batch.len() >= MANY;
        let prepared = self.prepare_all(batch, record, many, waiting, made);
        // What stands before an object that cannot be made is made (AS-032).
        self.make_durable(waiting.iter(), many)?;
        while let Some(file) = waiting.front() {
            let (index, destination, identity) = (file.index, file.destination, file.made);
            self.put_in_place(file.destination, file.replaces, record)?;
            self.remember(destination, identity);
            made.push(index);
            waiting.pop_front();
        }
        prepared
    }

    /// Makes the directories, then completes the files beside their places. After a failure only what stands before it
    /// is left waiting.
    fn prepare_all(
        &mut self,
        batch: &'a [Instruction],
        record: &Path,
        many: bool,
        waiting: &mut VecDeque<Waiting<'a>>,
        made: &mut Vec<usize>,
    ) -> Result<(), InstallError> {
        let mut failure: Option<(usize, InstallError)> = None;
        let mut copies = Vec::new();
        for (index, instruction) in batch.iter().enumerate() {
            match instruction {
                Instruction::Copy { source, destination, link, replaces } => {
                    copies.push(Copy { index, source, destination, link: *link, replaces: *replaces });
                }
                Instruction::MakeDirectory { path, replaces } => match self.make_directory(path, *replaces) {
                    Ok(identity) => {
                        self.remember(path, identity);
                        made.push(index);
                    }
                    Err(error) => {
                        failure = Some((index, error));
                        break;
                    }
                },
                _ => {}
            }
        }
        let preparer =
            Preparer { archive: self.archive.as_ref(), archive_dir: self.archive_dir, record, alone: !many };
        for (done, failed) in preparer.prepare_all(&copies, self.follow) {
            waiting.extend(done);
            // Of several failures the first object's is told.
            failure = match (failure, failed) {
                (Some(known), Some(other)) if other.0 < known.0 => Some(other),
                (None, other) => other,
                (known, _) => known,
            };
        }
        let Some((first, error)) = failure else { return Ok(()) };
        let (before, after): (Vec<_>, Vec<_>) = waiting.drain(..).partition(|file| file.index < first);
        waiting.extend(before);
        self.give_up(after, record);
        Err(error)
    }

    /// Removes what was completed and shall not take its place. What cannot be removed now is removed by the next
    /// clean-up.
    fn give_up(&mut self, files: impl IntoIterator<Item = Waiting<'a>>, record: &Path) {
        for file in files {
            if let Ok((directory, _)) = self.places.of(file.destination) {
                let _ = directory.remove_file(&unfinished_name(record, file.destination));
            }
        }
    }

    fn remember(&mut self, path: &Path, identity: Option<Identity>) {
        if let Some(known) = self.made.get_mut(path) {
            *known = identity;
        }
    }

    /// Waits for the disk.
    fn make_durable<'w>(
        &mut self,
        waiting: impl Iterator<Item = &'w Waiting<'w>>,
        many: bool,
    ) -> Result<(), InstallError> {
        let mut written = HashSet::new();
        for Waiting { destination, made, file, .. } in waiting {
            let failed = |error| InstallError::io(destination, error);
            if let Some(file) = file {
                file.sync_all().map_err(failed)?;
            }
            let Some((device, _)) = made.filter(|_| many) else { continue };
            if written.insert(device) {
                let (directory, _) = self.places.of(destination).map_err(failed)?;
                directory.sync_filesystem().map_err(failed)?;
            }
        }
        Ok(())
    }

    fn put_in_place(
        &mut self,
        destination: &Path,
        replaces: bool,
        record: &Path,
    ) -> Result<(), InstallError> {
        let to_destination = |error| InstallError::io(destination, error);
        let (directory, name) = self.places.of(destination).map_err(to_destination)?;
        let unfinished = unfinished_name(record, destination);
        let placed = if replaces {
            if is_directory(directory, name) {
                directory.remove_directory(name).map_err(to_destination)?;
            }
            directory.rename(&unfinished, directory, name)
        } else {
            // What appeared since the plan was made is not ours to replace (D-14).
            directory.rename_new(&unfinished, directory, name)
        };
        placed.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => InstallError::Exists(destination.to_owned()),
            _ => to_destination(error),
        })
    }

    fn make_directory(&mut self, path: &Path, replaces: bool) -> Result<Option<Identity>, InstallError> {
        let failed = |error| InstallError::io(path, error);
        let (directory, name) = self.places.of(path).map_err(failed)?;
        if replaces {
            remove_if_present(directory, name).map_err(failed)?;
        }
        match directory.make_directory(name, 0o777) {
            // Somebody was faster, which is as good; but it is not ours to give attributes to (AS-061).
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_directory(directory, name) => {
                return Ok(None);
            }
            result => result.map_err(failed)?,
        }
        // A directory with content is not the one made just now.
        let new = directory.beneath(Path::new(name)).map_err(failed)?;
        let is_empty = new.names(1).map_err(failed)?.is_empty();
        Ok(if is_empty { Some(new.identity().map_err(failed)?) } else { None })
    }

    /// Gives an object that was made here an attribute.
    pub(super) fn attribute(
        &mut self,
        instruction: &Instruction,
        record: &mut CleanupRecord,
    ) -> Result<(), InstallError> {
        let Some(path) = path_changed(instruction) else { return Ok(()) };
        let failed = |error| InstallError::io(path, error);
        let known = self.made.get(path).copied().flatten();
        let (directory, name) = self.places.of(path).map_err(failed)?;
        let object = directory.object(name).map_err(failed)?;
        if known != Some(object.identity()) {
            return Err(InstallError::Replaced(path.to_owned()));
        }
        match instruction {
            Instruction::ChangeOwner { owner, group, .. } => {
                change_owner(&object, owner.as_ref(), group.as_ref()).map_err(failed)
            }
            // A link gets here only when the host allows links as targets of permissions.
            Instruction::ChangeMode { mode, .. } if object.kind() == FileType::Symlink => {
                let target = fs::canonicalize(path).map_err(failed)?;
                set_mode(&target, mode.bits()).map_err(failed)
            }
            Instruction::ChangeMode { mode, .. } => object.set_mode(mode.bits()).map_err(failed),
            Instruction::SetAcl { entries, .. } => labels::set_acl(path, object, entries),
            Instruction::SetContext { context, .. } => {
                let real = real_path(path, &object)?;
                record.announce_context(&real)?;
                labels::set_context(&real, context)
            }
            Instruction::Copy { .. } | Instruction::MakeDirectory { .. } => Ok(()),
        }
    }
}

/// What an instruction gives attributes to.
fn path_changed(instruction: &Instruction) -> Option<&Path> {
    match instruction {
        Instruction::ChangeOwner { path, .. }
        | Instruction::ChangeMode { path, .. }
        | Instruction::SetAcl { path, .. }
        | Instruction::SetContext { path, .. } => Some(path),
        Instruction::Copy { .. } | Instruction::MakeDirectory { .. } => None,
    }
}

fn is_directory(directory: &Directory, name: &OsStr) -> bool {
    directory.stat(name).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn remove_if_present(directory: &Directory, name: &OsStr) -> io::Result<()> {
    match directory.remove_file(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// An object of the revision.
struct Source<'a> {
    archive: Option<&'a Directory>,
    archive_dir: &'a Path,
    path: &'a Path,
}

impl Source<'_> {
    fn failed(&self, error: io::Error) -> InstallError {
        InstallError::io(self.path, error)
    }

    /// The revision and the path inside it, when nothing may lead out.
    fn inside(&self) -> Option<(&Directory, &Path)> {
        Some((self.archive?, self.path.strip_prefix(self.archive_dir).ok()?))
    }

    fn open(&self) -> Result<File, InstallError> {
        match self.inside() {
            Some((archive, path)) => archive.open_inside(path),
            None => open_without_following(self.path),
        }
        .map_err(|error| self.failed(error))
    }
}

/// Copies a file with mode, owner and times.
fn copy_file(
    source: &Source<'_>,
    directory: &Directory,
    name: &OsStr,
    buffer: &mut [u8],
    failed: impl Fn(io::Error) -> InstallError,
) -> Result<(Identity, File), InstallError> {
    let mut input = source.open()?;
    let like = input.metadata().map_err(|error| source.failed(error))?;
    if !like.is_file() {
        return Err(InstallError::NotAFile(source.path.to_owned()));
    }
    let mut output = match directory.create_file(name, 0o600) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Of a crash.
            remove_if_present(directory, name).and_then(|()| directory.create_file(name, 0o600))
        }
        other => other,
    }
    .map_err(&failed)?;
    let size = like.len() as usize;
    if size < buffer.len() {
        copy_small(&mut input, &mut output, buffer).map_err(&failed)?;
    } else {
        io::copy(&mut input, &mut output).map_err(&failed)?;
    }
    let new = output.metadata().map_err(&failed)?;
    preserve(&output, &new, &like).map_err(&failed)?;
    Ok(((new.dev(), new.ino()), output))
}

/// The same as `io::copy` with half of its system calls, for a file that the buffer holds.
fn copy_small(input: &mut File, output: &mut File, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        match input.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => output.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn preserve(file: &File, new: &fs::Metadata, like: &fs::Metadata) -> io::Result<()> {
    let mut mode = like.mode() & 0o7777;
    if (new.uid(), new.gid()) == (like.uid(), like.gid()) {
        // Nothing to give away.
    } else if is_root() {
        fchown(file, Some(like.uid()), Some(like.gid()))?;
    } else if fchown(file, Some(like.uid()), Some(like.gid())).is_err() {
        // The file stays the agent's own: then it must not run with the agent's rights either.
        mode &= 0o1777;
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    file.set_times(FileTimes::new().set_accessed(like.accessed()?).set_modified(like.modified()?))
}

/// Recreates a link with the same text.
fn copy_link(
    source: &Source<'_>,
    directory: &Directory,
    name: &OsStr,
    failed: impl Fn(io::Error) -> InstallError,
) -> Result<Identity, InstallError> {
    let from_source = |error| source.failed(error);
    let (target, uid, gid) = if let Some((archive, path)) = source.inside() {
        let (target, stat) = archive.read_link_inside(path).map_err(from_source)?;
        (target, stat.st_uid, stat.st_gid)
    } else {
        let metadata = fs::symlink_metadata(source.path).map_err(from_source)?;
        (fs::read_link(source.path).map_err(from_source)?, metadata.uid(), metadata.gid())
    };
    directory.make_symlink(&target, name).map_err(&failed)?;
    if is_root() {
        directory.set_owner(name, Some(uid), Some(gid)).map_err(&failed)?;
    }
    Ok(identity(&directory.stat(name).map_err(&failed)?))
}

/// The path of the object without links; where it is one itself, of what it names.
fn real_path(path: &Path, object: &Object) -> Result<std::path::PathBuf, InstallError> {
    let real = match object.kind() {
        FileType::Symlink => fs::canonicalize(path),
        _ => fs::read_link(object.path()),
    };
    real.map_err(|error| InstallError::io(path, error))
}

/// The system clears set-user-id when a file is given away; absent attributes stay as they are (AS-072).
fn change_owner(object: &Object, owner: Option<&Account>, group: Option<&Account>) -> io::Result<()> {
    object.set_owner(owner.map(|owner| owner.id), group.map(|group| group.id))?;
    if object.kind() == FileType::RegularFile && object.mode() & 0o6000 != 0 {
        object.set_mode(object.mode())?;
    }
    Ok(())
}
