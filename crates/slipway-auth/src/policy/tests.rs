use super::*;
use crate::identity::Principal;

const P: &str = "arn:aws:codedeploy:us-west-2:444455556666:";

fn parse(document: &str) -> Policy {
    Policy::parse("test", document).unwrap()
}

fn single(effect: &str, action: &str, resource: &str) -> Policy {
    parse(&format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":"{action}","Resource":"{resource}"}}]}}"#
    ))
}

fn ask(policies: &[Policy], action: &str, resource: &str) -> Decision {
    evaluate(policies, &Request { action, resource, context: &Context::new() })
}

fn allowed(policies: &[Policy], action: &str, resource: &str) -> bool {
    ask(policies, action, resource).is_allowed()
}

#[test]
fn nothing_is_allowed_until_a_policy_says_so_dp_601() {
    let none: [Policy; 0] = [];
    assert_eq!(
        ask(&none, "codedeploy:GetApplication", "*"),
        Decision::ImplicitDeny { layer: Layer::Identity }
    );
}

#[test]
fn explicit_deny_beats_any_allow_in_any_order_dp_601() {
    let allow = single("Allow", "codedeploy:*", "*");
    let deny = single("Deny", "codedeploy:Delete*", "*");
    for policies in [[allow.clone(), deny.clone()], [deny, allow]] {
        assert!(allowed(&policies, "codedeploy:GetApplication", &format!("{P}application:A")));
        let decision = ask(&policies, "codedeploy:DeleteApplication", &format!("{P}application:A"));
        assert!(matches!(decision, Decision::ExplicitDeny { .. }), "{decision}");
    }
}

#[test]
fn one_group_can_be_deleted_and_nothing_else_dp_670() {
    let group = format!("{P}deploymentgroup:WordPress_App/WordPress_DepGroup");
    let policies = [single("Allow", "codedeploy:DeleteDeploymentGroup", &group)];
    assert!(allowed(&policies, "codedeploy:DeleteDeploymentGroup", &group));
    assert!(allowed(&policies, "CodeDeploy:deletedeploymentgroup", &group), "actions have no case");
    assert!(!allowed(&policies, "codedeploy:DeleteDeploymentGroup", &format!("{group}2")));
    assert!(!allowed(
        &policies,
        "codedeploy:DeleteDeploymentGroup",
        &group.replace("us-west-2", "us-east-1")
    ));
    assert!(!allowed(&policies, "codedeploy:UpdateDeploymentGroup", &group));
    assert!(!allowed(
        &policies,
        "codedeploy:DeleteDeploymentGroup",
        &group.replace("WordPress_App", "wordpress_app")
    ));
}

#[test]
fn a_region_and_a_name_prefix_select_as_in_the_guide_dp_671_dp_672() {
    let region = [single("Allow", "codedeploy:*", &format!("{P}*"))];
    assert!(allowed(&region, "codedeploy:CreateApplication", &format!("{P}application:A")));
    assert!(!allowed(
        &region,
        "codedeploy:CreateApplication",
        "arn:aws:codedeploy:eu-west-1:444455556666:application:A"
    ));
    let prefix =
        [single("Allow", "codedeploy:RegisterApplicationRevision", &format!("{P}application:Test*"))];
    assert!(allowed(&prefix, "codedeploy:RegisterApplicationRevision", &format!("{P}application:TestX")));
    assert!(!allowed(&prefix, "codedeploy:RegisterApplicationRevision", &format!("{P}application:Prod")));
}

