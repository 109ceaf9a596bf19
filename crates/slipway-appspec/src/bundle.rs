//! What a host would find wrong with the content of a bundle: missing or escaping sources and scripts, two
//! files for one place, scripts that cannot start (AS-024, AS-032..AS-035, AS-093, AS-094, AS-135, D-17).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use crate::error::{Problem, Severity};
use crate::model::{AppSpec, FileMapping, Os, Script};
use crate::nearest::nearest;
use crate::server::{ParseOptions, inspect};
use crate::text::decode;
use crate::validate::{APPSPEC_FILE_NAME, ValidateOptions, named_os};
use crate::within::{Escape, resolve};

/// Checks a bundle by its directory: the AppSpec file at its root, and everything that it names. Problems are
/// ordered by place in that file. The error is of reading the directory itself.
pub fn validate_bundle(root: &Path, options: &ValidateOptions<'_>) -> io::Result<Vec<Problem>> {
    let file_name = options.file_name.unwrap_or(APPSPEC_FILE_NAME);
    let path = root.join(file_name);
    let bytes = match fs::read(&path) {
        Ok(bytes) if !is_outside(root, &path) => bytes,
        Ok(_) => {
            return Ok(vec![error((1, 1), format!("{file_name} is a link that leads out of the bundle"))]);
        }
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => {
            return Ok(vec![no_appspec(root, file_name)?]);
        }
        Err(failure) => return Err(failure),
    };
    let text = match decode(&bytes) {
        Ok(text) => text,
        Err(failure) => return Ok(vec![Problem::from(&failure)]),
    };
    let os = options.os.unwrap_or_else(|| named_os(&text));
    let mut inspection = inspect(&text, &ParseOptions { file_name, ..ParseOptions::new(os) });
    if let Some(spec) = &inspection.partial {
        inspection.problems.extend(check_content(root, spec, inspection.spec.is_ok()));
        inspection.problems.sort_by_key(Problem::place);
    }
    Ok(inspection.problems)
}

/// Checks that a bundle has what its AppSpec file names, and that hosts will take it.
pub fn check_bundle(root: &Path, spec: &AppSpec) -> Vec<Problem> {
    check_content(root, spec, true)
}

/// Of a file that is not read in full it is unknown whether permissions have an object.
fn check_content(root: &Path, spec: &AppSpec, complete: bool) -> Vec<Problem> {
    with_check(root, spec, |check| {
        for mapping in &spec.files {
            check.mapping(mapping);
        }
        check.scripts(spec);
        check.members(check.root, Path::new(""));
        if complete {
            check.objects(spec);
        }
        if check.root.join("__MACOSX").is_dir() {
            let message = "the bundle holds a __MACOSX directory, which the macOS Finder adds";
            check.problems.push(warning((1, 1), message));
            check.help("pack it without, with zip -X or ditto --norsrc");
        }
    })
}

/// The part of [`check_bundle`] that is about scripts: cheap whatever the size of the bundle.
pub fn check_scripts(root: &Path, spec: &AppSpec) -> Vec<Problem> {
    with_check(root, spec, |check| check.scripts(spec))
}

fn with_check(root: &Path, spec: &AppSpec, work: impl FnOnce(&mut Check<'_>)) -> Vec<Problem> {
    let root = match fs::canonicalize(root) {
        Ok(root) => root,
        Err(failure) => return vec![error((1, 1), format!("{}: {failure}", root.display()))],
    };
    let mut check = Check {
        root: &root,
        os: spec.os,
        problems: Vec::new(),
        taken: HashMap::new(),
        told: HashSet::new(),
        place: (1, 1),
    };
    work(&mut check);
    check.problems
}

/// The part of a `source` or `location` below the bundle's root: separators around it and `./` are harmless
/// (AS-027).
pub fn source_path(source: &str, os: Os) -> PathBuf {
    let source = source.trim();
    let source = match os {
        Os::Windows => source.replace('\\', "/"),
        Os::Linux if source == "\\" => String::new(),
        Os::Linux => source.to_owned(),
    };
    let mut rest = source.as_str();
    while let Some(shorter) =
        rest.strip_prefix('/').or_else(|| rest.strip_prefix("./")).or_else(|| rest.strip_prefix(".\\"))
    {
        rest = shorter;
    }
    Path::new(rest).components().filter(|component| !matches!(component, Component::CurDir)).collect()
}

fn error(place: (usize, usize), message: impl Into<String>) -> Problem {
    Problem { refused: true, ..Problem::new(Severity::Error, place, message) }
}

fn warning(place: (usize, usize), message: impl Into<String>) -> Problem {
    Problem::new(Severity::Warning, place, message)
}

fn is_outside(root: &Path, path: &Path) -> bool {
    !matches!((root.canonicalize(), path.canonicalize()), (Ok(root), Ok(real)) if real.starts_with(&root))
}

/// AS-002, AS-003: and where the file probably is.
fn no_appspec(root: &Path, file_name: &str) -> io::Result<Problem> {
    let mut help = None;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.to_lowercase().starts_with("appspec.") {
            help = Some(format!("rename {name} to {file_name}"));
        } else if help.is_none() && entry.path().join(file_name).is_file() {
            help = Some(format!("{file_name} lies in {name}/; it belongs into the bundle's root"));
        }
    }
    Ok(Problem { help, ..error((1, 1), format!("{file_name} was not found in {}", root.display())) })
}

