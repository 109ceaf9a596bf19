//! A control plane of its own for each test, and a way to run commands against it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A running `slipway server` in a scratch directory.
pub(crate) struct ControlPlane {
    directory: TempDir,
    server: Child,
    environment: Vec<(&'static str, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Asserts exit code 0 and how the output begins; the output.
    pub(crate) fn succeeds(&self, beginning: &str) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        assert!(self.stdout.starts_with(beginning), "{self:?}");
        &self.stdout
    }

    /// Asserts the exit code and what stderr has.
    pub(crate) fn fails(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains(words), "{self:?}");
    }
}

/// Runs `slipway` with nothing in its environment but what is named.
pub(crate) fn slipway(arguments: &[&str], environment: &[(&str, &str)]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_slipway"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl ControlPlane {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let mut server = Command::new(env!("CARGO_BIN_EXE_slipway"))
            .args(["server", "--listen", "127.0.0.1:0", "--log.level", "warn", "--data-dir"])
            .arg(&data)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let endpoint = line.strip_prefix("ready ").expect("the server is ready").trim().to_owned();
        let path = |name: &str| data.join(name).display().to_string();
        let environment = vec![
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", path("credentials")),
            ("AWS_CA_BUNDLE", path("ca.pem")),
            ("TMPDIR", directory.path().display().to_string()),
        ];
        Self { directory, server, environment }
    }

    /// A place in the scratch directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a command against this control plane.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let environment: Vec<_> =
            self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        slipway(arguments, &environment)
    }

    /// Calls an operation, signed by curl.
    pub(crate) fn call(&self, operation: &str, body: &str) -> serde_json::Value {
        let target = format!("X-Amz-Target: CodeDeploy_20141006.{operation}");
        let headers = ["-H", &target, "-H", "Content-Type: application/x-amz-json-1.1", "-d", body];
        let answer = self.curl("codedeploy", "/", &headers);
        if answer.is_empty() { serde_json::Value::Null } else { serde_json::from_str(&answer).unwrap() }
    }

    /// Makes a bucket.
    pub(crate) fn make_bucket(&self, name: &str) {
        self.curl("s3", &format!("/{name}"), &["-X", "PUT", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
    }

    /// Lists a bucket, as XML.
    pub(crate) fn list(&self, bucket: &str) -> String {
        self.curl("s3", &format!("/{bucket}"), &["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
    }

    fn curl(&self, service: &str, path: &str, arguments: &[&str]) -> String {
        let value = |name: &str| &self.environment.iter().find(|(known, _)| *known == name).unwrap().1;
        let credentials = std::fs::read_to_string(value("AWS_SHARED_CREDENTIALS_FILE")).unwrap();
        let key = |name: &str| {
            let line = credentials.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_once('=').unwrap().1.trim().to_owned()
        };
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail-with-body", "--cacert", value("AWS_CA_BUNDLE")])
            .args(["--aws-sigv4", &format!("aws:amz:us-east-1:{service}")])
            .args(["--user", &format!("{}:{}", key("aws_access_key_id"), key("aws_secret_access_key"))])
            .args(arguments)
            .arg(format!("{}{path}", value("AWS_ENDPOINT_URL")))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // The test is over whatever they say.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
