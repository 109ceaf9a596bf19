//! What an Install leaves on a host, the first time and the next ones.

mod conflicts;
mod files;
mod permissions;
mod races;
mod recovery;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use slipway_appspec::{Os, parse};

use super::{InstallError, InstallReport, InstallRequest, Switches, install};

/// A host with one deployment group.
pub(super) struct Host {
    directory: tempfile::TempDir,
    /// The deployment's own `fileExistsBehavior`.
    pub(super) behavior: &'static str,
    pub(super) guide: bool,
    pub(super) switches: Switches,
}

impl Host {
    pub(super) fn new() -> Self {
        let host = Self {
            directory: tempfile::tempdir().unwrap(),
            behavior: "DISALLOW",
            guide: false,
            switches: Switches::default(),
        };
        fs::create_dir(host.archive()).unwrap();
        host
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.directory.path()).unwrap().join(name)
    }

    pub(super) fn archive(&self) -> PathBuf {
        self.path("archive")
    }

    /// Where the tests deploy to; not made by the fixture.
    pub(super) fn target(&self, name: &str) -> PathBuf {
        self.path("srv").join(name)
    }

    pub(super) fn instructions(&self, name: &str) -> PathBuf {
        self.path("deployment-instructions").join(name)
    }

    /// Replaces the revision: names ending in `/` are directories.
    pub(super) fn revision(&self, members: &[(&str, &str)]) {
        fs::remove_dir_all(self.archive()).unwrap();
        fs::create_dir(self.archive()).unwrap();
        for (name, content) in members {
            write(&self.archive().join(name), content);
        }
    }

    /// Installs with an AppSpec body in which `SRV` stands for the target directory.
    pub(super) fn install(&self, body: &str) -> Result<InstallReport, InstallError> {
        self.install_as("group", body)
    }

    pub(super) fn install_as(&self, group_id: &str, body: &str) -> Result<InstallReport, InstallError> {
        self.with_request(group_id, body, install)
    }

    pub(super) fn with_request<T>(
        &self,
        group_id: &str,
        body: &str,
        work: impl FnOnce(&InstallRequest<'_>) -> T,
    ) -> T {
        let text = format!("version: 0.0\nos: linux\n{body}");
        let app_spec = parse(&text.replace("SRV", &self.path("srv").to_string_lossy()), Os::Linux).unwrap();
        work(&InstallRequest {
            archive_dir: &self.archive(),
            instructions_dir: &self.path("deployment-instructions"),
            group_id,
            deployment_dir: Path::new("/root/group/d-1"),
            app_spec: &app_spec,
            app_spec_name: "appspec.yml",
            file_exists_behavior: self.behavior,
            retain_cleanup_guide: self.guide,
            switches: self.switches,
        })
    }

    /// Every path below the target directory with its content.
    pub(super) fn tree(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        collect(&self.path("srv"), &self.path("srv"), &mut found);
        found
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.tree().into_keys().collect()
    }

    pub(super) fn cleanup_lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.instructions("group-cleanup")).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    }
}

pub(super) fn write(path: &Path, content: &str) {
    if path.to_string_lossy().ends_with('/') {
        fs::create_dir_all(path).unwrap();
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

pub(super) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn collect(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            collect(root, &path, found);
            found.insert(format!("{name}/"), String::new());
        } else if metadata.is_symlink() {
            found.insert(name, format!("-> {}", fs::read_link(&path).unwrap().display()));
        } else {
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}
