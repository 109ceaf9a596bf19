//! The one port (D-02): listener, TLS, and the entry through which every request goes.
//!
//! | module | what is in it |
//! |---|---|
//! | `listen` | the accept loop: connection limit, TLS, HTTP/1.1 and HTTP/2, drain (AP-41, AP-42) |
//! | `inherit` | the listening socket that a service manager passes in |
//! | `route` | which service a request is for |
//! | `entry` | one request: request id, span, panic guard, metrics |
//! | `body`, `lent` | reading and inflating a body within limits, and what is left of one that was refused |
//! | `patience` | limits on waiting where hyper has none |
//! | `authenticate` | signature to caller |
//! | `refusals` | how often the log tells of failed authentication |
//! | `credentials` | access key to secret and identity |
//! | `answer` | bodies and errors in the dialect of each protocol |
//! | `cbor` | what is different about requests in Smithy RPC v2 CBOR |
//! | `rpc`, `query` | the services behind each protocol |

mod answer;
mod authenticate;
mod body;
mod cbor;
pub(crate) mod credentials;
mod entry;
mod inherit;
mod lent;
pub mod listen;
mod patience;
mod query;
mod refusals;
mod route;
mod rpc;

pub(crate) use entry::Entry;
pub(crate) use listen::{bind, serve};
