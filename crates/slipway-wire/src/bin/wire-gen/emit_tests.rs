//! A table from shape names to generated structs, for tests that walk the model.

use crate::emit_types::HEADER;
use crate::model::Model;

/// `tests/generated/mod.rs`.
pub(crate) fn emit(models: &[(&str, Model)]) -> String {
    let mut out = HEADER.to_owned();
    out.push_str("//! Decodes and encodes any structure by the name of its shape.\n\n");
    out.push_str(
        "use slipway_wire::codec::Protocol;\nuse slipway_wire::{ApiError, codedeploy, commands};\n\n",
    );
    out.push_str("fn through<T: serde::Serialize + serde::de::DeserializeOwned>(body: &[u8], from: Protocol, to: Protocol) -> Result<Vec<u8>, ApiError> {\n");
    out.push_str("to.encode(&from.decode::<T>(body)?)\n}\n\n");
    out.push_str("/// `body` decoded as `module`'s structure `shape` and encoded again; `None` if there is no such structure.\n");
    out.push_str("pub(crate) fn reencode(module: &str, shape: &str, body: &[u8], from: Protocol, to: Protocol) -> Option<Result<Vec<u8>, ApiError>> {\n");
    out.push_str("let through = match (module, shape) {\n");
    for (module, model) in models {
        for (name, _) in model.structures() {
            line!(out, "({module:?}, {name:?}) => through::<{module}::{name}>,");
        }
    }
    out.push_str("_ => return None,\n};\nSome(through(body, from, to))\n}\n\n");
    out.push_str(
        "/// Every structure: module and shape.\npub(crate) const STRUCTURES: &[(&str, &str)] = &[\n",
    );
    for (module, model) in models {
        for (name, _) in model.structures() {
            line!(out, "({module:?}, {name:?}),");
        }
    }
    out.push_str("];\n");
    out
}
