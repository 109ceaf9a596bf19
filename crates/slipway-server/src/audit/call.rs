//! What is known of one call when it has been answered.

use bytes::Bytes;
use slipway_wire::codec::Protocol;

use crate::access::Caller;

/// Bodies longer than this are not kept for the trail; the record says how long they were.
const LONGEST_BODY: usize = 64 * 1024;

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON or CBOR.
    Rpc(Protocol),
    /// Form parameters; the answer is XML.
    Query,
}

/// A body, or how long it was.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    Whole(Bytes),
    Length(usize),
}

/// How a call ended.
#[derive(Debug, Clone)]
pub(crate) enum Answered {
    /// With this body.
    Done(Bytes),
    /// With this error.
    Refused {
        /// Its code, as the client saw it.
        code: String,
        /// Its message.
        message: String,
    },
    /// Not at all: the client left, or the handler panicked. It may have been carried out.
    Never,
}

/// One call; its answer comes last.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(super) at_ms: i64,
    pub(super) caller: Caller,
    pub(super) service: &'static str,
    /// Where the protocol tells it; else the parameters do.
    pub(super) operation: Option<&'static str>,
    pub(super) format: Format,
    pub(super) request: Kept,
    pub(super) answered: Answered,
}

impl Call {
    /// A call of CodeDeploy.
    pub(crate) fn rpc(
        at_ms: i64,
        caller: Caller,
        protocol: Protocol,
        operation: &'static str,
        body: &Bytes,
    ) -> Self {
        Self {
            at_ms,
            caller,
            service: "codedeploy",
            operation: Some(operation),
            format: Format::Rpc(protocol),
            request: Kept::of(body),
            answered: Answered::Never,
        }
    }

    /// A call of IAM or STS.
    pub(crate) fn query(at_ms: i64, caller: Caller, service: &'static str, form: &Bytes) -> Self {
        Self {
            at_ms,
            caller,
            service,
            operation: None,
            format: Format::Query,
            request: Kept::of(form),
            answered: Answered::Never,
        }
    }
}

impl Kept {
    fn of(body: &Bytes) -> Self {
        if body.len() > LONGEST_BODY { Self::Length(body.len()) } else { Self::Whole(body.clone()) }
    }
}

impl Answered {
    /// Only writing calls have their answers recorded, and none of those answers is long.
    pub(super) fn kept(self) -> Self {
        match self {
            Self::Done(body) if body.len() > LONGEST_BODY => Self::Done(Bytes::new()),
            other => other,
        }
    }
}
