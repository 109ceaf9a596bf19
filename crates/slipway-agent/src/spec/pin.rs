//! Whose signatures are obeyed (D-18): the named certificates, or the first signer that was seen.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::layout::write_atomically;
use crate::logs::AgentLog;

/// The signer is not ours.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// Another certificate signed.
    #[error("the signer's certificate is not the one pinned in {}", .0.display())]
    Foreign(PathBuf),
    /// The file of the pin cannot be read or written.
    #[error("the pinned certificate {} cannot be used: {reason}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The trusted signers.
#[derive(Debug)]
pub struct SignerPin {
    path: PathBuf,
    log: AgentLog,
    /// Empty until the first signer was seen, and only where no certificate was configured.
    trusted: Mutex<Vec<Vec<u8>>>,
    first_use: bool,
}

impl SignerPin {
    /// Trusts the certificates of a PEM file, several of them while the control plane changes its key.
    pub fn configured(path: &Path, log: AgentLog) -> Result<Self, PinError> {
        let trusted = read(path)?;
        Ok(Self { path: path.to_owned(), log, trusted: Mutex::new(trusted), first_use: false })
    }

    /// Trusts what `path` remembers, or the first signer, which is then remembered there.
    pub fn on_first_use(path: &Path, log: AgentLog) -> Result<Self, PinError> {
        let trusted = if path.exists() { read(path)? } else { Vec::new() };
        Ok(Self { path: path.to_owned(), log, trusted: Mutex::new(trusted), first_use: true })
    }

    /// Whether this certificate (DER) may sign.
    pub fn accept(&self, signer: &[u8]) -> Result<(), PinError> {
        let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if trusted.iter().any(|certificate| certificate == signer) {
            return Ok(());
        }
        if !(self.first_use && trusted.is_empty()) {
            return Err(PinError::Foreign(self.path.clone()));
        }
        let unusable =
            |error: std::io::Error| PinError::Unusable { path: self.path.clone(), reason: error.to_string() };
        if let Some(directory) = self.path.parent() {
            std::fs::create_dir_all(directory).map_err(unusable)?;
        }
        write_atomically(&self.path, pem(signer).as_bytes()).map_err(unusable)?;
        self.log.warn(format_args!(
            "No signing certificate is configured: trusting the first signer of a deployment specification from now on ({}). Set :spec_signing_certificate: to choose it yourself.",
            self.path.display()
        ));
        trusted.push(signer.to_owned());
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<Vec<u8>>, PinError> {
    let unusable = |reason: String| PinError::Unusable { path: path.to_owned(), reason };
    let certificates: Vec<Vec<u8>> = CertificateDer::pem_file_iter(path)
        .map_err(|error| unusable(error.to_string()))?
        .map(|certificate| certificate.map(|der| der.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(error.to_string()))?;
    if certificates.is_empty() {
        Err(unusable("it holds no certificate".to_owned()))
    } else {
        Ok(certificates)
    }
}

fn pem(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::{PinError, SignerPin};
    use crate::logs::AgentLog;

    #[test]
    fn the_first_signer_is_remembered_across_restarts_and_no_other_is_accepted() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("state/spec-signer.pem");
        let log = AgentLog::in_memory();
        let pin = SignerPin::on_first_use(&path, log.clone()).expect("D-18");
        pin.accept(b"first certificate").expect("D-18");
        assert!(log.lines()[0].contains("WARN"), "D-18: warned");
        assert!(matches!(pin.accept(b"second"), Err(PinError::Foreign(_))));

        let pin = SignerPin::on_first_use(&path, log.clone()).expect("after a restart");
        pin.accept(b"first certificate").expect("remembered");
        assert!(pin.accept(b"second").is_err());
        assert_eq!(log.lines().len(), 1, "warned once");
    }

    #[test]
    fn a_configured_pin_never_learns() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("pin.pem");
        std::fs::write(&path, super::pem(b"ours")).expect("write");
        let pin = SignerPin::configured(&path, AgentLog::in_memory()).expect("D-18");
        pin.accept(b"ours").expect("D-18");
        assert!(pin.accept(b"theirs").is_err());
        std::fs::write(&path, "nothing").expect("write");
        assert!(SignerPin::configured(&path, AgentLog::in_memory()).is_err());
    }
}
