//! The signature under deployment specifications (AP-11, AP-39).
//!
//! Agents get the specification of a deployment as a PKCS#7 SignedData with the JSON inside. The form is the one that
//! every known agent takes: PEM label `PKCS7`, strict DER, the signer named by issuer and serial number, its
//! certificate embedded, RSA 2048 with PKCS#1 v1.5 and SHA-256. Our own agent pins the signer's certificate (D-18).

mod message;

use std::path::Path;

use der::{DecodePem as _, EncodePem as _};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize,
};
use slipway_model::Timestamp;
use x509_cert::Certificate;

use crate::files::{self, FileError};
use crate::pki;

/// File of the signer's certificate in the data directory, for agents to pin.
pub const CERTIFICATE_FILE: &str = "slipway-signing.pem";
const KEY_FILE: &str = "signing.key";
const VALID_DAYS: i64 = 3650;

/// A specification that cannot be signed, or a signer that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A file of the data directory.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key in the data directory.
    #[error("{path} is no usable RSA key: {reason}. Restore it from a backup")]
    Damaged {
        /// File.
        path: String,
        /// Why.
        reason: String,
    },
    /// The key cannot be made or used.
    #[error("the signing key of deployment specifications: {0}")]
    Key(#[from] rcgen::Error),
    /// The certificate or the message cannot be encoded.
    #[error("the signature of a deployment specification: {0}")]
    Encoding(#[from] der::Error),
}

/// Signs deployment specifications.
pub struct SpecSigner {
    key: KeyPair,
    certificate: Certificate,
    certificate_pem: String,
}

impl std::fmt::Debug for SpecSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SpecSigner(..)")
    }
}

impl SpecSigner {
    /// The signer whose key lies in `private` and whose certificate lies in `data`; makes what is missing.
    ///
    /// The key is written first: after a crash in between, the next start makes the certificate for the same key.
    pub fn load_or_create(data: &Path, private: &Path, now: Timestamp) -> Result<Self, SpecError> {
        let key_path = private.join(KEY_FILE);
        let key = if let Some(pem) = files::read_text(&key_path)? {
            KeyPair::from_pem_and_sign_algo(&pem, &PKCS_RSA_SHA256).map_err(|error| SpecError::Damaged {
                path: key_path.display().to_string(),
                reason: error.to_string(),
            })?
        } else {
            let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
            files::write_atomic(&key_path, key.serialize_pem().as_bytes(), files::SECRET)?;
            key
        };
        let certificate_path = data.join(CERTIFICATE_FILE);
        let stored = files::read_optional(&certificate_path)?
            .and_then(|pem| Certificate::from_pem(pem).ok())
            .filter(|certificate| pki::is_of_key(certificate, &key));
        let certificate = if let Some(certificate) = stored {
            certificate
        } else {
            let pem = self_signed(&key, now)?;
            files::write_atomic(&certificate_path, pem.as_bytes(), files::PUBLIC)?;
            Certificate::from_pem(pem)?
        };
        let certificate_pem = certificate.to_pem(der::pem::LineEnding::LF)?;
        Ok(Self { key, certificate, certificate_pem })
    }

    /// The signed form of `json` as the agents take it.
    pub fn sign(&self, json: &[u8]) -> Result<String, SpecError> {
        message::sign(json, &self.certificate, &self.key)
    }

    /// The signer's certificate.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }
}

