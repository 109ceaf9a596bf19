//! ARNs of the resources that we name, and the checks on ARNs that users give.

use crate::ids::Scope;

/// ARN of an application.
pub fn application(scope: &Scope, name: &str) -> String {
    format!("arn:aws:codedeploy:{}:{}:application:{name}", scope.region, scope.account)
}

/// ARN of a deployment group; also the external ID of service-role assumption (D-30).
pub fn deployment_group(scope: &Scope, application: &str, group: &str) -> String {
    format!("arn:aws:codedeploy:{}:{}:deploymentgroup:{application}/{group}", scope.region, scope.account)
}

/// ARN of a deployment configuration.
pub fn deployment_config(scope: &Scope, name: &str) -> String {
    format!("arn:aws:codedeploy:{}:{}:deploymentconfig:{name}", scope.region, scope.account)
}

/// ARN of a deployment, with the `/` before the id that agents look for (AP-12).
pub fn deployment(scope: &Scope, id: &crate::DeploymentId) -> String {
    format!("arn:aws:codedeploy:{}:{}:deployment/{id}", scope.region, scope.account)
}

/// ARN of a registration of an on-premises instance; `suffix` makes it unique per registration (AG-205).
pub fn instance(scope: &Scope, name: &str, suffix: &str) -> String {
    format!("arn:aws:codedeploy:{}:{}:instance/{name}_{suffix}", scope.region, scope.account)
}

/// Account and user path+name of `arn:aws:iam::<12 digits>:user/<path/name>` (AG-165), or `None`.
pub fn parse_iam_user(arn: &str) -> Option<(&str, &str)> {
    let (account, rest) = split_account(arn.strip_prefix("arn:aws:iam::")?)?;
    let user = rest.strip_prefix("user/")?;
    let valid = !user.is_empty()
        && !user.starts_with('/')
        && !user.ends_with('/')
        && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+=,.@_-".contains(&b));
    valid.then_some((account, user))
}

/// Account, role name and session name of
/// `arn:aws:sts::<12 digits>:assumed-role/<role>/<session>` (AG-165), or `None`.
pub fn parse_assumed_role(arn: &str) -> Option<(&str, &str, &str)> {
    let (account, rest) = split_account(arn.strip_prefix("arn:aws:sts::")?)?;
    let (role, session) = rest.strip_prefix("assumed-role/")?.split_once('/')?;
    let word =
        |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
    (word(role) && word(session) && (2..=64).contains(&session.len())).then_some((account, role, session))
}

/// Account and path+name of `arn:aws:iam::<12 digits>:role/<path/name>`, or `None`.
pub fn parse_iam_role(arn: &str) -> Option<(&str, &str)> {
    let (account, rest) = split_account(arn.strip_prefix("arn:aws:iam::")?)?;
    let role = rest.strip_prefix("role/")?;
    (!role.is_empty() && !role.ends_with('/')).then_some((account, role))
}

fn split_account(rest: &str) -> Option<(&str, &str)> {
    let (account, rest) = rest.split_once(':')?;
    (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())).then_some((account, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_registration_arns_are_refused_ag_165() {
        assert_eq!(
            parse_iam_user("arn:aws:iam::444455556666:user/AWS/CodeDeploy/AssetTag1"),
            Some(("444455556666", "AWS/CodeDeploy/AssetTag1"))
        );
        for bad in [
            "arn:aws:iam::44445555666:user/x",
            "arn:aws:iam::444455556666:role/x",
            "arn:sts:iam::444455556666:user/x",
            "arn:aws:iam::444455556666:user/",
        ] {
            assert_eq!(parse_iam_user(bad), None, "{bad}");
        }
        assert_eq!(
            parse_assumed_role("arn:aws:sts::444455556666:assumed-role/CodeDeployInstanceRole/web2"),
            Some(("444455556666", "CodeDeployInstanceRole", "web2"))
        );
        assert_eq!(parse_assumed_role("arn:sts:iam::444455556666:assumed-role/r/s1"), None);
        assert_eq!(parse_assumed_role("arn:aws:sts::444455556666:assumed-role/r"), None);
    }
}
