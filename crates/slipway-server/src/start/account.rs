//! What an account begins with: an administrator with an access key, and a service role (D-04, D-30, DP-300).

use slipway_auth::iam::{AccessKey, IamError, Role, User};
use slipway_auth::managed::{ADMINISTRATOR_ACCESS, CODE_DEPLOY_ROLE};
use slipway_auth::sigv4::SecretKey;
use slipway_auth::token::{self, Sealer};
use slipway_model::{AccountId, Timestamp};
use slipway_store::sqlite::{OpenError, SqliteStore};
use slipway_store::{ChangeSet, CommitError, Document, Store as _, Write};

use super::data::{self, DataError};
use super::keys::MasterKeys;
use crate::clock::random;
use crate::config::Config;
use crate::identities::records;

const ADMINISTRATOR: &str = "admin";
const SERVICE_ROLE: &str = "CodeDeployServiceRole";
const SERVICE_ROLE_TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"","Effect":"Allow","Principal":{"Service":["codedeploy.amazonaws.com"]},"Action":["sts:AssumeRole"]}]}"#;

/// An account that cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum AddAccountError {
    /// The data directory, or its keys.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There is nothing to add it to.
    #[error("there is no database {0}; the first start makes it")]
    NoDatabase(String),
    /// The database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is there.
    #[error("the account {0} is there already")]
    Exists(AccountId),
    /// The database cannot be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A rule of IAM; none applies to what is made here.
    #[error(transparent)]
    Iam(#[from] IamError),
}

/// The key of a new account's administrator.
#[derive(Debug)]
pub struct NewAccount {
    /// Its id.
    pub access_key_id: String,
    /// Its secret, which is told this once.
    pub secret: SecretKey,
}

/// The records of an account that is to be made.
pub(super) struct Beginning {
    pub(super) change: ChangeSet,
    pub(super) key: AccessKey,
    pub(super) secret: SecretKey,
}

/// The records that an account begins with.
pub(super) fn begin(account: &AccountId, sealer: &Sealer, now: Timestamp) -> Result<Beginning, IamError> {
    let mut user = User::new(account.as_str(), "/", ADMINISTRATOR, token::user_id(random()), now.0);
    user.attach_policy(ADMINISTRATOR_ACCESS)?;
    let secret = token::secret_access_key(random());
    let key = AccessKey::new(&user, token::access_key_id(random()), &secret, sealer, now.0);
    let mut role =
        Role::new(account.as_str(), "/", SERVICE_ROLE, token::role_id(random()), SERVICE_ROLE_TRUST, now.0);
    role.attach_policy(CODE_DEPLOY_ROLE)?;
    role.description =
        Some("Allows CodeDeploy to act for deployment groups. Made with the account.".to_owned());
    let listed = Document {
        key: records::user_access_key_key(account, &user.name, &key.id),
        body: String::new(),
        version: 0,
    };
    let change = ChangeSet::new()
        .with(Write::Insert(records::document(records::user_key(account, &user.name), &user, 0)))
        .with(Write::Insert(records::document(records::access_key_key(&key.id), &key, 0)))
        .with(Write::Insert(listed))
        .with(Write::Insert(records::document(records::role_key(account, &role.name), &role, 0)));
    Ok(Beginning { change, key, secret })
}

/// Adds an account to an installation whose server does not run.
pub async fn add_account(
    config: &Config,
    account: &AccountId,
    now: Timestamp,
) -> Result<NewAccount, AddAccountError> {
    let _lock = data::open(config)?;
    let database = config.data_dir.join("slipway.db");
    if !database.exists() {
        return Err(AddAccountError::NoDatabase(database.display().to_string()));
    }
    let keys = MasterKeys::open(&config.private_dir(), &database, config.master_key.as_ref())?;
    let Beginning { change, key, secret } = begin(account, &keys.sealer(), now)?;
    let store = SqliteStore::open(&database)?;
    let outcome = store.commit(change).await;
    store.close().await;
    match outcome {
        Ok(()) => Ok(NewAccount { access_key_id: key.id, secret }),
        Err(CommitError::Exists { .. }) => Err(AddAccountError::Exists(account.clone())),
        Err(error) => Err(error.into()),
    }
}
