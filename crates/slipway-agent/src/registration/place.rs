//! The host's side of a registration: its files, made together or not at all.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Identity, RegistrationError, SessionFiles};
use crate::layout::sync_directory;

/// What everybody may read, and what only the agent may.
const PUBLIC: u32 = 0o644;
const SECRET: u32 = 0o600;
/// The settings that a host starts with (AG-054), when no package has brought any.
const SHIPPED: &str = "---
:log_aws_wire: false
:log_dir: '/var/log/aws/codedeploy-agent/'
:pid_dir: '/opt/codedeploy-agent/state/.pid/'
:program_name: codedeploy-agent
:root_dir: '/opt/codedeploy-agent/deployment-root'
:verbose: false
:wait_between_runs: 1
:proxy_uri:
:max_revisions: 5
";

/// The files of a host.
pub(super) struct Place {
    /// `codedeployagent.yml`.
    pub(super) config: PathBuf,
    /// `codedeploy.onpremises.yml`.
    pub(super) on_premises: PathBuf,
}

/// What the files shall say.
pub(super) struct Contents<'a> {
    pub(super) identity: &'a Identity,
    pub(super) region: &'a str,
    /// The control plane; `None`: AWS, or what is configured already.
    pub(super) endpoint: Option<&'a str>,
    pub(super) pins: &'a Pins,
}

/// Whom the host will trust.
#[derive(Debug, Default)]
pub(super) struct Pins {
    /// PEM of the roots.
    pub(super) ca: Option<Vec<u8>>,
    /// PEM of the certificate that signs specifications (D-18).
    pub(super) signing_certificate: Option<Vec<u8>>,
}

impl Place {
    fn directory(&self) -> &Path {
        self.on_premises.parent().unwrap_or(Path::new("/"))
    }

    /// Where a host with sessions keeps its keys.
    pub(super) fn session_files(&self) -> SessionFiles {
        SessionFiles::in_directory(self.directory())
    }

