//! Groups, customer-managed policies, instance profiles, boundaries and sessions with tags (DP-603, DP-615, DP-632,
//! DP-661).

mod support;

use support::{Answer, Key, Server, codedeploy, iam, key_of, sts};

const LIST: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"codedeploy:List*","Resource":"*"}}"#;
const GET: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"codedeploy:Get*","Resource":"*"}}"#;
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"000000000001"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}}"#;

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.xml("Code"))
}

fn code(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// A user with a key and nothing else.
async fn user(server: &Server, name: &str) -> Key {
    server.admin(iam("CreateUser", &[("UserName", name)])).await.ok();
    key_of(&server.admin(iam("CreateAccessKey", &[("UserName", name)])).await.ok())
}

async fn may_list(server: &Server, key: &Key) -> bool {
    server.call(key, codedeploy("ListApplications", "{}")).await.status == 200
}

#[tokio::test]
async fn policies_of_a_group_count_for_its_users_at_once() {
    let server = Server::start().await;
    let bob = user(&server, "Bob").await;
    server.admin(iam("CreateGroup", &[("GroupName", "Ops"), ("Path", "/team/")])).await.ok();
    let policy = [("GroupName", "Ops"), ("PolicyName", "p"), ("PolicyDocument", LIST)];
    server.admin(iam("PutGroupPolicy", &policy)).await.ok();
    assert!(!may_list(&server, &bob).await);
    let member = [("GroupName", "OPS"), ("UserName", "bob")];
    server.admin(iam("AddUserToGroup", &member)).await.ok();
    server.admin(iam("AddUserToGroup", &member)).await.ok();
    assert!(may_list(&server, &bob).await);
    let group = server.admin(iam("GetGroup", &member[..1])).await.ok();
    assert_eq!(
        (group.xml("Arn"), group.xml("UserName")),
        ("arn:aws:iam::000000000001:group/team/Ops".into(), "Bob".into())
    );
    assert_eq!(server.admin(iam("ListGroupsForUser", &member[1..])).await.ok().xml("GroupName"), "Ops");

    for (action, name) in [("DeleteGroup", member[0]), ("DeleteUser", member[1])] {
        assert_eq!(refusal(&server.admin(iam(action, &[name])).await), code(409, "DeleteConflict"));
    }
    server.admin(iam("UpdateGroup", &[("GroupName", "ops"), ("NewGroupName", "Core")])).await.ok();
    assert!(may_list(&server, &bob).await, "a renamed group keeps its users and policies");
    let renamed = [("GroupName", "Core"), ("UserName", "Bob")];
    server.admin(iam("UpdateUser", &[("UserName", "Bob"), ("NewUserName", "Robert")])).await.ok();
    assert!(may_list(&server, &bob).await, "a renamed user keeps keys and groups");
    assert_eq!(refusal(&server.admin(iam("RemoveUserFromGroup", &renamed)).await), code(404, "NoSuchEntity"));
    server.admin(iam("RemoveUserFromGroup", &[renamed[0], ("UserName", "Robert")])).await.ok();
    assert!(!may_list(&server, &bob).await);
    assert_eq!(refusal(&server.admin(iam("DeleteGroup", &renamed[..1])).await), code(409, "DeleteConflict"));
    server.admin(iam("DeleteGroupPolicy", &[renamed[0], ("PolicyName", "p")])).await.ok();
    server.admin(iam("DeleteGroup", &renamed[..1])).await.ok();
    assert_eq!(refusal(&server.admin(iam("GetGroup", &renamed[..1])).await), code(404, "NoSuchEntity"));
}

#[tokio::test]
async fn the_default_version_of_a_managed_policy_counts_at_once() {
    let server = Server::start().await;
    let bob = user(&server, "bob").await;
    let create =
        [("PolicyName", "Deploy"), ("Path", "/team/"), ("PolicyDocument", GET), ("Description", "d")];
    let made = server.admin(iam("CreatePolicy", &create)).await.ok();
    let arn = made.xml("Arn");
    assert_eq!(arn, "arn:aws:iam::000000000001:policy/team/Deploy");
    assert_eq!(refusal(&server.admin(iam("CreatePolicy", &create)).await), code(409, "EntityAlreadyExists"));
    let policy = ("PolicyArn", arn.as_str());
    server.admin(iam("AttachUserPolicy", &[("UserName", "bob"), policy])).await.ok();
    assert!(!may_list(&server, &bob).await);
    let version = [policy, ("PolicyDocument", LIST), ("SetAsDefault", "true")];
    assert_eq!(server.admin(iam("CreatePolicyVersion", &version)).await.ok().xml("VersionId"), "v2");
    assert!(may_list(&server, &bob).await);
    server.admin(iam("SetDefaultPolicyVersion", &[policy, ("VersionId", "v1")])).await.ok();
    assert!(!may_list(&server, &bob).await);

    for _ in 0..3 {
        server.admin(iam("CreatePolicyVersion", &version[..2])).await.ok();
    }
    assert_eq!(
        refusal(&server.admin(iam("CreatePolicyVersion", &version)).await),
        code(409, "LimitExceeded")
    );
    let default = [policy, ("VersionId", "v1")];
    assert_eq!(
        refusal(&server.admin(iam("DeletePolicyVersion", &default)).await),
        code(409, "DeleteConflict")
    );
    let shown = server.admin(iam("GetPolicy", &[policy])).await.ok();
    assert_eq!((shown.xml("AttachmentCount"), shown.xml("Description")), ("1".into(), "d".into()));
    assert_eq!(server.admin(iam("ListEntitiesForPolicy", &[policy])).await.ok().xml("UserName"), "bob");
    assert_eq!(refusal(&server.admin(iam("DeletePolicy", &[policy])).await), code(409, "DeleteConflict"));
    server.admin(iam("DetachUserPolicy", &[("UserName", "bob"), policy])).await.ok();
    assert_eq!(
        refusal(&server.admin(iam("DeletePolicy", &[policy])).await),
        code(409, "DeleteConflict"),
        "versions"
    );
    for version in ["v2", "v3", "v4", "v5"] {
        server.admin(iam("DeletePolicyVersion", &[policy, ("VersionId", version)])).await.ok();
    }
    server.admin(iam("DeletePolicy", &[policy])).await.ok();
    for (action, parameters) in [
        ("GetPolicy", vec![policy]),
        ("GetPolicyVersion", vec![policy, ("VersionId", "v1")]),
        ("AttachUserPolicy", vec![("UserName", "bob"), policy]),
        ("GetPolicy", vec![("PolicyArn", "arn:aws:iam::111122223333:policy/Foreign")]),
    ] {
        assert_eq!(
            refusal(&server.admin(iam(action, &parameters)).await),
            code(404, "NoSuchEntity"),
            "{action}"
        );
    }
}

#[tokio::test]
async fn attaching_and_deleting_a_policy_at_once_never_leaves_a_dangling_one() {
    let server = Server::start().await;
    for round in 0..8 {
        let name = format!("P{round}");
        let user_name = format!("u{round}");
        server.admin(iam("CreateUser", &[("UserName", &user_name)])).await.ok();
        let arn = server
            .admin(iam("CreatePolicy", &[("PolicyName", &name), ("PolicyDocument", GET)]))
            .await
            .ok()
            .xml("Arn");
        let policy = ("PolicyArn", arn.as_str());
        let (attach, delete) = futures::join!(
            server.admin(iam("AttachUserPolicy", &[("UserName", &user_name), policy])),
            server.admin(iam("DeletePolicy", &[policy])),
        );
        assert_ne!(attach.status == 200, delete.status == 200, "{attach:?} {delete:?}");
    }
}

#[tokio::test]
async fn a_boundary_of_ones_own_caps_what_is_granted_dp_615() {
    let server = Server::start().await;
    let bob = user(&server, "bob").await;
    let full = [("UserName", "bob"), ("PolicyArn", "arn:aws:iam::aws:policy/AWSCodeDeployFullAccess")];
    server.admin(iam("AttachUserPolicy", &full)).await.ok();
    let arn = server
        .admin(iam("CreatePolicy", &[("PolicyName", "Cap"), ("PolicyDocument", GET)]))
        .await
        .ok()
        .xml("Arn");
    let set = [("UserName", "bob"), ("PermissionsBoundary", arn.as_str())];
    assert!(may_list(&server, &bob).await);
    server.admin(iam("PutUserPermissionsBoundary", &set)).await.ok();
    assert!(!may_list(&server, &bob).await);
    let policy = [("PolicyArn", arn.as_str())];
    let shown = server.admin(iam("GetPolicy", &policy)).await.ok();
    assert_eq!(shown.xml("PermissionsBoundaryUsageCount"), "1");
    assert_eq!(refusal(&server.admin(iam("DeletePolicy", &policy)).await), code(409, "DeleteConflict"));
    server.admin(iam("DeleteUserPermissionsBoundary", &set[..1])).await.ok();
    assert!(may_list(&server, &bob).await);
    let again = server.admin(iam("DeleteUserPermissionsBoundary", &set[..1])).await;
    assert_eq!(refusal(&again), code(404, "NoSuchEntity"));
    server.admin(iam("DeletePolicy", &policy)).await.ok();
}

#[tokio::test]
async fn an_instance_profile_holds_one_role_which_then_stays_dp_632() {
    let server = Server::start().await;
    let role = ("RoleName", "Hosts");
    let profile = ("InstanceProfileName", "Hosts");
    server.admin(iam("CreateRole", &[role, ("AssumeRolePolicyDocument", TRUST)])).await.ok();
    server.admin(iam("CreateInstanceProfile", &[profile])).await.ok();
    server.admin(iam("AddRoleToInstanceProfile", &[profile, role])).await.ok();
    let again = server.admin(iam("AddRoleToInstanceProfile", &[profile, role])).await;
    assert_eq!(refusal(&again), code(409, "LimitExceeded"));
    let shown = server.admin(iam("GetInstanceProfile", &[profile])).await.ok();
    assert_eq!(shown.xml("RoleName"), "Hosts");
    let listed = server.admin(iam("ListInstanceProfilesForRole", &[role])).await.ok();
    assert_eq!(listed.xml("InstanceProfileName"), "Hosts");
    assert_eq!(refusal(&server.admin(iam("DeleteRole", &[role])).await), code(409, "DeleteConflict"));
    let delete = || server.admin(iam("DeleteInstanceProfile", &[profile]));
    assert_eq!(refusal(&delete().await), code(409, "DeleteConflict"));
    server.admin(iam("RemoveRoleFromInstanceProfile", &[profile, role])).await.ok();
    delete().await.ok();
    server.admin(iam("DeleteRole", &[role])).await.ok();
    assert_eq!(refusal(&delete().await), code(404, "NoSuchEntity"));
}

#[tokio::test]
async fn nobody_makes_the_role_that_ec2_hosts_are_sessions_of_d_31() {
    let server = Server::start().await;
    let role = [("RoleName", "SlipwayHost"), ("AssumeRolePolicyDocument", TRUST)];
    assert_eq!(refusal(&server.admin(iam("CreateRole", &role)).await), code(400, "InvalidInput"));
}

#[tokio::test]
async fn tags_of_role_and_session_decide_and_transitive_ones_go_along() {
    let server = Server::start().await;
    let tagged = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"codedeploy:List*","Resource":"*",
         "Condition":{"StringEquals":{"aws:PrincipalTag/team":"web","aws:PrincipalTag/stage":"test"}}},
        {"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Resource":"*"}]}"#;
    let mut arns = Vec::new();
    for name in ["One", "Two"] {
        let role = [
            ("RoleName", name),
            ("AssumeRolePolicyDocument", TRUST),
            ("Tags.member.1.Key", "stage"),
            ("Tags.member.1.Value", "test"),
        ];
        arns.push(server.admin(iam("CreateRole", &role)).await.ok().xml("Arn"));
        let policy = [("RoleName", name), ("PolicyName", "p"), ("PolicyDocument", tagged)];
        server.admin(iam("PutRolePolicy", &policy)).await.ok();
    }
    let plain = [("RoleArn", arns[0].as_str()), ("RoleSessionName", "s1")];
    let untagged = key_of(&server.admin(sts("AssumeRole", &plain)).await.ok());
    assert!(!may_list(&server, &untagged).await);
    let with_tag = [
        plain[0],
        plain[1],
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "web"),
        ("TransitiveTagKeys.member.1", "team"),
        ("SourceIdentity", "bob"),
    ];
    let session = key_of(&server.admin(sts("AssumeRole", &with_tag)).await.ok());
    assert!(may_list(&server, &session).await);

    let chain = [("RoleArn", arns[1].as_str()), ("RoleSessionName", "s2")];
    let chained = server.call(&session, sts("AssumeRole", &chain)).await.ok();
    assert_eq!(chained.xml("SourceIdentity"), "bob");
    assert!(may_list(&server, &key_of(&chained)).await, "the transitive tag went along");
    for changed in [("Tags.member.1.Key", "TEAM"), ("SourceIdentity", "eve")] {
        let parameters =
            [chain[0], chain[1], changed, ("Tags.member.1.Value", "x"), ("Tags.member.1.Key", "TEAM")];
        let parameters = if changed.0 == "SourceIdentity" { &parameters[..3] } else { &parameters[..4] };
        assert_eq!(
            refusal(&server.call(&session, sts("AssumeRole", parameters)).await),
            code(403, "AccessDenied")
        );
    }
    let longer = [chain[0], chain[1], ("DurationSeconds", "3601")];
    assert_eq!(
        refusal(&server.call(&session, sts("AssumeRole", &longer)).await),
        code(400, "ValidationError")
    );
}

