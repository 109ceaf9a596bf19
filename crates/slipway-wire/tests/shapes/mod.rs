//! Values of the models' shapes.

pub(crate) mod cbor;

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The model of a module.
pub(crate) fn model(module: &str) -> &'static Value {
    static CODEDEPLOY: LazyLock<Value> = LazyLock::new(|| parse(include_str!("../../api/codedeploy.json")));
    static COMMANDS: LazyLock<Value> =
        LazyLock::new(|| parse(include_str!("../../api/codedeploy-commands.json")));
    if module == "commands" { &COMMANDS } else { &CODEDEPLOY }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("the model is JSON")
}

/// Any value of a shape, in the spelling in which we write it in JSON.
pub(crate) fn value_of(module: &'static str, name: &str) -> BoxedStrategy<Value> {
    let shape = &model(module)["shapes"][name];
    let referred = |key: &str| value_of(module, shape[key].as_str().expect("names a shape"));
    match shape["type"].as_str().expect("has a type") {
        "structure" => structure(module, shape),
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
fn structure(module: &'static str, shape: &Value) -> BoxedStrategy<Value> {
    let mut object = Just(Map::new()).boxed();
    for (name, reference) in shape["members"].as_object().expect("has members") {
        let value = value_of(module, reference.as_str().expect("names a shape"));
        let name = name.clone();
        let value = prop_oneof![1 => Just(None), 2 => value.prop_map(Some)];
        object = (object, value)
            .prop_map(move |(mut object, value)| {
                object.extend(value.map(|value| (name.clone(), value)));
                object
            })
            .boxed();
    }
    object.prop_map(Value::Object).boxed()
}
