//! The one place of system calls: accounts, ownership, modes, times, directories by descriptor, paths that must stay
//! inside.
//!
//! Everything goes through safe wrappers. Nothing here follows a symbolic link unless it says so.

pub mod accounts;
pub mod directory;
pub mod files;
pub mod process;
pub mod remove;
mod walk;
pub mod within;
