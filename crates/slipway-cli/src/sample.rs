//! `examples/hello-web`, built into the command, so that the demo needs no repository.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Where the sample installs itself, as its files say it.
const DIRECTORY: &str = "/opt/hello-web";
const PORT: &str = "HELLO_WEB_PORT='8080'";

macro_rules! files {
    ($($path:literal: $mode:literal),* $(,)?) => {
        &[$(($path, $mode, include_bytes!(concat!("../../../examples/hello-web/", $path)).as_slice())),*]
    };
}

/// Path, mode and content of each file.
const FILES: &[(&str, u32, &[u8])] = files! {
    "README.md": 0o644,
    "app/VERSION": 0o644,
    "app/app.py": 0o755,
    "appspec.yml": 0o644,
    "hello-web.env": 0o644,
    "scripts/after_install.sh": 0o755,
    "scripts/application_start.sh": 0o755,
    "scripts/application_stop.sh": 0o755,
    "scripts/before_install.sh": 0o755,
    "scripts/common.sh": 0o644,
    "scripts/validate_service.sh": 0o755,
};

/// What the application's front page says.
pub(crate) const GREETING: &str = "Hello from Slipway";

/// Writes the sample into `bundle`, changed so that it installs into `destination` and answers on `port`.
pub(crate) fn write(bundle: &Path, destination: &str, port: u16) -> io::Result<()> {
    for (path, mode, content) in FILES {
        let target = bundle.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        if matches!(*path, "appspec.yml" | "hello-web.env") {
            let text = String::from_utf8_lossy(content)
                .replace(DIRECTORY, destination)
                .replace(PORT, &format!("HELLO_WEB_PORT='{port}'"));
            fs::write(&target, text)?;
        } else {
            fs::write(&target, content)?;
        }
        fs::set_permissions(&target, fs::Permissions::from_mode(*mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_appspec::{Os, parse};

    #[test]
    fn nothing_of_the_example_is_missing() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hello-web");
        let mut directories = vec![root.clone()];
        let mut found = Vec::new();
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        assert_eq!(found, FILES.iter().map(|(path, ..)| *path).collect::<Vec<_>>());
    }

    #[test]
    fn destination_and_port_are_changed_everywhere() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "/scratch/app", 12345).unwrap();
        let appspec = fs::read_to_string(dir.path().join("appspec.yml")).unwrap();
        let spec = parse(&appspec, Os::Linux).unwrap();
        assert_eq!(spec.files[0].destination, "/scratch/app");
        assert_eq!(spec.permissions[0].object, "/scratch/app");
        let settings = fs::read_to_string(dir.path().join("hello-web.env")).unwrap();
        assert!(
            settings.contains("HELLO_WEB_DIR='/scratch/app'") && settings.contains("HELLO_WEB_PORT='12345'")
        );
        assert!(!(appspec + &settings).contains(DIRECTORY));
    }
}
