//! Every structure of the models, filled at random from its own shape, through both codecs.

mod generated;
mod shapes;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use slipway_wire::codec::Protocol;
use slipway_wire::codedeploy::{self, Operation};
use slipway_wire::commands;

use generated::{STRUCTURES, reencode};
use shapes::cbor::{Free, plain, tree};
use shapes::{model, value_of};

/// Decoded from one codec and encoded in the other.
fn through(module: &str, shape: &str, body: &[u8], from: Protocol, to: Protocol) -> Result<Vec<u8>, String> {
    reencode(module, shape, body, from, to).expect("listed").map_err(|error| error.to_string())
}

/// JSON decoded and encoded again.
fn again(module: &str, shape: &str, body: &[u8]) -> Result<Value, String> {
    let body = through(module, shape, body, Protocol::Json, Protocol::Json)?;
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

/// CBOR decoded, in JSON.
fn from_cbor(module: &str, shape: &str, body: &[u8]) -> Result<Value, String> {
    let body = through(module, shape, body, Protocol::Cbor, Protocol::Json)?;
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

/// Checks a property of random values of each structure.
fn for_each_structure<S: Strategy>(
    cases: u32,
    strategy: impl Fn(&'static str, &'static str) -> S,
    property: impl Fn(&'static str, &'static str, S::Value) -> Result<(), TestCaseError>,
) {
    for &(module, shape) in STRUCTURES {
        let mut runner = TestRunner::new(Config { cases, ..Config::default() });
        runner
            .run(&strategy(module, shape), |value| property(module, shape, value))
            .unwrap_or_else(|error| panic!("{module} {shape}: {error}"));
    }
}

/// D-06: what one codec reads, the other writes, and back; encoding is stable; another decoder sees the same tree.
#[test]
fn both_codecs_carry_the_same_structures() {
    for_each_structure(24, value_of, |module, shape, value| {
        let json = value.to_string();
        let cbor = through(module, shape, json.as_bytes(), Protocol::Json, Protocol::Cbor);
        let cbor = cbor.map_err(TestCaseError::fail)?;
        let seen: ciborium::Value = ciborium::from_reader(&*cbor).expect("CBOR");
        // Members are written in the model's order.
        let sorted = |tree: &ciborium::Value| {
            let mut bytes = plain(tree);
            bytes.sort_unstable();
            bytes
        };
        prop_assert_eq!(sorted(&seen), sorted(&tree(module, shape, &value)));
        prop_assert_eq!(through(module, shape, &cbor, Protocol::Cbor, Protocol::Cbor), Ok(cbor.clone()));
        prop_assert_eq!(from_cbor(module, shape, &cbor), Ok(value));
        Ok(())
    });
}

/// D-06: indefinite lengths, chunks, wide numbers, `undefined`, unknown members: all that the encoding leaves free.
#[test]
fn cbor_is_read_in_every_form_that_it_can_have() {
    let strategy = |module, shape| (value_of(module, shape), prop::collection::vec(any::<Index>(), 1..64));
    for_each_structure(24, strategy, |module, shape, (value, choices)| {
        let tree = tree(module, shape, &value);
        prop_assert_eq!(from_cbor(module, shape, &plain(&tree)), Ok(value.clone()));
        let body = Free::write(&tree, &choices);
        prop_assert_eq!(from_cbor(module, shape, &body), Ok(value.clone()), "{:02x?}", body);
        let mut shown = Protocol::Cbor.show(&body).expect("what is read can be shown");
        let members = shown.as_object_mut().expect("an object");
        members.retain(|name, _| !name.starts_with('~'));
        prop_assert_eq!(shown, value);
        Ok(())
    });
}

/// D-06: a value of the wrong type is refused by both codecs, in the same words but for the place.
#[test]
fn both_codecs_refuse_the_same() {
    let wrong = prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!(5)),
        Just(json!(i64::MAX)),
        Just(json!(u64::MAX)),
        Just(json!(1.5)),
        Just(json!("~")),
        Just(json!([])),
        Just(json!(["~"])),
        Just(json!({})),
        Just(json!({"~": [1]})),
    ];
    let strategy = move |module, shape| (value_of(module, shape), any::<Index>(), wrong.clone());
    for_each_structure(48, strategy, |module, shape, (mut value, at, wrong)| {
        let places = places(&value);
        *value.pointer_mut(&places[at.index(places.len())]).expect("a place of the value") = wrong;
        let cbor = plain(&tree(module, shape, &value));
        let verdict = |body: &[u8], protocol| {
            let done = through(module, shape, body, protocol, Protocol::Json);
            // Points in time are written in different ways.
            let words = |message: String| message.split(" (").next().map(str::to_owned);
            done.map_err(words)
        };
        let (json, cbor) =
            (verdict(value.to_string().as_bytes(), Protocol::Json), verdict(&cbor, Protocol::Cbor));
        prop_assert_eq!(json, cbor, "{}", value);
        Ok(())
    });
}