    /// Proves that files can be made here, before anything is made elsewhere.
    pub(super) fn probe(&self) -> Result<(), RegistrationError> {
        for directory in [self.directory(), self.config.parent().unwrap_or(Path::new("/"))] {
            let failed = |error| RegistrationError::File { path: directory.to_owned(), error };
            fs::create_dir_all(directory).map_err(failed)?;
            tempfile::Builder::new().prefix(".probe-").tempfile_in(directory).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes everything. What was there is put back when one of the files cannot be written.
    pub(super) fn write(&self, contents: &Contents<'_>) -> Result<(), RegistrationError> {
        let mut written = Vec::new();
        let result = self.try_write(contents, &mut written);
        if result.is_err() {
            for (path, before) in written.into_iter().rev() {
                // The first error is the one to tell.
                let _ = match before {
                    Some((content, mode)) => replace(&path, &content, mode),
                    None => fs::remove_file(&path),
                };
            }
        }
        result
    }

    fn try_write(&self, contents: &Contents<'_>, written: &mut Vec<Before>) -> Result<(), RegistrationError> {
        let mut put = |path: &Path, content: &[u8], mode: u32| {
            let failed = |error| RegistrationError::File { path: path.to_owned(), error };
            written.push((path.to_owned(), before(path).map_err(failed)?));
            replace(path, content, mode).map_err(failed)
        };
        let beside = |name: &str| self.config.with_file_name(name);
        let mut settings: Vec<(&str, String)> = Vec::new();
        settings.extend(contents.endpoint.map(|endpoint| ("deploy_control_endpoint", endpoint.to_owned())));
        if let Some(ca) = &contents.pins.ca {
            let path = beside("slipway-ca.pem");
            put(&path, ca, PUBLIC)?;
            settings.push(("ca_bundle", path.display().to_string()));
        }
        if let Some(certificate) = &contents.pins.signing_certificate {
            let path = beside("slipway-signing.pem");
            put(&path, certificate, PUBLIC)?;
            settings.push(("spec_signing_certificate", path.display().to_string()));
        }
        if self.on_premises != Path::new(crate::config::HostIdentity::DEFAULT_FILE) {
            settings.push(("on_premises_config_file", self.on_premises.display().to_string()));
        }
        let text = match fs::read_to_string(&self.config) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => SHIPPED.to_owned(),
            Err(error) => return Err(RegistrationError::File { path: self.config.clone(), error }),
        };
        put(&self.config, with_settings(&text, &settings).as_bytes(), PUBLIC)?;
        let files = self.session_files();
        if let Some(text) = contents.identity.source_file() {
            put(&files.source, text.as_bytes(), SECRET)?;
        }
        // Last: with this file the host has its identity.
        match contents.identity.on_premises_file(contents.region, &files) {
            Some(text) => put(&self.on_premises, text.as_bytes(), SECRET),
            None => Ok(()),
        }
    }

    /// Removes the identity: keys and the on-premises file. Settings and certificates stay. Absent is fine (AG-197).
    pub(super) fn forget(&self) -> Result<(), RegistrationError> {
        let files = self.session_files();
        for path in [&self.on_premises, &files.session, &files.source] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(RegistrationError::File { path: path.clone(), error });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A file's content and mode before it was written, if there was one.
type Before = (PathBuf, Option<(Vec<u8>, u32)>);

fn before(path: &Path) -> io::Result<Option<(Vec<u8>, u32)>> {
    match fs::read(path) {
        Ok(content) => Ok(Some((content, fs::metadata(path)?.permissions().mode() & 0o7777))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_directory(directory)
}

/// The text of a configuration file with these settings: a line that sets one is replaced, everything else stays as it
/// is, comments too.
fn with_settings(text: &str, settings: &[(&str, String)]) -> String {
    let mut left: Vec<&(&str, String)> = settings.iter().collect();
    let mut result = String::new();
    for line in text.lines() {
        let key = line.split_once(':').and_then(|(before, rest)| match before {
            // `:key: value`, or `key: value`.
            "" => rest.split_once(':').map(|(key, _)| key),
            key => Some(key),
        });
        match settings.iter().find(|(name, _)| key == Some(name)) {
            Some((name, value)) => {
                // The last of several lines wins; so none of them may stay.
                if let Some(at) = left.iter().position(|(other, _)| other == name) {
                    left.remove(at);
                    result.push_str(&setting(name, value));
                }
            }
            None => result.extend([line, "\n"]),
        }
    }
    for (name, value) in left {
        result.push_str(&setting(name, value));
    }
    result
}

fn setting(name: &str, value: &str) -> String {
    format!(":{name}: '{}'\n", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, HostIdentity, Keys};

    fn place(directory: &Path) -> Place {
        Place {
            config: directory.join("conf/codedeployagent.yml"),
            on_premises: directory.join("conf/codedeploy.onpremises.yml"),
        }
    }

    fn keys() -> Keys {
        Keys { access_key_id: "AKIA".into(), secret_access_key: "s".into(), session_token: None }
    }

    fn pins() -> Pins {
        Pins { ca: Some(b"ca".to_vec()), signing_certificate: Some(b"signer".to_vec()) }
    }

    fn contents<'a>(identity: &'a Identity, pins: &'a Pins) -> Contents<'a> {
        Contents { identity, region: "us-east-1", endpoint: Some("https://deploy.test:8443"), pins }
    }

    #[test]
    fn a_host_with_sessions_gets_files_that_its_agent_reads() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let place = place(directory.path());
        place.probe().expect("a place");
        let arn = "arn:aws:sts::000000000001:assumed-role/R/h".to_owned();
        let role_arn = "arn:aws:iam::000000000001:role/p/R".to_owned();
        let identity = Identity::Session { arn, role_arn, source: keys() };
        place.write(&contents(&identity, &pins())).expect("files");
        let config = Config::load(&place.config).expect("AG-052");
        assert_eq!(config.deploy_control_endpoint.as_deref(), Some("https://deploy.test:8443"));
        assert_eq!(fs::read(config.ca_bundle.expect("D-03")).expect("read"), b"ca");
        assert_eq!(fs::read(config.spec_signing_certificate.expect("D-18")).expect("read"), b"signer");
        let host = HostIdentity::load(&config.on_premises_config_file).expect("AG-030").expect("an identity");
        let renewal = host.renewal.expect("AG-173");
        assert_eq!(renewal.role_arn, "arn:aws:iam::000000000001:role/p/R");
        for path in [&place.on_premises, &place.session_files().source] {
            assert_eq!(fs::metadata(path).expect("metadata").permissions().mode() & 0o777, 0o600, "AG-188");
        }
        place.forget().expect("AG-197");
        place.forget().expect("AG-197: absent is fine");
        assert!(!place.on_premises.exists() && place.config.exists());
    }

    #[test]
    fn what_was_there_comes_back_when_a_file_cannot_be_written() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let place = place(directory.path());
        place.probe().expect("a place");
        fs::write(&place.config, ":verbose: true\n").expect("write");
        // A directory in the place of the last file.
        fs::create_dir(&place.on_premises).expect("mkdir");
        let identity = Identity::User { arn: "arn:x".into(), keys: Some(keys()) };
        place.write(&contents(&identity, &pins())).expect_err("it cannot be written");
        assert_eq!(fs::read_to_string(&place.config).expect("read"), ":verbose: true\n");
        assert!(!place.config.with_file_name("slipway-ca.pem").exists());
    }

    #[test]
    fn only_the_lines_of_the_settings_change() {
        let text = "---\n# mine\n:verbose: true\nca_bundle: /old\n:ca_bundle: /older\n";
        let settings =
            [("ca_bundle", "/it's".to_owned()), ("deploy_control_endpoint", "https://x".to_owned())];
        assert_eq!(
            with_settings(text, &settings),
            "---\n# mine\n:verbose: true\n:ca_bundle: '/it''s'\n:deploy_control_endpoint: 'https://x'\n"
        );
    }
}
