//! Secrets at rest, session tokens, and the ids of keys, users and roles.
//!
//! Session tokens are stateless: everything that a later request needs to know about the session is sealed in the
//! token that the client carries, so that any node verifies any session and no table of sessions grows.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::identity::Principal;
use crate::sigv4::{SecretKey, SignedRequest};
use crate::{AuthError, Zeroizing};

const FORMAT: u8 = 1;
const SALT_LEN: usize = 16;
const TOKEN_AAD: &[u8] = b"slipway session token";

/// Seals small secrets with a master key: access-key secrets in the store, session tokens, GitHub tokens.
///
/// AES-256-GCM under a key of each message's own, derived from the master key and a random salt: with one key for
/// all, random nonces would have to stop at 2^32 messages, which a large fleet refreshing its sessions reaches.
///
/// Beside the key that it seals with it may know older ones, which it only opens with: so a master key can be replaced
/// while what it sealed is still about.
#[derive(Clone)]
pub struct Sealer {
    /// The first one seals.
    keys: Vec<hmac::Key>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl Sealer {
    /// A sealer with this master key, which must be random.
    pub fn new(key: &[u8; 32]) -> Self {
        Self { keys: vec![hmac::Key::new(hmac::HMAC_SHA256, key)] }
    }

    /// Opens what was sealed with this older key as well.
    #[must_use]
    pub fn or_older(mut self, key: &[u8; 32]) -> Self {
        self.keys.push(hmac::Key::new(hmac::HMAC_SHA256, key));
        self
    }

    /// Encrypts `bytes` and binds them to `aad`: they open only together with the same `aad`, so a sealed value
    /// cannot be moved to another row. Salt and nonce are drawn here and not passed in, because a repeated one
    /// would give the secret away.
    pub fn seal(&self, bytes: &[u8], aad: &[u8]) -> String {
        let mut salt = [0; SALT_LEN];
        rand::fill(&mut salt).expect("the system's random source does not fail once it has been seeded");
        let mut sealed = bytes.to_vec();
        let nonce = message_key(&self.keys[0], &salt)
            .seal_in_place_append_tag(Aad::from(aad), &mut sealed)
            .expect("a secret is far below AES-GCM's limit of 64 GiB");
        let mut out = Vec::with_capacity(1 + SALT_LEN + NONCE_LEN + sealed.len());
        out.push(FORMAT);
        out.extend_from_slice(&salt);
        out.extend_from_slice(nonce.as_ref());
        out.append(&mut sealed);
        URL_SAFE_NO_PAD.encode(out)
    }

    /// Decrypts what [`Sealer::seal`] made. `None` if it was made with another key or another `aad`, or changed.
    pub fn open(&self, sealed: &str, aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (format, rest) = bytes.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let (salt, rest) = rest.split_first_chunk::<SALT_LEN>()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
        self.keys.iter().find_map(|key| {
            let mut text = Zeroizing::new(rest.to_vec());
            let key = message_key(key, salt);
            let length = key.open_in_place(Nonce::from(nonce), Aad::from(aad), &mut text).ok()?.len();
            text.truncate(length);
            Some(text)
        })
    }

    /// Seals the secret of a long-term access key to its id.
    pub fn seal_secret(&self, access_key_id: &str, secret: &SecretKey) -> String {
        self.seal(secret.expose().as_bytes(), access_key_id.as_bytes())
    }

    /// Opens the secret of a long-term access key.
    pub fn open_secret(&self, access_key_id: &str, sealed: &str) -> Option<SecretKey> {
        let bytes = self.open(sealed, access_key_id.as_bytes())?;
        Some(SecretKey::new(std::str::from_utf8(&bytes).ok()?))
    }
}

fn message_key(master: &hmac::Key, salt: &[u8; SALT_LEN]) -> RandomizedNonceKey {
    let mut context = hmac::Context::with_key(master);
    context.update(b"slipway seal 1");
    context.update(salt);
    RandomizedNonceKey::new(&AES_256_GCM, context.sign().as_ref())
        .expect("HMAC-SHA256 gives the 32 bytes needed")
}

/// A session that STS has handed out.
#[derive(Clone, Debug)]
pub struct SessionToken {
    /// `ASIA…`; signs together with the token and only with it.
    pub access_key_id: String,
    /// The session's secret access key.
    pub secret: SecretKey,
    /// Who the session acts as.
    pub principal: Principal,
    /// When it began, milliseconds since the epoch.
    pub issued_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
    /// The policy that the session was narrowed with, as passed to AssumeRole.
    pub session_policy: Option<String>,
    /// Managed policies that the session was narrowed with.
    pub session_policy_arns: Vec<String>,
    /// Session tags: `aws:PrincipalTag/…` beside those of the role.
    pub tags: BTreeMap<String, String>,
    /// Keys of the tags that sessions opened by this one inherit.
    pub transitive_tags: Vec<String>,
    /// `aws:SourceIdentity`: set once in a chain of roles and never changed.
    pub source_identity: Option<String>,
}

/// The stored form of [`SessionToken`]; short names, because it travels with every request.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    k: &'a str,
    s: &'a str,
    p: Principal,
    i: i64,
    e: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sp: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sa: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    t: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tt: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    si: Option<String>,
}

