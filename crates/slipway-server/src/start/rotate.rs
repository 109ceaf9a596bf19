//! `slipway admin rotate-key`: a new master key, and every secret sealed with it.

use slipway_auth::iam::AccessKey;
use slipway_auth::token::Sealer;
use slipway_store::sqlite::{OpenError, SqliteStore};
use slipway_store::{ChangeSet, CommitError, Kind, Partition, ReadError, Store, Write};

use super::data::{self, DataError};
use super::keys::MasterKeys;
use crate::config::Config;
use crate::identities::records::{self, RecordError, Versioned};

/// Secrets of one commit.
const BATCH: u32 = 200;

/// A master key that cannot be replaced. Nothing is lost: repeating it goes on where it ended.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The data directory, or its keys.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There is nothing to replace a key of.
    #[error("there is no database {0}; the first start makes it")]
    NoDatabase(String),
    /// The database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A record in it cannot.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The database cannot be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A secret that none of the known keys has sealed.
    #[error("the secret of access key {0} was sealed with a key that is not known; nothing was given up")]
    Unknown(String),
}

/// Replaces the master key of an installation whose server does not run; the number of secrets that were sealed anew.
///
/// Whatever is sealed in the database is listed here. Session and page tokens are sealed, too, and with clients: those
/// end with the old key.
pub async fn rotate_key(config: &Config) -> Result<u64, RotateError> {
    let _lock = data::open(config)?;
    let database = config.data_dir.join("slipway.db");
    if !database.exists() {
        return Err(RotateError::NoDatabase(database.display().to_string()));
    }
    let mut keys = MasterKeys::open(&config.private_dir(), &database, config.master_key.as_ref())?;
    keys.begin_replacement()?;
    let store = SqliteStore::open(&database)?;
    let outcome = access_keys(&store, &keys.sealer()).await;
    store.close().await;
    let sealed = outcome?;
    keys.end_replacement()?;
    Ok(sealed)
}

async fn access_keys(store: &dyn Store, sealer: &Sealer) -> Result<u64, RotateError> {
    let mut sealed = 0;
    let mut after: Option<String> = None;
    loop {
        let found =
            store.documents(&Partition::Installation, Kind::AccessKey, "", after.as_deref(), BATCH).await?;
        let Some(last) = found.last() else { return Ok(sealed) };
        after = Some(last.key.name.clone());
        let mut change = ChangeSet::new();
        for document in &found {
            let Versioned { value: mut key, version } = records::read::<AccessKey>(document)?;
            let secret = key.secret(sealer).ok_or_else(|| RotateError::Unknown(key.id.clone()))?;
            key.sealed_secret = sealer.seal_secret(&key.id, &secret);
            change = change.with(Write::Replace(records::document(document.key.clone(), &key, version)));
            sealed += 1;
        }
        store.commit(change).await?;
    }
}
