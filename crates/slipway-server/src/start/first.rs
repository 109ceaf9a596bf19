//! The records of the first start: account, administrator with an access key, service role (D-04, D-30).
//!
//! They are one change set, so a start that is cut off leaves all of them or none, and there is never a second
//! administrator key.

use serde::{Deserialize, Serialize};
use slipway_auth::iam::IamError;
use slipway_auth::token::Sealer;
use slipway_model::{AccountId, Timestamp};
use slipway_store::{CommitError, DocumentKey, Kind, Partition, ReadError, Store, Write};

use super::account::{self, Beginning};
use crate::config::Config;
use crate::identities::records;

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
         are added by `slipway admin add-account`, not by this setting"
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
    let Beginning { change, key: access_key, .. } = account::begin(&config.account, sealer, now)?;
    let installation =
        Installation { account: config.account.clone(), administrator_key: access_key.id, made: Some(now) };
    let change = change.with(Write::Insert(records::document(key(), &installation, 0)));
    store.commit(change).await?;
    tracing::info!(target: "audit", account = %config.account, "installation made");
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
