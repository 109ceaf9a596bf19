//! Memory while a hostile body is read stays in proportion to the body.

#[allow(dead_code, reason = "the list of structures is for other tests")]
mod generated;

use std::alloc::System;
use std::collections::BTreeSet;

use cap::Cap;
use serde_json::Value;
use slipway_wire::codec::Protocol;

use generated::reencode;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// The longest body that the server reads.
const BODY: usize = 1024 * 1024;
/// The most that reading one may take.
const MOST: usize = 40 * 1024 * 1024;

fn model() -> Value {
    serde_json::from_str(include_str!("../api/codedeploy.json")).expect("the model is JSON")
}

/// Ways to the lists of a shape, as member names; `[]` is the first element of a list, `{}` a map's.
///
/// Each shape is looked into once, wherever it is found first.
fn lists<'a>(
    model: &'a Value,
    shape: &'a str,
    way: &[String],
    seen: &mut BTreeSet<&'a str>,
    found: &mut Vec<(Vec<String>, &'static str)>,
) {
    if !seen.insert(shape) {
        return;
    }
    let shape = &model["shapes"][shape];
    let with = |step: &str| [way, &[step.to_owned()]].concat();
    let name = |key: &str| shape[key].as_str().expect("names a shape");
    match shape["type"].as_str() {
        Some("structure") => {
            for (member, inner) in shape["members"].as_object().expect("has members") {
                lists(model, inner.as_str().expect("names a shape"), &with(member), seen, found);
            }
        }
        Some("map") => lists(model, name("value"), &with("{}"), seen, found),
        Some("list") => {
            let element = match model["shapes"][name("member")]["type"].as_str() {
                Some("structure") => "{}",
                Some("list") => "[]",
                _ => "\"\"",
            };
            found.push((way.to_vec(), element));
            lists(model, name("member"), &with("[]"), seen, found);
        }
        _ => {}
    }
}

/// A body whose list at the end of the way is as long as can be.
fn json_body(way: &[String], element: &str) -> Vec<u8> {
    let (mut head, mut tail) = ("{".to_owned(), "}".to_owned());
    for step in way {
        match step.as_str() {
            "[]" => {
                head.push('[');
                tail.insert(0, ']');
            }
            "{}" => {}
            member => {
                if !head.ends_with('{') {
                    head.push('{');
                    tail.insert(0, '}');
                }
                head.extend(["\"", member, "\":"]);
            }
        }
    }
    // More is refused unread; each element is one value and another for its comma.
    let count = 49_990;
    format!("{head}[{}]{tail}", vec![element; count].join(",")).into_bytes()
}

/// The same in CBOR, where an element takes one byte.
fn cbor_body(way: &[String], element: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for step in way {
        match step.as_str() {
            "[]" => body.push(0x81),
            "{}" => {}
            member => {
                body.extend([0xa1, 0x78, member.len() as u8]);
                body.extend(member.as_bytes());
            }
        }
    }
    body.push(0x9f);
    let byte = match element {
        "{}" => 0xa0,
        "[]" => 0x80,
        _ => 0x60,
    };
    body.resize(BODY - 1, byte);
    body.push(0xff);
    body
}

/// What reading takes at its height, beyond what was there before.
fn height(shape: &str, body: &[u8], protocol: Protocol) -> usize {
    let before = MEMORY.allocated();
    let at_height = MEMORY.max_allocated();
    drop(reencode("codedeploy", shape, body, protocol, protocol));
    let after = MEMORY.max_allocated();
    if after > at_height { after - before } else { 0 }
}

#[test]
fn no_list_of_a_request_takes_more_than_its_share() {
    let model = model();
    let mut seen = BTreeSet::new();
    let mut worst = (0, String::new());
    for (operation, description) in model["operations"].as_object().expect("operations") {
        let shape = description["input"].as_str().expect("has an input");
        let mut ways = Vec::new();
        lists(&model, shape, &[], &mut seen, &mut ways);
        for (way, element) in ways {
            for (protocol, body) in
                [(Protocol::Json, json_body(&way, element)), (Protocol::Cbor, cbor_body(&way, element))]
            {
                let height = height(shape, &body, protocol);
                if height > worst.0 {
                    worst = (height, format!("{operation} {way:?} {protocol:?}"));
                }
            }
        }
    }
    println!("{worst:?}");
    assert!(worst.0 < MOST, "{worst:?}");
    assert!(worst.0 > BODY, "{worst:?}: the allocator counts");
}
