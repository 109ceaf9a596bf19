//! Paths that must stay inside a directory, whatever links lie on the way (D-17).

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;

/// Why a path does not stay inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Escape {
    /// The path is absolute, or climbs above the directory.
    #[error("it leads out of the bundle")]
    Outside,
    /// The links on the way lead to each other.
    #[error("its symbolic links lead in a circle")]
    Circle,
}

/// Where `path`, read in the directory `base` below `root`, leads; links are followed, missing parts
/// taken literally. `base` is relative to `root` and holds no links.
pub fn resolve(root: &Path, base: &Path, path: &Path) -> Result<PathBuf, Escape> {
    let mut place: Vec<OsString> = Vec::new();
    let mut ahead: VecDeque<Step> = VecDeque::new();
    extend_front(&mut ahead, base)?;
    let mut behind: VecDeque<Step> = VecDeque::new();
    extend_front(&mut behind, path)?;
    ahead.extend(behind);
    let mut links = 0;
    while let Some(step) = ahead.pop_front() {
        let Step::Down(name) = step else {
            place.pop().ok_or(Escape::Outside)?;
            continue;
        };
        place.push(name);
        let here = root.join(place.iter().collect::<PathBuf>());
        if let Ok(target) = fs::read_link(&here) {
            links += 1;
            if links > MAX_LINKS {
                return Err(Escape::Circle);
            }
            place.pop();
            extend_front(&mut ahead, &target)?;
        }
    }
    Ok(root.join(place.into_iter().collect::<PathBuf>()))
}

enum Step {
    Up,
    Down(OsString),
}

fn extend_front(ahead: &mut VecDeque<Step>, path: &Path) -> Result<(), Escape> {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => ahead.push_front(Step::Down(name.to_owned())),
            Component::ParentDir => ahead.push_front(Step::Up),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return Err(Escape::Outside),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn d_17_links_and_dots_are_followed_only_inside() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        symlink("..", root.join("a/up")).unwrap();
        symlink("../..", root.join("a/out")).unwrap();
        symlink("/etc", root.join("etc")).unwrap();
        symlink("me", root.join("me")).unwrap();
        symlink("b/nothing", root.join("a/dangling")).unwrap();
        let read = |base: &str, path: &str| resolve(root, Path::new(base), Path::new(path));
        assert_eq!(read("", "a/b"), Ok(root.join("a/b")));
        assert_eq!(read("a/b", "../../x"), Ok(root.join("x")));
        assert_eq!(read("a/b", "../../../x"), Err(Escape::Outside));
        assert_eq!(read("", "a/up"), Ok(root.to_owned()));
        assert_eq!(read("", "a/up/.."), Err(Escape::Outside));
        assert_eq!(read("", "a/out"), Err(Escape::Outside));
        assert_eq!(read("", "etc/passwd"), Err(Escape::Outside));
        assert_eq!(read("", "/etc"), Err(Escape::Outside));
        assert_eq!(read("", "me"), Err(Escape::Circle));
        assert_eq!(read("", "a/dangling/.."), Ok(root.join("a/b")));
    }
}