#[tokio::test]
async fn session_tags_need_the_trust_of_the_role() {
    let server = Server::start().await;
    let trust = TRUST.replace(r#","sts:TagSession","sts:SetSourceIdentity""#, "");
    let arn = server
        .admin(iam("CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trust)]))
        .await
        .ok()
        .xml("Arn");
    let plain = [("RoleArn", arn.as_str()), ("RoleSessionName", "s1")];
    server.admin(sts("AssumeRole", &plain)).await.ok();
    let tags = [plain[0], plain[1], ("Tags.member.1.Key", "a"), ("Tags.member.1.Value", "b")];
    let identity = [plain[0], plain[1], ("SourceIdentity", "bob")];
    for parameters in [&tags[..], &identity[..]] {
        let refused = server.admin(sts("AssumeRole", parameters)).await;
        assert_eq!(refusal(&refused), code(403, "AccessDenied"), "{parameters:?}");
    }
}

/// What "revoke active sessions" of AWS's console puts into a role.
#[tokio::test]
async fn sessions_of_before_a_moment_can_be_cut_off() {
    let server = Server::start().await;
    let role = [("RoleName", "R"), ("AssumeRolePolicyDocument", TRUST)];
    let arn = server.admin(iam("CreateRole", &role)).await.ok().xml("Arn");
    let allow = [role[0], ("PolicyName", "p"), ("PolicyDocument", LIST)];
    server.admin(iam("PutRolePolicy", &allow)).await.ok();
    let assume = [("RoleArn", arn.as_str()), ("RoleSessionName", "s1")];
    let before = key_of(&server.admin(sts("AssumeRole", &assume)).await.ok());
    server.clock.advance_millis(60_000);
    let moment = support::START.0 / 1000 + 30;
    let deny = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Deny","Action":"*","Resource":"*","Condition":{{"DateLessThan":{{"aws:TokenIssueTime":"{moment}"}}}}}}}}"#
    );
    let revoke = [role[0], ("PolicyName", "AWSRevokeOlderSessions"), ("PolicyDocument", &deny)];
    assert!(may_list(&server, &before).await);
    server.admin(iam("PutRolePolicy", &revoke)).await.ok();
    assert!(!may_list(&server, &before).await);
    let after = key_of(&server.admin(sts("AssumeRole", &assume)).await.ok());
    assert!(may_list(&server, &after).await);
}

#[tokio::test]
async fn a_deleted_session_policy_denies_everything() {
    let server = Server::start().await;
    let role = [("RoleName", "R"), ("AssumeRolePolicyDocument", TRUST)];
    let role_arn = server.admin(iam("CreateRole", &role)).await.ok().xml("Arn");
    let policy = [role[0], ("PolicyName", "p"), ("PolicyDocument", LIST)];
    server.admin(iam("PutRolePolicy", &policy)).await.ok();
    let narrow = server
        .admin(iam("CreatePolicy", &[("PolicyName", "N"), ("PolicyDocument", LIST)]))
        .await
        .ok()
        .xml("Arn");
    let assume = [
        ("RoleArn", role_arn.as_str()),
        ("RoleSessionName", "s1"),
        ("PolicyArns.member.1.arn", narrow.as_str()),
    ];
    let session = key_of(&server.admin(sts("AssumeRole", &assume)).await.ok());
    assert!(may_list(&server, &session).await);
    server.admin(iam("DeletePolicy", &[("PolicyArn", &narrow)])).await.ok();
    assert!(!may_list(&server, &session).await);
    assert_eq!(refusal(&server.admin(sts("AssumeRole", &assume)).await), code(404, "NoSuchEntity"));
}

#[tokio::test]
async fn a_key_tells_its_account_and_when_it_was_used() {
    let server = Server::start().await;
    let bob = user(&server, "bob").await;
    let id = ("AccessKeyId", bob.id.as_str());
    assert_eq!(server.admin(iam("GetAccessKeyLastUsed", &[id])).await.ok().xml("ServiceName"), "N/A");
    server.call(&bob, sts("GetCallerIdentity", &[])).await.ok();
    let used = server.admin(iam("GetAccessKeyLastUsed", &[id])).await.ok();
    assert_eq!((used.xml("UserName"), used.xml("ServiceName")), ("bob".into(), "sts".into()));
    assert_eq!(server.admin(sts("GetAccessKeyInfo", &[id])).await.ok().xml("Account"), "000000000001");
    let session = key_of(&server.call(&bob, sts("GetSessionToken", &[])).await.ok());
    let of_session = [("AccessKeyId", session.id.as_str())];
    assert_eq!(server.admin(sts("GetAccessKeyInfo", &of_session)).await.ok().xml("Account"), "000000000001");
    let server = server.restart().await;
    let used = server.admin(iam("GetAccessKeyLastUsed", &[id])).await.ok();
    assert_eq!(used.xml("ServiceName"), "sts", "a graceful stop writes it");
}

#[tokio::test]
async fn a_service_role_may_be_for_one_application_only_dp_633() {
    let server = Server::start().await;
    for name in ["shop", "other"] {
        let body = format!(r#"{{"applicationName":"{name}"}}"#);
        server.admin(codedeploy("CreateApplication", &body)).await.ok();
    }
    let trust = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"codedeploy.amazonaws.com"},
        "Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"000000000001"},
        "StringLike":{"aws:SourceArn":"arn:aws:codedeploy:us-east-1:000000000001:deploymentgroup:shop/*"}}}}"#;
    let arn = server
        .admin(iam("CreateRole", &[("RoleName", "Shop"), ("AssumeRolePolicyDocument", trust)]))
        .await
        .ok()
        .xml("Arn");
    let group = |application: &str| {
        let body = format!(
            r#"{{"applicationName":"{application}","deploymentGroupName":"g","serviceRoleArn":"{arn}"}}"#
        );
        codedeploy("CreateDeploymentGroup", &body)
    };
    server.admin(group("shop")).await.ok();
    assert_eq!(server.admin(group("other")).await.error_type(), "InvalidRoleException");
}

#[tokio::test]
async fn everything_about_the_account_is_told_at_once() {
    let server = Server::start().await;
    user(&server, "bob").await;
    server.admin(iam("CreateGroup", &[("GroupName", "Ops")])).await.ok();
    server.admin(iam("CreatePolicy", &[("PolicyName", "P"), ("PolicyDocument", GET)])).await.ok();
    let all = server.admin(iam("GetAccountAuthorizationDetails", &[("MaxItems", "1000")])).await.ok();
    for part in
        ["<UserName>bob<", "<GroupName>Ops<", "CodeDeployServiceRole", "AWSCodeDeployRole", "policy/P<"]
    {
        assert!(all.body.contains(part), "{part}");
    }
    let own = server
        .admin(iam("GetAccountAuthorizationDetails", &[("Filter.member.1", "LocalManagedPolicy")]))
        .await
        .ok();
    assert!(own.body.contains("policy/P<") && !own.body.contains("bob"));
}
