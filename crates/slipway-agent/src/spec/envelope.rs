//! The signature around a specification: PKCS#7 SignedData in PEM, checked completely (AP-39, D-18).

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode as _, Encode as _};
use x509_cert::Certificate;

/// Why a signed message is not believed.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not PEM with one of the two labels that agents take (AP-39).
    #[error("the message is not a PEM block labelled PKCS7")]
    Pem,
    /// Not SignedData in strict DER.
    #[error("the message is not well-formed SignedData ({0})")]
    Malformed(#[from] der::Error),
    /// Another kind of message.
    #[error("the message is not SignedData")]
    NotSignedData,
    /// Nothing inside.
    #[error("the message has no content")]
    NoContent,
    /// None, or more than one.
    #[error("the message has {0} signers instead of one")]
    Signers(usize),
    /// The certificate that the signer names is not there.
    #[error("the signer's certificate is not embedded")]
    NoCertificate,
    /// An algorithm that we do not accept.
    #[error("the algorithm {0} is not accepted")]
    Algorithm(ObjectIdentifier),
    /// The signed digest is not the content's.
    #[error("the content does not match its digest")]
    Digest,
    /// The signature is wrong.
    #[error("the signature does not match")]
    Signature,
}

/// A message whose signature holds. Whether its signer may sign is the pin's business.
#[derive(Debug)]
pub struct Verified {
    /// What was signed.
    pub content: Vec<u8>,
    /// The signer's certificate, DER.
    pub signer: Vec<u8>,
}

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// Checks a PEM message: digest and signature, by the certificate that it carries.
pub fn verify(pem: &str) -> Result<Verified, EnvelopeError> {
    let der = decode_pem(pem).ok_or(EnvelopeError::Pem)?;
    let info = ContentInfo::from_der(&der)?;
    if info.content_type != SIGNED_DATA {
        return Err(EnvelopeError::NotSignedData);
    }
    let message: SignedData = info.content.decode_as()?;
    let content = message.encap_content_info.econtent.as_ref().ok_or(EnvelopeError::NoContent)?;
    let content = content.decode_as::<OctetString>()?.into_bytes();
    let [signer] = message.signer_infos.0.as_slice() else {
        return Err(EnvelopeError::Signers(message.signer_infos.0.len()));
    };
    let certificate = signer_certificate(&message, signer).ok_or(EnvelopeError::NoCertificate)?;
    let signed = signed_bytes(&message, signer, &content)?;
    let key = certificate.tbs_certificate.subject_public_key_info.subject_public_key.raw_bytes();
    UnparsedPublicKey::new(algorithm(signer, certificate)?, key)
        .verify(&signed, signer.signature.as_bytes())
        .map_err(|_| EnvelopeError::Signature)?;
    Ok(Verified { signer: certificate.to_der()?, content })
}

/// The one PEM block, with either label (AP-39).
fn decode_pem(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let body = ["PKCS7", "PKCS #7 SIGNED DATA"].iter().find_map(|label| {
        text.strip_prefix(&format!("-----BEGIN {label}-----"))?
            .strip_suffix(&format!("-----END {label}-----"))
    })?;
    let body: String = body.split_ascii_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(body).ok()
}

fn signer_certificate<'a>(message: &'a SignedData, signer: &SignerInfo) -> Option<&'a Certificate> {
    // A subject key identifier is refused by every known agent (AP-39), so nobody needs it here.
    let SignerIdentifier::IssuerAndSerialNumber(id) = &signer.sid else { return None };
    message.certificates.as_ref()?.0.iter().find_map(|choice| match choice {
        CertificateChoices::Certificate(certificate)
            if certificate.tbs_certificate.issuer == id.issuer
                && certificate.tbs_certificate.serial_number == id.serial_number =>
        {
            Some(certificate)
        }
        _ => None,
    })
}

/// What the signature is over: the content, or the attributes that carry its digest (RFC 5652, 5.4).
fn signed_bytes(message: &SignedData, signer: &SignerInfo, content: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let Some(attributes) = &signer.signed_attrs else { return Ok(content.to_owned()) };
    let value = |oid: ObjectIdentifier| {
        let attribute = attributes.iter().find(|attribute| attribute.oid == oid)?;
        match attribute.values.as_slice() {
            [value] => Some(value),
            _ => None,
        }
    };
    let kind = value(CONTENT_TYPE).ok_or(EnvelopeError::Digest)?.decode_as::<ObjectIdentifier>()?;
    let stated = value(MESSAGE_DIGEST).ok_or(EnvelopeError::Digest)?.decode_as::<OctetString>()?;
    let actual = digest::digest(hash(signer)?.digest(), content);
    if kind != message.encap_content_info.econtent_type || stated.as_bytes() != actual.as_ref() {
        return Err(EnvelopeError::Digest);
    }
    Ok(attributes.to_der()?)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

fn hash(signer: &SignerInfo) -> Result<Hash, EnvelopeError> {
    match signer.digest_alg.oid {
        SHA256 => Ok(Hash::Sha256),
        SHA384 => Ok(Hash::Sha384),
        SHA512 => Ok(Hash::Sha512),
        other => Err(EnvelopeError::Algorithm(other)),
    }
}

/// The table of what is accepted: RSA PKCS#1 v1.5 and ECDSA on two curves, with SHA-2.
fn algorithm(
    signer: &SignerInfo,
    certificate: &Certificate,
) -> Result<&'static dyn VerificationAlgorithm, EnvelopeError> {
    let hash = hash(signer)?;
    let signing = signer.signature_algorithm.oid;
    let key = &certificate.tbs_certificate.subject_public_key_info.algorithm;
    let refused = || EnvelopeError::Algorithm(signing);
    let combined = match signing {
        RSA_SHA256 | ECDSA_SHA256 => Some(Hash::Sha256),
        RSA_SHA384 | ECDSA_SHA384 => Some(Hash::Sha384),
        RSA_SHA512 | ECDSA_SHA512 => Some(Hash::Sha512),
        _ => None,
    };
    if combined.is_some_and(|combined| combined != hash) {
        return Err(refused());
    }
    match (key.oid, signing) {
        (RSA, RSA | RSA_SHA256 | RSA_SHA384 | RSA_SHA512) => Ok(match hash {
            Hash::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Hash::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Hash::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        }),
        (EC, ECDSA_SHA256 | ECDSA_SHA384 | ECDSA_SHA512) => {
            let curve = key.parameters.as_ref().ok_or_else(refused)?.decode_as::<ObjectIdentifier>()?;
            match (curve, hash) {
                (P256, Hash::Sha256) => Ok(&signature::ECDSA_P256_SHA256_ASN1),
                (P256, Hash::Sha384) => Ok(&signature::ECDSA_P256_SHA384_ASN1),
                (P256, Hash::Sha512) => Ok(&signature::ECDSA_P256_SHA512_ASN1),
                (P384, Hash::Sha256) => Ok(&signature::ECDSA_P384_SHA256_ASN1),
                (P384, Hash::Sha384) => Ok(&signature::ECDSA_P384_SHA384_ASN1),
                (P384, Hash::Sha512) => Ok(&signature::ECDSA_P384_SHA512_ASN1),
                _ => Err(EnvelopeError::Algorithm(curve)),
            }
        }
        _ => Err(refused()),
    }
}
