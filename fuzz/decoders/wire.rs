//! Requests of the JSON and CBOR protocols, and forms of the query protocol.

#[path = "../../crates/slipway-wire/tests/generated/mod.rs"]
#[allow(dead_code, reason = "the list of structures is for other tests")]
mod generated;

use slipway_wire::codec::Protocol;
use slipway_wire::query::{Form, QueryError};
use slipway_wire::{ErrorKind, codedeploy, commands};

/// A request in JSON: the operation's name, a line feed, the body.
pub(crate) fn json(input: &[u8]) -> String {
    request(input, Protocol::Json, Protocol::Cbor)
}

/// A request in CBOR: the operation's name, a line feed, the body.
pub(crate) fn cbor(input: &[u8]) -> String {
    request(input, Protocol::Cbor, Protocol::Json)
}

/// What is decoded stays the same whichever codec carries it; what is not is refused in few words.
fn request(input: &[u8], protocol: Protocol, other: Protocol) -> String {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (operation, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let operation = str::from_utf8(operation).unwrap_or_default();
    let module = if codedeploy::Operation::from_name(operation).is_some() {
        "codedeploy"
    } else if commands::Operation::from_name(operation).is_some() {
        "commands"
    } else {
        return ErrorKind::UnknownOperationException.to_string();
    };
    let shape = format!("{operation}Input");
    let through = |body: &[u8], from, to| {
        generated::reencode(module, &shape, body, from, to).expect("every operation has an input")
    };
    match through(body, protocol, protocol) {
        Ok(written) => {
            assert_eq!(through(&written, protocol, protocol).as_ref(), Ok(&written), "encoding is stable");
            let carried = through(body, protocol, other).expect("the other codec writes it, too");
            assert_eq!(through(&carried, other, protocol), Ok(written), "and carries the same");
            assert!(protocol.show(body).is_some(), "what is carried out can be recorded");
            "ok".to_owned()
        }
        Err(error) => {
            assert!(error.message.len() < 1000, "{} bytes of message", error.message.len());
            error.kind.to_string()
        }
    }
}

/// A form of IAM or STS.
pub(crate) fn query(input: &[u8]) -> String {
    match form(input) {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.kind.to_string(),
    }
}

fn form(input: &[u8]) -> Result<(), QueryError> {
    let form = Form::parse(input)?;
    form.action()?;
    for (name, value) in form.parameters() {
        assert_eq!(form.get(name), Some(value));
    }
    form.integer("MaxItems")?;
    form.boolean("SetAsDefault")?;
    form.list("PolicyArns")?;
    for item in form.items("Tags")? {
        item.required("Key")?;
    }
    Ok(())
}
