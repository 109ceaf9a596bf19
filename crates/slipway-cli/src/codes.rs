//! What `slipway explain` knows: one paragraph for each code.

/// Code and paragraph, by the place where a user meets the code.
const CODES: &[(&str, &str)] = &[
    // Deployments: `errorInformation` of GetDeployment (AS-214).
    (
        "AGENT_ISSUE",
        "The agent on a host cannot be used for this deployment, for example because it is too old for what the deployment asks. Look at the agent's log on the host that the message names, and bring the agent up to date.",
    ),
    (
        "ALARM_ACTIVE",
        "An alarm of the deployment group was activated, so the deployment was stopped. The message names the alarms. Hosts that had not begun were skipped. See what the alarm is about; to deploy although it is active, create the deployment with `--override-alarm-configuration enabled=false`.",
    ),
    (
        "APPLICATION_MISSING",
        "The application was deleted between the creation of the deployment and its start. Create the application and its deployment group again, then deploy.",
    ),
    (
        "DEPLOYMENT_GROUP_MISSING",
        "The deployment group was deleted between the creation of the deployment and its start. Create the group again, then deploy.",
    ),
    (
        "HEALTH_CONSTRAINTS",
        "Too many hosts have failed: the deployment configuration demands a minimum number of healthy hosts, and it can no longer be kept, so the deployment ended and hosts that had not begun were skipped. Look at the first host that failed (`slipway deploy watch ID`): its failed lifecycle event names the script, the message and the end of the log. Hosts that failed without any event never answered; see whether their agents run.",
    ),
    (
        "HEALTH_CONSTRAINTS_INVALID",
        "The deployment could not start: the deployment configuration demands more healthy hosts than would be left while the first hosts are being deployed to. A group of one host, for example, cannot keep half of its hosts healthy. Add hosts, or choose a configuration with a lower minimum, such as CodeDeployDefault.AllAtOnce.",
    ),
    (
        "IAM_ROLE_MISSING",
        "The service role of the deployment group does not exist any more. Create it again, or give the group another role. The control plane makes the role CodeDeployServiceRole on its first start.",
    ),
    (
        "IAM_ROLE_PERMISSIONS",
        "The service role of the deployment group may not do what the deployment needs. Attach the managed policy AWSCodeDeployRole to it, and see that its trust policy names codedeploy.amazonaws.com.",
    ),
    (
        "INTERNAL_ERROR",
        "The control plane has failed, not your deployment. Deploy again. If it happens again, the control plane's log says more: look for the deployment's id.",
    ),
    (
        "INVALID_REVISION",
        "The revision cannot be used: the location does not fit the compute platform, or the bundle is not what its type says. Push it again with `slipway deploy push`, which checks it first.",
    ),
    (
        "MANUAL_STOP",
        "Somebody has stopped the deployment, with StopDeployment or `slipway deploy stop`. Hosts that had not begun were skipped; a script that was running was not interrupted.",
    ),
    (
        "NO_INSTANCES",
        "The deployment group selects no host. Compare the group's tag filters with the tags of your hosts (`aws deploy list-on-premises-instances`, `aws deploy get-on-premises-instance`): keys and values must match exactly, and the hosts must be registered.",
    ),
    (
        "OVER_MAX_INSTANCES",
        "The deployment group selects more hosts than one deployment may have. Narrow its tag filters, or raise the quota in the configuration of the control plane (`slipway server --help` lists the quotas).",
    ),
    (
        "REVISION_MISSING",
        "The revision is not where the deployment looks for it: the object was deleted from its bucket or replaced, so that the ETag or the version does not match. Push it again and deploy what the push prints.",
    ),
    (
        "TIMEOUT",
        "The deployment, or one of its lifecycle events, took longer than it may: an hour for an event unless its scripts say less, and a limit on the whole deployment. A script that waits for something that never comes is the usual cause. A host whose agent does not take up its first event within five minutes fails, too.",
    ),
    // Lifecycle events: `diagnostics` of a target (AS-215).
    (
        "Success",
        "The lifecycle event did not fail. Diagnostics with this code only carry the end of the log.",
    ),
    (
        "ScriptMissing",
        "The AppSpec file names a script that the bundle does not have. `location` is a path from the root of the bundle; names are compared letter by letter, and upper and lower case differ. `slipway deploy validate` finds this before the deployment.",
    ),
    (
        "ScriptNotExecutable",
        "The script is not executable and could not be made so, or the system cannot run it. See that the first line names an interpreter that the host has (`#!/bin/sh`), and that the file has no Windows line ends and no byte order mark.",
    ),
    (
        "ScriptTimedOut",
        "The script ran longer than the `timeout` that the AppSpec file gives it (an hour if it gives none) and was ended, with everything that it had started. A script that starts a server must let go of it: start it in the background, with its input and outputs redirected.",
    ),
    (
        "ScriptFailed",
        "The script ended with an exit code other than 0, or a program that it started kept its outputs open. The end of its log is in the diagnostics; all of it is on the host in <root_dir>/<group id>/<deployment id>/logs/scripts.log. A server that is started in the background needs its outputs redirected: `setsid server </dev/null >>log 2>&1 &`.",
    ),
    (
        "UnknownError",
        "The lifecycle event failed outside of any script: the download or the unpacking of the bundle, the AppSpec file, the copying of files, a full disk, or an agent that was killed in mid-event. The message says which; the agent's log on the host says more.",
    ),
    // APIs: errors whose message alone does not always help.
    (
        "AccessDeniedException",
        "The caller's policies do not allow the operation, or one of them denies it; a deny always wins. The message names the operation and the resource. Attach a policy that allows it, such as AWSCodeDeployDeployerAccess or AWSCodeDeployFullAccess.",
    ),
    (
        "ApplicationAlreadyExistsException",
        "There is an application of this name in this account and region. Use it, or choose another name.",
    ),
    (
        "ApplicationDoesNotExistException",
        "There is no application of this name in this account and region. Names are case-sensitive, and every region has its own applications: compare the region that you call with the one where you created it.",
    ),
    ("BucketNameFilterRequiredException", "A filter by key prefix needs the bucket, too: give both."),
    (
        "DeploymentAlreadyCompletedException",
        "The deployment has ended, so it can neither be stopped nor continued. Deploy again instead.",
    ),
    (
        "DeploymentConfigDoesNotExistException",
        "There is no deployment configuration of this name. The predefined ones begin with `CodeDeployDefault.`; `aws deploy list-deployment-configs` lists all.",
    ),
    (
        "DeploymentDoesNotExistException",
        "There is no deployment of this id in this account and region, or its application has been deleted together with its deployments.",
    ),
    (
        "DeploymentGroupDoesNotExistException",
        "There is no deployment group of this name in the application. `aws deploy list-deployment-groups` lists those that exist.",
    ),
    (
        "DeploymentLimitExceededException",
        "A deployment to this group is going on already, or the account has as many at a time as it may. Wait for it (`slipway deploy watch ID`) or stop it (`slipway deploy stop ID`).",
    ),
    (
        "DeploymentNotStartedException",
        "The deployment waits to start, so it has no targets yet. Ask again in a moment.",
    ),
    (
        "ExpiredTokenException",
        "The session token is out of date. Assume the role again; an agent reads its credentials file again by itself once it has been refreshed.",
    ),
    (
        "IamUserArnAlreadyRegisteredException",
        "Another on-premises host is registered under this IAM user. Every host needs a user of its own.",
    ),
    (
        "IncompleteSignatureException",
        "The request is signed only in part: a header of Signature Version 4 is missing or malformed. A proxy between client and control plane may have changed it.",
    ),
    (
        "InstanceNameAlreadyRegisteredException",
        "A host of this name is registered. Deregister it first (`slipway host deregister NAME`), or choose another name.",
    ),
    (
        "InstanceNotRegisteredException",
        "No on-premises host of this name is registered in this account and region. `aws deploy list-on-premises-instances` lists those that are.",
    ),
    (
        "InvalidRoleException",
        "The service role cannot be used: it does not exist, its trust policy does not let codedeploy.amazonaws.com assume it, or the caller may not pass it (iam:PassRole). The control plane makes arn:aws:iam::ACCOUNT:role/CodeDeployServiceRole on its first start, which fits.",
    ),
    (
        "InvalidSignatureException",
        "The signature does not match: the secret key is wrong, the clocks of client and control plane differ by more than 15 minutes, or a proxy has changed the request. `. DIR/env` sets the right key; `date` on both machines tells about the clocks.",
    ),
    (
        "MissingAuthenticationTokenException",
        "The request is not signed. Every call needs credentials; `. DIR/env` sets those of the administrator.",
    ),
    (
        "OperationNotSupportedException",
        "This control plane knows the operation but does not carry it out, or not for this kind of resource. The message says which.",
    ),
    (
        "RequestEntityTooLarge",
        "The request is larger than 1 MiB, which no call of this API needs. Bundles go to S3, not into a call.",
    ),
    (
        "RevisionDoesNotExistException",
        "The revision is not registered with the application. `slipway deploy push` registers what it uploads; `aws deploy register-application-revision` registers what lies in S3 already.",
    ),
    (
        "SerializationException",
        "The body of the request is not valid JSON, or a member has the wrong type. The message names the member, the line and the column.",
    ),
    (
        "ServiceUnavailable",
        "The control plane is starting, stopping or overloaded. Clients call again by themselves.",
    ),
    (
        "TagLimitExceededException",
        "A host may have ten tags at most. Remove one with `aws deploy remove-tags-from-on-premises-instances`.",
    ),
    (
        "ThrottlingException",
        "Too many calls in too short a time. Clients call again by themselves, more slowly.",
    ),
    (
        "UnknownOperationException",
        "The control plane does not know the operation, or the request is signed for another service than the operation belongs to. Look at the endpoint and at the version of the client.",
    ),
    (
        "UnrecognizedClientException",
        "The access key is not known: it was deleted, it is of another control plane, or it is a real AWS key. `. DIR/env` sets the right one.",
    ),
    // IAM and STS.
    (
        "AccessDenied",
        "The caller's policies do not allow the IAM, STS or S3 call, or one of them denies it; a deny always wins.",
    ),
    (
        "EntityAlreadyExists",
        "There is an IAM user, role or policy of this name. `slipway host register` makes a user of the host's name: deregister the old host first, which deletes its user, or name an existing user with --iam-user-arn.",
    ),
    (
        "InvalidClientTokenId",
        "The access key is not known: it was deleted, it is of another control plane, or it is a real AWS key. `. DIR/env` sets the right one.",
    ),
    ("NoSuchEntity", "There is no IAM user, role, policy or access key of this name."),
    (
        "SignatureDoesNotMatch",
        "The signature does not match: the secret key is wrong, or a proxy has changed the request. `. DIR/env` sets the right key.",
    ),
    // S3.
    ("BucketAlreadyOwnedByYou", "The bucket exists and is yours. Use it."),
    ("NoSuchBucket", "There is no bucket of this name. Make it with `aws s3 mb s3://BUCKET`."),
    ("NoSuchKey", "There is no object under this key. `aws s3 ls s3://BUCKET/` lists those that exist."),
];

