//! The one enum of error names, over all services and the protocol itself.

use crate::emit_types::{HEADER, wire_values};
use crate::model::Model;
use std::collections::BTreeMap;

/// Errors of the protocol and of the door (authentication, throttling), which no model lists, with their HTTP status.
/// JSON services answer a refused caller with 400, not 403 (AG-166, OW-34, AP-07).
const PROTOCOL: [(&str, u16, &str); 16] = [
    ("AccessDeniedException", 400, "the caller is known and may not do this"),
    ("ExpiredTokenException", 400, "the session of the caller has ended"),
    ("IncompleteSignatureException", 400, "the signature header lacks a part"),
    ("InternalFailure", 500, "the service failed; the message says nothing that the log does not say better"),
    ("InvalidSignatureException", 400, "the signature does not match, or its time is off"),
    ("MissingAuthenticationTokenException", 400, "the request is not signed"),
    ("NotAcceptableException", 406, "the client wants an answer in a format that the protocol lacks"),
    ("RequestEntityTooLarge", 413, "the body is longer than the service reads"),
    ("RequestTimeout", 408, "the request did not arrive in time"),
    ("SerializationException", 400, "the body is not what the operation takes"),
    ("ServiceUnavailable", 503, "the service cannot answer now; try again"),
    ("ThrottlingException", 400, "the caller sends faster than allowed"),
    ("UnknownOperationException", 400, "the service has no such operation"),
    ("UnrecognizedClientException", 400, "the access key is not known"),
    ("UnsupportedMediaTypeException", 415, "the body has a type or an encoding that the protocol lacks"),
    ("ValidationException", 400, "the request breaks a constraint that has no error of its own"),
];

/// `errors.rs`.
pub(crate) fn emit(models: &[(&str, Model)]) -> String {
    let mut kinds: BTreeMap<&str, (u16, String)> = BTreeMap::new();
    for (module, model) in models {
        for (name, shape) in model.exceptions() {
            let status = if shape.fault { 500 } else { 400 };
            kinds.insert(name, (status, format!("an error of `{module}`")));
        }
    }
    for (name, status, meaning) in PROTOCOL {
        // A modelled name (ThrottlingException) keeps the meaning of the protocol.
        kinds.insert(name, (status, meaning.to_owned()));
    }

    let mut out = HEADER.to_owned();
    out.push_str("//! The names of all errors that a client can see.\n\nuse crate::values::wire_values;\n\n");
    let variants =
        kinds.iter().map(|(name, (_, meaning))| ((*name).to_owned(), *name, format!("`{name}`: {meaning}.")));
    wire_values(&mut out, "ErrorKind", "The name of an error on the wire.", variants);
    out.push_str("impl ErrorKind {\n/// The HTTP status of an answer with this error.\n");
    out.push_str("pub const fn http_status(self) -> u16 {\nmatch self {\n");
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for (name, (status, _)) in kinds.iter().filter(|(_, (status, _))| *status != 400) {
        by_status.entry(*status).or_default().push(name);
    }
    for (status, names) in by_status {
        let arms: Vec<String> = names.iter().map(|name| format!("Self::{name}")).collect();
        line!(out, "{} => {status},", arms.join(" | "));
    }
    out.push_str("_ => 400,\n}\n}\n}\n");
    out
}
