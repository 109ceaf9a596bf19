//! The operation table, the service trait and the dispatcher.

use std::collections::BTreeSet;

use crate::emit_types::{HEADER, wire_values};
use crate::model::Model;
use crate::names;

/// `mod.rs` of a service.
pub(crate) fn module(model: &Model) -> String {
    let metadata = &model.metadata;
    let mut out = HEADER.to_owned();
    line!(out, "//! {}, API version {}.", metadata.service_full_name, metadata.api_version);
    out.push_str("//!\n//! The structures and listed values are re-exported here; [`Service`] is what a server implements,\n");
    out.push_str("//! [`dispatch`] is how a request reaches it, [`constraints`] is what handlers check names against.\n\n");
    out.push_str("pub mod constraints;\nmod operations;\nmod service;\nmod types;\nmod values;\n\n");
    out.push_str("pub use operations::Operation;\npub use service::{Service, dispatch};\n");
    out.push_str("pub use types::*;\npub use values::*;\n\n");
    line!(out, "/// What `X-Amz-Target` starts with, before the dot and the operation's name.");
    line!(out, "pub const TARGET_PREFIX: &str = {:?};\n", metadata.target_prefix);
    line!(out, "/// The service's name in a credential scope of Signature Version 4.");
    line!(out, "pub const SIGNING_NAME: &str = {:?};\n", metadata.endpoint_prefix);
    line!(out, "/// The version of the API.");
    line!(out, "pub const API_VERSION: &str = {:?};", metadata.api_version);
    let _ = module;
    out
}

/// `operations.rs`.
pub(crate) fn operations(model: &Model) -> String {
    let mut out = HEADER.to_owned();
    out.push_str("//! The operation table.\n\nuse crate::ErrorKind;\nuse crate::values::wire_values;\n\n");
    let variants = model.operations.iter().map(|(name, _)| (name.to_owned(), name, format!("`{name}`.")));
    wire_values(&mut out, "Operation", "An operation of the service.", variants);
    out.push_str("impl Operation {\n");

    out.push_str("/// The operation's name on the wire.\npub const fn name(self) -> &'static str {\nself.as_str()\n}\n\n");
    out.push_str("/// The operation of that name.\npub fn from_name(name: &str) -> Option<Self> {\nSelf::parse(name)\n}\n\n");
    out.push_str("/// The operation that an `X-Amz-Target` header names.\n");
    out.push_str("pub fn from_target(target: &str) -> Option<Self> {\n");
    out.push_str("let (prefix, name) = target.split_once('.')?;\n");
    out.push_str("if prefix == super::TARGET_PREFIX { Self::parse(name) } else { None }\n}\n\n");

    let deprecated = operations_where(model, |operation| operation.deprecated);
    out.push_str("/// Whether the service calls the operation deprecated (it is served all the same).\n");
    out.push_str(&predicate("is_deprecated", &deprecated));
    let answering = operations_where(model, |operation| operation.output.is_some());
    out.push_str("/// Whether a success has an output structure; otherwise its body is empty.\n");
    out.push_str(&predicate("has_output", &answering));

    out.push_str("/// The errors that the model lists for the operation.\n");
    out.push_str("#[expect(clippy::match_same_arms, reason = \"a table, one row per operation\")]\n");
    out.push_str("pub const fn errors(self) -> &'static [ErrorKind] {\nmatch self {\n");
    for (name, operation) in model.operations.iter() {
        let errors: Vec<String> =
            operation.errors.iter().map(|error| format!("ErrorKind::{error}")).collect();
        line!(out, "Self::{name} => &[{}],", errors.join(", "));
    }
    out.push_str("}\n}\n}\n");
    out
}

fn operations_where(model: &Model, keep: impl Fn(&crate::model::Operation) -> bool) -> Vec<&str> {
    model.operations.iter().filter(|(_, operation)| keep(operation)).map(|(name, _)| name).collect()
}

fn predicate(name: &str, operations: &[&str]) -> String {
    if operations.is_empty() {
        return format!("pub const fn {name}(self) -> bool {{\nfalse\n}}\n\n");
    }
    let arms: Vec<String> = operations.iter().map(|operation| format!("Self::{operation}")).collect();
    format!("pub const fn {name}(self) -> bool {{\nmatches!(self, {})\n}}\n\n", arms.join(" | "))
}

/// `service.rs`.
pub(crate) fn service(model: &Model) -> String {
    let mut methods = String::new();
    let mut arms = String::new();
    for (name, operation) in model.operations.iter() {
        let method = names::snake(name);
        let input = &operation.input;
        let output = operation.output.as_deref().unwrap_or("()");
        let deprecated = if operation.deprecated { " Deprecated by the service." } else { "" };
        line!(methods, "/// `{name}`.{deprecated}");
        line!(
            methods,
            "fn {method}(&self, context: &Self::Context, input: {input}) -> impl Future<Output = Result<{output}, ApiError>> + Send;\n"
        );
        let call = if operation.output.is_some() { "call" } else { "call_without_output" };
        line!(
            arms,
            "Operation::{name} => codec::{call}(protocol, body, |input| service.{method}(context, input)).await,"
        );
    }

    let mut out = HEADER.to_owned();
    out.push_str("//! What a server implements, and how a decoded request reaches it.\n\n");
    let operations = model.operations.iter().map(|(_, operation)| operation);
    let structures: BTreeSet<&str> = operations
        .flat_map(|operation| operation.output.iter().chain([&operation.input]))
        .map(String::as_str)
        .collect();
    let structures: Vec<&str> = structures.into_iter().collect();
    line!(out, "use super::Operation;\nuse super::types::{{{}}};", structures.join(", "));
    out.push_str("use crate::ApiError;\nuse crate::codec::{self, Protocol};\n\n");
    line!(
        out,
        "/// {}: one method per operation, none with a default, so that a server decides about each.",
        model.metadata.service_full_name
    );
    out.push_str("///\n/// Implementations may write `async fn`. Inputs arrive decoded and otherwise unchecked: constraints and required\n");
    out.push_str("/// members have errors of their own, which only the handler can choose.\n");
    out.push_str("pub trait Service: Sync {\n/// Who calls, from where: what the server knows beside the input.\ntype Context: Sync;\n\n");
    out.push_str(&methods);
    out.push_str(
        "}\n\n/// Decodes `body` as the operation's input, calls the service, encodes its output.\n///\n",
    );
    out.push_str("/// Does not check constraints or required members.\n");
    out.push_str("pub async fn dispatch<S: Service>(service: &S, context: &S::Context, protocol: Protocol, operation: Operation, body: &[u8]) -> Result<Vec<u8>, ApiError> {\nmatch operation {\n");
    out.push_str(&arms);
    out.push_str("}\n}\n");
    out
}