fn self_signed(key: &KeyPair, now: Timestamp) -> Result<String, SpecError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = pki::distinguished_name("Slipway deployment specification signer");
    params.distinguished_name.push(DnType::OrganizationName, "Slipway");
    params.serial_number = Some(pki::serial_number());
    (params.not_before, params.not_after) = pki::validity(now, VALID_DAYS);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // OpenSSL's default purpose when it verifies a message is "S/MIME signing".
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    Ok(params.self_signed(key)?.pem())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn signer(dir: &Path) -> SpecSigner {
        SpecSigner::load_or_create(dir, dir, Timestamp(1_780_000_000_000)).unwrap()
    }

    /// What `openssl COMMAND …` says to the message: its exit status and the content that it found.
    fn openssl(dir: &Path, arguments: &[&str], pem: &str) -> (bool, Vec<u8>) {
        std::fs::write(dir.join("message.pem"), pem).unwrap();
        let output = Command::new("openssl")
            .current_dir(dir)
            .args(arguments)
            .args(["-in", "message.pem", "-inform", "PEM"])
            .output()
            .unwrap();
        (output.status.success(), output.stdout)
    }

    const CMS: &[&str] = &["cms", "-verify", "-binary", "-noverify", "-certfile", CERTIFICATE_FILE];
    const SMIME: &[&str] = &["smime", "-verify", "-binary", "-noverify"];
    const CHAIN: &[&str] = &["cms", "-verify", "-binary", "-no_check_time", "-CAfile", CERTIFICATE_FILE];

    #[test]
    fn openssl_accepts_the_signature_and_finds_the_content_ap_39() {
        let dir = tempfile::tempdir().unwrap();
        let signer = signer(dir.path());
        let json = br#"{"DeploymentId":"d-ABCDEFGHI","Note":"line\r\nend"}"#;
        let pem = signer.sign(json).unwrap();
        assert!(pem.starts_with("-----BEGIN PKCS7-----\n"), "{pem}");
        assert!(pem.trim_end().ends_with("-----END PKCS7-----"));
        for verify in [CMS, SMIME, CHAIN] {
            assert_eq!(openssl(dir.path(), verify, &pem), (true, json.to_vec()), "{verify:?}");
        }
    }

    #[test]
    fn openssl_refuses_a_tampered_message() {
        let dir = tempfile::tempdir().unwrap();
        let signer = signer(dir.path());
        let pem = signer.sign(br#"{"Bucket":"good"}"#).unwrap();
        let (label, mut der) = der::pem::decode_vec(pem.as_bytes()).unwrap();
        let at = der.windows(4).position(|w| w == b"good").unwrap();
        der[at..at + 4].copy_from_slice(b"evil");
        let tampered = der::pem::encode_string(label, der::pem::LineEnding::LF, &der).unwrap();
        assert!(!openssl(dir.path(), CMS, &tampered).0);
    }

    #[test]
    fn messages_are_small_and_strict_der() {
        let dir = tempfile::tempdir().unwrap();
        let pem = signer(dir.path()).sign(b"{}").unwrap();
        assert!(pem.len() < 3000, "{}", pem.len());
        let (_, der) = der::pem::decode_vec(pem.as_bytes()).unwrap();
        let parsed: cms::content_info::ContentInfo = der::Decode::from_der(&der).unwrap();
        assert_eq!(der::Encode::to_der(&parsed).unwrap(), der);
    }

    #[test]
    fn the_signer_survives_a_restart_and_a_lost_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let first = signer(dir.path());
        let again = signer(dir.path());
        assert_eq!(first.certificate_pem(), again.certificate_pem());
        std::fs::remove_file(dir.path().join(CERTIFICATE_FILE)).unwrap();
        let remade = signer(dir.path());
        assert_eq!(remade.key.public_key_raw(), first.key.public_key_raw());
        assert_eq!(
            std::fs::read_to_string(dir.path().join(CERTIFICATE_FILE)).unwrap(),
            remade.certificate_pem()
        );
    }

    #[test]
    fn a_damaged_key_is_named_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        signer(dir.path());
        std::fs::write(dir.path().join(KEY_FILE), "x").unwrap();
        let error = SpecSigner::load_or_create(dir.path(), dir.path(), Timestamp(0)).unwrap_err().to_string();
        assert!(error.contains(KEY_FILE), "{error}");
        assert_eq!(std::fs::read_to_string(dir.path().join(KEY_FILE)).unwrap(), "x");
    }
}
