//! The built-in managed policies. Their documents never change, so each has one version.

use slipway_auth::iam::IamError;
use slipway_auth::managed::{self, ManagedPolicy};
use slipway_wire::query::{Node, QueryError};

use super::call::{Call, encoded};
use super::paging::{self, Page};
use super::refused;

const VERSION: &str = "v1";

pub(super) async fn get(call: &Call<'_>) -> Result<String, QueryError> {
    let policy = authorized(call).await?;
    Ok(call.answer(|result| result.element("Policy", |node| write(node, policy))))
}

pub(super) async fn get_version(call: &Call<'_>) -> Result<String, QueryError> {
    let version = call.required("VersionId")?;
    let policy = authorized(call).await?;
    if version != VERSION {
        let message =
            format!("Policy {} version {version} does not exist or is not attachable.", policy.arn());
        return Err(refused(IamError::NoSuchEntity(message)));
    }
    Ok(call.answer(|result| {
        result.element("PolicyVersion", |node| {
            node.text("Document", &encoded(policy.document));
            node.text("VersionId", VERSION);
            node.boolean("IsDefaultVersion", true);
        });
    }))
}

pub(super) async fn list(call: &Call<'_>) -> Result<String, QueryError> {
    let page = Page::of(call)?;
    let scope = call.form.get("Scope").unwrap_or("All");
    if !["All", "AWS", "Local"].contains(&scope) {
        let rule = "Member must satisfy enum value set: [All, AWS, Local]";
        return Err(QueryError::validation("Scope", Some(scope), rule));
    }
    call.authorize(&format!("arn:aws:iam::{}:policy/", call.account())).await?;
    let prefix = call.form.get("PathPrefix").unwrap_or("/");
    // Only the installation's own policies are local, and it has none.
    let mut policies: Vec<(String, &ManagedPolicy)> = managed::all()
        .iter()
        .filter(|policy| scope != "Local" && policy.path.starts_with(prefix))
        .map(|policy| (policy.arn(), policy))
        .collect();
    policies.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (policies, marker) = page.of_all(policies, |(arn, _)| arn);
    Ok(call.answer(|result| {
        result.list("Policies", policies, |member, (_, policy)| write(member, policy));
        paging::close(result, marker.as_deref());
    }))
}

async fn authorized(call: &Call<'_>) -> Result<&'static ManagedPolicy, QueryError> {
    let arn = call.required("PolicyArn")?;
    call.authorize(arn).await?;
    managed::get(arn).ok_or_else(|| refused(IamError::no_such_policy(arn)))
}

fn write(node: &mut Node<'_>, policy: &ManagedPolicy) {
    node.text("PolicyName", policy.name);
    node.text("Arn", &policy.arn());
    node.text("Path", policy.path);
    node.text("DefaultVersionId", VERSION);
    node.boolean("IsAttachable", true);
}
