//! Content checks: what a client claims about a body, what we computed, and how parts add up.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, checksum_combine};
use s3s::S3ErrorCode;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{self, Checksum as _};
use s3s::dto;
use serde::{Deserialize, Serialize};

use crate::error::ArtifactError;

/// The additional checksums that S3 knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64nvme, Self::Sha1, Self::Sha256];

    /// The name used in `x-amz-checksum-algorithm` and in XML.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => dto::ChecksumAlgorithm::CRC32,
            Self::Crc32c => dto::ChecksumAlgorithm::CRC32C,
            Self::Crc64nvme => dto::ChecksumAlgorithm::CRC64NVME,
            Self::Sha1 => dto::ChecksumAlgorithm::SHA1,
            Self::Sha256 => dto::ChecksumAlgorithm::SHA256,
        }
    }

    /// The header (or trailer) that carries a value of this algorithm.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self, ArtifactError> {
        Self::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            ArtifactError::refused(
                S3ErrorCode::InvalidRequest,
                format!("Checksum algorithm provided is unsupported: {name}"),
            )
        })
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Crc32 => crypto::Crc32::checksum(data).to_vec(),
            Self::Crc32c => crypto::Crc32c::checksum(data).to_vec(),
            Self::Crc64nvme => crypto::Crc64Nvme::checksum(data).to_vec(),
            Self::Sha1 => crypto::Sha1::checksum(data).to_vec(),
            Self::Sha256 => crypto::Sha256::checksum(data).to_vec(),
        }
    }
}

/// How the checksum of a multipart object covers its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cover {
    /// A checksum of the parts' checksums, followed by `-N`.
    #[serde(rename = "COMPOSITE")]
    Composite,
    /// The checksum of the whole content.
    #[serde(rename = "FULL_OBJECT")]
    FullObject,
}

impl Cover {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Composite => dto::ChecksumType::COMPOSITE,
            Self::FullObject => dto::ChecksumType::FULL_OBJECT,
        }
    }

    /// The cover of an upload: as asked for, else what S3 chooses for the algorithm.
    pub(crate) fn choose(algorithm: Algorithm, asked: Option<&str>) -> Result<Self, ArtifactError> {
        let cover = match asked {
            None if algorithm == Algorithm::Crc64nvme => Self::FullObject,
            None => Self::Composite,
            Some(name) if name == Self::Composite.name() => Self::Composite,
            Some(name) if name == Self::FullObject.name() => Self::FullObject,
            Some(name) => {
                return Err(ArtifactError::refused(
                    S3ErrorCode::InvalidRequest,
                    format!("Value for x-amz-checksum-type header is invalid: {name}"),
                ));
            }
        };
        let possible = match cover {
            Self::Composite => algorithm != Algorithm::Crc64nvme,
            Self::FullObject => algorithm.crc().is_some(),
        };
        if possible {
            return Ok(cover);
        }
        Err(ArtifactError::refused(
            S3ErrorCode::InvalidRequest,
            format!(
                "The {} checksum type cannot be used with the {} checksum algorithm.",
                cover.name(),
                algorithm.name()
            ),
        ))
    }
}

/// Checksums of one content, base64 as on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Checksums {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crc32: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crc32c: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crc64nvme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cover: Option<Cover>,
}

impl Checksums {
    pub(crate) fn get(&self, algorithm: Algorithm) -> Option<&str> {
        match algorithm {
            Algorithm::Crc32 => self.crc32.as_deref(),
            Algorithm::Crc32c => self.crc32c.as_deref(),
            Algorithm::Crc64nvme => self.crc64nvme.as_deref(),
            Algorithm::Sha1 => self.sha1.as_deref(),
            Algorithm::Sha256 => self.sha256.as_deref(),
        }
    }

    pub(crate) fn set(&mut self, algorithm: Algorithm, value: String) {
        let slot = match algorithm {
            Algorithm::Crc32 => &mut self.crc32,
            Algorithm::Crc32c => &mut self.crc32c,
            Algorithm::Crc64nvme => &mut self.crc64nvme,
            Algorithm::Sha1 => &mut self.sha1,
            Algorithm::Sha256 => &mut self.sha256,
        };
        *slot = Some(value);
    }

