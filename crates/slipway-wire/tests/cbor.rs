//! Smithy RPC v2 CBOR as clients send and read it (D-06).

use ciborium::{Value, cbor};
use slipway_wire::codec::{Codec as _, Protocol};
use slipway_wire::codedeploy::{
    ApplicationInfo, CreateApplicationInput, CreateDeploymentConfigInput, CreateDeploymentInput,
    ListDeploymentTargetsInput, ListDeploymentsInput, ListTagsForResourceOutput, MinimumHealthyHosts,
    StopDeploymentInput, TagResourceOutput, TrafficRoute,
};
use slipway_wire::{ApiError, Cbor, ErrorKind, Timestamp};

fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).expect("writes into memory");
    out
}

macro_rules! body {
    ($($value:tt)+) => { bytes(&cbor!($($value)+).expect("a value")) };
}

/// A map of one member whose value is given as bytes.
fn member(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = vec![0xa1];
    out.extend(bytes(&name.into()));
    out.extend_from_slice(value);
    out
}

fn refusal<T: serde::de::DeserializeOwned + std::fmt::Debug>(body: impl AsRef<[u8]>) -> String {
    let error = Cbor::decode::<T>(body.as_ref()).expect_err("a bad body");
    assert_eq!(error.kind, ErrorKind::SerializationException);
    assert_eq!(error.http_status(), 400);
    error.message
}

fn decoded<T: serde::de::DeserializeOwned>(body: impl AsRef<[u8]>) -> T {
    Cbor::decode(body.as_ref()).expect("a good body")
}

#[test]
fn a_refusal_names_member_expectation_and_place() {
    for (body, message) in [
        (body!({"applicationName" => 5}), "applicationName: expected a string, found a number (byte 17)"),
        (body!({"applicationName" => -5}), "applicationName: expected a string, found a number (byte 17)"),
        (body!({"applicationName" => {}}), "applicationName: expected a string, found an object (byte 17)"),
        (body!({"applicationName" => true}), "applicationName: expected a string, found a boolean (byte 17)"),
        (member("applicationName", b"\x43abc"), "applicationName: expected a string, found bytes (byte 17)"),
        (
            member("applicationName", b"\xc1\x00"),
            "applicationName: expected a string, found a tagged value (byte 17)",
        ),
        (body!({"revision" => []}), "revision: expected an object, found a list (byte 10)"),
        (body!({"revision" => "s3"}), "revision: expected an object, found a string (byte 10)"),
        (
            body!({"revision" => {"s3Location" => {"bucket" => null, "key" => 1.5}}}),
            "revision.s3Location.key: expected a string, found a number (byte 35)",
        ),
        (
            body!({"targetInstances" => {"tagFilters" => [{"Key" => "a"}, {"Key" => ["b"]}]}}),
            "targetInstances.tagFilters[1].Key: expected a string, found a list (byte 42)",
        ),
        (
            body!({"targetInstances" => {"autoScalingGroups" => ["a", null]}}),
            "targetInstances.autoScalingGroups[1]: expected a string, found null (byte 39)",
        ),
        (
            body!({"ignoreApplicationStopFailures" => "x, expected y"}),
            "ignoreApplicationStopFailures: expected a boolean, found a string (byte 32)",
        ),
        (
            b"\xa2\x6bdescription\x61a\x6bdescription\x61b".to_vec(),
            "the body: `description` is given twice (byte 15)",
        ),
        (b"\xa1\x01\x02".to_vec(), "the body: expected a text as a member's name (byte 1)"),
    ] {
        assert_eq!(refusal::<CreateDeploymentInput>(&body), message, "{body:02x?}");
    }
}