/// Where the values inside a value are, as JSON pointers.
fn places(value: &Value) -> Vec<String> {
    let below = |step: String, inner: &Value| {
        let step = format!("/{}", step.replace('~', "~0").replace('/', "~1"));
        places(inner).into_iter().map(move |place| format!("{step}{place}")).collect::<Vec<_>>()
    };
    let mut found = vec![String::new()];
    match value {
        Value::Object(members) => {
            found.extend(members.iter().flat_map(|(name, inner)| below(name.clone(), inner)));
        }
        Value::Array(elements) => {
            found.extend(elements.iter().enumerate().flat_map(|(at, inner)| below(at.to_string(), inner)));
        }
        _ => {}
    }
    found
}

/// A body that is cut short is never a shorter body, and a damaged one never a panic.
#[test]
fn damaged_cbor_is_an_error() {
    let strategy = |module, shape| (value_of(module, shape), any::<Index>(), any::<u8>());
    for_each_structure(16, strategy, |module, shape, (value, at, byte)| {
        let mut body = plain(&tree(module, shape, &value));
        let cut = at.index(body.len());
        prop_assert!(from_cbor(module, shape, &body[..cut]).is_err() || cut == 0);
        body[cut] = byte;
        let _ = from_cbor(module, shape, &body);
        Ok(())
    });
}

#[test]
fn every_structure_survives_the_wire() {
    for (module, shape) in STRUCTURES {
        let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
        runner
            .run(&value_of(module, shape), |value| {
                prop_assert_eq!(again(module, shape, value.to_string().as_bytes()), Ok(value));
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{module} {shape}: {error}"));
    }
}

#[test]
fn nulls_and_unknown_members_leave_no_trace() {
    for (module, shape) in STRUCTURES {
        let mut runner = TestRunner::new(Config { cases: 8, ..Config::default() });
        runner
            .run(&value_of(module, shape), |value| {
                let mut padded = value.as_object().expect("an object").clone();
                for name in model(module)["shapes"][shape]["members"].as_object().expect("has members").keys()
                {
                    padded.entry(name).or_insert(Value::Null);
                }
                padded.insert("~unknown".to_owned(), value.clone());
                prop_assert_eq!(
                    again(module, shape, Value::Object(padded).to_string().as_bytes()),
                    Ok(value)
                );
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{module} {shape}: {error}"));
    }
}

/// A value of the wrong type anywhere is an error with a place, never a panic and never accepted.
#[test]
fn a_damaged_request_is_an_error() {
    for (module, shape) in STRUCTURES {
        let mut runner = TestRunner::new(Config { cases: 16, ..Config::default() });
        let damage = (value_of(module, shape), any::<Index>(), any::<u8>());
        runner
            .run(&damage, |(value, at, byte)| {
                let mut body = value.to_string().into_bytes();
                let cut = at.index(body.len());
                prop_assert!(again(module, shape, &body[..cut]).is_err() || cut == 0);
                body[cut] = byte;
                let _ = again(module, shape, &body);
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{module} {shape}: {error}"));
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(at in any::<Index>(), body in prop::collection::vec(any::<u8>(), 0..64)) {
        let (module, shape) = STRUCTURES[at.index(STRUCTURES.len())];
        let _ = again(module, shape, &body);
        let _ = from_cbor(module, shape, &body);
    }
}

#[test]
fn the_operation_tables_are_complete() {
    assert_eq!((Operation::ALL.len(), commands::Operation::ALL.len()), (47, 5));
    for (name, description) in model("codedeploy")["operations"].as_object().expect("operations") {
        let operation = Operation::from_name(name).expect("generated");
        assert_eq!(operation.name(), name);
        let errors: Vec<Value> = operation.errors().iter().map(|error| error.as_str().into()).collect();
        assert_eq!(Value::from(errors), description["errors"], "{name}");
        assert_eq!(operation.has_output(), !description["output"].is_null(), "{name}");
        assert_eq!(operation.is_deprecated(), description["deprecated"] == true, "{name}");
    }
    assert_eq!(Operation::from_name("createApplication"), None);
}

#[test]
fn a_target_of_another_service_is_no_operation() {
    let prefix = commands::TARGET_PREFIX;
    let target = format!("{prefix}.PollHostCommand");
    assert_eq!(commands::Operation::from_target(&target), Some(commands::Operation::PollHostCommand));
    assert_eq!(Operation::from_target(&target), None);
    for target in ["", "PollHostCommand", "CodeDeploy_20141006", "CodeDeploy_20141006.", ".CreateApplication"]
    {
        assert_eq!(Operation::from_target(target), None, "{target:?}");
    }
}

#[test]
fn every_error_shape_is_an_error_kind() {
    for module in ["codedeploy", "commands"] {
        for (name, shape) in model(module)["shapes"].as_object().expect("shapes") {
            if shape["exception"] == true {
                assert!(slipway_wire::ErrorKind::parse(name).is_some(), "{name}");
            }
        }
    }
}

#[test]
fn required_members_are_known_by_wire_name() {
    assert_eq!(
        codedeploy::CreateDeploymentGroupInput::REQUIRED,
        ["applicationName", "deploymentGroupName", "serviceRoleArn"]
    );
    assert_eq!(codedeploy::ListApplicationsInput::REQUIRED, [""; 0]);
}
