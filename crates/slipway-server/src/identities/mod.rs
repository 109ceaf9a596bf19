//! Who exists and what they may: users, roles and access keys as requests ask for them, with a cache.
//!
//! Every request looks its access key up, most of them the policies behind it. Both change seldom, so what was read
//! and compiled is kept until any of it changes: [`Identities::forget`] after every IAM commit.

pub(crate) mod records;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slipway_auth::identity::{Principal, PrincipalKind};
use slipway_auth::policy::{MalformedPolicy, Policy};
use slipway_auth::sigv4::SecretKey;
use slipway_auth::token::Sealer;
use slipway_store::{ReadError, Store};

use records::{RecordError, Versioned};
use slipway_auth::managed;

/// Entries of each sort that are kept; beyond that everything is forgotten at once.
const CAPACITY: usize = 20_000;

/// A question about identities that cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A stored policy does not compile. Nothing is allowed then: the policy may have been a denial.
    #[error("the stored policy {name} of {owner}: {source}")]
    Policy {
        /// The policy.
        name: String,
        /// Whose.
        owner: String,
        /// Why.
        source: MalformedPolicy,
    },
    /// The secret of a key was sealed with another master key.
    #[error("the secret of access key {id} cannot be opened with this installation's master key")]
    Sealed {
        /// The key.
        id: String,
    },
}

impl From<ReadError> for IdentityError {
    fn from(error: ReadError) -> Self {
        Self::Record(error.into())
    }
}

/// A user's access key, ready to verify signatures.
#[derive(Debug)]
pub struct KeyEntry {
    /// The secret.
    pub secret: SecretKey,
    /// An inactive key authenticates nobody.
    pub active: bool,
    /// Its user.
    pub principal: Principal,
}

/// The compiled policies of a user or role.
#[derive(Debug)]
pub struct Permissions {
    /// Inline and attached policies.
    pub identity: Vec<Policy>,
    /// The permissions boundary, if there is one.
    pub boundary: Option<Vec<Policy>>,
}

/// Looks identities up, through a cache.
#[derive(Debug, Default)]
pub struct Identities {
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    /// Grows with every [`Identities::forget`]: what was read before one must not be kept after it.
    generation: u64,
    keys: HashMap<String, Arc<KeyEntry>>,
    /// By the id of the user or role, which is never given twice.
    permissions: HashMap<String, Arc<Permissions>>,
}

impl Identities {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything; to be called after every commit that changes a user, role, key or policy and before the
    /// answer to who made it.
    pub fn forget(&self) {
        let mut cache = self.lock();
        cache.generation += 1;
        cache.keys.clear();
        cache.permissions.clear();
    }

    /// A long-term access key and its user; `None` when either does not exist.
    pub(crate) async fn key(
        &self,
        store: &dyn Store,
        sealer: &Sealer,
        id: &str,
    ) -> Result<Option<Arc<KeyEntry>>, IdentityError> {
        let generation = {
            let cache = self.lock();
            if let Some(found) = cache.keys.get(id) {
                return Ok(Some(Arc::clone(found)));
            }
            cache.generation
        };
        let Some(Versioned { value: key, .. }) = records::access_key(store, id).await? else {
            return Ok(None);
        };
        let Some(Versioned { value: user, .. }) = records::user(store, &key.account, &key.user_name).await?
        else {
            return Ok(None);
        };
        let secret = key.secret(sealer).ok_or_else(|| IdentityError::Sealed { id: id.to_owned() })?;
        let entry = Arc::new(KeyEntry { secret, active: key.active, principal: user.principal() });
        self.keep(generation, |cache| &mut cache.keys, id, &entry);
        Ok(Some(entry))
    }

    /// The policies of a caller; `None` when the user or role does not exist any more.
    pub(crate) async fn permissions(
        &self,
        store: &dyn Store,
        principal: &Principal,
    ) -> Result<Option<Arc<Permissions>>, IdentityError> {
        let (PrincipalKind::User { id, .. } | PrincipalKind::AssumedRole { role_id: id, .. }) =
            &principal.kind;
        let generation = {
            let cache = self.lock();
            if let Some(found) = cache.permissions.get(id) {
                return Ok(Some(Arc::clone(found)));
            }
            cache.generation
        };
        let found = match &principal.kind {
            PrincipalKind::User { name, .. } => records::user(store, &principal.account, name)
                .await?
                .filter(|user| user.value.id == *id)
                .map(|Versioned { value: user, .. }| {
                    compile(
                        &user.arn,
                        &user.inline_policies,
                        &user.attached_policies,
                        user.permissions_boundary.as_ref(),
                    )
                }),
            PrincipalKind::AssumedRole { role_name, .. } => {
                records::role(store, &principal.account, role_name)
                    .await?
                    .filter(|role| role.value.id == *id)
                    .map(|Versioned { value: role, .. }| {
                        compile(
                            &role.arn,
                            &role.inline_policies,
                            &role.attached_policies,
                            role.permissions_boundary.as_ref(),
                        )
                    })
            }
        };
        let Some(permissions) = found.transpose()? else { return Ok(None) };
        let permissions = Arc::new(permissions);
        self.keep(generation, |cache| &mut cache.permissions, id, &permissions);
        Ok(Some(permissions))
    }

    fn keep<T>(
        &self,
        generation: u64,
        map: impl FnOnce(&mut Cache) -> &mut HashMap<String, Arc<T>>,
        id: &str,
        entry: &Arc<T>,
    ) {
        let mut cache = self.lock();
        if cache.generation == generation {
            let map = map(&mut cache);
            if map.len() >= CAPACITY {
                map.clear();
            }
            map.insert(id.to_owned(), Arc::clone(entry));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The policies that narrow a session (AssumeRole's `Policy` and `PolicyArns`); `None` when nothing does.
pub(crate) fn session_policies(
    owner: &str,
    document: Option<&str>,
    arns: &[String],
) -> Result<Option<Vec<Policy>>, IdentityError> {
    if document.is_none() && arns.is_empty() {
        return Ok(None);
    }
    let mut policies = managed_policies(owner, arns);
    if let Some(document) = document {
        policies.push(parse(owner, "session policy", document)?);
    }
    Ok(Some(policies))
}

fn compile<'a>(
    owner: &str,
    inline: impl IntoIterator<Item = (&'a String, &'a String)>,
    attached: &[String],
    boundary: Option<&String>,
) -> Result<Permissions, IdentityError> {
    let mut identity = managed_policies(owner, attached);
    for (name, document) in inline {
        identity.push(parse(owner, name, document)?);
    }
    let boundary = boundary.map(|arn| managed_policies(owner, std::slice::from_ref(arn)));
    Ok(Permissions { identity, boundary })
}

fn managed_policies(owner: &str, arns: &[String]) -> Vec<Policy> {
    let mut policies = Vec::with_capacity(arns.len());
    for arn in arns {
        if let Some(managed) = managed::get(arn) {
            policies.push(managed.policy().clone());
        } else {
            // Built-in policies only grant, so one that is gone takes nothing but permissions with it.
            tracing::warn!(owner, policy = arn.as_str(), "an attached policy does not exist");
        }
    }
    policies
}

fn parse(owner: &str, name: &str, document: &str) -> Result<Policy, IdentityError> {
    Policy::parse(name, document).map_err(|source| IdentityError::Policy {
        name: name.to_owned(),
        owner: owner.to_owned(),
        source,
    })
}
