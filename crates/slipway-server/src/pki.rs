//! Certificates of the endpoint (D-03): a CA of our own, made on first start, and the server certificate under it; or
//! the operator's certificate.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use der::asn1::OctetString;
use der::{Decode as _, DecodePem as _};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use slipway_model::Timestamp;
use time::OffsetDateTime;
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::files::{self, FileError};

/// File of the CA certificate in the data directory: what clients trust.
pub const CA_FILE: &str = "ca.pem";
const CA_KEY_FILE: &str = "ca.key";
const SERVER_FILE: &str = "server.pem";
const SERVER_KEY_FILE: &str = "server.key";
const CA_DAYS: i64 = 3650;
/// The longest that clients accept of a server certificate.
const SERVER_DAYS: i64 = 397;
const RENEW_BEFORE_DAYS: i64 = 30;
const DAY_MS: i64 = 86_400_000;

/// Certificates that cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A certificate or key cannot be made.
    #[error("the server's certificates: {0}")]
    Make(#[from] rcgen::Error),
    /// A key of the data directory.
    #[error("{path} is no usable private key: {reason}. Restore it from a backup")]
    Key {
        /// File.
        path: String,
        /// Why.
        reason: String,
    },
    /// The CA in the data directory cannot be used to make a server certificate.
    #[error("{path} is not a usable CA certificate: {reason}")]
    Ca {
        /// File.
        path: String,
        /// Why.
        reason: String,
    },
    /// The operator's certificate or key.
    #[error("{path} is not usable: {reason}")]
    Operator {
        /// File.
        path: String,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not go together, or TLS refuses them.
    #[error("the server certificate is refused: {0}")]
    Tls(#[from] rustls::Error),
}

/// A certificate chain with its key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// The server's own certificate under the CA in the data directory; makes or renews what is missing, old or for other
/// names.
pub fn own_identity(
    data: &Path,
    private: &Path,
    names: &[String],
    now: Timestamp,
) -> Result<Identity, PkiError> {
    let (ca, ca_key) = own_ca(&data.join(CA_FILE), &private.join(CA_KEY_FILE), now)?;
    let key = load_or_make_key(&private.join(SERVER_KEY_FILE))?;
    let path = private.join(SERVER_FILE);
    let mut names = names.to_vec();
    names.sort();
    names.dedup();
    let stored = files::read_optional(&path)?
        .and_then(|pem| Certificate::from_pem(pem).ok())
        .filter(|stored| is_of_key(stored, &key) && is_current(stored, &ca, &names, now));
    if stored.is_none() {
        let issuer = Issuer::from_ca_cert_der(&der_of(&ca)?, ca_key)?;
        let server = server_params(&names, now)?.signed_by(&key, &issuer)?;
        files::write_atomic(&path, server.pem().as_bytes(), files::PUBLIC)?;
    }
    let pem = files::read_optional(&path)?.unwrap_or_default();
    // The CA is not sent: who trusts it has it.
    let chain = read_chain(&pem, &path)?;
    Ok(Identity { chain, key: PrivateKeyDer::Pkcs8(key.serialize_der().into()) })
}

/// The operator's certificate (with its chain) and key, PEM.
pub fn operator_identity(certificate: &Path, key: &Path) -> Result<Identity, PkiError> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| FileError::new("read", path, error));
    let chain = read_chain(&read(certificate)?, certificate)?;
    let key_der = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|error| PkiError::Operator { path: key.display().to_string(), reason: error.to_string() })?;
    Ok(Identity { chain, key: key_der })
}

fn read_chain(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let unusable = |reason| PkiError::Operator { path: path.display().to_string(), reason };
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(error.to_string()))?;
    if chain.is_empty() { Err(unusable("it holds no certificate".to_owned())) } else { Ok(chain) }
}

/// The certificate that the server shows; another one can take its place while the server runs.
#[derive(Debug)]
pub struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    /// Shows `identity`; certificate and key must go together.
    pub fn new(identity: Identity) -> Result<Self, PkiError> {
        Ok(Self(RwLock::new(Arc::new(certified(identity)?))))
    }

    /// Shows `identity` to whoever connects from now on. Answers whether it is another certificate than before.
    pub fn replace(&self, identity: Identity) -> Result<bool, PkiError> {
        let next = Arc::new(certified(identity)?);
        let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = shown.cert != next.cert;
        *shown = next;
        Ok(changed)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn certified(identity: Identity) -> Result<CertifiedKey, PkiError> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Ok(CertifiedKey::from_der(identity.chain, identity.key, &provider)?)
}

/// TLS 1.2 and 1.3 with forward secrecy only (AS-145; rustls has nothing else), HTTP/2 and HTTP/1.1.
pub fn server_config(shown: Arc<Shown>) -> Result<Arc<rustls::ServerConfig>, PkiError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Agents that poll seldom make a new connection for every poll (AP-42): tickets spare them the full handshake.
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

