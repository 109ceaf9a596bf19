//! Secret access keys and the signing keys derived from them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::{constant_time, digest, hmac};
use zeroize::Zeroizing;

use super::Scope;

/// A secret access key in clear. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<String>);

impl SecretKey {
    /// Takes the secret over.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// The secret itself, for the one answer that shows it (`CreateAccessKey`, `AssumeRole`) and for sealing.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn fingerprint(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, self.0.as_bytes()).as_ref());
        out
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// Signing keys already derived, so that the four chained HMACs are paid once per key, day, region and service
/// instead of once per request.
///
/// Bounded by two generations: when the young one is full it becomes the old one and the former old one is
/// forgotten; a hit in the old one moves the entry back. That is nearly least-recently-used at constant cost, and
/// a caller who varies regions can only push others' entries out, never grow the memory.
#[derive(Debug)]
pub struct DerivedKeyCache {
    generation_limit: usize,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Slot, Entry>,
    old: HashMap<Slot, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Slot {
    access_key_id: String,
    scope: Scope,
}

#[derive(Clone)]
struct Entry {
    /// The entry counts only for the secret that it was derived from: a key id may be deleted and its secret
    /// replaced while the entry is still here.
    fingerprint: [u8; 32],
    key: hmac::Key,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry(..)")
    }
}

impl DerivedKeyCache {
    /// A cache of at most `capacity` keys (at least two).
    pub fn new(capacity: usize) -> Self {
        Self { generation_limit: (capacity / 2).max(1), generations: Mutex::default() }
    }

    /// How many keys are held; never more than the capacity.
    pub fn len(&self) -> usize {
        let generations = self.lock();
        generations.young.len() + generations.old.len()
    }

    /// Whether no key is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The signing key of this scope, derived now or before.
    pub(crate) fn signing_key(&self, access_key_id: &str, scope: &Scope, secret: &SecretKey) -> hmac::Key {
        let slot = Slot { access_key_id: access_key_id.to_owned(), scope: scope.clone() };
        let fingerprint = secret.fingerprint();
        let found = {
            let mut generations = self.lock();
            let found = generations.find(&slot, self.generation_limit);
            found.filter(|e| constant_time::verify_slices_are_equal(&e.fingerprint, &fingerprint).is_ok())
        };
        if let Some(entry) = found {
            return entry.key;
        }
        // Derived outside the lock: two requests may both do it, which is cheaper than making all others wait.
        let entry = Entry { fingerprint, key: derive(secret, scope) };
        self.lock().put(slot, entry.clone(), self.generation_limit);
        entry.key
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        // A panic between two map operations leaves at worst a missing cache entry.
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for DerivedKeyCache {
    /// Room for a fleet of ten thousand hosts with a key each, across midnight.
    fn default() -> Self {
        Self::new(1 << 16)
    }
}

impl Generations {
    fn find(&mut self, slot: &Slot, limit: usize) -> Option<Entry> {
        if let Some(entry) = self.young.get(slot) {
            return Some(entry.clone());
        }
        let entry = self.old.remove(slot)?;
        self.put(slot.clone(), entry.clone(), limit);
        Some(entry)
    }

    fn put(&mut self, slot: Slot, entry: Entry, limit: usize) {
        if self.young.len() >= limit && !self.young.contains_key(&slot) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&slot);
        self.young.insert(slot, entry);
    }
}

/// `HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request")`.
fn derive(secret: &SecretKey, scope: &Scope) -> hmac::Key {
    let start = Zeroizing::new(format!("AWS4{}", secret.expose()));
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, start.as_bytes());
    for part in [scope.date.as_str(), &scope.region, &scope.service, super::TERMINATOR] {
        let tag = hmac::sign(&key, part.as_bytes());
        key = hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref());
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(service: &str) -> Scope {
        Scope { date: "20150830".into(), region: "us-east-1".into(), service: service.into() }
    }

    fn sign(key: &hmac::Key) -> Vec<u8> {
        hmac::sign(key, b"x").as_ref().to_vec()
    }

    #[test]
    fn derived_key_is_the_one_of_the_aws_documentation() {
        let key = derive(&SecretKey::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), &scope("iam"));
        let text = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\nf536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        assert_eq!(
            hex::encode(hmac::sign(&key, text.as_bytes())),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    #[test]
    fn a_replaced_secret_never_meets_the_old_derived_key() {
        let cache = DerivedKeyCache::new(8);
        let old = cache.signing_key("AKIA1", &scope("iam"), &SecretKey::new("old"));
        let new = cache.signing_key("AKIA1", &scope("iam"), &SecretKey::new("new"));
        assert_ne!(sign(&old), sign(&new));
        let again = cache.signing_key("AKIA1", &scope("iam"), &SecretKey::new("new"));
        assert_eq!(sign(&new), sign(&again));
    }

    #[test]
    fn cache_stays_within_its_bound_whatever_is_asked() {
        let cache = DerivedKeyCache::new(8);
        for i in 0..100 {
            cache.signing_key("AKIA1", &scope(&format!("s{}", i % 37)), &SecretKey::new("s"));
            assert!(cache.len() <= 8);
        }
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", SecretKey::new("hush")), "SecretKey(..)");
    }
}
