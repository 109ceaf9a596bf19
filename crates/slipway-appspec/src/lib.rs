//! AppSpec files: parse, validate with file and line, the file, permission and hook model.
//!
//! The reader works on the events of a YAML parser, never on resolved values: what the author typed
//! (`0644`, `0.0`, `c:\temp`) reaches the rules as typed, together with its line and column.
//!
//! * [`parse`] answers the host agent: the model, or the first error with the documented text.
//! * [`validate`] answers an author: every error and warning, by place; [`bundle::validate_bundle`] also looks
//!   at the files of the bundle. All of them are one reading, [`inspect`], so that a host and its author's
//!   validator cannot disagree.
//! * [`AppSpec`] is the model of a Server (EC2/On-Premises) file: [`FileMapping`], [`Permission`],
//!   [`Script`].
//!
//! ```
//! use slipway_appspec::{Os, parse};
//!
//! let spec = parse(
//!     "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    - location: scripts/go.sh\n      timeout: 60\n",
//!     Os::Linux,
//! )?;
//! assert_eq!(spec.scripts("AfterInstall")[0].location, "scripts/go.sh");
//! assert!(spec.scripts("ApplicationStop").is_empty());
//! # Ok::<(), slipway_appspec::AppSpecError>(())
//! ```
//!
//! ECS and Lambda files have a grammar of their own; [`validate`] says so instead of guessing.

pub mod bundle;
mod error;
mod format;
mod model;
mod nearest;
mod server;
mod text;
mod validate;
pub mod within;
mod yaml;

pub use error::{AppSpecError, Problem, Severity};
pub use model::{
    AclEntry, AclQualifier, AppSpec, DEFAULT_SCRIPT_TIMEOUT, FileExistsBehavior, FileMapping, Hook, Mode,
    ObjectTypes, Os, Permission, Script, SecurityContext,
};
pub use server::{Inspection, ParseOptions, RESERVED_EVENTS, SCRIPTABLE_EVENTS, inspect, parse, parse_with};
pub use text::decode;
pub use validate::{APPSPEC_FILE_NAME, Platform, ValidateOptions, named_os, validate};
