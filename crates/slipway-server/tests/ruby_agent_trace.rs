//! What the unmodified Ruby agent 1.8.1 sends, replayed against a control plane over TLS: its requests in their order,
//! with its headers, signed anew with the key of a registered host. What the server hands out takes the place of what
//! the recording's stub handed out.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use slipway_server::clock::{Clock as _, ManualClock, SystemClock};
use support::{Answer, Call, Key, Server, codedeploy, iam, key_of};

const TRACE: &str = include_str!("fixtures/ruby-agent-1.8.1-trace.json");
/// The name under which the recorded agent reached its endpoint.
const HOST: &str = "slipway.test:8443";
const BUNDLE: &[u8] = b"the agent would unpack this";

/// One request of the recording.
struct Recorded {
    operation: String,
    headers: Vec<(String, String)>,
    body: Value,
}

impl Recorded {
    fn all() -> Vec<Self> {
        let trace: Value = serde_json::from_str(TRACE).unwrap();
        let requests = trace["requests"].as_array().unwrap();
        requests
            .iter()
            .map(|request| Self {
                operation: request["operation"].as_str().unwrap().to_owned(),
                headers: request["headers"]
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
                    .collect(),
                body: request["body"].clone(),
            })
            .collect()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same request with another path and body, signed by `key`: the headers that were signed are signed again.
    fn signed_by(
        &self,
        key: &Key,
        server: &Server,
        path: &str,
        body: Vec<u8>,
    ) -> Request<Full<bytes::Bytes>> {
        let (service, method) = match self.operation.split_once(' ') {
            Some((method, _)) => ("s3", method),
            None => ("codedeploy-commands", "POST"),
        };
        // The signer makes the first two; the others follow from the body and the signature.
        let made = ["x-amz-date", "x-amz-content-sha256", "content-length", "authorization"];
        let headers: Vec<_> =
            self.headers.iter().filter(|(name, _)| !made.contains(&name.as_str())).cloned().collect();
        let list = signed_headers(self.header("authorization").unwrap());
        let signed = headers
            .iter()
            .filter(|(name, _)| list.split(';').any(|known| known == name))
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let uri = format!("{}{path}", server.running.url());
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = Credentials::new(&key.id, &key.secret, None, None, "test").into();
        let now = Duration::from_millis(u64::try_from(server.clock.now().0).unwrap());
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(service)
            .time(UNIX_EPOCH + now)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let signable = SignableRequest::new(method, &uri, signed, SignableBody::Bytes(&body)).unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        let mut request = Request::builder().method(method).uri(&uri);
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Full::from(body)).unwrap();
        instructions.apply_to_request_http1x(&mut request);
        let authorization = request.headers()["authorization"].to_str().unwrap();
        assert_eq!(signed_headers(authorization), list, "the replay signs what the agent signed");
        request
    }
}

/// The list of signed headers in an `Authorization` header.
fn signed_headers(authorization: &str) -> String {
    let list = authorization.split_once("SignedHeaders=").unwrap().1;
    list.split(',').next().unwrap().to_owned()
}

/// The host that the recording is replayed as.
struct Host<'a> {
    server: &'a Server,
    key: Key,
    arn: String,
    /// What the last poll that brought a command handed out.
    command: Value,
    handed_out: Vec<String>,
    /// Statuses in the answers to acknowledgements, and whether the command was still to be done.
    acknowledged: Vec<String>,
    specification: String,
}