impl SessionToken {
    /// A new session with fresh credentials made from `random`.
    pub fn issue(
        principal: Principal,
        issued_ms: i64,
        duration_seconds: i64,
        random: &SessionRandom,
    ) -> Self {
        Self {
            access_key_id: session_access_key_id(&principal.account, random.id),
            secret: secret_access_key(random.secret),
            principal,
            issued_ms,
            expires_ms: issued_ms + duration_seconds * 1000,
            session_policy: None,
            session_policy_arns: Vec::new(),
            tags: BTreeMap::new(),
            transitive_tags: Vec::new(),
            source_identity: None,
        }
    }

    /// The text to give to the client.
    pub fn seal(&self, sealer: &Sealer) -> String {
        let sealed = Sealed {
            k: &self.access_key_id,
            s: self.secret.expose(),
            p: self.principal.clone(),
            i: self.issued_ms,
            e: self.expires_ms,
            sp: self.session_policy.clone(),
            sa: self.session_policy_arns.clone(),
            t: self.tags.clone(),
            tt: self.transitive_tags.clone(),
            si: self.source_identity.clone(),
        };
        let json = Zeroizing::new(serde_json::to_vec(&sealed).expect("strings and numbers always serialise"));
        sealer.seal(&json, TOKEN_AAD)
    }

    /// The session that a request claims to be of: `None` for a long-term key, whose secret is in the store. A
    /// session's key without its token, or a long-term key with one, is [`AuthError::UnrecognizedClient`]. The
    /// claim still has to be verified with the session's secret.
    pub fn of(claim: &SignedRequest, sealer: &Sealer, now_ms: i64) -> Result<Option<Self>, AuthError> {
        match (is_session_key_id(claim.access_key_id()), claim.session_token()) {
            (false, None) => Ok(None),
            (true, Some(token)) => Self::open(sealer, token, claim.access_key_id(), now_ms).map(Some),
            (true, None) | (false, Some(_)) => Err(AuthError::UnrecognizedClient),
        }
    }

    /// Opens the token of a request signed with `access_key_id`. A token that is not ours, was changed, or belongs
    /// to another key is [`AuthError::UnrecognizedClient`]; one past its end [`AuthError::ExpiredToken`] (AG-169).
    pub fn open(sealer: &Sealer, token: &str, access_key_id: &str, now_ms: i64) -> Result<Self, AuthError> {
        let json = sealer.open(token, TOKEN_AAD).ok_or(AuthError::UnrecognizedClient)?;
        let sealed: Sealed<'_> = serde_json::from_slice(&json).map_err(|_| AuthError::UnrecognizedClient)?;
        if sealed.k != access_key_id {
            return Err(AuthError::UnrecognizedClient);
        }
        if now_ms >= sealed.e {
            return Err(AuthError::ExpiredToken);
        }
        Ok(Self {
            access_key_id: sealed.k.to_owned(),
            secret: SecretKey::new(sealed.s),
            principal: sealed.p,
            issued_ms: sealed.i,
            expires_ms: sealed.e,
            session_policy: sealed.sp,
            session_policy_arns: sealed.sa,
            tags: sealed.t,
            transitive_tags: sealed.tt,
            source_identity: sealed.si,
        })
    }
}