#[test]
fn configurations_and_instances_match_with_either_separator_and_nothing_else_does() {
    for (policy, request) in [
        ("deploymentconfig/C", "deploymentconfig:C"),
        ("instance/i-*", "instance:i-1"),
        ("instance:h", "instance/h"),
    ] {
        let policies = [single("Allow", "codedeploy:*", &format!("{P}{policy}"))];
        assert!(allowed(&policies, "codedeploy:Get", &format!("{P}{request}")), "{policy} {request}");
    }
    let policies = [single("Allow", "codedeploy:*", &format!("{P}application/A"))];
    assert!(!allowed(&policies, "codedeploy:GetApplication", &format!("{P}application:A")), "DP-607");
    let deny = [single("Allow", "*", "*"), single("Deny", "*", &format!("{P}instance/h"))];
    assert!(!allowed(&deny, "codedeploy:Get", &format!("{P}instance:h")));
}

#[test]
fn not_action_and_not_resource_take_all_but() {
    let policies = [parse(
        r#"{"Version":"2012-10-17","Statement":[
            {"Effect":"Allow","NotAction":["iam:*","sts:*"],"Resource":"*"},
            {"Effect":"Deny","Action":"s3:*","NotResource":["arn:aws:s3:::mine","arn:aws:s3:::mine/*"]}]}"#,
    )];
    assert!(allowed(&policies, "codedeploy:GetApplication", "*"));
    assert!(!allowed(&policies, "iam:CreateUser", "*"));
    assert!(allowed(&policies, "s3:GetObject", "arn:aws:s3:::mine/key"));
    assert!(!allowed(&policies, "s3:GetObject", "arn:aws:s3:::theirs/key"));
}

#[test]
fn username_variable_means_oneself_dp_674() {
    let policies = [parse(
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:GetUser","Resource":"arn:aws:iam::*:user/${aws:username}"}}"#,
    )];
    let bob = Context::for_principal(&Principal::user("444455556666", "/", "bob", "AIDA1"));
    let role = Context::for_principal(&Principal::assumed_role("444455556666", "/", "R", "AROA1", "bob"));
    let ask = |context, user: &str| {
        let resource = format!("arn:aws:iam::444455556666:user/{user}");
        evaluate(&policies, &Request { action: "iam:GetUser", resource: &resource, context }).is_allowed()
    };
    assert!(ask(&bob, "bob"));
    assert!(!ask(&bob, "alice"));
    assert!(!ask(&role, "bob"), "a session has no user name");
    assert!(!ask(&role, "${aws:username}"));
}

#[test]
fn a_variable_without_value_never_widens_a_grant() {
    let policies = [parse(
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3:::${aws:username}"}}"#,
    )];
    assert!(!allowed(&policies, "s3:GetObject", "arn:aws:s3:::anything"));
    let deny = [
        single("Allow", "*", "*"),
        parse(
            r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:*","NotResource":"arn:aws:s3:::${aws:username}"}}"#,
        ),
    ];
    assert!(!allowed(&deny, "s3:GetObject", "arn:aws:s3:::anything"));
}

#[test]
fn documents_of_the_old_version_know_no_variables() {
    let policies = [parse(
        r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username}"}}"#,
    )];
    let bob = Context::new().with("aws:username", "bob");
    let ask = |resource| {
        evaluate(&policies, &Request { action: "s3:GetObject", resource, context: &bob }).is_allowed()
    };
    assert!(!ask("arn:aws:s3:::bob"));
    assert!(ask("arn:aws:s3:::${aws:username}"));
}

#[test]
fn conditions_limit_a_statement() {
    let policies = [parse(
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{
            "Bool":{"aws:SecureTransport":true},"IpAddress":{"aws:SourceIp":["10.0.0.0/8","192.0.2.1"]}}}}"#,
    )];
    let from = |ip: &str, tls| {
        let context = Context::new().with_request(0, Some(ip.parse().unwrap()), tls, "us-west-2");
        evaluate(&policies, &Request { action: "s3:GetObject", resource: "*", context: &context })
            .is_allowed()
    };
    assert!(from("10.1.2.3", true));
    assert!(!from("10.1.2.3", false));
    assert!(!from("192.0.2.2", true));
}

