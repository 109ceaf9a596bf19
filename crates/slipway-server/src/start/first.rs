//! The records of the first start: account, administrator with an access key, service role (D-04, D-30).
//!
//! They are one change set, so a start that is cut off leaves all of them or none, and there is never a second
//! administrator key.

use serde::{Deserialize, Serialize};
use slipway_auth::iam::{AccessKey, IamError, Role, User};
use slipway_auth::managed::{ADMINISTRATOR_ACCESS, CODE_DEPLOY_ROLE};
use slipway_auth::token::{self, Sealer};
use slipway_model::{AccountId, Timestamp};
use slipway_store::{
    ChangeSet, CommitError, Document, DocumentKey, Kind, Partition, ReadError, Store, Write,
};

use crate::clock::random;
use crate::config::Config;
use crate::identities::records;

const ADMINISTRATOR: &str = "admin";
const SERVICE_ROLE: &str = "CodeDeployServiceRole";
const SERVICE_ROLE_TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"","Effect":"Allow","Principal":{"Service":["codedeploy.amazonaws.com"]},"Action":["sts:AssumeRole"]}]}"#;

/// Records that cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum FirstStartError {
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store cannot be written.
    #[error("the first records cannot be written: {0}")]
    Commit(#[from] CommitError),
    /// What the store holds is damaged.
    #[error("the record of the installation is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] records::RecordError),
    /// A rule of IAM; none applies to what is made here.
    #[error(transparent)]
    Iam(#[from] IamError),
    /// The configuration names another account than the one that the first start made.
    #[error(
        "the configuration names account {configured}, but this installation was made for account {stored}; more accounts \
         are added to a running installation, not by this setting"
    )]
    OtherAccount {
        /// In the configuration.
        configured: AccountId,
        /// In the store.
        stored: AccountId,
    },
}

/// What the first start decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Installation {
    /// The account.
    pub(super) account: AccountId,
    /// The administrator's first access key.
    pub(super) administrator_key: String,
    /// When it was made; `None` in records from before this was noted.
    #[serde(default)]
    pub(super) made: Option<Timestamp>,
}

/// The installation in the store; makes it on first start.
pub(super) async fn ensure(
    store: &dyn Store,
    sealer: &Sealer,
    config: &Config,
    now: Timestamp,
) -> Result<Installation, FirstStartError> {
    let installation = match find(store).await? {
        Some(found) => found,
        None => make(store, sealer, config, now).await?,
    };
    if installation.account != config.account {
        return Err(FirstStartError::OtherAccount {
            configured: config.account.clone(),
            stored: installation.account,
        });
    }
    Ok(installation)
}

async fn find(store: &dyn Store) -> Result<Option<Installation>, FirstStartError> {
    let document = store.document(&key()).await?;
    Ok(document.map(|document| serde_json::from_str(&document.body)).transpose()?)
}

async fn make(
    store: &dyn Store,
    sealer: &Sealer,
    config: &Config,
    now: Timestamp,
) -> Result<Installation, FirstStartError> {
    let account = &config.account;
    let mut user = User::new(account.as_str(), "/", ADMINISTRATOR, token::user_id(random()), now.0);
    user.attach_policy(ADMINISTRATOR_ACCESS)?;
    let secret = token::secret_access_key(random());
    let access_key = AccessKey::new(&user, token::access_key_id(random()), &secret, sealer, now.0);
    let mut role =
        Role::new(account.as_str(), "/", SERVICE_ROLE, token::role_id(random()), SERVICE_ROLE_TRUST, now.0);
    role.attach_policy(CODE_DEPLOY_ROLE)?;
    role.description =
        Some("Allows CodeDeploy to act for deployment groups. Made at the first start.".to_owned());
    let installation =
        Installation { account: account.clone(), administrator_key: access_key.id.clone(), made: Some(now) };
    let listed = Document {
        key: records::user_access_key_key(account, &user.name, &access_key.id),
        body: String::new(),
        version: 0,
    };
    let change = ChangeSet::new()
        .with(Write::Insert(records::document(key(), &installation, 0)))
        .with(Write::Insert(records::document(records::user_key(account, &user.name), &user, 0)))
        .with(Write::Insert(records::document(records::access_key_key(&access_key.id), &access_key, 0)))
        .with(Write::Insert(listed))
        .with(Write::Insert(records::document(records::role_key(account, &role.name), &role, 0)));
    store.commit(change).await?;
    tracing::info!(target: "audit", account = %account, user = user.arn, role = role.arn, "installation made");
    Ok(installation)
}

fn key() -> DocumentKey {
    DocumentKey {
        partition: Partition::Installation,
        kind: Kind::Setting,
        parent: String::new(),
        name: "installation".to_owned(),
    }
}
