//! Who is calling and may they: SigV4, credentials, users, roles, policies, STS sessions.
//!
//! Pure: no I/O, no async, no clock; `now_ms` is a parameter everywhere. The only thing drawn from the system is
//! the randomness inside [`token::Sealer::seal`]. Everything is `Send + Sync`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`sigv4`] | verification of AWS Signature V4, header and presigned form, S3's streamed payloads |
//! | [`token`] | sealed secrets, stateless session tokens, ids of keys, users and roles |
//! | [`identity`] | [`identity::Principal`]: who a request comes from, and its ARN |
//! | [`iam`] | users, access keys and roles as stored; rules on names; IAM's errors |
//! | [`policy`] | identity, session and trust policies: compile, evaluate, explain |
//! | [`managed`] | the AWS managed policies that exist built in |
//! | [`resource`] | which permissions each CodeDeploy and S3 operation asks for, and the check of all of them |
//! | [`error`] | authentication errors by wire dialect |
//!
//! The way of a request: [`sigv4::SignedRequest::parse`] tells the access key; the caller finds its secret, in the
//! store or in the session token ([`token::SessionToken::of`]); [`sigv4::SignedRequest::verify`] proves it;
//! [`resource::required_permissions`] says what must be allowed and [`resource::authorize`] whether it is.
//!
//! ```
//! use slipway_auth::sigv4::{RequestView, SignedRequest};
//! use slipway_auth::{AuthError, Dialect};
//!
//! let headers = http::HeaderMap::new();
//! let view = RequestView { method: "POST", path: "/", query: "", headers: &headers, authority: None };
//! let error = SignedRequest::parse(&view).unwrap_err();
//! assert_eq!(error, AuthError::MissingAuthenticationToken);
//! assert_eq!(error.code(Dialect::Json), "MissingAuthenticationTokenException");
//! ```

pub mod error;
pub mod iam;
pub mod identity;
pub mod managed;
pub mod policy;
pub mod resource;
pub mod sigv4;
pub mod token;

pub use error::{AuthError, Dialect};
pub use zeroize::Zeroizing;
