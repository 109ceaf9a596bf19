//! Scripts as they behave in the field (AS-093..AS-097, AG-105..AG-107, D-27).

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use slipway_agent::client::Diagnostics;
use slipway_agent::hooks::{BaseEnvironment, HookRunner};
use slipway_agent::logs::{AgentLog, DeploymentsLog};
use slipway_agent::spec::DeploymentSpec;
use slipway_appspec::Script;
use tempfile::TempDir;

use crate::support::{exists, spec, until};

/// A revision with one script, and what runs it.
struct Stage {
    directory: TempDir,
    runner: HookRunner,
    script: Script,
}

impl Stage {
    fn new(content: &str) -> Self {
        let directory = TempDir::new().unwrap();
        for path in [directory.path().to_owned(), directory.path().join("archive")] {
            std::fs::create_dir_all(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = directory.path().join("archive/s.sh");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let runner = HookRunner::new(
            BaseEnvironment::default(),
            DeploymentsLog::disabled(),
            PathBuf::from(env!("CARGO_BIN_EXE_slipway-agent")),
            AgentLog::to_stderr(true),
        );
        let script = Script {
            location: "s.sh".to_owned(),
            timeout: Duration::from_secs(50),
            runas: None,
            sudo: false,
            line: 5,
            column: 7,
        };
        Self { directory, runner, script }
    }

    fn shell(body: &str) -> Self {
        Self::new(&format!("#!/bin/sh\n{body}\n"))
    }

    fn timeout(mut self, timeout: Duration) -> Self {
        self.script.timeout = timeout;
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn run(&self) -> Result<(), Diagnostics> {
        let spec = DeploymentSpec::parse(spec("d-1", "k", None).to_string().as_bytes()).unwrap();
        let scripts = std::slice::from_ref(&self.script);
        self.runner.run(&spec, "AfterInstall", scripts, &self.path("archive"), &self.path("logs")).await
    }

    async fn failure(&self) -> (u8, String) {
        let diagnostics = self.run().await.expect_err("a failure");
        assert_eq!(diagnostics.script_name, "s.sh");
        (diagnostics.error_code, diagnostics.message)
    }

    /// What the script log holds, without times.
    fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("logs/scripts.log")).unwrap();
        text.lines().map(|line| line[20..].to_owned()).collect()
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn exit_codes_and_signals_are_named() {
    assert_eq!(Stage::shell("exit 0").run().await, Ok(()));
    assert_eq!(
        Stage::shell("exit 42").failure().await,
        (4, "Script at specified location: s.sh failed with exit code 42".to_owned()),
        "AS-095"
    );
    assert_eq!(
        Stage::shell("kill -9 $$").failure().await,
        (4, "Script at specified location: s.sh failed with exit code signal 9 (SIGKILL)".to_owned()),
        "AS-095"
    );
}

#[tokio::test]
async fn a_missing_script_is_named_with_its_whole_path() {
    let stage = Stage::shell("true");
    let path = stage.path("archive/s.sh");
    std::fs::remove_file(&path).unwrap();
    let expected = format!("Script does not exist at specified location: {}", path.display());
    assert_eq!(stage.failure().await, (1, expected), "AS-093");
}

#[tokio::test]
async fn a_script_is_made_executable_and_needs_no_interpreter_line() {
    let stage = Stage::new("echo plain\n");
    let path = stage.path("archive/s.sh");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(stage.run().await, Ok(()), "AS-093, AS-094");
    assert_eq!(stage.log(), ["LifecycleEvent - AfterInstall", "Script - s.sh", "[stdout]plain"]);
}

#[tokio::test]
async fn a_script_with_windows_line_ends_fails_with_the_reason() {
    let (code, message) = Stage::new("#!/bin/sh\r\necho hello\r\n").failure().await;
    assert_eq!(code, 4);
    assert!(
        message.starts_with("Script at specified location: s.sh failed with error Errno::ENOENT with message No such file or directory - "),
        "AS-094: {message}"
    );
}

#[tokio::test]
async fn a_script_that_takes_too_long_is_stopped_with_its_children() {
    let stage = Stage::shell("true");
    let child = stage.path("child");
    let body = format!(
        "#!/bin/sh\ntrap 'echo told; exit 0' TERM\nsleep 600 &\necho $! > {0}.new; mv {0}.new {0}\nwait\n",
        child.display()
    );
    std::fs::write(stage.path("archive/s.sh"), body).unwrap();
    let stage = stage.timeout(Duration::from_secs(2));
    assert_eq!(
        stage.failure().await,
        (3, "Script at specified location: s.sh failed to complete in 2 seconds".to_owned()),
        "AS-096"
    );
    assert!(stage.log().contains(&"[stdout]told".to_owned()), "D-27: SIGTERM first");
    let pid: i32 = std::fs::read_to_string(&child).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    until("the child is gone", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        stat.map_or(true, |stat| stat.contains(") Z "))
    })
    .await;
}

#[tokio::test]
async fn a_script_that_ignores_sigterm_is_killed() {
    let mut stage =
        Stage::shell("trap '' TERM\nwhile :; do sleep 0.05; done").timeout(Duration::from_millis(300));
    stage.runner.grace = Duration::from_millis(300);
    let started = Instant::now();
    assert_eq!(stage.failure().await.0, 3, "D-27");
    assert!(started.elapsed() < Duration::from_secs(20), "bounded");
}

#[tokio::test]
async fn a_script_that_prints_without_end_is_stopped_in_time() {
    let stage = Stage::shell("while :; do echo again; done").timeout(Duration::from_millis(300));
    assert_eq!(stage.failure().await.0, 3, "AG-106");
}

#[tokio::test]
async fn a_child_that_holds_an_output_fails_the_script_after_its_time() {
    let stage = Stage::shell("sleep 600 &").timeout(Duration::from_millis(300));
    assert_eq!(
        stage.failure().await,
        (6, "Script at specified location: s.sh failed to close STDOUT".to_owned()),
        "AS-097"
    );
    let stage = Stage::shell("sleep 600 > /dev/null &").timeout(Duration::from_millis(300));
    assert_eq!(
        stage.failure().await,
        (6, "Script at specified location: s.sh failed to close STDERR".to_owned()),
        "AS-097"
    );
}

#[tokio::test]
async fn a_daemon_with_redirected_outputs_lets_the_event_finish_and_lives_on() {
    let stage = Stage::shell("true");
    let alive = stage.path("alive");
    let body = format!(
        "#!/bin/sh\n(while ! [ -e {0}.go ]; do sleep 0.01; done; touch {0}) > /dev/null 2> /dev/null < /dev/null &\n",
        alive.display()
    );
    std::fs::write(stage.path("archive/s.sh"), body).unwrap();
    assert_eq!(stage.run().await, Ok(()), "AS-097");
    std::fs::write(stage.path("alive.go"), "").unwrap();
    until("the daemon works after its event", || exists(&alive)).await;
}

#[tokio::test]
async fn huge_and_binary_output_stays_bounded_text() {
    let stage = Stage::shell(
        "head -c 3000000 /dev/zero | tr '\\0' x; echo; printf 'caf\\351 \\033[1mbold\\033[0m\\n'; exit 1",
    );
    let diagnostics = stage.run().await.expect_err("a failure");
    assert_eq!(diagnostics.error_code, 4);
    assert!(diagnostics.log.ends_with("[stdout]caf\u{fffd} bold\n"), "AP-14, AP-31");
    assert!(diagnostics.log.chars().count() < 2048, "AG-064");
    let bytes: usize =
        stage.log().iter().filter(|line| line.starts_with("[stdout]x")).map(|line| line.len() - 8).sum();
    assert_eq!(bytes, 3_000_000, "nothing of a long line is lost");
}

#[tokio::test]
async fn standard_input_is_empty() {
    let stage = Stage::shell("cat; echo end").timeout(Duration::from_secs(50));
    assert_eq!(stage.run().await, Ok(()), "AG-105");
    assert_eq!(stage.log().last().map(String::as_str), Some("[stdout]end"));
}

#[tokio::test]
async fn runas_becomes_the_user_completely() {
    if !is_root() {
        // Only root may become somebody else; what then happens is the next test.
        return;
    }
    let mut stage = Stage::shell("id -un; id -G; echo \"$HOME $USER $DEPLOYMENT_ID\"; exit 7");
    stage.script.runas = Some("nobody".to_owned());
    assert_eq!(
        stage.failure().await,
        (4, "Script at specified location: s.sh run as user nobody failed with exit code 7".to_owned()),
        "AS-095"
    );
    let log = stage.log();
    assert_eq!(log[2], "[stdout]nobody", "AS-077: {log:?}");
    assert!(
        !log[3].split(' ').any(|group| group.ends_with("]0") || group == "0"),
        "no group of root: {}",
        log[3]
    );
    assert!(log[4].ends_with(" nobody d-1"), "AS-104: the environment is kept: {}", log[4]);
}

#[tokio::test]
async fn a_script_of_another_user_has_a_session_without_the_agents_terminal() {
    if !is_root() {
        // Only root may become somebody else.
        return;
    }
    let mut stage = Stage::shell("read -r stat < /proc/self/stat; echo $$ ${stat#*) }");
    stage.script.runas = Some("nobody".to_owned());
    assert_eq!(stage.run().await, Ok(()));
    let log = stage.log();
    let fields: Vec<&str> = log[2].trim_start_matches("[stdout]").split(' ').collect();
    // After the state: parent, group, session, terminal.
    assert_eq!(fields[3], fields[0], "a group of its own: {log:?}");
    assert_eq!(fields[4], fields[0], "a session of its own: {log:?}");
    assert_eq!(fields[5], "0", "no terminal: {log:?}");
}

#[tokio::test]
async fn a_script_of_another_user_that_takes_too_long_is_stopped() {
    if !is_root() {
        // Only root may become somebody else.
        return;
    }
    let mut stage = Stage::shell("sleep 600 & wait").timeout(Duration::from_secs(1));
    stage.script.runas = Some("nobody".to_owned());
    let started = Instant::now();
    assert_eq!(stage.failure().await.0, 3, "AS-096");
    assert!(started.elapsed() < Duration::from_secs(20), "D-27: the whole group is told");
}

#[tokio::test]
async fn an_unknown_user_fails_the_script() {
    for user in ["no-such-user-here", "-x", "root; touch /tmp/x"] {
        let mut stage = Stage::shell("echo never");
        stage.script.runas = Some(user.to_owned());
        let expected =
            format!("Script at specified location: s.sh run as user {user} failed with exit code 1");
        assert_eq!(stage.failure().await, (4, expected), "AS-077");
        assert!(!stage.log().iter().any(|line| line.contains("never")));
    }
}

#[tokio::test]
async fn a_script_outside_the_revision_is_refused_with_its_line() {
    let mut stage = Stage::shell("true");
    stage.script.location = "../s.sh".to_owned();
    let diagnostics = stage.run().await.expect_err("D-17");
    assert_eq!(diagnostics.error_code, 5);
    assert!(
        diagnostics.message.contains("../s.sh leads out of the revision (line 5"),
        "{}",
        diagnostics.message
    );
}