fn own_ca(path: &Path, key_path: &Path, now: Timestamp) -> Result<(Certificate, KeyPair), PkiError> {
    let unusable =
        |error: der::Error| PkiError::Ca { path: path.display().to_string(), reason: error.to_string() };
    let stored = files::read_optional(path)?;
    let had_key = key_path.exists();
    let key = match (&stored, had_key) {
        // Making another CA would lock out every client that trusts this one.
        (Some(_), false) => {
            return Err(PkiError::Ca {
                path: path.display().to_string(),
                reason: format!("its key {} is missing", key_path.display()),
            });
        }
        _ => load_or_make_key(key_path)?,
    };
    if let Some(pem) = stored {
        let certificate = Certificate::from_pem(pem).map_err(unusable)?;
        if !is_of_key(&certificate, &key) {
            return Err(PkiError::Ca {
                path: path.display().to_string(),
                reason: format!("it does not go with the key {}", key_path.display()),
            });
        }
        return Ok((certificate, key));
    }
    let pem = ca_params(now).self_signed(&key)?.pem();
    files::write_atomic(path, pem.as_bytes(), files::PUBLIC)?;
    Ok((Certificate::from_pem(pem).map_err(unusable)?, key))
}

fn load_or_make_key(path: &Path) -> Result<KeyPair, PkiError> {
    if let Some(pem) = files::read_text(path)? {
        return KeyPair::from_pem(&pem)
            .map_err(|error| PkiError::Key { path: path.display().to_string(), reason: error.to_string() });
    }
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    files::write_atomic(path, key.serialize_pem().as_bytes(), files::SECRET)?;
    Ok(key)
}

