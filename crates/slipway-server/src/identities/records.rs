//! Users, roles and access keys as documents of the store.

use serde::Serialize;
use serde::de::DeserializeOwned;
use slipway_auth::iam::{AccessKey, CustomerPolicy, Group, Role, User};
use slipway_model::AccountId;
use slipway_store::{Document, DocumentKey, Kind, Partition, ReadError, Store};

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The store.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What it holds.
    #[error("the stored {what} is damaged: {source}")]
    Damaged {
        /// Which record.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
    /// An account id that is none.
    #[error(transparent)]
    Account(#[from] slipway_model::ids::InvalidId),
}

/// A record with the version that it was read at.
#[derive(Debug, Clone)]
pub(crate) struct Versioned<T> {
    pub(crate) value: T,
    pub(crate) version: i64,
}

/// Key of a user. Names are unique without regard to case, as in IAM.
pub(crate) fn user_key(account: &AccountId, name: &str) -> DocumentKey {
    account_key(account, Kind::IamUser, "", &name.to_ascii_lowercase())
}

/// Key of a role.
pub(crate) fn role_key(account: &AccountId, name: &str) -> DocumentKey {
    account_key(account, Kind::IamRole, "", &name.to_ascii_lowercase())
}

/// Key of a group.
pub(crate) fn group_key(account: &AccountId, name: &str) -> DocumentKey {
    account_key(account, Kind::IamGroup, "", &name.to_ascii_lowercase())
}

/// Key of the entry of a user in a group's list.
pub(crate) fn group_member_key(account: &AccountId, group: &str, user: &str) -> DocumentKey {
    account_key(account, Kind::IamGroupMember, &group.to_ascii_lowercase(), &user.to_ascii_lowercase())
}

/// Key of a customer-managed policy.
pub(crate) fn policy_key(account: &AccountId, name: &str) -> DocumentKey {
    account_key(account, Kind::IamPolicy, "", &name.to_ascii_lowercase())
}

/// Key of an instance profile.
pub(crate) fn instance_profile_key(account: &AccountId, name: &str) -> DocumentKey {
    account_key(account, Kind::IamInstanceProfile, "", &name.to_ascii_lowercase())
}

/// Key of the last use of an access key.
pub(crate) fn access_key_use_key(id: &str) -> DocumentKey {
    DocumentKey {
        partition: Partition::Installation,
        kind: Kind::AccessKeyUse,
        parent: String::new(),
        name: id.to_owned(),
    }
}

/// Key of an access key, which is found before the account is known.
pub(crate) fn access_key_key(id: &str) -> DocumentKey {
    DocumentKey {
        partition: Partition::Installation,
        kind: Kind::AccessKey,
        parent: String::new(),
        name: id.to_owned(),
    }
}

/// Key of the entry of an access key in its user's list.
pub(crate) fn user_access_key_key(account: &AccountId, user: &str, id: &str) -> DocumentKey {
    account_key(account, Kind::UserAccessKey, &user.to_ascii_lowercase(), id)
}

fn account_key(account: &AccountId, kind: Kind, parent: &str, name: &str) -> DocumentKey {
    DocumentKey {
        partition: Partition::Account(account.clone()),
        kind,
        parent: parent.to_owned(),
        name: name.to_owned(),
    }
}

/// A document with this body; its version counts only in a replacement.
pub(crate) fn document<T: Serialize>(key: DocumentKey, body: &T, version: i64) -> Document {
    let body = serde_json::to_string(body).expect("records hold strings, numbers and maps with string keys");
    Document { key, body, version }
}

/// Reads the body of a document.
pub(crate) fn read<T: DeserializeOwned>(document: &Document) -> Result<Versioned<T>, RecordError> {
    let value = serde_json::from_str(&document.body).map_err(|source| RecordError::Damaged {
        what: format!("{:?} {}", document.key.kind, document.key.name),
        source,
    })?;
    Ok(Versioned { value, version: document.version })
}

async fn find<T: DeserializeOwned>(
    store: &dyn Store,
    key: &DocumentKey,
) -> Result<Option<Versioned<T>>, RecordError> {
    store.document(key).await?.as_ref().map(read).transpose()
}

/// A user.
pub(crate) async fn user(
    store: &dyn Store,
    account: &str,
    name: &str,
) -> Result<Option<Versioned<User>>, RecordError> {
    find(store, &user_key(&AccountId::new(account)?, name)).await
}

/// A role.
pub(crate) async fn role(
    store: &dyn Store,
    account: &str,
    name: &str,
) -> Result<Option<Versioned<Role>>, RecordError> {
    find(store, &role_key(&AccountId::new(account)?, name)).await
}

/// A group.
pub(crate) async fn group(
    store: &dyn Store,
    account: &str,
    name: &str,
) -> Result<Option<Versioned<Group>>, RecordError> {
    find(store, &group_key(&AccountId::new(account)?, name)).await
}

/// The customer-managed policy of this ARN.
pub(crate) async fn customer_policy(
    store: &dyn Store,
    arn: &str,
) -> Result<Option<Versioned<CustomerPolicy>>, RecordError> {
    let Some((account, name)) = slipway_auth::iam::parse_policy_arn(arn) else { return Ok(None) };
    let found: Option<Versioned<CustomerPolicy>> =
        find(store, &policy_key(&AccountId::new(account)?, name)).await?;
    // Names are unique whatever the path; an ARN with another path names nothing.
    Ok(found.filter(|policy| policy.value.arn == arn))
}

/// An access key.
pub(crate) async fn access_key(
    store: &dyn Store,
    id: &str,
) -> Result<Option<Versioned<AccessKey>>, RecordError> {
    find(store, &access_key_key(id)).await
}

/// Ids of a user's access keys.
pub(crate) async fn access_key_ids(
    store: &dyn Store,
    account: &AccountId,
    user: &str,
) -> Result<Vec<String>, RecordError> {
    // More than the two that one user may have, so that a third one would be seen.
    const LIMIT: u32 = 10;
    let partition = Partition::Account(account.clone());
    let parent = user.to_ascii_lowercase();
    let found = store.documents(&partition, Kind::UserAccessKey, &parent, None, LIMIT).await?;
    Ok(found.into_iter().map(|document| document.key.name).collect())
}
