//! How many revisions of a group stay on the disk (AG-082..AG-084).

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::layout::{Deployment, Layout};
use crate::sys::remove::remove_tree;

/// AG-084.
#[derive(Debug, thiserror::Error)]
#[error("Error deleting directories: {error} ({})", .path.display())]
pub(super) struct RetentionError {
    path: PathBuf,
    error: io::Error,
}

/// Deletes the oldest deployments of a group, so that with the current one `keep` are left, and the last
/// successful one in any case (AG-083). Returns what was deleted.
pub(super) fn delete_old(
    layout: &Layout,
    group_id: &str,
    current: &Deployment,
    keep: usize,
) -> Result<Vec<PathBuf>, RetentionError> {
    let last_successful = layout.last_successful(group_id);
    let others = deployments(&layout.group(group_id), current.directory());
    let surplus = (others.len() + 1).saturating_sub(keep);
    let mut deleted = Vec::new();
    // The guide counts all, then spares the last successful one: one more may stay (AG-083).
    for path in others.into_iter().filter(|path| !is(path, last_successful.as_ref())).take(surplus) {
        remove_tree(&path).map_err(|error| RetentionError { path: path.clone(), error })?;
        deleted.push(path);
    }
    Ok(deleted)
}

/// The other deployments, oldest first.
fn deployments(group: &Path, current: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(SystemTime, PathBuf)> = std::fs::read_dir(group)
        .into_iter()
        .flatten()
        .flatten()
        // A link is not followed: what it names is not ours to delete.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|path| path != current)
        .map(|path| {
            let modified = path.metadata().and_then(|metadata| metadata.modified());
            (modified.unwrap_or(SystemTime::UNIX_EPOCH), path)
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

/// Whether the marker names this directory, also through another spelling of the root.
fn is(path: &Path, marked: Option<&Deployment>) -> bool {
    marked.is_some_and(|marked| {
        marked.directory() == path
            || matches!((marked.directory().canonicalize(), path.canonicalize()), (Ok(a), Ok(b)) if a == b)
    })
}

#[cfg(test)]
mod tests {
    use super::delete_old;
    use crate::layout::Layout;
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    /// Makes deployments d-0 (oldest) … of group g, and marks one of them as the last successful.
    fn group(count: u64, successful: Option<u64>) -> (tempfile::TempDir, Layout) {
        let root = tempfile::tempdir().expect("scratch directory");
        let layout = Layout::new(root.path(), "t");
        for number in 0..count {
            let directory = layout.deployment("g", &format!("d-{number}")).directory().to_owned();
            std::fs::create_dir_all(directory.join("logs")).expect("mkdir");
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + number);
            File::open(&directory).and_then(|file| file.set_modified(time)).expect("mtime");
        }
        if let Some(number) = successful {
            std::fs::create_dir_all(layout.instructions()).expect("mkdir");
            let directory = layout.deployment("g", &format!("d-{number}")).directory().to_owned();
            std::fs::write(
                layout.instructions().join("g_last_successful_install"),
                directory.as_os_str().as_encoded_bytes(),
            )
            .expect("write");
        }
        (root, layout)
    }

    fn left(layout: &Layout) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(layout.group("g"))
            .expect("the group")
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_go_and_the_last_successful_stays() {
        for (count, successful, keep, expected) in [
            (7, None, 5, &["d-3", "d-4", "d-5", "d-6"][..]),
            (7, Some(0), 5, &["d-0", "d-4", "d-5", "d-6"]),
            (3, Some(2), 5, &["d-0", "d-1", "d-2"]),
            (3, Some(0), 2, &["d-0"]),
            (2, Some(1), 1, &["d-1"]),
            (1, Some(0), 1, &["d-0"]),
        ] {
            let (_root, layout) = group(count, successful);
            delete_old(&layout, "g", &layout.deployment("g", "d-new"), keep).expect("AG-083");
            assert_eq!(left(&layout), expected, "AG-083: {count} {successful:?} {keep}");
        }
    }

    #[test]
    fn a_script_that_left_a_bottomless_tree_does_not_block_later_deployments() {
        use crate::sys::directory::{Directory, Follow};
        let (_root, layout) = group(2, None);
        let old = layout.deployment("g", "d-0").directory().to_owned();
        let mut here = Directory::open(&old, Follow::Always).expect("open");
        for _ in 0..3000 {
            here.make_directory("deep".as_ref(), 0o755).expect("mkdir");
            here = here.beneath("deep".as_ref()).expect("open");
        }
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        File::open(&old).and_then(|file| file.set_modified(time)).expect("mtime");
        delete_old(&layout, "g", &layout.deployment("g", "d-new"), 2).expect("AG-084");
        assert_eq!(left(&layout), ["d-1"], "AG-083");
    }

    #[test]
    fn the_current_deployment_is_never_deleted_and_does_not_count() {
        let (_root, layout) = group(3, None);
        delete_old(&layout, "g", &layout.deployment("g", "d-0"), 2).expect("AG-083");
        assert_eq!(left(&layout), ["d-0", "d-2"]);
    }
}
