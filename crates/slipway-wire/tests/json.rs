//! AWS JSON 1.1 as clients send and read it.

use slipway_wire::codec::Codec as _;
use slipway_wire::codedeploy::{
    self, ApplicationInfo, CreateApplicationInput, CreateDeploymentConfigInput, CreateDeploymentInput,
    ListDeploymentTargetsInput, ListDeploymentsInput, MinimumHealthyHosts, MinimumHealthyHostsType,
    StopDeploymentInput, TagResourceOutput,
};
use slipway_wire::{ApiError, ErrorKind, Json, Timestamp};

fn refusal<T: serde::de::DeserializeOwned + std::fmt::Debug>(body: impl AsRef<[u8]>) -> String {
    let error = Json::decode::<T>(body.as_ref()).expect_err("a bad body");
    assert_eq!(error.kind, ErrorKind::SerializationException);
    assert_eq!(error.http_status(), 400);
    error.message
}

fn decoded<T: serde::de::DeserializeOwned>(body: &str) -> T {
    Json::decode(body.as_bytes()).expect("a good body")
}

fn encoded<T: serde::Serialize>(value: &T) -> String {
    String::from_utf8(Json::encode(value).expect("encodes")).expect("UTF-8")
}

#[test]
fn a_refusal_names_member_expectation_and_place() {
    for (body, message) in [
        (
            r#"{"applicationName": 5}"#,
            "applicationName: expected a string, found a number (line 1, column 21)",
        ),
        (
            r#"{"applicationName": {}}"#,
            "applicationName: expected a string, found an object (line 1, column 20)",
        ),
        (
            r#"{"applicationName": true}"#,
            "applicationName: expected a string, found a boolean (line 1, column 24)",
        ),
        (r#"{"revision": []}"#, "revision: expected an object, found a list (line 1, column 13)"),
        (r#"{"revision": "s3"}"#, "revision: expected an object, found a string (line 1, column 17)"),
        (
            "{\"revision\": {\n  \"s3Location\": {\"bucket\": null, \"key\": 1.5}}}",
            "revision.s3Location.key: expected a string, found a number (line 2, column 43)",
        ),
        (
            r#"{"targetInstances": {"tagFilters": [{"Key": "a"}, {"Key": ["b"]}]}}"#,
            "targetInstances.tagFilters[1].Key: expected a string, found a list (line 1, column 58)",
        ),
        (
            r#"{"targetInstances": {"autoScalingGroups": ["a", null]}}"#,
            "targetInstances.autoScalingGroups[1]: expected a string, found null (line 1, column 52)",
        ),
        (
            r#"{"ignoreApplicationStopFailures": "x, expected y"}"#,
            "ignoreApplicationStopFailures: expected a boolean, found a string (line 1, column 49)",
        ),
        (
            r#"{"description": "a", "description": "b"}"#,
            "the body: `description` is given twice (line 1, column 34)",
        ),
    ] {
        assert_eq!(refusal::<CreateDeploymentInput>(body), message, "{body}");
    }
}

#[test]
fn numbers_keep_to_their_type() {
    let value = |number: &str| format!(r#"{{"minimumHealthyHosts": {{"value": {number}}}}}"#);
    for (number, expected) in [
        ("2147483648", "expected a 32-bit integer, found a number out of range"),
        ("1.5", "expected a 32-bit integer, found a fraction or too large a number"),
        ("99999999999999999999", "expected a 32-bit integer, found a fraction or too large a number"),
        (r#""1""#, "expected a 32-bit integer, found a string"),
    ] {
        let message = refusal::<CreateDeploymentConfigInput>(value(number));
        assert!(message.starts_with(&format!("minimumHealthyHosts.value: {expected} (line 1")), "{message}");
    }
    let input: CreateDeploymentConfigInput = decoded(&value("-2147483648"));
    assert_eq!(input.minimum_healthy_hosts.and_then(|hosts| hosts.value), Some(i32::MIN));
}

#[test]
fn text_that_is_not_json_is_refused_with_its_place() {
    for (body, message) in [
        ("{", "the body: the JSON ends too early (line 1, column 1)"),
        (r#"{"a": }"#, "a: not valid JSON: expected value (line 1, column 7)"),
        ("{} {}", "the body: not valid JSON: trailing characters (line 1, column 4)"),
    ] {
        assert_eq!(refusal::<CreateDeploymentInput>(body), message, "{body}");
    }
    refusal::<CreateDeploymentInput>(b"{\"description\": \"\xff\"}");
    refusal::<CreateDeploymentInput>(r#"{"description": "\ud800"}"#);
}

#[test]
fn only_an_object_is_a_body() {
    for (body, found) in [
        ("[]", "a list"),
        (r#"["shop"]"#, "a list"),
        ("5", "a number"),
        ("null", "null"),
        (r#""x""#, "a string"),
    ] {
        let message = refusal::<CreateApplicationInput>(body);
        assert!(message.starts_with(&format!("the body: expected an object, found {found} (")), "{message}");
    }
}

#[test]
fn an_empty_body_is_an_empty_object() {
    for body in ["", " \r\n", "{}"] {
        assert_eq!(decoded::<CreateApplicationInput>(body), CreateApplicationInput::default());
    }
    assert_eq!(encoded(&TagResourceOutput {}), "{}");
}

#[test]
fn null_is_absence() {
    let input: StopDeploymentInput = decoded(r#"{"deploymentId": null, "autoRollbackEnabled": null}"#);
    assert_eq!(input, StopDeploymentInput::default());
    assert_eq!(encoded(&input), "{}");
}

#[test]
fn members_that_the_model_lacks_are_ignored() {
    let input: CreateApplicationInput = decoded(
        r#"{"new": {"deep": [1, {"x": null}]}, "applicationName": "shop", "ApplicationName": 5, "other": 1e9}"#,
    );
    assert_eq!(input.application_name.as_deref(), Some("shop"));
}

#[test]
fn member_names_may_be_written_with_escapes() {
    let input: CreateApplicationInput = decoded(r#"{"applic\u0061tionName": "shop"}"#);
    assert_eq!(input.application_name.as_deref(), Some("shop"));
}

/// CF-043: the service itself sends `MOST_CONCURRENCY`, which its model does not list.
#[test]
fn values_outside_the_model_travel() {
    let hosts: MinimumHealthyHosts = decoded(r#"{"type": "MOST_CONCURRENCY", "value": 1}"#);
    assert_eq!(hosts.r#type.as_deref(), Some("MOST_CONCURRENCY"));
    assert_eq!(encoded(&hosts), r#"{"type":"MOST_CONCURRENCY","value":1}"#);
    assert_eq!(MinimumHealthyHostsType::parse("MOST_CONCURRENCY"), None);
    assert_eq!("HOST_COUNT".parse(), Ok(MinimumHealthyHostsType::HostCount));
    let error = "x".parse::<MinimumHealthyHostsType>().expect_err("not listed");
    assert_eq!(error.to_string(), "\"x\" is not a MinimumHealthyHostsType");
}

#[test]
fn timestamps_are_exact_to_the_millisecond() {
    for (millis, json) in [
        (1_700_000_000_123, "1700000000.123"),
        (1_700_000_000_000, "1700000000"),
        (1, "0.001"),
        (-1, "-0.001"),
        (253_402_300_799_999, "253402300799.999"),
    ] {
        let info = ApplicationInfo {
            create_time: Some(Timestamp::from_millis(millis)),
            ..ApplicationInfo::default()
        };
        let body = format!(r#"{{"createTime":{json}}}"#);
        assert_eq!(encoded(&info), body);
        assert_eq!(decoded::<ApplicationInfo>(&body), info);
    }
}

#[test]
fn timestamps_are_read_from_numbers_and_iso_8601() {
    for json in [
        "1700000000.123",
        "1.700000000123E9",
        r#""2023-11-14T22:13:20.123Z""#,
        r#""2023-11-14T23:13:20.123+01:00""#,
        "1700000000.1234",
    ] {
        let info: ApplicationInfo = decoded(&format!(r#"{{"createTime": {json}}}"#));
        assert_eq!(info.create_time.map(Timestamp::as_millis), Some(1_700_000_000_123), "{json}");
    }
}

#[test]
fn a_timestamp_that_is_none_is_refused() {
    let expected = "createTimeRange.start: expected a point in time (seconds since 1970, or ISO 8601), found";
    for (json, found) in [
        (r#""yesterday""#, "another string"),
        (r#""2023-11-14""#, "another string"),
        ("1e300", "a number out of range"),
        ("9223372036854775807", "a number out of range"),
        ("18446744073709551615", "a number out of range"),
        ("-99999999999999", "a number out of range"),
        ("true", "a boolean"),
        ("{}", "an object"),
    ] {
        let message =
            refusal::<ListDeploymentsInput>(format!(r#"{{"createTimeRange": {{"start": {json}}}}}"#));
        assert!(message.starts_with(&format!("{expected} {found} (")), "{message}");
    }
}

#[test]
fn deep_nesting_is_refused_without_deep_recursion() {
    let deep = |open: &str, levels: usize| open.repeat(levels);
    for body in [
        format!(r#"{{"unknown": {}"#, deep("[", 1_000_000)),
        format!(r#"{{"unknown": {}"#, deep(r#"{"a":"#, 1_000_000)),
        format!(r#"{{"revision": {}"#, deep(r#"{"s3Location":"#, 1_000_000)),
        deep("[", 1_000_000),
        format!(r#"{{"unknown": {}{}}}"#, deep("[", 1000), deep("]", 1000)),
    ] {
        refusal::<CreateDeploymentInput>(body);
    }
}

#[test]
fn there_is_a_limit_to_the_number_of_values() {
    let body = |element: &str, count: usize| format!("{{\"tags\":\n[{}]}}", vec![element; count].join(","));
    let tag = r#"{"Key": "[{,:\"[{,:\\", "Value": "b", "Type": "c"}"#;
    let input: codedeploy::AddTagsToOnPremisesInstancesInput = decoded(&body(tag, 10_000));
    assert_eq!(input.tags.map(|tags| tags.len()), Some(10_000));
    for element in ["{}", "[]", "0"] {
        let message = refusal::<codedeploy::AddTagsToOnPremisesInstancesInput>(body(element, 200_000));
        assert!(message.starts_with("the body: too many values (line 2, column "), "{message}");
    }
}

/// A path contains the client's own map keys; an answer must not grow with them.
#[test]
fn a_refusal_is_short_whatever_the_request_is() {
    let key = "ä".repeat(100_000);
    let message = refusal::<ListDeploymentTargetsInput>(format!(r#"{{"targetFilters": {{"{key}": 5}}}}"#));
    assert!(message.len() < 1000, "{} bytes", message.len());
    assert!(message.contains("…: expected a list, found a number"), "{message}");
}

#[test]
fn an_error_is_a_type_and_a_message() {
    let error =
        ApiError::new(ErrorKind::ApplicationDoesNotExistException, "No application found for name: \"shop\"");
    assert_eq!(
        String::from_utf8(Json::encode_error(&error)).as_deref(),
        Ok(
            r#"{"__type":"ApplicationDoesNotExistException","message":"No application found for name: \"shop\""}"#
        )
    );
}

#[test]
fn faults_of_the_service_are_500_and_refusals_400() {
    assert_eq!(ErrorKind::ServerException.http_status(), 500);
    assert_eq!(ErrorKind::InternalFailure.http_status(), 500);
    // JSON services refuse callers with 400, not 403 (AG-166, AP-07).
    assert_eq!(ErrorKind::AccessDeniedException.http_status(), 400);
    assert_eq!(ErrorKind::ClientException.http_status(), 400);
    assert_eq!(ErrorKind::parse("ThrottlingException"), Some(ErrorKind::ThrottlingException));
}
