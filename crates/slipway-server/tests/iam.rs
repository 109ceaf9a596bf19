//! IAM and STS as `aws deploy register` and the guide's manual steps use them (AG-187..AG-199, D-05, D-30).

mod support;

use support::{Answer, Server, codedeploy, iam, key_of, sts};

const TRUST_ADMIN: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000001:user/admin"},"Action":"sts:AssumeRole"}}"#;
const READ: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"*"}]}"#;

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.xml("Code"))
}

fn code(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn registering_a_host_makes_a_user_that_can_sign_ag_188() {
    let server = Server::start().await;
    let user =
        server.admin(iam("CreateUser", &[("Path", "/AWS/CodeDeploy/"), ("UserName", "web-1")])).await.ok();
    assert_eq!(user.xml("Arn"), "arn:aws:iam::000000000001:user/AWS/CodeDeploy/web-1");
    let created = server.admin(iam("CreateAccessKey", &[("UserName", "web-1")])).await.ok();
    assert_eq!((created.xml("Status").as_str(), created.xml("AccessKeyId").len()), ("Active", 20));
    let policy = [("UserName", "web-1"), ("PolicyName", "codedeploy-agent"), ("PolicyDocument", READ)];
    server.admin(iam("PutUserPolicy", &policy)).await.ok();

    let key = key_of(&created);
    let identity = server.call(&key, sts("GetCallerIdentity", &[])).await.ok();
    assert_eq!(identity.xml("Arn"), "arn:aws:iam::000000000001:user/AWS/CodeDeploy/web-1");
    let denied = server.call(&key, codedeploy("ListApplications", "{}")).await;
    assert_eq!((denied.status, denied.error_type().as_str()), (400, "AccessDeniedException"));
    assert!(
        denied.json()["message"].as_str().unwrap().starts_with(
            "User: arn:aws:iam::000000000001:user/AWS/CodeDeploy/web-1 is not authorized to perform: codedeploy:ListApplications"
        ),
        "{denied:?}"
    );
}

#[tokio::test]
async fn deregistering_takes_policies_and_keys_away_before_the_user_ag_198() {
    let server = Server::start().await;
    server.admin(iam("CreateUser", &[("UserName", "web-1")])).await.ok();
    let key = key_of(&server.admin(iam("CreateAccessKey", &[("UserName", "web-1")])).await.ok());
    let policy = [("UserName", "web-1"), ("PolicyName", "codedeploy-agent"), ("PolicyDocument", READ)];
    server.admin(iam("PutUserPolicy", &policy)).await.ok();

    let delete = || server.admin(iam("DeleteUser", &[("UserName", "web-1")]));
    assert_eq!(refusal(&delete().await), code(409, "DeleteConflict"));
    let listed = server.admin(iam("ListUserPolicies", &[("UserName", "web-1")])).await.ok();
    assert_eq!(listed.xml("member"), "codedeploy-agent");
    let named = [("UserName", "web-1"), ("PolicyName", "codedeploy-agent")];
    server.admin(iam("DeleteUserPolicy", &named)).await.ok();
    assert_eq!(refusal(&server.admin(iam("DeleteUserPolicy", &named)).await), code(404, "NoSuchEntity"));
    assert_eq!(refusal(&delete().await), code(409, "DeleteConflict"));
    let keys = server.admin(iam("ListAccessKeys", &[("UserName", "web-1")])).await.ok();
    assert_eq!(keys.xml("AccessKeyId"), key.id);
    server.admin(iam("DeleteAccessKey", &[("UserName", "web-1"), ("AccessKeyId", &key.id)])).await.ok();
    delete().await.ok();
    assert_eq!(refusal(&delete().await), code(404, "NoSuchEntity"));
    let answer = server.call(&key, sts("GetCallerIdentity", &[])).await;
    assert_eq!(refusal(&answer), code(403, "InvalidClientTokenId"));
}

#[tokio::test]
async fn changes_count_for_the_very_next_request() {
    let server = Server::start().await;
    server.admin(iam("CreateUser", &[("UserName", "ops")])).await.ok();
    let key = key_of(&server.admin(iam("CreateAccessKey", &[("UserName", "ops")])).await.ok());
    let list = || server.call(&key, codedeploy("ListApplications", "{}"));
    let full = [("UserName", "ops"), ("PolicyArn", "arn:aws:iam::aws:policy/AWSCodeDeployFullAccess")];
    assert_eq!(list().await.status, 400);
    server.admin(iam("AttachUserPolicy", &full)).await.ok();
    assert_eq!(list().await.status, 200);
    let deny = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"codedeploy:List*","Resource":"*"}}"#;
    server
        .admin(iam("PutUserPolicy", &[("UserName", "ops"), ("PolicyName", "d"), ("PolicyDocument", deny)]))
        .await
        .ok();
    assert_eq!(list().await.status, 400);
    server.admin(iam("DeleteUserPolicy", &[("UserName", "ops"), ("PolicyName", "d")])).await.ok();
    assert_eq!(list().await.status, 200);
    let status = |status| [("UserName", "ops"), ("AccessKeyId", key.id.as_str()), ("Status", status)];
    server.admin(iam("UpdateAccessKey", &status("Inactive"))).await.ok();
    assert_eq!(list().await.error_type(), "UnrecognizedClientException");
    server.admin(iam("UpdateAccessKey", &status("Active"))).await.ok();
    assert_eq!(list().await.status, 200);
    server.admin(iam("DetachUserPolicy", &full)).await.ok();
    assert_eq!(refusal(&server.admin(iam("DetachUserPolicy", &full)).await), code(404, "NoSuchEntity"));
    assert_eq!(list().await.status, 400);
}

