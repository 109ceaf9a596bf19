//! Lengths and patterns of strings and lists, for the handlers that answer with an operation's own error.

use crate::emit_types::HEADER;
use crate::model::{Kind, Model, Shape};
use crate::names;

/// `constraints.rs`.
pub(crate) fn emit(model: &Model) -> String {
    let constrained = |kind: Kind| {
        model.shapes.iter().filter(move |(_, shape)| {
            shape.kind == kind && (shape.min.is_some() || shape.max.is_some() || shape.pattern.is_some())
        })
    };
    let mut body = String::new();
    let (mut strings, mut lists, mut patterns) = (false, false, false);
    for (name, shape) in constrained(Kind::String) {
        strings = true;
        patterns |= shape.pattern.is_some();
        string(&mut body, name, shape);
    }
    for (name, shape) in constrained(Kind::List) {
        lists = true;
        list(&mut body, name, shape);
    }

    let mut imports = Vec::new();
    imports.extend(lists.then_some("ListConstraint"));
    imports.extend(patterns.then_some("Pattern"));
    imports.extend(strings.then_some("StringConstraint"));
    let mut out = HEADER.to_owned();
    out.push_str("//! What the model demands of strings and lists. Nothing is checked on decoding: the service has an error of its\n");
    out.push_str("//! own for each name, so handlers check and choose it.\n\n");
    line!(out, "use crate::constraint::{{{}}};\n", imports.join(", "));
    out + &body
}

fn string(out: &mut String, name: &str, shape: &Shape) {
    let pattern = shape
        .pattern
        .as_deref()
        .map_or_else(|| "None".to_owned(), |text| format!("Some(Pattern::new({text:?}))"));
    line!(out, "/// `{name}`.");
    line!(
        out,
        "pub const {}: StringConstraint = StringConstraint {{ shape: {name:?}, min: {:?}, max: {:?}, pattern: {pattern} }};\n",
        names::constant(name),
        shape.min,
        shape.max,
    );
}

fn list(out: &mut String, name: &str, shape: &Shape) {
    line!(out, "/// `{name}`.");
    line!(
        out,
        "pub const {}: ListConstraint = ListConstraint {{ shape: {name:?}, min: {:?}, max: {:?} }};\n",
        names::constant(name),
        shape.min,
        shape.max,
    );
}
