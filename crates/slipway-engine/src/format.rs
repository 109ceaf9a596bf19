//! The version number of a stored machine.

use serde::{Deserialize, Serialize};

/// Stands in a stored machine and reads only as `V`: a document of another version is refused before anything in it
/// is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub(crate) struct FormatVersion<const V: u16>;

/// The document was written by a program that this one does not understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("format version {found} of a stored machine is not known; this program reads version {known}")]
pub(crate) struct UnknownFormatVersion {
    found: u16,
    known: u16,
}

impl<const V: u16> TryFrom<u16> for FormatVersion<V> {
    type Error = UnknownFormatVersion;

    fn try_from(found: u16) -> Result<Self, UnknownFormatVersion> {
        if found == V { Ok(Self) } else { Err(UnknownFormatVersion { found, known: V }) }
    }
}

impl<const V: u16> From<FormatVersion<V>> for u16 {
    fn from(_: FormatVersion<V>) -> Self {
        V
    }
}