#[test]
fn all_sets_of_policies_must_allow_dp_615() {
    let wide = [single("Allow", "*", "*")];
    let narrow = [single("Allow", "s3:*", "*")];
    let context = Context::new();
    let get = Request { action: "codedeploy:GetApplication", resource: "*", context: &context };
    let decide = |identity, boundary, session| evaluate_grants(&Grants { identity, boundary, session }, &get);
    assert!(decide(&wide[..], None, None).is_allowed());
    assert_eq!(decide(&wide[..], None, Some(&narrow[..])), Decision::ImplicitDeny { layer: Layer::Session });
    assert_eq!(decide(&wide[..], Some(&narrow[..]), None), Decision::ImplicitDeny { layer: Layer::Boundary });
    assert_eq!(decide(&narrow[..], None, Some(&wide[..])), Decision::ImplicitDeny { layer: Layer::Identity });
    let deny = [single("Allow", "*", "*"), single("Deny", "codedeploy:*", "*")];
    assert!(matches!(
        decide(&narrow[..], None, Some(&deny[..])),
        Decision::ExplicitDeny { layer: Layer::Session, .. }
    ));
}

#[test]
fn decisions_name_their_statement_and_denials_speak_as_aws_does() {
    let policies = [parse(
        r#"{"Version":"2012-10-17","Statement":[
            {"Effect":"Allow","Action":"s3:*","Resource":"*"},
            {"Sid":"NoDelete","Effect":"Deny","Action":"s3:Delete*","Resource":"*"}]}"#,
    )];
    let decision = ask(&policies, "s3:GetObject", "arn:aws:s3:::b/k");
    assert_eq!(decision.to_string(), "allowed by statement 0 of policy test");
    assert_eq!(decision.denial_message("u", "a", "r"), None);
    let decision = ask(&policies, "s3:DeleteObject", "arn:aws:s3:::b/k");
    assert_eq!(decision.to_string(), "denied by statement 1 (NoDelete) of policy test");
    let user = "arn:aws:iam::444455556666:user/bob";
    assert_eq!(
        decision.denial_message(user, "s3:DeleteObject", "arn:aws:s3:::b/k").unwrap(),
        "User: arn:aws:iam::444455556666:user/bob is not authorized to perform: s3:DeleteObject on resource: \
         arn:aws:s3:::b/k with an explicit deny in an identity-based policy"
    );
    assert_eq!(
        ask(&policies, "codedeploy:GetApplication", "*")
            .denial_message(user, "codedeploy:GetApplication", "*")
            .unwrap(),
        "User: arn:aws:iam::444455556666:user/bob is not authorized to perform: codedeploy:GetApplication on \
         resource: * because no identity-based policy allows the codedeploy:GetApplication action"
    );
}