#[tokio::test]
async fn calls_that_make_no_sense_are_refused_with_iams_codes() {
    let server = Server::start().await;
    server.admin(iam("CreateUser", &[("UserName", "Ops")])).await.ok();
    let long = "n".repeat(65);
    for (action, parameters, expected) in [
        ("CreateUser", vec![("UserName", "OPS")], code(409, "EntityAlreadyExists")),
        ("CreateUser", vec![], code(400, "ValidationError")),
        ("CreateUser", vec![("UserName", long.as_str())], code(400, "ValidationError")),
        ("CreateUser", vec![("UserName", "a b")], code(400, "ValidationError")),
        ("CreateUser", vec![("UserName", "x"), ("Path", "nope")], code(400, "ValidationError")),
        ("GetUser", vec![("UserName", "nobody")], code(404, "NoSuchEntity")),
        ("CreateAccessKey", vec![("UserName", "nobody")], code(404, "NoSuchEntity")),
        (
            "DeleteAccessKey",
            vec![("UserName", "Ops"), ("AccessKeyId", server.admin.id.as_str())],
            code(404, "NoSuchEntity"),
        ),
        ("GetUserPolicy", vec![("UserName", "Ops"), ("PolicyName", "p")], code(404, "NoSuchEntity")),
        (
            "PutUserPolicy",
            vec![("UserName", "Ops"), ("PolicyName", "p"), ("PolicyDocument", "{\"Version\":")],
            code(400, "MalformedPolicyDocument"),
        ),
        (
            "AttachUserPolicy",
            vec![("UserName", "Ops"), ("PolicyArn", "arn:aws:iam::aws:policy/None")],
            code(404, "NoSuchEntity"),
        ),
        (
            "CreateRole",
            vec![("RoleName", "r"), ("AssumeRolePolicyDocument", READ)],
            code(400, "MalformedPolicyDocument"),
        ),
        ("ListUsers", vec![("MaxItems", "0")], code(400, "ValidationError")),
        ("ListUsers", vec![("Marker", "%")], code(400, "ValidationError")),
    ] {
        let answer = server.admin(iam(action, &parameters)).await;
        assert_eq!(refusal(&answer), expected, "{action} {parameters:?}: {answer:?}");
        assert_eq!(answer.xml("RequestId"), answer.header("x-amzn-requestid"));
    }
}

#[tokio::test]
async fn a_user_has_two_keys_at_most_even_when_asked_at_once() {
    let server = Server::start().await;
    server.admin(iam("CreateUser", &[("UserName", "ops")])).await.ok();
    let create = || server.admin(iam("CreateAccessKey", &[("UserName", "ops")]));
    let answers = futures::future::join_all((0..6).map(|_| create())).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 2);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(refusal(refused), code(409, "LimitExceeded"));
    }
}