fn ca_params(now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    let serial = serial_number();
    // Two installations' CAs must have different names: clients find issuers by name.
    let tag = hex::encode(&serial.to_bytes()[..4]);
    params.distinguished_name = distinguished_name(&format!("Slipway CA {tag}"));
    params.serial_number = Some(serial);
    (params.not_before, params.not_after) = validity(now, CA_DAYS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn server_params(names: &[String], now: Timestamp) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name("Slipway control plane");
    params.serial_number = Some(serial_number());
    (params.not_before, params.not_after) = validity(now, SERVER_DAYS);
    params.subject_alt_names = names
        .iter()
        .map(|name| match name.parse::<IpAddr>() {
            Ok(address) => Ok(SanType::IpAddress(address)),
            Err(_) => name.as_str().try_into().map(SanType::DnsName),
        })
        .collect::<Result<_, _>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// A name with only a common name.
pub(crate) fn distinguished_name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// 16 random bytes with the highest bit clear: a positive number without a leading zero byte.
pub(crate) fn serial_number() -> SerialNumber {
    let mut bytes = crate::clock::random::<16>();
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// From an hour ago, for clients whose clocks are slow, so that the whole is `days` long.
pub(crate) fn validity(now: Timestamp, days: i64) -> (OffsetDateTime, OffsetDateTime) {
    let start = now.plus_millis(-3_600_000);
    let end = start.plus_millis(days * DAY_MS);
    let date = |time: Timestamp| {
        OffsetDateTime::from_unix_timestamp(time.0.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    (date(start), date(end))
}

/// Whether the certificate is for this key.
pub(crate) fn is_of_key(certificate: &Certificate, key: &KeyPair) -> bool {
    certificate.tbs_certificate.subject_public_key_info.subject_public_key.raw_bytes() == key.public_key_raw()
}

/// Whether a server certificate is from this CA, for exactly these names, and good for a while.
fn is_current(certificate: &Certificate, ca: &Certificate, names: &[String], now: Timestamp) -> bool {
    let tbs = &certificate.tbs_certificate;
    let seconds = tbs.validity.not_after.to_unix_duration().as_secs();
    let ends = Timestamp(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000));
    tbs.issuer == ca.tbs_certificate.subject
        && ends.millis_since(now) >= RENEW_BEFORE_DAYS * DAY_MS
        && names_of(certificate).is_some_and(|stored| stored == names)
}

/// The names of a certificate, sorted; `None` when it has some that we would not write.
fn names_of(certificate: &Certificate) -> Option<Vec<String>> {
    let (_, SubjectAltName(names)) = certificate.tbs_certificate.get::<SubjectAltName>().ok()??;
    let mut names = names.iter().map(name_text).collect::<Option<Vec<_>>>()?;
    names.sort();
    Some(names)
}

fn name_text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        GeneralName::IpAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    }
}

fn address(bytes: &OctetString) -> Option<IpAddr> {
    let bytes = bytes.as_bytes();
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn der_of(certificate: &Certificate) -> Result<CertificateDer<'static>, PkiError> {
    der::Encode::to_der(certificate)
        .map(CertificateDer::from)
        .map_err(|error| PkiError::Ca { path: CA_FILE.to_owned(), reason: error.to_string() })
}

/// When a certificate in DER ends; for the log line at start.
pub fn not_after(identity: &Identity) -> Option<Timestamp> {
    let certificate = Certificate::from_der(identity.chain.first()?).ok()?;
    let seconds = certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs();
    Some(Timestamp(i64::try_from(seconds).ok()?.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    const NOW: Timestamp = Timestamp(1_780_000_000_000);

    fn names() -> Vec<String> {
        ["localhost", "127.0.0.1", "::1", "build-1.example.org"].map(str::to_owned).to_vec()
    }

    fn leaf(dir: &Path, names: &[String], now: Timestamp) -> Vec<u8> {
        own_identity(dir, dir, names, now).unwrap().chain[0].to_vec()
    }

    #[test]
    fn openssl_accepts_the_server_certificate_under_the_ca_d_03() {
        let dir = tempfile::tempdir().unwrap();
        leaf(dir.path(), &names(), NOW);
        let verified = Command::new("openssl")
            .current_dir(dir.path())
            .args(["verify", "-attime", "1780000000", "-purpose", "sslserver", "-x509_strict"])
            .args(["-verify_ip", "127.0.0.1", "-CAfile", CA_FILE, SERVER_FILE])
            .output()
            .unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    }

    #[test]
    fn restart_keeps_the_certificate_and_the_trust_of_clients() {
        let dir = tempfile::tempdir().unwrap();
        let first = leaf(dir.path(), &names(), NOW);
        let ca = std::fs::read(dir.path().join(CA_FILE)).unwrap();
        assert_eq!(leaf(dir.path(), &names(), NOW.plus_millis(300 * DAY_MS)), first);
        assert_eq!(std::fs::read(dir.path().join(CA_FILE)).unwrap(), ca);
    }

    #[test]
    fn certificate_is_renewed_before_it_ends_and_when_names_change() {
        let dir = tempfile::tempdir().unwrap();
        let first = leaf(dir.path(), &names(), NOW);
        let near_end = NOW.plus_millis((SERVER_DAYS - RENEW_BEFORE_DAYS + 1) * DAY_MS);
        let renewed = leaf(dir.path(), &names(), near_end);
        assert_ne!(renewed, first);
        let mut more = names();
        more.push("deploy.example.org".to_owned());
        assert_ne!(leaf(dir.path(), &more, near_end), renewed);
    }

    #[test]
    fn a_renewed_certificate_is_shown_without_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let load = |now| own_identity(dir.path(), dir.path(), &names(), now).unwrap();
        let shown = Shown::new(load(NOW)).unwrap();
        let first = shown.0.read().unwrap().cert.clone();
        assert!(!shown.replace(load(NOW.plus_millis(DAY_MS))).unwrap());
        assert!(shown.replace(load(NOW.plus_millis(390 * DAY_MS))).unwrap());
        assert_ne!(shown.0.read().unwrap().cert, first);
    }

    #[test]
    fn keys_are_private() {
        let dir = tempfile::tempdir().unwrap();
        leaf(dir.path(), &names(), NOW);
        for key in [CA_KEY_FILE, SERVER_KEY_FILE] {
            let mode = std::fs::metadata(dir.path().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }

    #[test]
    fn a_lost_ca_key_is_an_error_and_never_a_new_ca() {
        let dir = tempfile::tempdir().unwrap();
        leaf(dir.path(), &names(), NOW);
        std::fs::remove_file(dir.path().join(CA_KEY_FILE)).unwrap();
        let error = own_identity(dir.path(), dir.path(), &names(), NOW).err().unwrap();
        assert!(matches!(error, PkiError::Ca { .. }), "{error}");
    }

    #[test]
    fn a_damaged_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        leaf(dir.path(), &names(), NOW);
        for key in [SERVER_KEY_FILE, CA_KEY_FILE] {
            std::fs::write(dir.path().join(key), "").unwrap();
            let error = own_identity(dir.path(), dir.path(), &names(), NOW).err().unwrap().to_string();
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn operator_files_are_used_and_named_when_they_are_bad() {
        let dir = tempfile::tempdir().unwrap();
        leaf(dir.path(), &names(), NOW);
        let (certificate, key) = (dir.path().join(SERVER_FILE), dir.path().join(SERVER_KEY_FILE));
        let identity = operator_identity(&certificate, &key).unwrap();
        assert!(Shown::new(identity).is_ok());
        let error = operator_identity(&key, &key).err().unwrap();
        assert!(error.to_string().contains(SERVER_KEY_FILE), "{error}");
        let mismatched = operator_identity(&dir.path().join(CA_FILE), &key).unwrap();
        assert!(Shown::new(mismatched).is_err());
    }
}
