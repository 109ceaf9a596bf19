//! The guide's example policies, asked as the server asks (DP-670..673, S-13 of 05).

use slipway_auth::identity::Principal;
use slipway_auth::managed;
use slipway_auth::policy::{Context, Grants, Policy};
use slipway_auth::resource::{Call, Denied, Permission, authorize, required_permissions};

const DP_673: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["codedeploy:CreateDeployment"],
     "Resource":["arn:aws:codedeploy:us-west-2:444455556666:deploymentgroup:WordPress_App/WordPress_DepGroup"]},
    {"Effect":"Allow","Action":["codedeploy:GetDeploymentConfig"],
     "Resource":["arn:aws:codedeploy:us-west-2:444455556666:deploymentconfig/ThreeQuartersHealthy"]},
    {"Effect":"Allow","Action":["codedeploy:GetApplicationRevision"],
     "Resource":["arn:aws:codedeploy:us-west-2:444455556666:application:WordPress_App"]}]}"#;

fn check(policies: &[&Policy], call: &Call<'_>) -> Result<(), Denied> {
    let bob = Principal::user("444455556666", "/", "bob", "AIDA1");
    let grants = Grants { identity: policies, boundary: None, session: None };
    authorize(&required_permissions(call), &bob, &grants, &Context::for_principal(&bob))
}

fn create<'a>(group: &'a str, config: &'a str) -> Call<'a> {
    Call {
        operation: "CreateDeployment",
        region: "us-west-2",
        account: "444455556666",
        application: Some("WordPress_App"),
        group: Some(group),
        config: Some(config),
        ..Call::default()
    }
}

#[test]
fn one_group_with_one_configuration_may_be_deployed_to_dp_673() {
    let policy = Policy::parse("deploy", DP_673).unwrap();
    assert_eq!(check(&[&policy], &create("WordPress_DepGroup", "ThreeQuartersHealthy")), Ok(()));
    let denied =
        check(&[&policy], &create("WordPress_DepGroup", "CodeDeployDefault.OneAtATime")).unwrap_err();
    assert_eq!(denied.action, "codedeploy:GetDeploymentConfig");
    assert_eq!(
        denied.to_string(),
        "User: arn:aws:iam::444455556666:user/bob is not authorized to perform: codedeploy:GetDeploymentConfig on \
         resource: arn:aws:codedeploy:us-west-2:444455556666:deploymentconfig:CodeDeployDefault.OneAtATime because no \
         identity-based policy allows the codedeploy:GetDeploymentConfig action"
    );
    let denied = check(&[&policy], &create("Other", "ThreeQuartersHealthy")).unwrap_err();
    assert_eq!(denied.action, "codedeploy:CreateDeployment");
}

#[test]
fn deploying_needs_the_revision_read_or_registered_dp_740() {
    let with = |action: &str| {
        Policy::parse("p", &DP_673.replace("codedeploy:GetApplicationRevision", action)).unwrap()
    };
    let call = create("WordPress_DepGroup", "ThreeQuartersHealthy");
    assert_eq!(check(&[&with("codedeploy:RegisterApplicationRevision")], &call), Ok(()));
    let denied = check(&[&with("codedeploy:GetApplication")], &call).unwrap_err();
    assert_eq!(denied.action, "codedeploy:GetApplicationRevision");
    let alarms = Call { overrides_alarms: true, ..call };
    let denied = check(&[&with("codedeploy:GetApplicationRevision")], &alarms).unwrap_err();
    assert_eq!(denied.action, "codedeploy:UpdateDeploymentGroup");
}

#[test]
fn administrators_may_everything_and_an_explicit_deny_still_stops_them() {
    let administrator = managed::get(managed::ADMINISTRATOR_ACCESS).unwrap().policy();
    let deny = Policy::parse(
        "freeze",
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"codedeploy:*","Resource":"*"}}"#,
    )
    .unwrap();
    let call = create("G", "C");
    assert_eq!(check(&[administrator], &call), Ok(()));
    let denied = check(&[administrator, &deny], &call).unwrap_err();
    assert!(denied.to_string().ends_with("with an explicit deny in an identity-based policy"));
    assert_eq!(denied.decision.to_string(), "denied by statement 0 of policy freeze");
    assert!(!denied.to_string().contains("freeze"), "the caller learns no policy names");
}

#[test]
fn a_single_permission_can_be_asked_for_dp_613() {
    let bob = Principal::user("444455556666", "/", "bob", "AIDA1");
    let none: [&Policy; 0] = [];
    let grants = Grants { identity: &none[..], boundary: None, session: None };
    let pass = [Permission::new("iam:PassRole", "arn:aws:iam::444455556666:role/CodeDeployServiceRole")];
    let denied = authorize(&pass, &bob, &grants, &Context::new()).unwrap_err();
    assert!(denied.to_string().starts_with(
        "User: arn:aws:iam::444455556666:user/bob is not authorized to perform: iam:PassRole on resource"
    ));
}
