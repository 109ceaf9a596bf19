//! A table from shape names to generated structs, for tests that walk the model.

use crate::emit_types::HEADER;
use crate::model::Model;

/// `tests/generated/mod.rs`.
pub(crate) fn emit(models: &[(&str, Model)]) -> String {
    let mut out = HEADER.to_owned();
    out.push_str("//! Decodes and encodes any structure by the name of its shape.\n\n");
    out.push_str("use slipway_wire::codec::Codec;\nuse slipway_wire::{ApiError, codedeploy, commands};\n\n");
    out.push_str("fn again<C: Codec, T: serde::Serialize + serde::de::DeserializeOwned>(body: &[u8]) -> Result<Vec<u8>, ApiError> {\n");
    out.push_str("C::encode(&C::decode::<T>(body)?)\n}\n\n");
    out.push_str("/// `body` decoded as `module`'s structure `shape` and encoded again; `None` if there is no such structure.\n");
    out.push_str("pub(crate) fn reencode<C: Codec>(module: &str, shape: &str, body: &[u8]) -> Option<Result<Vec<u8>, ApiError>> {\n");
    out.push_str("Some(match (module, shape) {\n");
    for (module, model) in models {
        for (name, _) in model.structures() {
            line!(out, "({module:?}, {name:?}) => again::<C, {module}::{name}>(body),");
        }
    }
    out.push_str("_ => return None,\n})\n}\n\n");
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
