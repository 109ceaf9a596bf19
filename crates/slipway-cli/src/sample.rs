//! `examples/hello-web`, built into the command, so that the demo needs no repository.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::location::shell_word;

/// Where the sample installs itself, as its files say it.
const DIRECTORY: &str = "/opt/hello-web";
const DIRECTORY_SETTING: &str = "HELLO_WEB_DIR='/opt/hello-web'";
const PORT_SETTING: &str = "HELLO_WEB_PORT='8080'";

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
        fs::write(&target, render(path, content, destination, port).as_ref())?;
        fs::set_permissions(&target, fs::Permissions::from_mode(*mode))?;
    }
    Ok(())
}

fn render<'a>(path: &str, content: &'a [u8], destination: &str, port: u16) -> Cow<'a, [u8]> {
    let text = || String::from_utf8_lossy(content);
    let changed = match path {
        // A JSON string is a YAML string, whatever is in it.
        "appspec.yml" => text().replace(DIRECTORY, &serde_json::Value::from(destination).to_string()),
        "hello-web.env" => text()
            .replace(DIRECTORY_SETTING, &format!("HELLO_WEB_DIR={}", shell_word(destination)))
            .replace(PORT_SETTING, &format!("HELLO_WEB_PORT={port}")),
        _ => return Cow::Borrowed(content),
    };
    Cow::Owned(changed.into_bytes())
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
    fn destination_and_port_are_changed_everywhere_whatever_the_destination_is_called() {
        for destination in ["/scratch/app", "/it's # \"here\": $HOME/app"] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), destination, 12345).unwrap();
            let appspec = fs::read_to_string(dir.path().join("appspec.yml")).unwrap();
            let spec = parse(&appspec, Os::Linux).unwrap();
            assert_eq!(spec.files[0].destination, destination);
            assert_eq!(spec.permissions[0].object, destination);
            assert!(!appspec.contains(DIRECTORY));

            let script = ". ./hello-web.env && printf '%s %s' \"$HELLO_WEB_DIR\" \"$HELLO_WEB_PORT\"";
            let shell = std::process::Command::new("/bin/sh")
                .args(["-c", script])
                .current_dir(dir.path())
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(shell.stdout).unwrap(), format!("{destination} 12345"));
        }
    }
}