#[test]
fn numbers_keep_to_their_type() {
    let value = |number: &[u8]| body_of_hosts(number);
    for (number, expected) in [
        (&b"\x1a\x80\x00\x00\x00"[..], "expected a 32-bit integer, found a number out of range"),
        (b"\xf9\x3e\x00", "expected a 32-bit integer, found a fraction or too large a number"),
        (b"\xf9\x3c\x00", "expected a 32-bit integer, found a fraction or too large a number"),
        (b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff", "expected a 32-bit integer, found a number"),
        (b"\x611", "expected a 32-bit integer, found a string"),
        (b"\xc2\x41\x01", "expected a 32-bit integer, found a tagged value"),
    ] {
        let message = refusal::<CreateDeploymentConfigInput>(value(number));
        assert!(message.starts_with(&format!("minimumHealthyHosts.value: {expected} (byte")), "{message}");
    }
    for number in
        [&b"\x17"[..], b"\x18\x17", b"\x19\x00\x17", b"\x1a\x00\x00\x00\x17", b"\x1b\0\0\0\0\0\0\0\x17"]
    {
        let input: CreateDeploymentConfigInput = decoded(value(number));
        assert_eq!(input.minimum_healthy_hosts.and_then(|hosts| hosts.value), Some(23), "{number:02x?}");
    }
    let input: CreateDeploymentConfigInput = decoded(value(b"\x3a\x7f\xff\xff\xff"));
    assert_eq!(input.minimum_healthy_hosts.and_then(|hosts| hosts.value), Some(i32::MIN));
}

fn body_of_hosts(number: &[u8]) -> Vec<u8> {
    member("minimumHealthyHosts", &member("value", number))
}

/// Half, single and double precision, and whole numbers where a fraction may be.
#[test]
fn fractions_are_read_in_every_width() {
    type Info = slipway_wire::codedeploy::ECSTaskSet;
    for (number, expected) in [
        (&b"\xf9\x3e\x00"[..], 1.5),
        (b"\xfa\x3f\xc0\0\0", 1.5),
        (b"\xfb\x3f\xf8\0\0\0\0\0\0", 1.5),
        (b"\x18\x64", 100.0),
        (b"\xf9\x7c\x00", f64::INFINITY),
    ] {
        let set: Info = decoded(member("trafficWeight", number));
        assert_eq!(set.traffic_weight, Some(expected), "{number:02x?}");
    }
    let encoded = |weight| Cbor::encode(&Info { traffic_weight: Some(weight), ..Info::default() }).unwrap();
    assert_eq!(encoded(1.5), member("trafficWeight", b"\xfa\x3f\xc0\0\0"));
    assert_eq!(encoded(0.1), member("trafficWeight", b"\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a"));
}

#[test]
fn bytes_that_are_not_cbor_are_refused_with_their_place() {
    for (body, message) in [
        (&b"\xa1"[..], "the body: the CBOR ends too early (byte 1)"),
        (b"\xa1\x61a", "a: the CBOR ends too early (byte 3)"),
        (b"\xbf\x61a\x01", "the body: the CBOR ends too early (byte 4)"),
        (b"\xa0\xa0", "the body: not valid CBOR: trailing bytes (byte 1)"),
        (b"\xa1\x61a\xfc", "a: not valid CBOR: a reserved length (byte 3)"),
        (b"\xa1\x61a\xff", "a: not valid CBOR: a break where none belongs (byte 3)"),
        (b"\xff", "the body: not valid CBOR: a break where none belongs (byte 0)"),
        (b"\xa1\xff\x00", "the body: not valid CBOR: a break where none belongs (byte 1)"),
        (b"\xa1\x61\xff\x01", "the body: not valid CBOR: a text that is not UTF-8 (byte 1)"),
        (b"\xa1\x61a\x61\xff", "a: not valid CBOR: a text that is not UTF-8 (byte 3)"),
        (b"\xa1\x61a\x7f\x41b\xff", "a: not valid CBOR: a chunk of another type than its string (byte 4)"),
        (b"\xa1\x61a\x7f\x7f\xff\xff", "a: not valid CBOR: a chunk of another type than its string (byte 4)"),
        (b"{\"applicationName\": \"shop\"}", "the body: the CBOR ends too early (byte 27)"),
    ] {
        assert_eq!(refusal::<CreateDeploymentInput>(body), message, "{body:02x?}");
    }
}

#[test]
fn only_an_object_is_a_body() {
    for (body, found) in [
        (body!([]), "a list"),
        (body!(["shop"]), "a list"),
        (body!(5), "a number"),
        (body!(null), "null"),
        (body!("x"), "a string"),
    ] {
        let message = refusal::<CreateApplicationInput>(body);
        assert_eq!(message, format!("the body: expected an object, found {found} (byte 0)"));
    }
}

#[test]
fn an_empty_body_is_an_empty_object() {
    for body in [&b""[..], b"\xa0", b"\xbf\xff"] {
        assert_eq!(decoded::<CreateApplicationInput>(body), CreateApplicationInput::default());
    }
    assert_eq!(Cbor::encode(&TagResourceOutput {}), Ok(vec![0xa0]));
}

#[test]
fn null_and_undefined_are_absence() {
    for nothing in [0xf6, 0xf7] {
        let input: StopDeploymentInput = decoded(member("deploymentId", &[nothing]));
        assert_eq!(input, StopDeploymentInput::default());
        assert_eq!(Cbor::encode(&input), Ok(vec![0xa0]));
    }
}

#[test]
fn members_that_the_model_lacks_are_ignored_whatever_they_hold() {
    let mut body = b"\xbf\x6fapplicationName\x64shop".to_vec();
    for value in [
        &b"\xa1\x64deep\x82\x01\xa1\x61x\xf6"[..],
        b"\x5f\x42ab\x41c\xff",
        b"\xc2\x49\x01\0\0\0\0\0\0\0\0",
        b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x9f\xbf\x01\x02\xff\xff",
        b"\xf9\x7e\x00",
        b"\xf7",
    ] {
        body.extend(b"\x65other");
        body.extend(value);
    }
    body.push(0xff);
    let input: CreateApplicationInput = decoded(body);
    assert_eq!(input.application_name.as_deref(), Some("shop"));
}

/// Nothing that an operation gets to see can be kept from the audit trail by what stands beside it (DP-430).
#[test]
fn what_is_read_can_be_shown() {
    let mut body = b"\xbf\x6fapplicationName\x64shop".to_vec();
    for (name, value) in [
        ("time", &b"\xc1\x19\x03\xe8"[..]),
        ("bytes", b"\x5f\x42ab\x41c\xff"),
        ("bignum", b"\xc2\x41\x01"),
        ("large", b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("names", b"\xa3\x01\x02\x81\xa0\x03\x61a\x04"),
        ("nan", b"\xf9\x7e\x00"),
        ("marks", b"\xd9\xd9\xf7\xc0\x61t"),
        ("undefined", b"\xf7"),
    ] {
        body.extend(bytes(&name.into()));
        body.extend(value);
    }
    body.push(0xff);
    let input: CreateApplicationInput = decoded(&body);
    assert_eq!(input.application_name.as_deref(), Some("shop"));
    let shown = Protocol::Cbor.show(&body).expect("readable");
    assert_eq!(
        shown,
        serde_json::json!({
            "applicationName": "shop", "time": 1000, "bytes": "(7 bytes)", "bignum": "(2 bytes)",
            "large": -18_446_744_073_709_551_616.0, "names": {"?": 3, "a": 4}, "nan": null, "marks": "t",
            "undefined": null,
        })
    );
    assert_eq!(Protocol::Cbor.show(b"\xa1\x61a"), None);
    let many = member("unknown", &[&b"\x9f"[..], &b"\x40".repeat(90_000), b"\xff"].concat());
    decoded::<CreateApplicationInput>(&many);
    assert!(Protocol::Cbor.show(&many).is_some());
}

#[test]
fn names_and_values_may_come_in_chunks() {
    let input: CreateApplicationInput =
        decoded(b"\xbf\x7f\x6bapplication\x64Name\xff\x7f\x62sh\x60\x62op\xff\xff");
    assert_eq!(input.application_name.as_deref(), Some("shop"));
}

/// Tag 1, whole seconds as an integer, the rest as a fraction.
#[test]
fn timestamps_are_exact_to_the_millisecond() {
    for (millis, number) in [
        (1_700_000_000_123, &b"\xfb\x41\xd9\x54\xfc\x40\x07\xdf\x3b"[..]),
        (1_700_000_000_000, b"\x1a\x65\x53\xf1\x00"),
        (0, b"\x00"),
        (-1000, b"\x20"),
        (-500, b"\xfa\xbf\0\0\0"),
    ] {
        let info = ApplicationInfo {
            create_time: Some(Timestamp::from_millis(millis)),
            ..ApplicationInfo::default()
        };
        let body = member("createTime", &[&b"\xc1"[..], number].concat());
        assert_eq!(Cbor::encode(&info), Ok(body.clone()), "{millis}");
        assert_eq!(decoded::<ApplicationInfo>(body), info);
    }
}

#[test]
fn a_timestamp_that_is_none_is_refused() {
    let expected = "createTimeRange.start: expected a point in time (";
    for (value, found) in [
        (&b"\x1a\x65\x53\xf1\x00"[..], "a number"),
        (b"\x742023-11-14T22:13:20Z", "a string"),
        (b"\xc0\x742023-11-14T22:13:20Z", "a tagged value"),
        (b"\xc1\x742023-11-14T22:13:20Z", "a string"),
        (b"\xc1\xc1\x00", "a tagged value"),
        (b"\xc1\xf6", "null"),
        (b"\xc1\xf9\x7e\x00", "a number out of range"),
        (b"\xc1\xf9\x7c\x00", "a number out of range"),
        (b"\xc1\x1b\x7f\xff\xff\xff\xff\xff\xff\xff", "a number out of range"),
        (b"\xc1\x3b\xff\xff\xff\xff\xff\xff\xff\xff", "a number"),
        (b"\xf5", "a boolean"),
        (b"\xa0", "an object"),
    ] {
        let body = member("createTimeRange", &member("start", value));
        let message = refusal::<ListDeploymentsInput>(body);
        let found = format!("), found {found} (byte ");
        assert!(message.starts_with(expected) && message.contains(&found), "{message}");
    }
}

#[test]
fn deep_nesting_is_refused_without_deep_recursion() {
    let deep = |open: &[u8], levels: usize| open.repeat(levels);
    for value in [
        deep(b"\x81", 1_000_000),
        deep(b"\x9f", 1_000_000),
        deep(b"\xa1\x61a", 1_000_000),
        deep(b"\xbf\x61a", 1_000_000),
        deep(b"\xc1", 1_000_000),
        deep(b"\xd9\xd9\xf7", 1_000_000),
    ] {
        let message = refusal::<CreateDeploymentInput>(member("unknown", &value));
        assert!(message.starts_with("unknown: not valid CBOR: nested too deeply"), "{message}");
        refusal::<CreateDeploymentInput>(&value);
        refusal::<CreateDeploymentInput>(member("revision", &value));
    }
}

/// A few bytes that claim much.
#[test]
fn claims_are_held_against_the_bytes_that_there_are() {
    for value in [
        &b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xbb\x80\x00\x00\x00\x00\x00\x00\x01",
        b"\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x9a\x00\x10\x00\x00\x01",
    ] {
        for name in ["unknown", "revision", "description", "targetInstances"] {
            let message = refusal::<CreateDeploymentInput>(member(name, value));
            assert!(message.contains("too early") || message.contains("expected"), "{message}");
        }
    }
}

/// A million empty objects are a megabyte here, and would be hundreds in memory.
#[test]
fn there_is_a_limit_to_the_number_of_values() {
    let many = |count: usize| {
        let mut list = b"\x9f".to_vec();
        list.extend(b"\xa0".repeat(count));
        list.push(0xff);
        list
    };
    let body = |list: &[u8]| member("Tags", list);
    let output: ListTagsForResourceOutput = decoded(body(&many(10_000)));
    assert_eq!(output.tags.map(|tags| tags.len()), Some(10_000));
    for name in ["Tags", "unknown"] {
        let message = refusal::<ListTagsForResourceOutput>(member(name, &many(1_000_000)));
        assert!(message.contains(": not valid CBOR: too many values (byte "), "{message}");
    }
    let chunks = [&b"\x7f"[..], &b"\x60".repeat(1_000_000), b"\xff"].concat();
    refusal::<CreateDeploymentInput>(member("description", &chunks));
}

/// A path contains the client's own map keys; an answer must not grow with them.
#[test]
fn a_refusal_is_short_whatever_the_request_is() {
    let key = "ä".repeat(100_000);
    let message = refusal::<ListDeploymentTargetsInput>(body!({"targetFilters" => {key.as_str() => 5}}));
    assert!(message.len() < 1000, "{} bytes", message.len());
    assert!(message.contains("…: expected a list, found a number"), "{message}");
}

/// Members are written with definite lengths; what is absent is not written.
#[test]
fn structures_are_maps_of_definite_length() {
    let hosts = MinimumHealthyHosts { r#type: Some("HOST_COUNT".to_owned()), value: Some(-300) };
    assert_eq!(Cbor::encode(&hosts), Ok(b"\xa2\x64type\x6aHOST_COUNT\x65value\x39\x01\x2b".to_vec()));
    let route = TrafficRoute { listener_arns: Some(vec!["x".repeat(300)]) };
    let encoded = Cbor::encode(&route).expect("encodes");
    assert_eq!(encoded, bytes(&cbor!({"listenerArns" => ["x".repeat(300)]}).expect("a value")));
}

/// The absolute name of the shape: some clients compare all of it.
#[test]
fn an_error_is_a_type_and_a_message() {
    let error =
        ApiError::new(ErrorKind::ApplicationDoesNotExistException, "No application found for name: \"shop\"");
    let expected = body!({
        "__type" => "com.amazonaws.codedeploy#ApplicationDoesNotExistException",
        "message" => "No application found for name: \"shop\"",
    });
    assert_eq!(Cbor::encode_error(&error), expected);
}