#[test]
fn whatever_is_not_understood_is_refused_with_its_place() {
    let statement = |members: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:*","Resource":"*",{members}}}]}}"#
        )
    };
    let cases = [
        ("{".to_owned(), "line 1 column 1", "invalid JSON"),
        ("[]".to_owned(), "the policy", "an object, not a list"),
        ("{}".to_owned(), "Statement", "missing"),
        (r#"{"Version":"2013-01-01","Statement":[]}"#.to_owned(), "Version", "2013-01-01"),
        (r#"{"Statement":[],"Statements":[]}"#.to_owned(), "Statements", "unknown element"),
        (r#"{"Statement":[],"Statement":[]}"#.to_owned(), "line 1 column", "\"Statement\" occurs twice"),
        (r#"{"Statement":[{"Effect":"Allow","Effect":"Deny"}]}"#.to_owned(), "line 1 column", "occurs twice"),
        (r#"{"Statement":[{"Action":"s3:*","Resource":"*"}]}"#.to_owned(), "Statement[0]", "Effect"),
        (
            r#"{"Statement":[{"Effect":"allow","Action":"s3:*","Resource":"*"}]}"#.to_owned(),
            "Statement[0].Effect",
            "allow",
        ),
        (
            r#"{"Statement":[{"Effect":"Allow","Resource":"*"}]}"#.to_owned(),
            "Statement[0]",
            "must contain actions",
        ),
        (
            r#"{"Statement":[{"Effect":"Allow","Action":"s3:*"}]}"#.to_owned(),
            "Statement[0]",
            "must contain resources",
        ),
        (
            r#"{"Statement":[{"Effect":"Allow","Action":["s3:*","GetObject"],"Resource":"*"}]}"#.to_owned(),
            "Statement[0].Action[1]",
            "vendor",
        ),
        (
            r#"{"Statement":[{"Effect":"Allow","Action":[],"Resource":"*"}]}"#.to_owned(),
            "Statement[0].Action",
            "empty",
        ),
        (
            r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"my-bucket"}]}"#.to_owned(),
            "Statement[0].Resource",
            "ARN format",
        ),
        (statement(r#""Principal":"*""#), "Statement[0].Principal", "should not specify a principal"),
        (statement(r#""NotAction":"s3:*""#), "Statement[0].NotAction", "exclude each other"),
        (statement(r#""Sid":"not valid""#), "Statement[0].Sid", "alpha-numeric"),
        (statement(r#""Conditions":{}"#), "Statement[0].Conditions", "unknown element"),
        (
            statement(r#""Condition":{"StringMatches":{"aws:username":"b*"}}"#),
            "Statement[0].Condition.StringMatches.aws:username",
            "\"StringMatches\" is not supported",
        ),
        (
            statement(r#""Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/99"}}"#),
            "Statement[0].Condition.IpAddress.aws:SourceIp",
            "10.0.0.0/99",
        ),
    ];
    for (document, position, problem) in cases {
        let error = Policy::parse("test", &document).unwrap_err();
        assert!(error.position.starts_with(position), "{document}: {error}");
        assert!(error.problem.contains(problem), "{document}: {error}");
        let error = IamError::from(error);
        assert_eq!((error.code(), error.status()), ("MalformedPolicyDocument", 400));
        assert!(error.to_string().starts_with("Syntax errors in policy. "));
    }
    let twice = r#"{"Statement":[{"Sid":"A","Effect":"Allow","Action":"s3:*","Resource":"*"},
                                 {"Sid":"A","Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
    assert_eq!(Policy::parse("test", twice).unwrap_err().position, "Statement[1].Sid");
}

#[test]
fn deeply_nested_documents_are_refused_and_do_not_overflow() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Policy::parse("test", &deep).is_err());
}

// Trust policies.

const SERVICE: TrustCaller<'static> =
    TrustCaller::Service { name: "codedeploy.amazonaws.com", region: "us-west-2" };

fn trust(members: &str) -> Policy {
    Policy::parse_trust(
        "trust",
        &format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole",{members}}}]}}"#),
    )
    .unwrap()
}

fn assume(policy: &Policy, caller: TrustCaller<'_>, context: &Context) -> TrustDecision {
    evaluate_trust(policy, "444455556666", caller, "sts:AssumeRole", context)
}

#[test]
fn service_roles_trust_codedeploy_and_its_regional_names_d_30() {
    let none = Context::new();
    for principal in
        [r#""codedeploy.amazonaws.com""#, r#"["ec2.amazonaws.com","codedeploy.us-west-2.amazonaws.com"]"#]
    {
        let policy = trust(&format!(r#""Principal":{{"Service":{principal}}}"#));
        let decision = assume(&policy, SERVICE, &none);
        assert!(decision.decision.is_allowed() && !decision.needs_identity_policy, "{principal}");
    }
    for principal in [
        r#"{"Service":"ec2.amazonaws.com"}"#,
        r#"{"Service":"codedeploy.eu-west-1.amazonaws.com"}"#,
        r#"{"AWS":"*"}"#,
    ] {
        let policy = trust(&format!(r#""Principal":{principal}"#));
        assert!(!assume(&policy, SERVICE, &none).decision.is_allowed(), "{principal}");
    }
}

#[test]
fn trust_can_be_limited_to_one_deployment_group_dp_633() {
    let policy = trust(
        r#""Principal":{"Service":"codedeploy.amazonaws.com"},"Condition":{
            "StringEquals":{"aws:SourceAccount":"444455556666"},
            "StringLike":{"aws:SourceArn":"arn:aws:codedeploy:us-west-2:444455556666:deploymentgroup:App/*"}}"#,
    );
    let from = |group: &str| {
        let context = Context::new()
            .with("aws:SourceAccount", "444455556666")
            .with("aws:SourceArn", format!("{P}deploymentgroup:{group}"));
        assume(&policy, SERVICE, &context).decision.is_allowed()
    };
    assert!(from("App/G"));
    assert!(!from("Other/G"));
    assert!(!assume(&policy, SERVICE, &Context::new()).decision.is_allowed());
}

#[test]
fn trust_in_an_account_leaves_the_choice_to_its_own_policies() {
    let none = Context::new();
    let bob = Principal::user("444455556666", "/", "bob", "AIDA1");
    let foreign = Principal::user("111122223333", "/", "eve", "AIDA2");
    let own = trust(r#""Principal":{"AWS":"arn:aws:iam::444455556666:root"}"#);
    let decision = assume(&own, TrustCaller::Principal(&bob), &none);
    assert!(decision.decision.is_allowed() && decision.needs_identity_policy);
    assert!(!assume(&own, TrustCaller::Principal(&foreign), &none).decision.is_allowed());

    let by_name = trust(r#""Principal":{"AWS":["arn:aws:iam::444455556666:user/bob","111122223333"]}"#);
    let decision = assume(&by_name, TrustCaller::Principal(&bob), &none);
    assert!(decision.decision.is_allowed() && !decision.needs_identity_policy);
    let decision = assume(&by_name, TrustCaller::Principal(&foreign), &none);
    assert!(decision.decision.is_allowed() && decision.needs_identity_policy);
}

#[test]
fn trust_in_a_role_reaches_its_sessions() {
    let none = Context::new();
    let session = Principal::assumed_role("444455556666", "/ci/", "Builder", "AROA1", "job1");
    let other = Principal::assumed_role("444455556666", "/ci/", "Builder", "AROA1", "job2");
    let role = trust(r#""Principal":{"AWS":"arn:aws:iam::444455556666:role/ci/Builder"}"#);
    assert!(assume(&role, TrustCaller::Principal(&session), &none).decision.is_allowed());
    let one = trust(r#""Principal":{"AWS":"arn:aws:sts::444455556666:assumed-role/Builder/job1"}"#);
    assert!(assume(&one, TrustCaller::Principal(&session), &none).decision.is_allowed());
    assert!(!assume(&one, TrustCaller::Principal(&other), &none).decision.is_allowed());
}

#[test]
fn an_explicit_deny_in_a_trust_policy_wins() {
    let policy = Policy::parse_trust(
        "trust",
        r#"{"Version":"2012-10-17","Statement":[
            {"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"sts:AssumeRole"},
            {"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::444455556666:user/bob"},"Action":"sts:*"}]}"#,
    )
    .unwrap();
    let bob = Principal::user("444455556666", "/", "bob", "AIDA1");
    let decision = assume(&policy, TrustCaller::Principal(&bob), &Context::new()).decision;
    assert!(matches!(decision, Decision::ExplicitDeny { layer: Layer::Trust, .. }));
}

#[test]
fn trust_that_cannot_be_kept_is_refused() {
    for (members, position) in [
        (r#""Principal":{"Federated":"cognito-identity.amazonaws.com"}"#, "Statement[0].Principal.Federated"),
        (r#""Principal":{"AWS":"arn:aws:iam::444455556666:user/*"}"#, "Statement[0].Principal.AWS"),
        (r#""Principal":{"AWS":["444455556666","bob"]}"#, "Statement[0].Principal.AWS[1]"),
        (r#""Principal":{"Service":"codedeploy"}"#, "Statement[0].Principal.Service"),
        (r#""Principal":"bob""#, "Statement[0].Principal"),
        (r#""Principal":{}"#, "Statement[0].Principal"),
        (r#""NotPrincipal":{"AWS":"*"}"#, "Statement[0].NotPrincipal"),
        (r#""Principal":"*","Resource":"*""#, "Statement[0].Resource"),
        (r#""Sid":"X""#, "Statement[0]"),
    ] {
        let document = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole",{members}}}]}}"#
        );
        let error = Policy::parse_trust("trust", &document).unwrap_err();
        assert_eq!(error.position, position, "{error}");
    }
    let wrong = r#"{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Principal":"*"}}"#;
    assert!(Policy::parse_trust("trust", wrong).unwrap_err().problem.contains("STS AssumeRole"));
}

// Policies of resources.

fn bucket(statements: &str) -> Policy {
    Policy::parse_resource("bucket", &format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#))
        .unwrap()
}

fn read(policy: &Policy, caller: &Principal, resource: &str) -> TrustDecision {
    let context = Context::for_principal(caller);
    let request = Request { action: "s3:GetObject", resource, context: &context };
    evaluate_resource(policy, "444455556666", caller, &request)
}

#[test]
fn another_accounts_role_reads_a_bucket_that_names_it_dp_302() {
    let policy = bucket(
        r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/Hosts"},
            "Action":["s3:Get*","s3:List*"],"Resource":"arn:aws:s3:::revisions/*"}"#,
    );
    let host = Principal::assumed_role("111122223333", "/", "Hosts", "AROA1", "i-1");
    let other = Principal::assumed_role("111122223333", "/", "Others", "AROA2", "i-1");
    let decision = read(&policy, &host, "arn:aws:s3:::revisions/app.zip");
    assert!(decision.decision.is_allowed() && decision.needs_identity_policy, "both accounts must agree");
    assert!(!read(&policy, &host, "arn:aws:s3:::other/app.zip").decision.is_allowed());
    assert!(!read(&policy, &other, "arn:aws:s3:::revisions/app.zip").decision.is_allowed());
}

#[test]
fn not_principal_denies_all_but_the_named() {
    let policy = bucket(
        r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"},
           {"Effect":"Deny","NotPrincipal":{"AWS":["444455556666","arn:aws:iam::444455556666:user/bob"]},
            "Action":"s3:*","Resource":"*"}"#,
    );
    let user = |name| Principal::user("444455556666", "/", name, "AIDA1");
    assert!(read(&policy, &user("bob"), "arn:aws:s3:::b/k").decision.is_allowed());
    let denied = read(&policy, &user("eve"), "arn:aws:s3:::b/k").decision;
    assert!(matches!(denied, Decision::ExplicitDeny { layer: Layer::Resource, .. }));
}

#[test]
fn a_resource_policy_without_principal_or_resource_is_refused() {
    for (statement, problem) in [
        (r#""Action":"s3:*","Resource":"*""#, "Principal"),
        (r#""Action":"s3:*","Principal":"*""#, "resources"),
        (r#""Action":"s3:*","Resource":"*","NotPrincipal":"*""#, "nobody"),
        (
            r#""Action":"s3:*","Resource":"*","Principal":"*","NotPrincipal":{"AWS":"444455556666"}"#,
            "exclude",
        ),
    ] {
        let document = format!(r#"{{"Statement":{{"Effect":"Deny",{statement}}}}}"#);
        let error = Policy::parse_resource("bucket", &document).unwrap_err();
        assert!(error.problem.contains(problem), "{error}");
    }
}

#[test]
fn what_stands_in_for_a_lost_policy_denies_everything() {
    let policies = [single("Allow", "*", "*"), Policy::deny_all("lost")];
    assert!(matches!(ask(&policies, "s3:GetObject", "*"), Decision::ExplicitDeny { .. }));
}
