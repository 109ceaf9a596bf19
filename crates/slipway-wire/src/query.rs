//! The query protocol of IAM and STS: form bodies in, XML out.
//!
//! [`Form`] is a request's parameters, [`response`] and [`error`] write the two kinds of answer, [`Node`] is the
//! element that a handler fills, [`QueryError`] is what it answers otherwise.
//!
//! ```
//! use slipway_wire::query::{self, Form, QueryError};
//!
//! let form = Form::parse(b"Action=GetUser&Version=2010-05-08&UserName=web+1")?;
//! assert_eq!(form.action()?, "GetUser");
//!
//! let body = query::response("GetUser", query::IAM_NAMESPACE, "4c5a", |result| {
//!     result.element("User", |user| user.text("UserName", form.get("UserName").unwrap_or_default()));
//! });
//! assert_eq!(
//!     body,
//!     "<GetUserResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
//!      <GetUserResult><User><UserName>web 1</UserName></User></GetUserResult>\
//!      <ResponseMetadata><RequestId>4c5a</RequestId></ResponseMetadata></GetUserResponse>"
//! );
//! # Ok::<(), QueryError>(())
//! ```

mod error;
mod form;
mod xml;

pub use error::{QueryError, QueryErrorKind};
pub use form::{Form, Item, MAX_BODY, MAX_PARAMETERS};
pub use xml::{Node, empty_response, error, response};

/// The media type of answers.
pub const CONTENT_TYPE: &str = "text/xml";

/// The namespace of IAM's answers (OW-30).
pub const IAM_NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// The version that IAM requests name.
pub const IAM_VERSION: &str = "2010-05-08";

/// The namespace of STS's answers.
pub const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The version that STS requests name.
pub const STS_VERSION: &str = "2011-06-15";
