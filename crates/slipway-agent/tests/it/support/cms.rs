//! Signs specifications as a control plane does (AP-39).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use der::asn1::{ObjectIdentifier, OctetString, SetOfVec};
use der::{Any, Decode as _, Encode as _};
use x509_cert::Certificate;
use x509_cert::spki::AlgorithmIdentifierOwned;

/// A signing key with its certificate.
pub(crate) struct Signer {
    key: EcdsaKeyPair,
    certificate: Certificate,
    /// The certificate in PEM, to be pinned.
    pub(crate) pem: String,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        Self {
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.serialized_der()).unwrap(),
            certificate: Certificate::from_der(certificate.der()).unwrap(),
            pem: certificate.pem(),
        }
    }

    /// A PEM message, content inside, without signed attributes.
    pub(crate) fn sign(&self, content: &[u8]) -> String {
        let signature = self.key.sign(&SystemRandom::new(), content).unwrap();
        self.message(content, signature.as_ref())
    }

    /// A message that claims `content` with a signature of something else.
    pub(crate) fn forge(&self, content: &[u8]) -> String {
        let signature = self.key.sign(&SystemRandom::new(), b"something else").unwrap();
        self.message(content, signature.as_ref())
    }

    fn message(&self, content: &[u8], signature: &[u8]) -> String {
        let algorithm = |oid: &str| AlgorithmIdentifierOwned {
            oid: ObjectIdentifier::new(oid).unwrap(),
            parameters: None,
        };
        let signer = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: self.certificate.tbs_certificate.issuer.clone(),
                serial_number: self.certificate.tbs_certificate.serial_number.clone(),
            }),
            digest_alg: algorithm("2.16.840.1.101.3.4.2.1"),
            signed_attrs: None,
            signature_algorithm: algorithm("1.2.840.10045.4.3.2"),
            signature: OctetString::new(signature).unwrap(),
            unsigned_attrs: None,
        };
        let content = Any::encode_from(&OctetString::new(content).unwrap()).unwrap();
        let message = SignedData {
            version: CmsVersion::V1,
            digest_algorithms: SetOfVec::try_from(vec![algorithm("2.16.840.1.101.3.4.2.1")]).unwrap(),
            encap_content_info: EncapsulatedContentInfo {
                econtent_type: ObjectIdentifier::new("1.2.840.113549.1.7.1").unwrap(),
                econtent: Some(content),
            },
            certificates: Some(
                CertificateSet::try_from(vec![CertificateChoices::Certificate(self.certificate.clone())])
                    .unwrap(),
            ),
            crls: None,
            signer_infos: SignerInfos::try_from(vec![signer]).unwrap(),
        };
        let info = ContentInfo {
            content_type: ObjectIdentifier::new("1.2.840.113549.1.7.2").unwrap(),
            content: Any::encode_from(&message).unwrap(),
        };
        let text = base64::engine::general_purpose::STANDARD.encode(info.to_der().unwrap());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PKCS7-----\n{}\n-----END PKCS7-----\n", lines.join("\n"))
    }
}