impl Host<'_> {
    async fn replay(&mut self, request: &Recorded) {
        let answer = match request.operation.as_str() {
            "GET /" => {
                assert_eq!(self.server.get("/").await.status, 200, "AP-03");
                return;
            }
            // Bucket names of one letter are a stub's licence.
            "GET /b/k.zip" => self.send(request, "/revisions/k.zip", Vec::new()).await,
            _ => self.send(request, "/", self.body_of(request).to_string().into_bytes()).await,
        };
        assert_eq!(answer.status, 200, "{}: {answer:?}", request.operation);
        match request.operation.as_str() {
            "GET /b/k.zip" => assert_eq!(answer.body.as_bytes(), BUNDLE),
            "PollHostCommand" => self.polled(&answer.json()),
            "GetDeploymentSpecification" => {
                let answer = answer.json();
                assert_eq!(answer["DeploymentSystem"], "CodeDeploy", "AP-11");
                let envelope = &answer["DeploymentSpecification"]["GenericEnvelope"];
                assert_eq!(envelope["Format"], "PKCS7/JSON");
                envelope["Payload"].as_str().unwrap().clone_into(&mut self.specification);
            }
            "PutHostCommandAcknowledgement" => {
                self.acknowledged.push(answer.json()["CommandStatus"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
    }

    async fn send(&self, request: &Recorded, path: &str, body: Vec<u8>) -> Answer {
        self.server.send(request.signed_by(&self.key, self.server, path, body)).await
    }

    /// The recorded body with the names that the server knows.
    fn body_of(&self, request: &Recorded) -> Value {
        let mut body = request.body.clone();
        for (member, value) in [
            ("HostIdentifier", &json!(self.arn)),
            ("HostCommandIdentifier", &self.command["HostCommandIdentifier"]),
            ("DeploymentExecutionId", &self.command["DeploymentExecutionId"]),
        ] {
            if body.get(member).is_some() {
                body[member] = value.clone();
            }
        }
        body
    }

    fn polled(&mut self, answer: &Value) {
        let Some(command) = answer.get("HostCommand") else {
            assert_eq!(*answer, json!({}), "an empty poll is an empty object (AP-04)");
            return;
        };
        for member in ["HostCommandIdentifier", "HostIdentifier", "DeploymentExecutionId", "CommandName"] {
            assert!(command[member].is_string(), "{member} is always there (AP-10): {command}");
        }
        assert_eq!(command["HostIdentifier"], json!(self.arn), "AP-08");
        assert_ne!(command["HostCommandIdentifier"], self.command["HostCommandIdentifier"], "AP-37");
        self.handed_out.push(command["CommandName"].as_str().unwrap().to_owned());
        self.command = command.clone();
    }
}

/// A registered host and a deployment to it; gives the host's key and ARN, and the deployment's id.
async fn set_up(server: &Server) -> (Key, String, String) {
    let policy = r#"{"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}]}"#;
    let name = ("UserName", "box1");
    let user = server.admin(iam("CreateUser", &[name, ("Path", "/AWS/CodeDeploy/")])).await.ok();
    let key = server.admin(iam("CreateAccessKey", &[name])).await.ok();
    let policy = [name, ("PolicyName", "codedeploy-agent"), ("PolicyDocument", policy)];
    server.admin(iam("PutUserPolicy", &policy)).await.ok();
    let arn = user.xml("Arn");

    put(server, "/revisions", b"").await;
    put(server, "/revisions/k.zip", BUNDLE).await;
    let role = "arn:aws:iam::000000000001:role/CodeDeployServiceRole";
    let tag = json!([{"Key": "Name", "Value": "box"}]);
    let filter = json!([{"Key": "Name", "Type": "KEY_ONLY"}]);
    for (operation, input) in [
        ("RegisterOnPremisesInstance", json!({"instanceName": "box1", "iamUserArn": arn})),
        ("AddTagsToOnPremisesInstances", json!({"instanceNames": ["box1"], "tags": tag})),
        ("CreateApplication", json!({"applicationName": "app"})),
        (
            "CreateDeploymentGroup",
            json!({"applicationName": "app", "deploymentGroupName": "group", "serviceRoleArn": role,
                "onPremisesInstanceTagFilters": filter}),
        ),
    ] {
        ask(server, operation, &input).await;
    }
    let location = json!({"bucket": "revisions", "key": "k.zip", "bundleType": "zip"});
    let input = json!({"applicationName": "app", "deploymentGroupName": "group",
        "revision": {"revisionType": "S3", "s3Location": location}});
    let created = ask(server, "CreateDeployment", &input).await;
    (key_of(&key), arn, created["deploymentId"].as_str().unwrap().to_owned())
}

async fn ask(server: &Server, operation: &str, input: &Value) -> Value {
    let answer = server.admin(codedeploy(operation, &input.to_string())).await.ok();
    serde_json::from_str(&answer.body).unwrap_or(Value::Null)
}

/// Makes a bucket, or puts an object.
async fn put(server: &Server, path: &str, body: &[u8]) {
    let hash = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body));
    server
        .admin(Call {
            method: "PUT",
            path: path.to_owned(),
            service: "s3",
            headers: vec![("x-amz-content-sha256", hash)],
            body: body.to_vec(),
            ..codedeploy("", "")
        })
        .await
        .ok();
}

/// What OpenSSL finds in a signed message, as the official agents do.
fn verified_by_openssl(directory: &Path, pem: &str) -> Value {
    let message = directory.join("specification.pem");
    std::fs::write(&message, pem).unwrap();
    let output = Command::new("openssl")
        .args(["cms", "-verify", "-noverify", "-inform", "PEM", "-in"])
        .arg(&message)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// AP-01..AP-15 with the real thing: seven events, AfterInstall fails and is reported twice, the second time with
/// less in it; then the agent reports on a command that is long over, as the recording's stub let it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recorded_ruby_agent_carries_a_deployment_to_its_end() {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    // The object store checks signatures against the machine's clock.
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let server = Server::start_in(directory, clock, &[("poll_hold_seconds", "1")]).await;
    let (key, arn, deployment) = set_up(&server).await;
    let mut host = Host {
        server: &server,
        key,
        arn,
        command: Value::Null,
        handed_out: Vec::new(),
        acknowledged: Vec::new(),
        specification: String::new(),
    };
    for request in &Recorded::all() {
        assert_eq!(request.header("host"), Some(HOST));
        host.replay(request).await;
    }

    assert_eq!(
        host.handed_out,
        ["ApplicationStop", "DownloadBundle", "BeforeInstall", "Install", "AfterInstall"],
        "in order, none twice, none after the failure"
    );
    assert_eq!(host.acknowledged[..5], ["InProgress"; 5]);
    let late = host.acknowledged[5].as_str();
    assert!(
        ["Succeeded", "Failed"].contains(&late),
        "{late} would let an agent run an ended command (AP-13)"
    );

    let specification = verified_by_openssl(server.dir.path(), &host.specification);
    assert!(specification["DeploymentId"].as_str().unwrap().ends_with(&deployment), "AP-12");
    assert_eq!(specification["ApplicationName"], "app");
    assert_eq!(specification["DeploymentGroupName"], "group");
    assert_eq!(
        specification["Revision"]["S3Revision"],
        json!({"Bucket": "revisions", "Key": "k.zip", "BundleType": "zip"})
    );

    let id = json!({"deploymentId": deployment});
    let ended = ask(&server, "GetDeployment", &id).await;
    assert_eq!(ended["deploymentInfo"]["status"], "Failed", "{ended}");
    assert_eq!(ended["deploymentInfo"]["errorInformation"]["code"], "HEALTH_CONSTRAINTS");
    let of_box = json!({"deploymentId": deployment, "targetId": "box1"});
    let target = ask(&server, "GetDeploymentTarget", &of_box).await;
    let events: Vec<(&str, &str)> = target["deploymentTarget"]["instanceTarget"]["lifecycleEvents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["lifecycleEventName"].as_str().unwrap(), event["status"].as_str().unwrap()))
        .collect();
    assert_eq!(
        events,
        [
            ("ApplicationStop", "Succeeded"),
            ("DownloadBundle", "Succeeded"),
            ("BeforeInstall", "Succeeded"),
            ("Install", "Succeeded"),
            ("AfterInstall", "Failed"),
            ("ApplicationStart", "Skipped"),
            ("ValidateService", "Skipped"),
        ]
    );
    let failed = &target["deploymentTarget"]["instanceTarget"]["lifecycleEvents"][4]["diagnostics"];
    assert_eq!(
        failed["errorCode"], "ScriptFailed",
        "the first report counts, not the second (AP-15): {failed}"
    );
    assert_eq!(failed["scriptName"], "scripts/bad.sh");
    assert_eq!(failed["message"], "Script at specified location: scripts/bad.sh failed with exit code 3");
    assert!(failed["logTail"].as_str().unwrap().contains("[stderr]"), "{failed}");
    server.running.stop().await;
}
