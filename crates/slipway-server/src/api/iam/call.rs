//! One call of IAM.

use slipway_model::AccountId;
use slipway_store::{ChangeSet, CommitError, Store};
use slipway_wire::query::{self, Form, IAM_NAMESPACE, Node, QueryError};

use crate::access::RequestContext;

/// How often a change is decided again because someone else changed the same record in between.
pub(super) const ATTEMPTS: usize = 16;

/// Parameters, caller and action of a call.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) context: &'a RequestContext,
    pub(super) form: &'a Form,
    pub(super) action: &'static str,
}

impl<'a> Call<'a> {
    pub(super) fn store(&self) -> &'a dyn Store {
        self.context.control.store.as_ref()
    }

    pub(super) fn account(&self) -> &'a AccountId {
        &self.context.caller.scope.account
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.context.control.clock.now().0
    }

    /// Whether the caller may do this to `resource`.
    pub(super) async fn authorize(&self, resource: &str) -> Result<(), QueryError> {
        self.authorize_with(resource, &[]).await
    }

    /// [`Call::authorize`] with condition keys of IAM.
    pub(super) async fn authorize_with(
        &self,
        resource: &str,
        keys: &[(String, String)],
    ) -> Result<(), QueryError> {
        let keys: Vec<_> = keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Ok(self.context.authorize_with(&format!("iam:{}", self.action), resource, &keys).await?)
    }

    /// A parameter that must be there.
    pub(super) fn required(&self, name: &'static str) -> Result<&'a str, QueryError> {
        self.form.required(name)
    }

    /// Writes a change and makes it count at once, for this caller and all others.
    pub(super) async fn commit(&self, change: ChangeSet, resource: &str) -> Result<(), CommitError> {
        let outcome = self.store().commit(change).await;
        // After an error, too: one that leaves the outcome open may have changed something.
        self.context.control.identities.forget();
        if outcome.is_ok() {
            tracing::info!(
                target: "audit",
                caller = self.context.caller.principal.arn,
                action = self.action,
                resource,
                "changed"
            );
        }
        outcome
    }

    /// An answer without a result.
    pub(super) fn done(&self) -> String {
        query::empty_response(self.action, IAM_NAMESPACE, &self.context.caller.request_id)
    }

    /// An answer with a result.
    pub(super) fn answer(&self, fill: impl FnOnce(&mut Node<'_>)) -> String {
        query::response(self.action, IAM_NAMESPACE, &self.context.caller.request_id, fill)
    }
}

/// Too many others changed the same record at the same time.
pub(super) fn contended() -> QueryError {
    QueryError::new(
        slipway_wire::query::QueryErrorKind::ServiceUnavailable,
        "The entity is being changed by many requests at a time. Try again.",
    )
}

/// A failed commit that the action has no error of its own for.
pub(super) fn commit_failed(error: CommitError) -> QueryError {
    crate::error::commit(error).into()
}

/// IAM shows whole seconds.
pub(super) fn seconds(ms: i64) -> slipway_wire::Timestamp {
    slipway_wire::Timestamp::from_millis(ms - ms.rem_euclid(1000))
}

/// Policy documents travel percent-encoded in answers.
pub(super) fn encoded(document: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(document, KEPT).to_string()
}