#[tokio::test]
async fn documents_come_back_as_they_were_given_percent_encoded() {
    let server = Server::start().await;
    server.admin(iam("CreateUser", &[("UserName", "ops")])).await.ok();
    let policy = [("UserName", "ops"), ("PolicyName", "read"), ("PolicyDocument", READ)];
    server.admin(iam("PutUserPolicy", &policy)).await.ok();
    let encoded = server.admin(iam("GetUserPolicy", &policy[..2])).await.ok().xml("PolicyDocument");
    assert!(encoded.starts_with("%7B%22Version%22"), "{encoded}");
    let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap();
    assert_eq!(decoded, READ);
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let server = Server::start().await;
    for name in ["b", "a", "c"] {
        server.admin(iam("CreateUser", &[("UserName", name), ("Path", "/fleet/")])).await.ok();
    }
    let mut names = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let mut parameters = vec![("PathPrefix", "/fleet/"), ("MaxItems", "2")];
        parameters.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let page = server.admin(iam("ListUsers", &parameters)).await.ok();
        names.extend(
            page.body.split("<UserName>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()),
        );
        if page.xml("IsTruncated") == "false" {
            break;
        }
        marker = Some(page.xml("Marker"));
    }
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_role_is_assumed_by_whom_it_trusts_only() {
    let server = Server::start().await;
    let role = [("RoleName", "Host"), ("AssumeRolePolicyDocument", TRUST_ADMIN)];
    let arn = server.admin(iam("CreateRole", &role)).await.ok().xml("Arn");
    let attach = [("RoleName", "Host"), ("PolicyArn", "arn:aws:iam::aws:policy/AWSCodeDeployReadOnlyAccess")];
    server.admin(iam("AttachRolePolicy", &attach)).await.ok();
    server.admin(iam("CreateUser", &[("UserName", "other")])).await.ok();
    let other = key_of(&server.admin(iam("CreateAccessKey", &[("UserName", "other")])).await.ok());
    let assume = [("RoleArn", arn.as_str()), ("RoleSessionName", "web-1")];

    assert_eq!(refusal(&server.call(&other, sts("AssumeRole", &assume)).await), code(403, "AccessDenied"));
    let opened = server.admin(sts("AssumeRole", &assume)).await.ok();
    let session_arn = "arn:aws:sts::000000000001:assumed-role/Host/web-1";
    assert_eq!(opened.xml("Arn"), session_arn);
    let session = key_of(&opened);
    assert_eq!(server.call(&session, sts("GetCallerIdentity", &[])).await.ok().xml("Arn"), session_arn);
    server.call(&session, codedeploy("ListApplications", "{}")).await.ok();
    let create = codedeploy("CreateApplication", r#"{"applicationName":"a"}"#);
    assert_eq!(server.call(&session, create).await.error_type(), "AccessDeniedException");

    let narrowed = [assume[0], assume[1], ("Policy", READ)];
    let narrowed = key_of(&server.admin(sts("AssumeRole", &narrowed)).await.ok());
    let answer = server.call(&narrowed, codedeploy("ListApplications", "{}")).await;
    assert_eq!(answer.error_type(), "AccessDeniedException");

    server.admin(iam("DetachRolePolicy", &attach)).await.ok();
    server.admin(iam("DeleteRole", &[("RoleName", "Host")])).await.ok();
    let answer = server.call(&session, codedeploy("ListApplications", "{}")).await;
    assert_eq!(answer.error_type(), "UnrecognizedClientException");
}

#[tokio::test]
async fn an_external_id_that_the_trust_policy_asks_for_must_be_given() {
    let server = Server::start().await;
    let trust = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"000000000001"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"group-7"}}}}"#;
    let arn = server
        .admin(iam("CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", trust)]))
        .await
        .ok()
        .xml("Arn");
    let assume = |id: Option<&'static str>, seconds: &'static str| {
        let mut parameters =
            vec![("RoleArn", arn.as_str()), ("RoleSessionName", "s1"), ("DurationSeconds", seconds)];
        parameters.extend(id.map(|id| ("ExternalId", id)));
        sts("AssumeRole", &parameters)
    };
    assert_eq!(refusal(&server.admin(assume(None, "900")).await), code(403, "AccessDenied"));
    assert_eq!(refusal(&server.admin(assume(Some("group-8"), "900")).await), code(403, "AccessDenied"));
    server.admin(assume(Some("group-7"), "900")).await.ok();
    for seconds in ["899", "3601", "43201"] {
        assert_eq!(
            refusal(&server.admin(assume(Some("group-7"), seconds)).await),
            code(400, "ValidationError"),
            "{seconds}"
        );
    }
}

