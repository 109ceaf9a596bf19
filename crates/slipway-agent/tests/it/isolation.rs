//! What of the agent reaches its scripts, and what scripts and the agent leave for others to read.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};

use crate::support::{Host, Stub, script, spec, zip};

/// Somebody starts the agent with open descriptors, a careless umask, and secrets in the environment.
fn careless(program: &Command) -> Command {
    let mut careless = Command::new("/bin/sh");
    careless
        .arg("-c")
        .arg("umask 000; exec 9</etc/hostname; exec \"$@\"")
        .arg("sh")
        .arg(program.get_program())
        .args(program.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for name in
        ["AWS_SESSION_TOKEN", "AWS_SECRET_KEY", "AWS_SECRET_ACCESS_KEY", "NOTIFY_SOCKET", "LISTEN_FDS"]
    {
        careless.env(name, "must-not-be-seen");
    }
    careless
}

#[tokio::test]
async fn descriptors_secrets_and_the_umask_of_whoever_starts_the_agent_end_with_it() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let bundle = zip(&[
        ("appspec.yml", "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    - location: look.sh\n"),
        ("look.sh", &script("ls -l /proc/$$/fd; echo umask=$(umask); env")),
    ]);
    stub.put_object("/bucket/k", bundle);
    stub.put_spec("a/b/c/d-1", &spec("d-1", "k", None));
    let mut agent = careless(&host.program("run")).spawn().unwrap();
    stub.run("download", "DownloadBundle", "a/b/c/d-1").await;
    assert_eq!(stub.run("look", "AfterInstall", "a/b/c/d-1").await.body["CommandStatus"], "Succeeded");
    let log = host.read(&format!("{}/logs/scripts.log", crate::support::deployment_dir("d-1")));
    assert!(log.contains(" -> "), "the descriptors were listed: {log}");
    assert!(!log.contains("/etc/hostname"), "of the agent's descriptors none is here: {log}");
    assert!(log.contains("[stdout]umask=0022\n"), "AS-031: {log}");
    let modes =
        [("root/6f1e4b5a-group/d-1/logs/scripts.log", 0o640), ("root/6f1e4b5a-group/d-1/bundle.tar", 0o600)];
    for (name, mode) in modes {
        assert_eq!(std::fs::metadata(host.path(name)).unwrap().mode() & 0o777, mode, "{name}");
    }
    for directory in ["root/deployment-instructions", "root/deployment-logs", "root/agent-state"] {
        for entry in std::fs::read_dir(host.path(directory)).into_iter().flatten() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().mode() & 0o007, 0, "others read {}", entry.path().display());
        }
    }
    assert!(!log.contains("must-not-be-seen") && !log.contains("very-secret"), "D-25: {log}");
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_takes_neither_directory_nor_umask_of_whoever_started_it() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let run = |command: &'static str| {
        let mut program = careless(&host.program(command));
        program.current_dir(host.path(""));
        async { tokio::task::spawn_blocking(move || program.status()).await.unwrap().unwrap() }
    };
    assert!(run("start").await.success());
    let pid = host.read("pid/codedeploy-agent.pid");
    let home = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert!(run("stop").await.success());
    assert!(
        home.to_str().is_some_and(|home| ["/", "/opt/codedeploy-agent"].contains(&home)),
        "AS-107: {home:?}"
    );
    for directory in ["root", "log", "pid", "root/agent-state"] {
        assert_eq!(std::fs::metadata(host.path(directory)).unwrap().mode() & 0o022, 0, "{directory}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directories_that_others_can_change_are_told() {
    if !rustix::process::geteuid().is_root() {
        // Without root's rights there is nothing to gain for others.
        return;
    }
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    std::fs::create_dir(host.path("root")).unwrap();
    std::fs::set_permissions(host.path("root"), std::fs::Permissions::from_mode(0o777)).unwrap();
    for command in ["start", "stop"] {
        let mut program = host.program(command);
        assert!(tokio::task::spawn_blocking(move || program.status()).await.unwrap().unwrap().success());
    }
    let log = host.read("log/codedeploy-agent.log");
    let root = host.path("root");
    assert!(
        log.contains("WARN  ") && log.contains(&format!("{} can be changed by users", root.display())),
        "{log}"
    );
}
