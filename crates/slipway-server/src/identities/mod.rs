//! Who exists and what they may: users, roles and access keys as requests ask for them, with a cache.
//!
//! Every request looks its access key up, most of them the policies behind it. Both change seldom, so what was read
//! and compiled is kept until any of it changes: [`Identities::forget`] after every IAM commit.

pub(crate) mod records;
pub mod usage;

use std::collections::{BTreeMap, HashMap};
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
/// The same for what narrows sessions: texts of a few kilobytes.
const SESSIONS: usize = 2000;

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
    /// A group or policy that the user or role has is not there. Nothing is allowed then: it may have held a denial.
    #[error("{what} of {owner} is gone")]
    Gone {
        /// What.
        what: String,
        /// Whose.
        owner: String,
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
    /// Inline and attached policies, a user's groups' included.
    pub identity: Vec<Policy>,
    /// The permissions boundary, if there is one.
    pub boundary: Option<Vec<Policy>>,
    /// Tags of the user or role.
    pub tags: BTreeMap<String, String>,
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
    /// Customer-managed policies by ARN.
    policies: HashMap<String, Arc<Policy>>,
    /// By the text of all that narrows the session.
    sessions: HashMap<String, Arc<Vec<Policy>>>,
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
        cache.policies.clear();
        cache.sessions.clear();
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
        self.keep(generation, CAPACITY, |cache| &mut cache.keys, id, &entry);
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
        let Some(permissions) = self.load(store, principal).await? else { return Ok(None) };
        let permissions = Arc::new(permissions);
        self.keep(generation, CAPACITY, |cache| &mut cache.permissions, id, &permissions);
        Ok(Some(permissions))
    }

    async fn load(
        &self,
        store: &dyn Store,
        principal: &Principal,
    ) -> Result<Option<Permissions>, IdentityError> {
        let account = principal.account.as_str();
        match &principal.kind {
            PrincipalKind::User { name, id, .. } => {
                let found = records::user(store, account, name).await?.filter(|user| user.value.id == *id);
                let Some(Versioned { value: user, .. }) = found else { return Ok(None) };
                let mut identity = Vec::new();
                self.add(store, &mut identity, &user.arn, &user.inline_policies, &user.attached_policies)
                    .await?;
                for name in &user.groups {
                    let group = records::group(store, account, name).await?.ok_or_else(|| {
                        IdentityError::Gone { what: format!("group {name}"), owner: user.arn.clone() }
                    })?;
                    let Versioned { value: group, .. } = group;
                    let (inline, attached) = (&group.inline_policies, &group.attached_policies);
                    self.add(store, &mut identity, &group.arn, inline, attached).await?;
                }
                let boundary = self.boundary(store, &user.arn, user.permissions_boundary.as_ref()).await?;
                Ok(Some(Permissions { identity, boundary, tags: user.tags }))
            }
            PrincipalKind::AssumedRole { role_name, role_id, .. } => {
                let found =
                    records::role(store, account, role_name).await?.filter(|role| role.value.id == *role_id);
                let Some(Versioned { value: role, .. }) = found else { return Ok(None) };
                let mut identity = Vec::new();
                self.add(store, &mut identity, &role.arn, &role.inline_policies, &role.attached_policies)
                    .await?;
                let boundary = self.boundary(store, &role.arn, role.permissions_boundary.as_ref()).await?;
                Ok(Some(Permissions { identity, boundary, tags: role.tags }))
            }
        }
    }

    async fn add(
        &self,
        store: &dyn Store,
        policies: &mut Vec<Policy>,
        owner: &str,
        inline: &BTreeMap<String, String>,
        attached: &[String],
    ) -> Result<(), IdentityError> {
        for (name, document) in inline {
            policies.push(parse(owner, name, document)?);
        }
        for arn in attached {
            policies.push(self.attached(store, owner, arn).await?);
        }
        Ok(())
    }

    async fn boundary(
        &self,
        store: &dyn Store,
        owner: &str,
        arn: Option<&String>,
    ) -> Result<Option<Vec<Policy>>, IdentityError> {
        match arn {
            Some(arn) => Ok(Some(vec![self.attached(store, owner, arn).await?])),
            None => Ok(None),
        }
    }

    /// A policy that something has, which therefore cannot have been deleted.
    async fn attached(&self, store: &dyn Store, owner: &str, arn: &str) -> Result<Policy, IdentityError> {
        self.managed_policy(store, arn)
            .await?
            .ok_or_else(|| IdentityError::Gone { what: format!("policy {arn}"), owner: owner.to_owned() })
    }

    /// The managed policy of this ARN, AWS's or a customer's, as it counts now.
    pub(crate) async fn managed_policy(
        &self,
        store: &dyn Store,
        arn: &str,
    ) -> Result<Option<Policy>, IdentityError> {
        if let Some(built_in) = managed::get(arn) {
            return Ok(Some(built_in.policy().clone()));
        }
        let generation = {
            let cache = self.lock();
            if let Some(found) = cache.policies.get(arn) {
                return Ok(Some(Policy::clone(found)));
            }
            cache.generation
        };
        let Some(Versioned { value: stored, .. }) = records::customer_policy(store, arn).await? else {
            return Ok(None);
        };
        let policy = Arc::new(parse(arn, arn, stored.document())?);
        self.keep(generation, CAPACITY, |cache| &mut cache.policies, arn, &policy);
        Ok(Some(Policy::clone(&policy)))
    }

    /// The policies that narrow a session (AssumeRole's `Policy` and `PolicyArns`); `None` when nothing does.
    pub(crate) async fn session_policies(
        &self,
        store: &dyn Store,
        owner: &str,
        document: Option<&str>,
        arns: &[String],
    ) -> Result<Option<Arc<Vec<Policy>>>, IdentityError> {
        if document.is_none() && arns.is_empty() {
            return Ok(None);
        }
        let text = format!("{}\n{}", arns.join("\n"), document.unwrap_or_default());
        let generation = {
            let cache = self.lock();
            if let Some(found) = cache.sessions.get(&text) {
                return Ok(Some(Arc::clone(found)));
            }
            cache.generation
        };
        let mut policies = Vec::with_capacity(arns.len() + 1);
        for arn in arns {
            // Nothing holds on to the policies of sessions: one that was deleted may have been a denial.
            let found = self.managed_policy(store, arn).await?;
            policies.push(found.unwrap_or_else(|| Policy::deny_all(arn)));
        }
        if let Some(document) = document {
            policies.push(parse(owner, "session policy", document)?);
        }
        let policies = Arc::new(policies);
        self.keep(generation, SESSIONS, |cache| &mut cache.sessions, &text, &policies);
        Ok(Some(policies))
    }

    fn keep<T>(
        &self,
        generation: u64,
        capacity: usize,
        map: impl FnOnce(&mut Cache) -> &mut HashMap<String, Arc<T>>,
        id: &str,
        entry: &Arc<T>,
    ) {
        let mut cache = self.lock();
        if cache.generation == generation {
            let map = map(&mut cache);
            if map.len() >= capacity {
                map.clear();
            }
            map.insert(id.to_owned(), Arc::clone(entry));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(owner: &str, name: &str, document: &str) -> Result<Policy, IdentityError> {
    Policy::parse(name, document).map_err(|source| IdentityError::Policy {
        name: name.to_owned(),
        owner: owner.to_owned(),
        source,
    })
}
