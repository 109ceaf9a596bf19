//! Who is calling and may they: SigV4, credentials, users, roles, policies, STS sessions.
//!
//! Pure: no I/O, no clock; `now_ms` is a parameter everywhere. The only thing drawn from the system is the
//! randomness inside [`token::Sealer::seal`].

pub mod error;
pub mod iam;
pub mod identity;
pub mod sigv4;
pub mod token;

pub use error::{AuthError, Dialect};
pub use zeroize::Zeroizing;
