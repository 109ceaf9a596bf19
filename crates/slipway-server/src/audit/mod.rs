//! The audit trail: who asked for what, in the record format of CloudTrail (DP-430..DP-434).
//!
//! | module | what is in it |
//! |---|---|
//! | `call` | what is known of one call when it has been answered |
//! | `record` | from a call to its record |
//! | `redact` | what of parameters and answers may be recorded |
//! | `xml` | the answers of IAM and STS as values |
//! | `files` | the files: append, rotate, seal, chain of hashes |
//! | `trail` | the queue between requests and files, delivery to a bucket |
//! | [`search`] | reading it again |
//!
//! A request leaves its call in a queue and is answered; one task makes records of them and writes. A record is in the
//! file moments after the answer and on disk within a second. A graceful stop writes all of them; a process that is
//! killed loses what was in the queue, a machine that loses power the last second.
//!
//! Recorded is what CodeDeploy, IAM and STS are asked. Agents' commands and S3 objects are data, not administration,
//! and not recorded, as CloudTrail leaves them out by default. A request whose signature does not prove who sent it is
//! in the log only: anyone could fill a disk with those.

mod call;
mod files;
mod record;
mod redact;
pub mod search;
mod trail;
mod xml;

pub(crate) use call::{Answered, Call};
pub use files::{AuditError, Rotation};
pub use trail::Settings;
pub(crate) use trail::{Delivery, Pending, Trail};
