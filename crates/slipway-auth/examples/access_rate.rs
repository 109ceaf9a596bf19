//! What it costs to know who asks and whether they may: `cargo run --release -p slipway-auth --example access_rate`.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use slipway_auth::identity::Principal;
use slipway_auth::managed;
use slipway_auth::policy::{Context, Grants, Policy, Request, evaluate_grants};
use slipway_auth::sigv4::{Body, DerivedKeyCache, RequestView, SecretKey, SignedRequest};

const TIME: Duration = Duration::from_secs(2);
const NOW_MS: i64 = 1_795_219_200_000;
const BODY: &[u8] = br#"{"deploymentId":"d-ABCDEFGHI"}"#;
const GROUP: &str = "arn:aws:codedeploy:us-east-1:444455556666:deploymentgroup:App/Group";

fn main() -> Result<(), Box<dyn Error>> {
    let headers = signed()?;
    let (secret, cache) = (SecretKey::new("secret"), DerivedKeyCache::new(1000));
    let view = RequestView {
        method: "POST",
        path: "/",
        query: "",
        headers: &headers,
        authority: Some("localhost:8443"),
    };
    let verify = || {
        let signed = SignedRequest::parse(&view).expect("a signed request");
        signed.verify(&secret, Body::Bytes(BODY), NOW_MS, &cache).expect("a good signature");
    };
    let bob = Principal::user("444455556666", "/", "bob", "AIDA1");
    let context = || {
        let local = "127.0.0.1".parse().ok();
        Context::for_principal(&bob)
            .with_request(NOW_MS, local, true, "us-east-1")
            .with("aws:UserAgent", "aws-cli/1")
    };
    let administrator = [managed::get(managed::ADMINISTRATOR_ACCESS).ok_or("built in")?.policy().clone()];
    let many = policies()?;
    let evaluate = |policies: &[Policy]| {
        let context = context();
        let request = Request { action: "codedeploy:GetDeployment", resource: GROUP, context: &context };
        let grants = Grants { identity: policies, boundary: None, session: None };
        assert!(black_box(evaluate_grants(&grants, &request)).is_allowed());
    };
    measure("signature verified", verify);
    measure("AdministratorAccess evaluated, with condition keys", || evaluate(&administrator));
    measure("10 policies of 5 statements evaluated, with condition keys", || evaluate(&many));
    measure("all of a request: signature, and 10 policies", || {
        verify();
        evaluate(&many);
    });
    Ok(())
}

fn measure(what: &str, mut work: impl FnMut()) {
    let (started, mut times) = (Instant::now(), 0_u64);
    while started.elapsed() < TIME {
        for _ in 0..100 {
            work();
        }
        times += 100;
    }
    let micros = started.elapsed().as_secs_f64() * 1e6 / times as f64;
    println!("{what:<60} {micros:>7.2} µs {:>10.0} per second", 1e6 / micros);
}

/// What a deployer of several applications has: all but the last policy are about others.
fn policies() -> Result<Vec<Policy>, Box<dyn Error>> {
    let mut policies = Vec::new();
    for number in 0..10 {
        let name = if number == 9 { "App".to_owned() } else { format!("Other{number}") };
        let statements: Vec<String> = ["Create*", "Stop*", "Get*", "List*", "Batch*"]
            .iter()
            .map(|action| {
                format!(
                    r#"{{"Effect":"Allow","Action":"codedeploy:{action}","Resource":"arn:aws:codedeploy:*:444455556666:deploymentgroup:{name}/*",
                        "Condition":{{"IpAddress":{{"aws:SourceIp":["10.0.0.0/8","127.0.0.0/8"]}},"StringLike":{{"aws:PrincipalArn":"arn:aws:iam::*:user/${{aws:username}}"}}}}}}"#
                )
            })
            .collect();
        let document = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
        policies.push(Policy::parse(&name, &document)?);
    }
    Ok(policies)
}

fn signed() -> Result<http::HeaderMap, Box<dyn Error>> {
    let identity = Credentials::new("AKIDEXAMPLE", "secret", None, None, "bench").into();
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW_MS as u64);
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("codedeploy")
        .time(time)
        .settings(SigningSettings::default())
        .build()?;
    let target = [
        ("x-amz-target", "CodeDeploy_20141006.GetDeployment"),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    let request = SignableRequest::new(
        "POST",
        "https://localhost:8443/",
        target.into_iter(),
        SignableBody::Bytes(BODY),
    )?;
    let (instructions, _) = sign(request, &parameters.into())?.into_parts();
    let mut request = http::Request::builder().method("POST").uri("https://localhost:8443/");
    for (name, value) in target {
        request = request.header(name, value);
    }
    let mut request = request.header("host", "localhost:8443").body(())?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request.headers().clone())
}