/// Random bytes for the credentials of one session.
#[derive(Clone, Copy)]
pub struct SessionRandom {
    /// Becomes the access key id.
    pub id: [u8; 10],
    /// Becomes the secret access key.
    pub secret: [u8; 30],
}

/// Id of a long-term access key: `AKIA` and 16 characters (AG-190: at least 16 in all).
pub fn access_key_id(random: [u8; 10]) -> String {
    format!("AKIA{}", base32(&random, 16))
}

/// Id of a session's access key, `ASIA…`: it tells a verifier to expect a session token. Half of it is the account, so
/// that `GetAccessKeyInfo` knows whose a session is that no table holds.
pub fn session_access_key_id(account: &str, random: [u8; 10]) -> String {
    let mut bytes = random;
    let number = account.parse::<u64>().unwrap_or_default().to_be_bytes();
    bytes[..ACCOUNT_BYTES].copy_from_slice(&number[8 - ACCOUNT_BYTES..]);
    format!("ASIA{}", base32(&bytes, 16))
}

/// Twelve digits fit into 40 bits.
const ACCOUNT_BYTES: usize = 5;

/// The account in the id of a session's access key.
pub fn session_key_account(access_key_id: &str) -> Option<String> {
    let text = access_key_id.strip_prefix("ASIA").filter(|text| text.len() == 16)?;
    let number = text.bytes().take(8).try_fold(0_u64, |number, byte| {
        let digit = BASE32.iter().position(|known| *known == byte)?;
        Some(number << 5 | digit as u64)
    })?;
    (number < 1_000_000_000_000).then(|| format!("{number:012}"))
}

/// A secret access key: 40 characters, 240 random bits.
pub fn secret_access_key(random: [u8; 30]) -> SecretKey {
    SecretKey::new(STANDARD.encode(random))
}

/// Id of a user, `AIDA…`.
pub fn user_id(random: [u8; 11]) -> String {
    format!("AIDA{}", base32(&random, 17))
}

/// Id of a role, `AROA…`.
pub fn role_id(random: [u8; 11]) -> String {
    format!("AROA{}", base32(&random, 17))
}

/// Id of a group, `AGPA…`.
pub fn group_id(random: [u8; 11]) -> String {
    format!("AGPA{}", base32(&random, 17))
}

/// Id of an instance profile, `AIPA…`.
pub fn instance_profile_id(random: [u8; 11]) -> String {
    format!("AIPA{}", base32(&random, 17))
}

/// Id of a customer-managed policy, `ANPA…`.
pub fn policy_id(random: [u8; 11]) -> String {
    format!("ANPA{}", base32(&random, 17))
}