struct Check<'a> {
    root: &'a Path,
    os: Os,
    problems: Vec<Problem>,
    /// Who takes a place on the host: the source, and whether it is a directory.
    taken: HashMap<PathBuf, (PathBuf, bool)>,
    /// Members whose refusal was told where the AppSpec file names them.
    told: HashSet<PathBuf>,
    /// Of the item at hand.
    place: (usize, usize),
}

impl Check<'_> {
    fn error(&mut self, message: impl Into<String>) {
        self.problems.push(error(self.place, message));
    }

    fn help(&mut self, text: impl Into<String>) {
        if let Some(last) = self.problems.last_mut() {
            last.help = Some(text.into());
        }
    }

    fn mapping(&mut self, mapping: &FileMapping) {
        self.place = (mapping.line, mapping.column);
        let relative = source_path(&mapping.source, self.os);
        let Some(real) = self.find(&relative, "source", &mapping.source) else { return };
        let destination = PathBuf::from(match self.os {
            Os::Linux => mapping.destination.clone(),
            Os::Windows => mapping.destination.replace('\\', "/"),
        });
        let destination: PathBuf = destination.components().collect();
        if real.is_dir() {
            self.take(destination.clone(), &relative, true);
            self.tree(&relative, &real, &destination, &mut Vec::new());
        } else {
            self.file(&relative, &real, destination.join(relative.file_name().unwrap_or_default()));
        }
    }

    /// Where an object of the bundle really is; tells why it is nowhere.
    fn find(&mut self, relative: &Path, what: &str, typed: &str) -> Option<PathBuf> {
        match resolve(self.root, Path::new(""), relative) {
            Ok(real) if real.symlink_metadata().is_ok() => Some(real),
            // A dangling link is copied as it is (AS-033).
            Ok(_) if self.root.join(relative).is_symlink() => Some(self.root.join(relative)),
            Ok(_) => {
                let kind = if what == "script" { "script" } else { "file or directory" };
                self.error(format!("the bundle has no {kind} {typed:?}"));
                if typed.contains(['*', '?']) {
                    self.help("names are taken as they are; name the directory, or each file");
                } else if let Some(meant) = self.similar(relative) {
                    self.help(format!("did you mean {meant}? Upper and lower case differ"));
                }
                None
            }
            Err(reason) => {
                self.error(format!("the {what} {typed} is refused: {reason}"));
                self.told.insert(relative.to_owned());
                None
            }
        }
    }

    /// The entry that was probably meant, in the last directory of the path that exists.
    fn similar(&self, relative: &Path) -> Option<String> {
        let mut directory = PathBuf::new();
        for component in relative.components() {
            let next = directory.join(component);
            if !self.root.join(&next).exists() {
                let names: Vec<String> = fs::read_dir(self.root.join(&directory))
                    .ok()?
                    .flatten()
                    .filter_map(|entry| entry.file_name().into_string().ok())
                    .collect();
                let wanted = component.as_os_str().to_str()?;
                let meant = nearest(wanted, names.iter().map(String::as_str))?;
                let rest = relative.strip_prefix(&next).ok()?;
                return Some(
                    directory.join(meant).join(rest).components().collect::<PathBuf>().display().to_string(),
                );
            }
            directory = next;
        }
        None
    }

    /// What lies below a directory of the bundle; links to directories are followed as an Install does.
    fn tree(&mut self, relative: &Path, real: &Path, destination: &Path, above: &mut Vec<PathBuf>) {
        if above.iter().any(|ancestor| ancestor == real) {
            let reason = Escape::Circle;
            self.error(format!("the source {} is refused: {reason}", relative.display()));
            return;
        }
        let mut names: Vec<_> = match fs::read_dir(real) {
            Ok(entries) => entries.flatten().map(|entry| entry.file_name()).collect(),
            Err(failure) => {
                self.error(format!("the source {} cannot be read: {failure}", relative.display()));
                return;
            }
        };
        names.sort();
        above.push(real.to_owned());
        for name in names {
            let (relative, below) = (relative.join(&name), real.join(&name));
            let destination = destination.join(&name);
            match self.entry(&below) {
                Ok(target) if target.is_dir() => {
                    self.take(destination.clone(), &relative, true);
                    self.tree(&relative, &target, &destination, above);
                }
                Ok(_) => self.file(&relative, &below, destination),
                Err(reason) => {
                    self.error(format!("the source {} is refused: {reason}", relative.display()));
                    self.told.insert(relative);
                }
            }
        }
        above.pop();
    }

    /// Where an entry of a real directory of the bundle leads.
    fn entry(&self, path: &Path) -> Result<PathBuf, Escape> {
        if !path.is_symlink() {
            return Ok(path.to_owned());
        }
        resolve(self.root, Path::new(""), path.strip_prefix(self.root).unwrap_or(path))
    }

    fn file(&mut self, relative: &Path, real: &Path, destination: PathBuf) {
        let kind = fs::symlink_metadata(real).map(|metadata| metadata.file_type());
        if kind.is_ok_and(|kind| !kind.is_file() && !kind.is_symlink()) {
            self.error(format!(
                "the source {} is neither a file nor a directory nor a symbolic link",
                relative.display()
            ));
            self.told.insert(relative.to_owned());
            return;
        }
        self.take(destination, relative, false);
    }

    /// Hosts refuse the whole bundle for a member that leads out of it, wherever it lies (D-17).
    fn members(&mut self, directory: &Path, below: &Path) {
        self.place = (1, 1);
        // What cannot be read is told where it is named, or cannot be packed either.
        let mut entries: Vec<_> = fs::read_dir(directory).into_iter().flatten().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let relative = below.join(entry.file_name());
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                self.members(&entry.path(), &relative);
            } else if kind.is_symlink() {
                if let Err(reason) = resolve(self.root, Path::new(""), &relative)
                    && !self.told.contains(&relative)
                {
                    self.error(format!("the link {} is refused: {reason}", relative.display()));
                    self.help("remove it, or let it lead to a place in the bundle by a relative path");
                }
            } else if !kind.is_file() && !self.told.contains(&relative) {
                self.error(format!(
                    "{} is neither a file nor a directory nor a symbolic link",
                    relative.display()
                ));
            }
        }
    }

    /// AS-034, AS-035: one place, one file; directories may meet.
    fn take(&mut self, destination: PathBuf, source: &Path, directory: bool) {
        match self.taken.get(&destination) {
            Some((_, true)) if directory => {}
            Some((first, _)) => {
                let (first, source) = (first.display().to_string(), source.display().to_string());
                self.error(format!("{source} and {first} go to the same place, {}", destination.display()));
                self.help("remove one of them, or give it another destination");
            }
            None => {
                self.taken.insert(destination, (source.to_owned(), directory));
            }
        }
    }

    fn scripts(&mut self, spec: &AppSpec) {
        for script in spec.hooks.iter().flat_map(|hook| &hook.scripts) {
            self.script(script);
        }
    }

    fn script(&mut self, script: &Script) {
        self.place = (script.line, script.column);
        let relative = source_path(&script.location, self.os);
        let Some(real) = self.find(&relative, "script", &script.location) else { return };
        let metadata = match fs::metadata(&real) {
            Ok(metadata) => metadata,
            Err(failure) => {
                return self.error(format!("the script {} cannot be read: {failure}", script.location));
            }
        };
        if !metadata.is_file() {
            return self.error(format!("the script {} is not a file", script.location));
        }
        if self.os == Os::Linux {
            if !is_executable(&metadata) {
                let message =
                    format!("the script {} is not executable; hosts will make it so", script.location);
                self.problems.push(warning(self.place, message));
                self.help(format!("chmod +x {}", relative.display()));
            }
            self.first_line(script, &real);
        }
    }

    /// What keeps the kernel from starting a script (AS-024, AS-094).
    fn first_line(&mut self, script: &Script, real: &Path) {
        let mut start = Vec::new();
        let read = fs::File::open(real).and_then(|file| file.take(512).read_to_end(&mut start));
        if let Err(failure) = read {
            return self.error(format!("the script {} cannot be read: {failure}", script.location));
        }
        let location = &script.location;
        if start.starts_with(b"\xEF\xBB\xBF") {
            let message = format!(
                "the script {location} begins with a byte order mark (BOM): its first line is not seen"
            );
            self.problems.push(warning(self.place, message));
            self.help("save it as UTF-8 without BOM");
            return;
        }
        let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if !line.starts_with(b"#!") {
            return;
        }
        if line.ends_with(b"\r") {
            let message =
                format!("the script {location} has Windows line ends: its interpreter will not be found");
            self.problems.push(warning(self.place, message));
            self.help(format!("save it with Unix line ends, as dos2unix {location} does"));
        } else if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            let message = format!("the first line of the script {location} contains a control character");
            self.problems.push(warning(self.place, message));
        }
    }

    /// Permissions that can touch nothing (AS-061).
    fn objects(&mut self, spec: &AppSpec) {
        let targets: Vec<&Path> = spec.files.iter().map(|mapping| Path::new(&mapping.destination)).collect();
        for permission in &spec.permissions {
            let object = Path::new(&permission.object);
            if !targets.iter().any(|target| object.starts_with(target) || target.starts_with(object)) {
                let place = (permission.line, permission.column);
                let message =
                    format!("no file goes to {}; its permissions stay as they are", permission.object);
                self.problems.push(warning(place, message));
            }
        }
    }
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

/// Windows knows no such bit, so a bundle that is checked there cannot lack it.
#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    true
}
