//! The program as a service: start, status, stop, restart (AG-041..AG-045, AP-29).

use std::process::Output;

use crate::support::{Host, Stub, exists, script, spec, until, zip};

/// Runs the program to its end, beside the stub.
async fn call(host: &Host, command: &str) -> (i32, String, String) {
    let mut program = host.program(command);
    let output: Output = tokio::task::spawn_blocking(move || program.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_starts_once_tells_its_status_and_stops() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    assert_eq!(
        call(&host, "status").await,
        (3, String::new(), "error: No AWS CodeDeploy agent running".to_owned()),
        "AG-042, AP-29"
    );
    let (code, said, complaint) = call(&host, "start").await;
    assert_eq!((code, complaint.as_str()), (0, ""), "AG-043");
    let pid = host.read("pid/codedeploy-agent.pid");
    assert_eq!(said, format!("The AWS CodeDeploy agent is running as PID {pid}"), "A-10");
    assert_eq!(call(&host, "status").await, (0, said, String::new()), "AG-042");
    stub.nth("PollHostCommand", 1).await;

    assert_eq!(call(&host, "start").await, (0, String::new(), String::new()), "AG-043: nothing printed");
    assert_eq!(host.read("pid/codedeploy-agent.pid"), pid, "AG-043: no second daemon");
    let log = host.read("log/codedeploy-agent.log");
    assert!(
        log.contains(&format!(" INFO  [codedeploy-agent({pid})]: Started master {pid} with 1 children\n")),
        "AG-043"
    );
    assert!(
        log.contains("Could not acquire lock on ") && log.contains(".pid.lock - aborting start!"),
        "AG-043"
    );

    let (code, said, _) = call(&host, "restart").await;
    assert_eq!(code, 0, "AG-044: {said}");
    let second = host.read("pid/codedeploy-agent.pid");
    assert_ne!(second, pid);

    let (code, said, _) = call(&host, "stop").await;
    assert_eq!(code, 0);
    assert_eq!(
        said,
        format!("Checking first if a deployment is already in progress\nStopping master {second}"),
        "AG-044"
    );
    assert!(!exists(&host.path("pid/codedeploy-agent.pid")), "AG-045");
    let (code, said, _) = call(&host, "stop").await;
    assert!(code == 0 && said.ends_with("Nothing running that could be stopped"), "AG-044: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_refused_while_a_deployment_is_in_progress() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let (ran, go) = (host.path("ran"), host.path("go"));
    let body = format!("touch {}; while ! [ -e {} ]; do sleep 0.01; done", ran.display(), go.display());
    let bundle = zip(&[
        ("appspec.yml", "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    - location: wait.sh\n"),
        ("wait.sh", &script(&body)),
    ]);
    stub.put_object("/bucket/k", bundle);
    stub.put_spec("a/b/c/d-1", &spec("d-1", "k", None));
    assert_eq!(call(&host, "start").await.0, 0);
    stub.run("download", "DownloadBundle", "a/b/c/d-1").await;
    stub.hand_out("wait", "AfterInstall", "a/b/c/d-1");
    until("the script runs", || exists(&ran)).await;

    let (code, _, complaint) = call(&host, "stop").await;
    assert_eq!((code, complaint.as_str()), (1, "error: A deployment is already in Progress"), "AG-044");
    std::fs::write(&go, "").unwrap();
    assert_eq!(stub.completion("wait").await.body["CommandStatus"], "Succeeded");
    until("the command is forgotten", || !exists(&host.path("root/ongoing-deployment/d-1"))).await;
    assert_eq!(call(&host, "stop").await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_pid_file_is_cleaned_up() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    std::fs::create_dir_all(host.path("pid")).unwrap();
    let path = host.path("pid/codedeploy-agent.pid");
    // Empty (AG-023), and of a process that is no agent.
    for content in [String::new(), "1".to_owned()] {
        std::fs::write(&path, content).unwrap();
        let (code, said, _) = call(&host, "status").await;
        assert_eq!(code, 3);
        assert_eq!(
            said,
            format!("Pidfile {} present but no matching process running - cleaning up", path.display()),
            "AG-042"
        );
        assert!(!exists(&path));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_before_the_daemon_is_gone() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    std::fs::remove_file(host.path("codedeploy.onpremises.yml")).unwrap();
    let (code, _, complaint) = call(&host, "start").await;
    assert_eq!(code, 1);
    assert!(
        complaint.starts_with("error: On Premises config file does not exist or not readable"),
        "AG-029: {complaint}"
    );
    std::fs::write(host.path("codedeploy.onpremises.yml"), "iam_user_arn: a\niam_session_arn: b\n").unwrap();
    let (code, _, complaint) = call(&host, "run").await;
    assert_eq!(code, 1);
    assert_eq!(
        complaint.lines().last(),
        Some("error: On Premises config cannot contain both 'iam_user_arn' and 'iam_session_arn' keys."),
        "AG-030"
    );
    assert!(host.try_start().is_err());
    std::fs::remove_file(&host.config).unwrap();
    let (code, _, complaint) = call(&host, "start").await;
    let expected =
        format!("error: The config file {} does not exist or is not readable", host.config.display());
    assert_eq!((code, complaint), (1, expected), "AG-053");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_an_idle_agent_at_once_and_with_success() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let mut process = host.program("run").spawn().unwrap();
    stub.nth("PollHostCommand", 1).await;
    let pid = rustix::process::Pid::from_raw(process.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = tokio::task::spawn_blocking(move || process.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0), "AG-045");
    assert!(!exists(&host.path("pid/codedeploy-agent.pid")));
}