/// Whether a key id is a session's, which must come with its token.
pub fn is_session_key_id(access_key_id: &str) -> bool {
    access_key_id.starts_with("ASIA")
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(bytes: &[u8], length: usize) -> String {
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut out = String::with_capacity(length);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 && out.len() < length {
            held -= 5;
            out.push(char::from(BASE32[(bits >> held & 31) as usize]));
        }
        bits &= (1 << held) - 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> SessionToken {
        let principal = Principal::assumed_role("444455556666", "/", "Host", "AROA1", "web1");
        SessionToken::issue(principal, 1_000_000, 900, &SessionRandom { id: [7; 10], secret: [9; 30] })
    }

    #[test]
    fn sealed_bytes_open_only_with_the_same_key_and_context() {
        let sealer = Sealer::new(&[1; 32]);
        let sealed = sealer.seal(b"secret", b"AKIA1");
        assert_eq!(sealer.open(&sealed, b"AKIA1").unwrap().as_slice(), b"secret");
        assert!(sealer.open(&sealed, b"AKIA2").is_none());
        assert!(Sealer::new(&[2; 32]).open(&sealed, b"AKIA1").is_none());
        assert_ne!(sealed, sealer.seal(b"secret", b"AKIA1"), "each sealing has its own salt");
        assert!(!sealed.contains("secret"));
    }

    #[test]
    fn every_changed_character_of_a_sealed_value_is_refused() {
        let sealer = Sealer::new(&[1; 32]);
        let sealed = sealer.seal(b"secret", b"").into_bytes();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(sealer.open(&changed, b"").is_none(), "position {at}");
        }
        for short in ["", "AQ", "!!"] {
            assert!(sealer.open(short, b"").is_none());
        }
    }

    #[test]
    fn session_token_gives_the_session_back_to_its_own_key_only() {
        let sealer = Sealer::new(&[1; 32]);
        let mut session = session();
        session.session_policy = Some("{}".to_owned());
        session.tags.insert("team".to_owned(), "web".to_owned());
        session.transitive_tags.push("team".to_owned());
        session.source_identity = Some("bob".to_owned());
        let token = session.seal(&sealer);
        let opened = SessionToken::open(&sealer, &token, &session.access_key_id, 1_000_001).unwrap();
        assert_eq!(opened.principal, session.principal);
        assert_eq!(opened.secret.expose(), session.secret.expose());
        assert_eq!(opened.session_policy.as_deref(), Some("{}"));
        assert_eq!(opened.tags["team"], "web");
        assert_eq!(
            (opened.transitive_tags, opened.source_identity.as_deref()),
            (vec!["team".to_owned()], Some("bob"))
        );
        let other = SessionToken::open(&sealer, &token, "ASIAOTHER", 1_000_001).unwrap_err();
        assert_eq!(other, AuthError::UnrecognizedClient);
    }

    #[test]
    fn a_session_key_tells_its_account() {
        for account in ["000000000001", "444455556666", "999999999999"] {
            let id = session_access_key_id(account, [0xa5; 10]);
            assert_eq!(session_key_account(&id).as_deref(), Some(account));
        }
        for other in ["AKIAAAAAAAAAAAAAAAAA", "ASIA", "ASIA7777777777777777", "ASIA0000000000000000"] {
            assert_eq!(session_key_account(other), None, "{other}");
        }
    }

    #[test]
    fn what_an_older_key_sealed_still_opens_and_is_sealed_with_the_new_one() {
        let old = Sealer::new(&[1; 32]).seal(b"secret", b"a");
        let both = Sealer::new(&[2; 32]).or_older(&[1; 32]);
        assert_eq!(both.open(&old, b"a").unwrap().as_slice(), b"secret");
        assert!(both.open(&old, b"b").is_none());
        assert!(Sealer::new(&[2; 32]).open(&both.seal(b"secret", b"a"), b"a").is_some());
        assert!(Sealer::new(&[1; 32]).open(&both.seal(b"secret", b"a"), b"a").is_none());
    }

    #[test]
    fn expired_session_is_named_as_such_ag_169() {
        let sealer = Sealer::new(&[1; 32]);
        let session = session();
        let token = session.seal(&sealer);
        let open = |now| SessionToken::open(&sealer, &token, &session.access_key_id, now).map(|_| ());
        assert_eq!(open(1_000_000 + 900_000 - 1), Ok(()));
        assert_eq!(open(1_000_000 + 900_000), Err(AuthError::ExpiredToken));
    }

    #[test]
    fn a_sealed_secret_is_not_accepted_as_a_session_token() {
        let sealer = Sealer::new(&[1; 32]);
        let sealed = sealer.seal_secret("AKIA1", &SecretKey::new("s"));
        assert_eq!(sealer.open_secret("AKIA1", &sealed).unwrap().expose(), "s");
        let opened = SessionToken::open(&sealer, &sealed, "AKIA1", 0).map(|_| ());
        assert_eq!(opened, Err(AuthError::UnrecognizedClient));
    }

    #[test]
    fn ids_have_the_shape_that_clients_expect_ag_190() {
        assert_eq!(access_key_id([0; 10]), "AKIAAAAAAAAAAAAAAAAA");
        assert_eq!(access_key_id([255; 10]), "AKIA7777777777777777");
        assert_eq!(session_access_key_id("444455556666", *b"0123456789").len(), 20);
        assert!(is_session_key_id(&session_access_key_id("444455556666", [3; 10])));
        assert_eq!(secret_access_key([255; 30]).expose().len(), 40);
        assert_eq!((user_id([1; 11]).len(), role_id([1; 11]).len()), (21, 21));
        assert_ne!(user_id([1; 11])[4..], user_id([2; 11])[4..]);
        assert_eq!(base32(b"fooba", 8), "MZXW6YTB", "RFC 4648");
    }
}
