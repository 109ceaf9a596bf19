//! The model of a Server (EC2/On-Premises) AppSpec file.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::Problem;

/// The `timeout` of a script that names none (AS-075, AMB-10).
pub const DEFAULT_SCRIPT_TIMEOUT: Duration = Duration::from_hours(1);

/// The OS family of an AppSpec file and of the host it runs on (AS-013).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Os {
    /// `os: linux`.
    Linux,
    /// `os: windows`.
    Windows,
}

impl Os {
    /// The family of the running machine.
    pub fn host() -> Self {
        if cfg!(windows) { Self::Windows } else { Self::Linux }
    }

    /// The value in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
        }
    }
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happens to a file that exists at a destination already (AS-036..AS-038).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FileExistsBehavior {
    /// The deployment fails.
    #[default]
    Disallow,
    /// The deployed file replaces it.
    Overwrite,
    /// It stays as it is.
    Retain,
}

impl FileExistsBehavior {
    /// The value in the file and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disallow => "DISALLOW",
            Self::Overwrite => "OVERWRITE",
            Self::Retain => "RETAIN",
        }
    }
}

impl fmt::Display for FileExistsBehavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FileExistsBehavior {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "DISALLOW" => Ok(Self::Disallow),
            "OVERWRITE" => Ok(Self::Overwrite),
            "RETAIN" => Ok(Self::Retain),
            _ => Err(()),
        }
    }
}

/// A parsed Server AppSpec file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSpec {
    /// The OS family that the file is written for.
    pub os: Os,
    /// `files`, in file order (AS-026).
    pub files: Vec<FileMapping>,
    /// The file's own `file_exists_behavior`; it beats the deployment's (AS-037).
    pub file_exists_behavior: Option<FileExistsBehavior>,
    /// `permissions`, in file order.
    pub permissions: Vec<Permission>,
    /// `hooks`, in file order.
    pub hooks: Vec<Hook>,
    /// What an agent logs once: duplicate keys (AS-014), modes that another agent would read
    /// differently (D-15), and everything else that [`validate`](crate::validate) warns of.
    pub warnings: Vec<Problem>,
}

impl AppSpec {
    /// The scripts of one lifecycle event; none when the file does not name it (AS-073).
    pub fn scripts(&self, event: &str) -> &[Script] {
        self.hooks.iter().find(|hook| hook.event == event).map_or(&[], |hook| &hook.scripts)
    }

    /// The names of all events in `hooks`, also those that never run (AS-079, AS-080).
    pub fn events(&self) -> impl Iterator<Item = &str> {
        self.hooks.iter().map(|hook| hook.event.as_str())
    }
}

/// One item of `files`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMapping {
    /// Path within the revision, as typed (AS-027).
    pub source: String,
    /// Directory on the host, as typed (AS-028..AS-030).
    pub destination: String,
    /// The item's line in the file.
    pub line: usize,
    /// The item's column in the file.
    pub column: usize,
}

/// The scripts of one lifecycle event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The event's name as typed.
    pub event: String,
    /// The scripts in the order in which they run (AS-086).
    pub scripts: Vec<Script>,
    /// The event's line in the file.
    pub line: usize,
    /// The event's column in the file.
    pub column: usize,
}

/// One script of a lifecycle event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Path within the revision, blanks around it removed (AS-074).
    pub location: String,
    /// How long it may run (AS-075).
    pub timeout: Duration,
    /// The user it runs as; the agent's own when absent (AS-077).
    pub runas: Option<String>,
    /// Whether it runs through `sudo` (AS-078).
    pub sudo: bool,
    /// The script's line in the file.
    pub line: usize,
    /// The script's column in the file.
    pub column: usize,
}

/// One item of `permissions` (AS-048..AS-060).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Path on the host, without blanks around it and without trailing separators (AS-049).
    pub object: String,
    /// Which objects below `object` (AS-050).
    pub pattern: String,
    /// Which of them not (AS-051).
    pub except: Vec<String>,
    /// The new owner; unchanged when absent (AS-055).
    pub owner: Option<String>,
    /// The new group; unchanged when absent (AS-055).
    pub group: Option<String>,
    /// The new mode; unchanged when absent (AS-053).
    pub mode: Option<Mode>,
    /// The new access control list; unchanged when absent (AS-056).
    pub acls: Option<Vec<AclEntry>>,
    /// The new SELinux label; unchanged when absent (AS-059).
    pub context: Option<SecurityContext>,
    /// Which kinds of objects it applies to (AS-052).
    pub types: ObjectTypes,
    /// The item's line in the file.
    pub line: usize,
    /// The item's column in the file.
    pub column: usize,
}

/// The `type` list of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectTypes {
    /// The list names `file`.
    pub file: bool,
    /// The list names `directory`.
    pub directory: bool,
}

/// A file mode: the octal digits as typed (D-15). Displays at least three of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(u32);

impl Mode {
    pub(crate) fn new(bits: u32) -> Self {
        Self(bits)
    }

    /// The permission bits, with set-user-id, set-group-id and sticky bit.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03o}", self.0)
    }
}

/// Whom an ACL entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AclQualifier {
    /// A user, or the owner when there is no name.
    User,
    /// A group, or the owning group when there is no name.
    Group,
    /// The upper bound of all named entries.
    Mask,
    /// Everybody else.
    Other,
}

impl AclQualifier {
    /// The word in the canonical form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Mask => "mask",
            Self::Other => "other",
        }
    }
}

/// One entry of `acls`. Displays the canonical form `[default:]user:name:rwx` (AS-056).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclEntry {
    /// Inherited by objects created below a directory.
    pub default: bool,
    /// Whom it is about.
    pub qualifier: AclQualifier,
    /// The user or group; empty for the base entries.
    pub name: String,
    /// Read 4, write 2, execute 1.
    pub bits: u8,
}

impl fmt::Display for AclEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.default { "default:" } else { "" };
        let bit = |bit: u8, letter: char| if self.bits & bit == 0 { '-' } else { letter };
        write!(
            f,
            "{prefix}{}:{}:{}{}{}",
            self.qualifier.as_str(),
            self.name,
            bit(4, 'r'),
            bit(2, 'w'),
            bit(1, 'x')
        )
    }
}

/// A SELinux label (AS-059).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityContext {
    /// The SELinux user.
    pub user: Option<String>,
    /// The type; `semanage` needs it (AMB-6).
    pub kind: String,
    /// The range in normal form (AS-060).
    pub range: Option<String>,
}
