//! Another implementation of IAM, the iam-rs crate, decides the same policies the same way (DP-601..605).
//!
//! Only what both read alike is generated: resources with all six parts, keys with one value.

use iam_rs::{
    Arn, Context as TheirContext, Decision as TheirDecision, IAMPolicy, IAMRequest, Principal, PrincipalId,
};
use proptest::prelude::*;
use slipway_auth::policy::{Context, Decision, Policy, Request, evaluate};

fn actions() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "codedeploy:*",
        "codedeploy:Get*",
        "codedeploy:GetDeployment",
        "codedeploy:?etDeployment",
        "codedeploy:CreateDeployment",
        "s3:GetObject",
    ])
    .prop_map(str::to_owned)
}

fn resources() -> impl Strategy<Value = String> {
    let name = "(application|deploymentgroup):[AB]{0,2}[*?]?[AB]?(/G\\*|/G)?";
    prop_oneof![
        1 => Just("*".to_owned()),
        8 => (prop::sample::select(vec!["us-west-2", "*", "eu-west-1"]), name)
            .prop_map(|(region, name)| format!("arn:aws:codedeploy:{region}:444455556666:{name}")),
    ]
}

fn conditions() -> impl Strategy<Value = serde_json::Value> {
    let text = prop::sample::select(vec![
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
        "StringEqualsIfExists",
        "StringNotLikeIfExists",
    ]);
    let key = prop::sample::select(vec!["aws:username", "aws:PrincipalType", "aws:absent"]);
    let values = prop::collection::vec(prop::sample::select(vec!["bob", "BOB", "b*", "User", "?ob"]), 1..3);
    let one = prop_oneof![
        4 => (text, key, values).prop_map(|(operator, key, values)| serde_json::json!({ operator: { key: values } })),
        1 => any::<bool>().prop_map(|b| serde_json::json!({"Null": {"aws:absent": b.to_string()}})),
        1 => any::<bool>().prop_map(|b| serde_json::json!({"Bool": {"aws:SecureTransport": b.to_string()}})),
        1 => prop::sample::select(vec!["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7/32"])
            .prop_map(|net| serde_json::json!({"IpAddress": {"aws:SourceIp": net}})),
        1 => prop::sample::select(vec!["4", "5", "6"])
            .prop_map(|n| serde_json::json!({"NumericLessThanEquals": {"aws:Number": n}})),
        1 => prop::sample::select(vec!["arn:aws:iam::444455556666:user/*", "arn:aws:iam::*:role/x"])
            .prop_map(|arn| serde_json::json!({"ArnLike": {"aws:PrincipalArn": arn}})),
    ];
    prop_oneof![Just(serde_json::json!({})), one]
}

fn policies() -> impl Strategy<Value = serde_json::Value> {
    let statement = (
        prop::bool::weighted(0.75),
        prop::bool::weighted(0.2),
        prop::collection::vec(actions(), 1..3),
        prop::bool::weighted(0.2),
        prop::collection::vec(resources(), 1..3),
        conditions(),
    )
        .prop_map(|(allow, not_action, actions, not_resource, resources, condition)| {
            let mut statement = serde_json::json!({ "Effect": if allow { "Allow" } else { "Deny" } });
            statement[if not_action { "NotAction" } else { "Action" }] = actions.into();
            statement[if not_resource { "NotResource" } else { "Resource" }] = resources.into();
            if condition.as_object().is_some_and(|c| !c.is_empty()) {
                statement["Condition"] = condition;
            }
            statement
        });
    prop::collection::vec(statement, 1..4)
        .prop_map(|statements| serde_json::json!({ "Version": "2012-10-17", "Statement": statements }))
}

const USER: &str = "arn:aws:iam::444455556666:user/bob";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn both_implementations_decide_alike(
        policy in policies(),
        action in prop::sample::select(vec!["codedeploy:GetDeployment", "codedeploy:CreateDeployment", "s3:GetObject"]),
        resource in "(application|deploymentgroup):[AB]{1,3}(/G|/GH)?",
        region in prop::sample::select(vec!["us-west-2", "eu-west-1"]),
    ) {
        let resource = format!("arn:aws:codedeploy:{region}:444455556666:{resource}");
        let document = policy.to_string();
        let context = Context::new()
            .with("aws:username", "bob")
            .with("aws:PrincipalType", "User")
            .with("aws:PrincipalArn", USER)
            .with("aws:SecureTransport", "true")
            .with("aws:SourceIp", "10.1.2.3")
            .with("aws:Number", "5");
        let ours = evaluate(
            &[Policy::parse("p", &document).unwrap()],
            &Request { action, resource: &resource, context: &context },
        );

        let their_context = TheirContext::new()
            .with_string("aws:username", "bob")
            .with_string("aws:PrincipalType", "User")
            .with_string("aws:PrincipalArn", USER)
            .with_boolean("aws:SecureTransport", true)
            .with_string("aws:SourceIp", "10.1.2.3")
            .with_number("aws:Number", 5.0);
        let request = IAMRequest::new_with_context(
            Principal::Aws(PrincipalId::String(USER.to_owned())),
            action,
            Arn::parse(&resource).unwrap(),
            their_context,
        );
        let their_policy: IAMPolicy = serde_json::from_str(&document).unwrap();
        let theirs = iam_rs::evaluate_policies(&[their_policy], &request).unwrap();

        let ours = match ours {
            Decision::Allow { .. } => TheirDecision::Allow,
            Decision::ExplicitDeny { .. } => TheirDecision::Deny,
            Decision::ImplicitDeny { .. } => TheirDecision::NotApplicable,
        };
        prop_assert_eq!(ours, theirs, "{} {} {}", document, action, resource);
    }
}