/// A code, as it is written, and its paragraph. Case does not matter in the question.
pub(crate) fn explain(code: &str) -> Option<(&'static str, &'static str)> {
    CODES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code)).copied()
}

/// All codes.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    CODES.iter().map(|(code, _)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_model::status::ErrorCode;
    use slipway_wire::codedeploy::LifecycleErrorCode;

    /// The number of each code; a new one does not compile before it has one.
    fn place(code: ErrorCode) -> usize {
        use ErrorCode as C;
        match code {
            C::AgentIssue => 0,
            C::ApplicationMissing => 1,
            C::DeploymentGroupMissing => 2,
            C::HealthConstraints => 3,
            C::HealthConstraintsInvalid => 4,
            C::IamRoleMissing => 5,
            C::IamRolePermissions => 6,
            C::InternalError => 7,
            C::InvalidRevision => 8,
            C::ManualStop => 9,
            C::NoInstances => 10,
            C::OverMaxInstances => 11,
            C::RevisionMissing => 12,
            C::Timeout => 13,
            C::AlarmActive => 14,
        }
    }

    #[test]
    fn every_code_that_a_deployment_can_end_with_is_explained() {
        use ErrorCode as C;
        let all = [
            C::AgentIssue,
            C::ApplicationMissing,
            C::DeploymentGroupMissing,
            C::HealthConstraints,
            C::HealthConstraintsInvalid,
            C::IamRoleMissing,
            C::IamRolePermissions,
            C::InternalError,
            C::InvalidRevision,
            C::ManualStop,
            C::NoInstances,
            C::OverMaxInstances,
            C::RevisionMissing,
            C::Timeout,
            C::AlarmActive,
        ];
        for (at, code) in all.into_iter().enumerate() {
            assert_eq!(place(code), at);
            assert!(explain(code.as_str()).is_some(), "{}", code.as_str());
        }
        for code in LifecycleErrorCode::ALL {
            assert!(explain(code.as_str()).is_some(), "{code}");
        }
    }

    #[test]
    fn codes_are_unique_and_paragraphs_are_sentences() {
        let mut seen = std::collections::BTreeSet::new();
        for (code, text) in CODES {
            assert!(seen.insert(code.to_lowercase()), "{code}");
            assert!(text.ends_with('.') && !text.contains("  "), "{code}");
        }
    }
}