/// Whoever may give permissions, but not all of them, must not be able to give all of them to themselves.
#[tokio::test]
async fn delegated_administration_ends_where_the_condition_keys_of_iam_say() {
    const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
    const READER: &str = "arn:aws:iam::aws:policy/AWSCodeDeployReadOnlyAccess";
    let server = Server::start().await;
    server.admin(iam("CreateUser", &[("UserName", "deputy")])).await.ok();
    let deputy = key_of(&server.admin(iam("CreateAccessKey", &[("UserName", "deputy")])).await.ok());
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[
            {{"Effect":"Allow","Action":"iam:*","Resource":"*"}},
            {{"Effect":"Deny","Action":"iam:Attach*","Resource":"*",
              "Condition":{{"ArnEquals":{{"iam:PolicyARN":"{ADMINISTRATOR}"}}}}}},
            {{"Effect":"Deny","Action":["iam:CreateUser","iam:PutUserPolicy"],"Resource":"*",
              "Condition":{{"StringNotEquals":{{"iam:PermissionsBoundary":"{READER}"}}}}}},
            {{"Effect":"Deny","Action":"iam:CreateAccessKey","Resource":"*",
              "Condition":{{"StringEquals":{{"aws:ResourceTag/team":"core"}}}}}},
            {{"Effect":"Deny","Action":"iam:CreateUser","Resource":"*",
              "Condition":{{"ForAnyValue:StringEquals":{{"aws:TagKeys":["cost"]}}}}}}]}}"#
    );
    let put = [("UserName", "deputy"), ("PolicyName", "p"), ("PolicyDocument", policy.as_str())];
    server.admin(iam("PutUserPolicy", &put)).await.ok();
    let core = [("UserName", "core"), ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "core")];
    server.admin(iam("CreateUser", &core)).await.ok();

    let bounded = [("UserName", "u"), ("PermissionsBoundary", READER)];
    let tagged = [
        ("UserName", "v"),
        ("PermissionsBoundary", READER),
        ("Tags.member.1.Key", "a"),
        ("Tags.member.1.Value", ""),
        ("Tags.member.2.Key", "cost"),
        ("Tags.member.2.Value", ""),
    ];
    let inline = |user| [("UserName", user), ("PolicyName", "x"), ("PolicyDocument", READ)];
    // A parameter that the action does not know is no way around.
    let [name, policy_name, document] = inline("deputy");
    let smuggled = [name, policy_name, document, ("PermissionsBoundary", READER)];
    for (action, parameters, status) in [
        ("AttachUserPolicy", &[("UserName", "deputy"), ("PolicyArn", ADMINISTRATOR)][..], 403),
        ("AttachUserPolicy", &[("UserName", "deputy"), ("PolicyArn", READER)], 200),
        ("CreateUser", &[("UserName", "u")], 403),
        ("CreateUser", &tagged, 403),
        ("CreateUser", &bounded, 200),
        ("PutUserPolicy", &inline("u"), 200),
        ("PutUserPolicy", &inline("deputy"), 403),
        ("PutUserPolicy", &smuggled, 403),
        ("CreateAccessKey", &[("UserName", "core")], 403),
        ("CreateAccessKey", &[("UserName", "u")], 200),
    ] {
        let answer = server.call(&deputy, iam(action, parameters)).await;
        assert_eq!(answer.status, status, "{action} {parameters:?}: {answer:?}");
    }
}

