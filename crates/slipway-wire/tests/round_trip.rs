//! Every structure of the models, filled at random from its own shape.

mod generated;

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use slipway_wire::codedeploy::{self, Operation};
use slipway_wire::{Json, commands};

use generated::{STRUCTURES, reencode};

fn model(module: &str) -> &'static Value {
    static CODEDEPLOY: LazyLock<Value> = LazyLock::new(|| parse(include_str!("../api/codedeploy.json")));
    static COMMANDS: LazyLock<Value> =
        LazyLock::new(|| parse(include_str!("../api/codedeploy-commands.json")));
    if module == "commands" { &COMMANDS } else { &CODEDEPLOY }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("the model is JSON")
}

/// Any value of a shape, in the spelling in which we write it.
fn value_of(module: &'static str, name: &str) -> BoxedStrategy<Value> {
    let shape = &model(module)["shapes"][name];
    let referred = |key: &str| value_of(module, shape[key].as_str().expect("names a shape"));
    match shape["type"].as_str().expect("has a type") {
        "structure" => structure(module, shape, |value| value.prop_map(Some).boxed()),
        "list" => prop::collection::vec(referred("member"), 0..3).prop_map(Value::from).boxed(),
        "map" => prop::collection::btree_map(any::<String>(), referred("value"), 0..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
            .boxed(),
        "string" => any::<String>().prop_map(Value::from).boxed(),
        "integer" => any::<i32>().prop_map(Value::from).boxed(),
        "long" => any::<i64>().prop_map(Value::from).boxed(),
        "double" => (-100_000i32..100_000).prop_map(|cents| json!(f64::from(cents) / 100.0)).boxed(),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "timestamp" => (-62_135_596_800_000i64..=253_402_300_799_999)
            .prop_map(|ms| if ms % 1000 == 0 { json!(ms / 1000) } else { json!(ms as f64 / 1000.0) })
            .boxed(),
        other => panic!("no strategy for {other}"),
    }
}

/// An object with some of the shape's members.
fn structure(
    module: &'static str,
    shape: &Value,
    member: impl Fn(BoxedStrategy<Value>) -> BoxedStrategy<Option<Value>>,
) -> BoxedStrategy<Value> {
    let mut object = Just(Map::new()).boxed();
    for (name, reference) in shape["members"].as_object().expect("has members") {
        let value = member(value_of(module, reference.as_str().expect("names a shape")));
        let name = name.clone();
        let value = prop_oneof![1 => Just(None), 2 => value];
        object = (object, value)
            .prop_map(move |(mut object, value)| {
                object.extend(value.map(|value| (name.clone(), value)));
                object
            })
            .boxed();
    }
    object.prop_map(Value::Object).boxed()
}

fn again(module: &str, shape: &str, body: &[u8]) -> Result<Value, String> {
    let body = reencode::<Json>(module, shape, body).expect("listed").map_err(|error| error.to_string())?;
    serde_json::from_slice(&body).map_err(|error| error.to_string())
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
        let damage = (value_of(module, shape), any::<prop::sample::Index>(), any::<u8>());
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
    fn random_bytes_never_panic(at in any::<prop::sample::Index>(), body in prop::collection::vec(any::<u8>(), 0..64)) {
        let (module, shape) = STRUCTURES[at.index(STRUCTURES.len())];
        let _ = again(module, shape, &body);
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
