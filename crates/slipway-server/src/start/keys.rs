//! Master keys: in `private/master.key`, or in the variable `SLIPWAY_MASTER_KEY`.
//!
//! The first key seals; older ones behind it only open. There are older ones while a key is being replaced: whatever
//! moment a crash comes at, each secret is sealed with one of the keys that are known.

use std::fmt;
use std::path::{Path, PathBuf};

use slipway_auth::Zeroizing;
use slipway_auth::token::Sealer;

use super::data::DataError;
use crate::clock::random;
use crate::files;

const FILE: &str = "master.key";
const VARIABLE: &str = "SLIPWAY_MASTER_KEY";

/// Keys given from outside, separated by commas; not shown by anything.
#[derive(Clone)]
pub struct GivenKeys(Zeroizing<String>);

impl GivenKeys {
    /// From the text of the variable.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl fmt::Debug for GivenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GivenKeys(..)")
    }
}

type Key = Zeroizing<[u8; 32]>;

/// The keys of an installation, at least one.
pub(super) struct MasterKeys {
    keys: Vec<Key>,
    /// `None`: they were given from outside.
    file: Option<PathBuf>,
}

impl MasterKeys {
    /// The keys; one is made when there is neither a key nor a database.
    pub(super) fn open(
        private: &Path,
        database: &Path,
        given: Option<&GivenKeys>,
    ) -> Result<Self, DataError> {
        if let Some(GivenKeys(text)) = given {
            let keys =
                parse(text.split(',')).ok_or_else(|| DataError::KeyDamaged { key: VARIABLE.to_owned() })?;
            return Ok(Self { keys, file: None });
        }
        let path = private.join(FILE);
        if let Some(text) = files::read_text(&path)?.map(Zeroizing::new) {
            let keys = parse(text.lines())
                .ok_or_else(|| DataError::KeyDamaged { key: path.display().to_string() })?;
            return Ok(Self { keys, file: Some(path) });
        }
        if database.exists() {
            return Err(DataError::KeyMissing {
                database: database.display().to_string(),
                key: path.display().to_string(),
            });
        }
        let made = Self { keys: vec![Zeroizing::new(random())], file: Some(path) };
        made.write()?;
        Ok(made)
    }

    /// Seals with the first key and opens what any of them sealed.
    pub(super) fn sealer(&self) -> Sealer {
        let older = self.keys[1..].iter();
        older.fold(Sealer::new(&self.keys[0]), |sealer, key| sealer.or_older(key))
    }

    /// Puts a new key before the others, unless a replacement has begun already. Keys from outside can only be
    /// replaced by who gives them.
    pub(super) fn begin_replacement(&mut self) -> Result<(), DataError> {
        if self.keys.len() > 1 {
            return Ok(());
        }
        if self.file.is_none() {
            return Err(DataError::NoNewKey { variable: VARIABLE });
        }
        self.keys.insert(0, Zeroizing::new(random()));
        self.write()
    }

    /// Forgets the older keys; nothing may be sealed with them any more.
    pub(super) fn end_replacement(&mut self) -> Result<(), DataError> {
        self.keys.truncate(1);
        self.write()
    }

    fn write(&self) -> Result<(), DataError> {
        let Some(path) = &self.file else { return Ok(()) };
        let mut text = Zeroizing::new(String::new());
        for key in &self.keys {
            text.push_str(&Zeroizing::new(hex::encode(key.as_slice())));
            text.push('\n');
        }
        Ok(files::write_atomic(path, text.as_bytes(), files::SECRET)?)
    }
}

fn parse<'a>(texts: impl Iterator<Item = &'a str>) -> Option<Vec<Key>> {
    let mut keys = Vec::new();
    for text in texts.map(str::trim).filter(|text| !text.is_empty()) {
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text, key.as_mut_slice()).ok()?;
        keys.push(key);
    }
    (!keys.is_empty()).then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_master_key_is_never_replaced_under_a_database() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("slipway.db");
        let open = || MasterKeys::open(dir.path(), &database, None);
        let sealed = open().unwrap().sealer().seal(b"x", b"");
        std::fs::write(&database, "").unwrap();
        assert!(open().unwrap().sealer().open(&sealed, b"").is_some());
        let key = dir.path().join(FILE);
        for damaged in ["abc", "", "\n\n"] {
            std::fs::write(&key, damaged).unwrap();
            assert!(matches!(open(), Err(DataError::KeyDamaged { .. })), "{damaged:?}");
        }
        std::fs::remove_file(&key).unwrap();
        assert!(matches!(open(), Err(DataError::KeyMissing { .. })));
    }

    #[test]
    fn at_each_step_of_a_replacement_everything_opens() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("slipway.db");
        let open = || MasterKeys::open(dir.path(), &database, None).unwrap();
        let old = open().sealer().seal(b"x", b"");
        open().begin_replacement().unwrap();
        // What follows a crash here: the replacement goes on with the key that it began with.
        open().begin_replacement().unwrap();
        assert_eq!(open().keys.len(), 2);
        assert!(open().sealer().open(&old, b"").is_some());
        let new = open().sealer().seal(b"x", b"");
        open().end_replacement().unwrap();
        assert!(open().sealer().open(&new, b"").is_some());
        assert!(open().sealer().open(&old, b"").is_none());
    }

    #[test]
    fn a_key_from_outside_is_in_no_file_and_no_message() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("slipway.db");
        let given = |text: &str| GivenKeys::new(text);
        let (one, two) = ("11".repeat(32), "22".repeat(32));
        let open = |text: &str| MasterKeys::open(dir.path(), &database, Some(&given(text)));
        let sealed = open(&one).unwrap().sealer().seal(b"x", b"");
        assert!(!dir.path().join(FILE).exists());
        assert!(open(&format!("{two},{one}")).unwrap().sealer().open(&sealed, b"").is_some());
        assert!(matches!(open(&one).unwrap().begin_replacement(), Err(DataError::NoNewKey { .. })));
        assert!(open(&format!("{two},{one}")).unwrap().begin_replacement().is_ok());
        let error = open("hush").err().unwrap().to_string();
        assert!(!error.contains("hush") && error.contains(VARIABLE), "{error}");
        assert!(!format!("{:?}", given("hush")).contains("hush"));
    }
}
