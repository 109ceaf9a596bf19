//! Where everything lies below `<root>` (AG-071, AG-075). Other agents continue from these files (AP-23).

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The directories below the root.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
    tracking: String,
}

impl Layout {
    /// The layout under `root`, with the configured name of the tracking directory.
    pub fn new(root: &Path, tracking: &str) -> Self {
        // Scripts see these paths, and markers hold them: they must not depend on the working directory.
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        Self { root, tracking: tracking.to_owned() }
    }

    /// `<root>/<group>`.
    pub fn group(&self, group_id: &str) -> PathBuf {
        self.root.join(group_id)
    }

    /// `<root>/<group>/<deployment>`.
    pub fn deployment(&self, group_id: &str, deployment_id: &str) -> Deployment {
        Deployment(self.root.join(group_id).join(deployment_id))
    }

    /// `<root>/deployment-instructions`.
    pub fn instructions(&self) -> PathBuf {
        self.root.join("deployment-instructions")
    }

    /// `<root>/deployment-logs`.
    pub fn deployment_logs(&self) -> PathBuf {
        self.root.join("deployment-logs")
    }

    /// `<root>/ongoing-deployment`.
    pub fn tracking(&self) -> PathBuf {
        self.root.join(&self.tracking)
    }

    /// Our own state: the pinned signer, reports that the server has not taken yet.
    pub fn state(&self) -> PathBuf {
        self.root.join("agent-state")
    }

    /// The deployment that last finished Install in this group, if any (AG-076).
    pub fn last_successful(&self, group_id: &str) -> Option<Deployment> {
        self.marker(group_id, "last_successful_install")
    }

    /// The deployment that last finished DownloadBundle in this group, if any (AG-076).
    pub fn most_recent(&self, group_id: &str) -> Option<Deployment> {
        self.marker(group_id, "most_recent_install")
    }

    /// Records the end of a DownloadBundle.
    pub fn mark_most_recent(&self, group_id: &str, deployment: &Deployment) -> io::Result<()> {
        std::fs::create_dir_all(self.instructions())?;
        let path = self.instructions().join(format!("{group_id}_most_recent_install"));
        write_atomically(&path, deployment.directory().as_os_str().as_encoded_bytes())
    }

    fn marker(&self, group_id: &str, name: &str) -> Option<Deployment> {
        let text = std::fs::read_to_string(self.instructions().join(format!("{group_id}_{name}"))).ok()?;
        let path = text.trim_end_matches(['\n', '\r']);
        (!path.is_empty()).then(|| Deployment(PathBuf::from(path)))
    }
}

/// The directory of one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment(PathBuf);

impl Deployment {
    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// The downloaded bundle, under this name whatever its type (AG-072).
    pub fn bundle(&self) -> PathBuf {
        self.0.join("bundle.tar")
    }

    /// The unpacked revision.
    pub fn archive(&self) -> PathBuf {
        self.0.join("deployment-archive")
    }

    /// The directory of `scripts.log`.
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }
}

/// Whether `name` can be the name of one directory entry: ids come from outside and become paths.
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}

/// Whether a deployment group can have this id: the group's directory lies beside the agent's own.
pub fn is_group_id(id: &str) -> bool {
    const OWN: [&str; 4] =
        ["agent-state", "deployment-instructions", "deployment-logs", "ongoing-deployment"];
    is_plain_name(id) && !id.starts_with('.') && !OWN.contains(&id)
}

/// Replaces a file so that a crash leaves the old content or the new one, durably. Nobody else reads it.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, 0o600, |file| file.write_all(content))
}

/// The same for content that is written piece by piece.
pub(crate) fn write_streamed(
    path: &Path,
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> io::Result<()> {
    replace(path, 0o600, write)
}

/// The same as [`write_atomically`] for a file that everybody may read.
pub(crate) fn write_for_all(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, 0o644, |file| file.write_all(content))
}

fn replace(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
    let mut buffered = io::BufWriter::new(file.as_file());
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_directory(directory)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    std::fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{Layout, is_group_id, is_plain_name};
    use std::path::Path;

    #[test]
    fn paths_and_markers_are_those_of_the_documented_tree() {
        let root = tempfile::tempdir().expect("scratch directory");
        let layout = Layout::new(root.path(), "ongoing-deployment");
        let deployment = layout.deployment("g", "d-1");
        assert_eq!(deployment.archive(), root.path().join("g/d-1/deployment-archive"));
        assert_eq!(deployment.bundle(), root.path().join("g/d-1/bundle.tar"));
        assert!(layout.most_recent("g").is_none());
        layout.mark_most_recent("g", &deployment).expect("AG-076");
        let marker = root.path().join("deployment-instructions/g_most_recent_install");
        assert_eq!(
            std::fs::read(&marker).expect("AG-075"),
            deployment.directory().as_os_str().as_encoded_bytes()
        );
        assert_eq!(layout.most_recent("g"), Some(deployment));
    }

    #[test]
    fn ids_that_lead_elsewhere_are_no_names() {
        assert!(is_plain_name("d-ABCDEF123"));
        for bad in ["", ".", "..", "a/b", "a\\b", "a\0b", &"x".repeat(256)] {
            assert!(!is_plain_name(bad), "{bad:?}");
        }
        assert!(is_group_id("6f1e4b5a-group") && !is_group_id("agent-state") && !is_group_id(".x"));
        assert!(Layout::new(Path::new("relative"), "t").group("g").is_absolute());
    }
}