#[tokio::test]
async fn built_in_policies_can_be_looked_up() {
    let server = Server::start().await;
    let arn = "arn:aws:iam::aws:policy/service-role/AWSCodeDeployRole";
    let policy = server.admin(iam("GetPolicy", &[("PolicyArn", arn)])).await.ok();
    assert_eq!(
        (policy.xml("PolicyName").as_str(), policy.xml("DefaultVersionId").as_str()),
        ("AWSCodeDeployRole", "v1")
    );
    server.admin(iam("GetPolicyVersion", &[("PolicyArn", arn), ("VersionId", "v1")])).await.ok();
    let all = server.admin(iam("ListPolicies", &[("Scope", "AWS")])).await.ok();
    assert!(all.body.contains("AdministratorAccess"));
    assert!(!server.admin(iam("ListPolicies", &[("Scope", "Local")])).await.ok().body.contains("<member>"));
    assert_eq!(
        refusal(&server.admin(iam("GetPolicy", &[("PolicyArn", "arn:aws:iam::aws:policy/No")])).await),
        code(404, "NoSuchEntity")
    );
}

/// D-30: a service role must be passed by who may, exist, and trust CodeDeploy.
#[tokio::test]
async fn a_service_role_is_checked_before_a_group_gets_it_d_30() {
    let server = Server::start().await;
    server.admin(codedeploy("CreateApplication", r#"{"applicationName":"shop"}"#)).await.ok();
    server
        .admin(iam("CreateRole", &[("RoleName", "Other"), ("AssumeRolePolicyDocument", TRUST_ADMIN)]))
        .await
        .ok();
    server.admin(iam("CreateUser", &[("UserName", "ops")])).await.ok();
    let ops = key_of(&server.admin(iam("CreateAccessKey", &[("UserName", "ops")])).await.ok());
    let full = [("UserName", "ops"), ("PolicyArn", "arn:aws:iam::aws:policy/AWSCodeDeployFullAccess")];
    server.admin(iam("AttachUserPolicy", &full)).await.ok();
    let group = |name: &str, role: &str| {
        let body = format!(
            r#"{{"applicationName":"shop","deploymentGroupName":"{name}","serviceRoleArn":"arn:aws:iam::000000000001:role/{role}"}}"#
        );
        codedeploy("CreateDeploymentGroup", &body)
    };
    for role in ["Missing", "Other"] {
        let refused = server.admin(group("g", role)).await;
        assert_eq!(refused.error_type(), "InvalidRoleException", "{role}");
    }
    let refused = server.call(&ops, group("g", "CodeDeployServiceRole")).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    server.admin(group("g", "CodeDeployServiceRole")).await.ok();
    let pass = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::000000000001:role/CodeDeployServiceRole","Condition":{"StringEquals":{"iam:PassedToService":"codedeploy.amazonaws.com"}}}}"#;
    server
        .admin(iam("PutUserPolicy", &[("UserName", "ops"), ("PolicyName", "pass"), ("PolicyDocument", pass)]))
        .await
        .ok();
    server.call(&ops, group("h", "CodeDeployServiceRole")).await.ok();
}

/// D-08, AS-144: the secure command service asks the policies, too.
#[tokio::test]
async fn the_secure_command_service_needs_its_own_actions_d_08() {
    let server = Server::start().await;
    server.admin(iam("CreateUser", &[("UserName", "web-1")])).await.ok();
    let key = key_of(&server.admin(iam("CreateAccessKey", &[("UserName", "web-1")])).await.ok());
    let arn = "arn:aws:iam::000000000001:user/web-1";
    let register = format!(r#"{{"instanceName":"web-1","iamUserArn":"{arn}"}}"#);
    server.admin(codedeploy("RegisterOnPremisesInstance", &register)).await.ok();
    // A poll that need not wait: the hub sends everybody home.
    server.running.control().hub.close();
    let body = format!(r#"{{"HostIdentifier":"{arn}"}}"#);
    let poll =
        || support::json("codedeploy-commands-secure", "CodeDeployCommandService.PollHostCommand", &body);
    let refused = server.call(&key, poll()).await;
    assert_eq!((refused.status, refused.error_type().as_str()), (400, "AccessDeniedException"));
    let allow = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"codedeploy-commands-secure:*","Resource":"*"}}"#;
    server
        .admin(iam(
            "PutUserPolicy",
            &[("UserName", "web-1"), ("PolicyName", "agent"), ("PolicyDocument", allow)],
        ))
        .await
        .ok();
    assert_eq!(server.call(&key, poll()).await.ok().body, "{}");
}