    pub(crate) fn algorithms(&self) -> impl Iterator<Item = Algorithm> + '_ {
        Algorithm::ALL.into_iter().filter(|a| self.get(*a).is_some())
    }

    pub(crate) fn from_dto(sums: dto::Checksum) -> Self {
        Self {
            crc32: sums.checksum_crc32,
            crc32c: sums.checksum_crc32c,
            crc64nvme: sums.checksum_crc64nvme,
            sha1: sums.checksum_sha1,
            sha256: sums.checksum_sha256,
            cover: None,
        }
    }

    pub(crate) fn cover_dto(&self) -> Option<dto::ChecksumType> {
        self.algorithms().next()?;
        Some(dto::ChecksumType::from_static(self.cover.unwrap_or(Cover::FullObject).name()))
    }

    pub(crate) fn algorithm_list_dto(&self) -> Option<Vec<dto::ChecksumAlgorithm>> {
        let list: Vec<_> = self.algorithms().map(|a| dto::ChecksumAlgorithm::from_static(a.name())).collect();
        (!list.is_empty()).then_some(list)
    }

    /// Refuses content whose computed checksum differs from the claimed one.
    pub(crate) fn verify_claims(&self, claims: &Self) -> Result<(), ArtifactError> {
        for algorithm in claims.algorithms() {
            let claimed = claims.get(algorithm).unwrap_or_default();
            if self.get(algorithm) != Some(claimed) {
                return Err(ArtifactError::refused(
                    S3ErrorCode::BadDigest,
                    format!("The {} you specified did not match the calculated checksum.", algorithm.name()),
                ));
            }
        }
        Ok(())
    }
}

/// A hasher for exactly the algorithms wanted.
pub(crate) fn hasher(wanted: impl Iterator<Item = Algorithm>) -> ChecksumHasher {
    let mut hasher = ChecksumHasher::default();
    for algorithm in wanted {
        match algorithm {
            Algorithm::Crc32 => hasher.crc32 = Some(crypto::Crc32::new()),
            Algorithm::Crc32c => hasher.crc32c = Some(crypto::Crc32c::new()),
            Algorithm::Crc64nvme => hasher.crc64nvme = Some(crypto::Crc64Nvme::new()),
            Algorithm::Sha1 => hasher.sha1 = Some(crypto::Sha1::new()),
            Algorithm::Sha256 => hasher.sha256 = Some(crypto::Sha256::new()),
        }
    }
    hasher
}

/// The checksum of a multipart object from those of its parts (value and length); `None` if a part has no such
/// checksum.
pub(crate) fn of_parts(algorithm: Algorithm, cover: Cover, parts: &[(Option<&str>, u64)]) -> Option<String> {
    let raw: Option<Vec<(Vec<u8>, u64)>> =
        parts.iter().map(|(sum, len)| Some((STANDARD.decode((*sum)?).ok()?, *len))).collect();
    let raw = raw?;
    match cover {
        Cover::Composite => {
            let joined: Vec<u8> = raw.iter().flat_map(|(sum, _)| sum.iter().copied()).collect();
            Some(format!("{}-{}", STANDARD.encode(algorithm.digest(&joined)), raw.len()))
        }
        Cover::FullObject => {
            let crc = algorithm.crc()?;
            let width = raw.first()?.0.len();
            let whole = raw
                .iter()
                .map(|(sum, len)| (big_endian(sum), *len))
                .reduce(|(left, done), (right, len)| (checksum_combine(crc, left, right, len), done + len))?;
            Some(STANDARD.encode(&whole.0.to_be_bytes()[8 - width..]))
        }
    }
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |acc, b| (acc << 8) | u64::from(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that asks for FULL_OBJECT checks the downloaded bytes against this value.
    #[test]
    fn full_object_crc_of_parts_equals_crc_of_whole() {
        let (a, b) = (vec![7_u8; 5000], b"the last part".to_vec());
        let whole: Vec<u8> = a.iter().chain(&b).copied().collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64nvme] {
            let (sa, sb) = (STANDARD.encode(algorithm.digest(&a)), STANDARD.encode(algorithm.digest(&b)));
            let parts = [(Some(sa.as_str()), a.len() as u64), (Some(sb.as_str()), b.len() as u64)];
            let combined = of_parts(algorithm, Cover::FullObject, &parts).unwrap();
            assert_eq!(combined, STANDARD.encode(algorithm.digest(&whole)), "{algorithm:?}");
        }
    }

    #[test]
    fn sha_cannot_cover_a_full_multipart_object() {
        assert!(Cover::choose(Algorithm::Sha256, Some("FULL_OBJECT")).is_err());
        assert_eq!(Cover::choose(Algorithm::Crc64nvme, None).unwrap(), Cover::FullObject);
        assert_eq!(Cover::choose(Algorithm::Crc32, None).unwrap(), Cover::Composite);
    }
}
