//! The one place of system calls: accounts, ownership, modes, times, paths that must stay inside.
//!
//! Everything goes through safe wrappers. Nothing here follows a symbolic link unless it says so.

pub mod accounts;
pub mod files;
pub mod within;
