//! Why an Install failed: the documented texts.

use std::io;
use std::path::{Path, PathBuf};

/// Why an Install failed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// AS-038, under DISALLOW.
    #[error("The deployment failed because a specified file already exists at this location: {}", .0.display())]
    Exists(PathBuf),
    /// AS-037.
    #[error(
        "The deployment failed because an invalid option was specified for fileExistsBehavior: {0}. Valid options include OVERWRITE, RETAIN, and DISALLOW."
    )]
    UnknownBehavior(String),
    /// OVERWRITE replaces files, links and empty directories; what else lies there is not ours to delete
    /// (D-14).
    #[error("The deployment failed because a directory that is not empty is in the place of a file: {}", .0.display())]
    DirectoryInTheWay(PathBuf),
    /// AS-034.
    #[error(
        "The deployment failed because the application specification file specifies two source files named {} and {} for the same destination ({}). Remove one of the source file paths from the AppSpec file, and then try again.",
        second.display(), first.display(), destination.display()
    )]
    TwoSources {
        /// The source that came later.
        second: PathBuf,
        /// The source that came first.
        first: PathBuf,
        /// Where both go.
        destination: PathBuf,
    },
    /// AS-035.
    #[error(
        "The deployment failed because the application specification file calls for installing the file {}, but a file with that name already exists at the location ({}). Update your AppSpec file or directory structure, and then try again.",
        source_file.display(), destination.display()
    )]
    FileOverDirectory {
        /// The file in the revision.
        source_file: PathBuf,
        /// The directory that an earlier item makes.
        destination: PathBuf,
    },
    /// AS-035.
    #[error(
        "The deployment failed because the application specification file includes an mkdir command more than once for the same destination path ({}) from ({}). Update the files section of the AppSpec file, and then try again.",
        destination.display(), source_file.display()
    )]
    DirectoryOverFile {
        /// The directory.
        destination: PathBuf,
        /// The file that an earlier item copies there.
        source_file: PathBuf,
    },
    /// D-17.
    #[error(
        "The deployment failed because the source {path} was refused: {reason} ({app_spec_name} line {line}). Update the files section of the AppSpec file, and then try again.",
        path = path.display()
    )]
    Escape {
        /// The file or link in the revision.
        path: PathBuf,
        /// Where it leads.
        reason: crate::sys::within::Escape,
        /// The AppSpec file.
        app_spec_name: String,
        /// The line of the `files` item.
        line: usize,
    },
    /// Lines of the cleanup record end at a line feed; such a path would name other files there.
    #[error("The deployment failed because a destination path contains a line break: {0:?}")]
    LineBreak(PathBuf),
    /// The `files` section multiplies the revision.
    #[error(
        "The deployment failed because the files section of the AppSpec file asks for more than {0} files and directories"
    )]
    TooMany(usize),
    /// Copying a device or a pipe would never end.
    #[error("The deployment failed because {} is neither a file nor a directory nor a symbolic link", .0.display())]
    NotAFile(PathBuf),
    /// AS-062.
    #[error(
        "The deployment failed because the application specification file includes an object ({object}) with an invalid pattern ({pattern}), such as a pattern for a file applied to a directory. Correct the permissions section of the AppSpec file, and then try again."
    )]
    PatternOnFile {
        /// The object.
        object: String,
        /// Its pattern.
        pattern: String,
    },
    /// AS-062.
    #[error(
        "The deployment failed because the except parameter for a pattern in the permissions section ({except}) for the object named {object} contains an invalid format. Update the AppSpec file, and then try again."
    )]
    ExceptOnFile {
        /// The list.
        except: String,
        /// The object.
        object: String,
    },
    /// AS-066.
    #[error(
        "The deployment failed because the permissions setting for ({}) is specified more than once in the application specification file. Update the files section of the AppSpec file, and then try again.",
        .0.display()
    )]
    PermissionTwice(PathBuf),
    /// AS-067.
    #[error(
        "The deployment failed because the -d parameter has been specified to apply an acl setting to a file. This parameter is supported for directories only. Update the AppSpec file, and then try again."
    )]
    DefaultAclOnFile,
    /// `reject_symlink_permission_targets` (AP-30).
    #[error(
        "The deployment failed because the permissions object {object} is a symbolic link ({app_spec_name} line {line}). Update the permissions section of the AppSpec file, and then try again."
    )]
    PermissionOnLink {
        /// The object.
        object: String,
        /// The AppSpec file.
        app_spec_name: String,
        /// The line of the `permissions` item.
        line: usize,
    },
    /// `reject_unconfined_selinux_in_bundle` (AP-30).
    #[error(
        "The deployment failed because the context of the permissions object {object} is unconfined ({app_spec_name} line {line}). Update the permissions section of the AppSpec file, and then try again."
    )]
    Unconfined {
        /// The object.
        object: String,
        /// The AppSpec file.
        app_spec_name: String,
        /// The line of the `permissions` item.
        line: usize,
    },
    /// The owner of a directory on the way exchanged what was made there: it does not get the attributes meant for it.
    #[error("The deployment failed because {} was replaced while it was being installed", .0.display())]
    Replaced(PathBuf),
    /// AS-055.
    #[error("can't find user for {0}")]
    NoUser(String),
    /// AS-055.
    #[error("can't find group for {0}")]
    NoGroup(String),
    /// AS-070.
    #[error(
        "The deployment failed because of a problem with the acls permission settings in the application specification file for this object: {}. Failed command: {command}. Exit code: {status}",
        path.display()
    )]
    Acl {
        /// The object.
        path: PathBuf,
        /// The command as it was run.
        command: String,
        /// How it ended.
        status: i32,
    },
    /// AS-071.
    #[error(
        "The deployment failed because the application specification file contains an error in the settings for the context parameter. Update the permissions section of the AppSpec file, and then try again. Failed command: {command}. Exit code: {status}"
    )]
    Context {
        /// The command as it was run.
        command: String,
        /// How it ended.
        status: i32,
    },
    /// A group id that cannot name a file.
    #[error("The deployment group id {0:?} is not valid")]
    GroupId(String),
    /// The host's file system failed; a full disk shows as such, with the path.
    #[error("{} - {}", reason(error), path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
}

impl InstallError {
    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }
}

/// The system's words without the number that Rust appends.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
