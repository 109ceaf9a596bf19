//! Other ways to the bundle and to the control plane: GitHub, a proxy, session credentials, foreign roots.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Host, Stub, deployment_dir, spec, tgz};

#[tokio::test]
async fn a_commit_of_github_is_fetched_through_its_redirect_with_the_token() {
    let stub = Stub::start().await;
    let host = Host::with(&stub, &format!(":github_endpoint: {}", stub.endpoint()));
    stub.redirect("/repos/octo/web/tarball/abc123", &format!("{}/codeload/abc123", stub.endpoint()));
    let bundle =
        tgz("octo-web-abc123", &[("appspec.yml", "version: 0.0\nos: linux\n"), ("index.html", "hi")]);
    stub.put_object("/codeload/abc123", bundle);
    let mut spec = spec("d-1", "k", None);
    spec["GitHubAccessToken"] = json!("ghp_secret");
    spec["Revision"] = json!({"RevisionType": "GitHub",
        "GitHubRevision": {"Account": "octo", "Repository": "web", "CommitId": "abc123"}});
    stub.put_spec("a/b/c/d-1", &spec);
    let agent = host.start();
    let report = stub.run("1", "DownloadBundle", "a/b/c/d-1").await;
    agent.stop().await;
    assert_eq!(report.body["CommandStatus"], "Succeeded", "AG-091: {}", report.body);
    assert_eq!(
        host.read(&format!("{}/deployment-archive/index.html", deployment_dir("d-1"))),
        "hi",
        "AG-099"
    );
    let asked = stub.calls("GET /repos/octo/web/tarball/abc123");
    assert_eq!(asked[0].headers["authorization"], "token ghp_secret", "AG-091");
}

#[tokio::test]
async fn a_bundle_of_the_local_command_line_is_refused_from_a_control_plane() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let mut spec = spec("d-1", "k", None);
    spec["Revision"] = json!({"RevisionType": "Local Directory",
        "LocalRevision": {"Location": "/etc", "BundleType": "directory"}});
    stub.put_spec("a/b/c/d-1", &spec);
    let agent = host.start();
    let report = stub.run("1", "DownloadBundle", "a/b/c/d-1").await;
    agent.stop().await;
    let message = report.diagnostics()["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("Revisions of type Local Directory belong to local deployments"),
        "{message}"
    );
}

#[tokio::test]
async fn a_proxy_carries_everything_with_its_credentials() {
    let stub = Stub::start().await;
    let heads = Arc::new(Mutex::new(Vec::<String>::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(tunnel(client, Arc::clone(&seen)));
        }
    });
    let host = Host::with(&stub, &format!(":proxy_uri: http://me:s%40cret@{proxy}"));
    let agent = host.start();
    stub.nth("PollHostCommand", 1).await;
    agent.stop().await;
    let head = heads.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.starts_with(&format!("connect {} http/1.1\r\n", stub.address)), "AS-137: {head}");
    assert!(head.contains("proxy-authorization: basic bwu6c0bjcmv0\r\n"), "AS-137: me:s@cret");
}

/// One CONNECT tunnel.
async fn tunnel(mut client: TcpStream, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    seen.lock().unwrap().push(head);
    let mut server = TcpStream::connect(target).await.unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    // Whichever side ends first ends the tunnel.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

#[tokio::test]
async fn a_refreshed_session_is_used_without_a_restart() {
    let stub = Stub::start().await;
    stub.answer_empty();
    let host = Host::new(&stub);
    host.use_session("FIRST");
    let agent = host.start();
    let poll = stub.nth("PollHostCommand", 1).await;
    assert_eq!(poll.headers["x-amz-security-token"], "token-of-FIRST");
    host.refresh_session("SECOND");
    let found = stub
        .wait("a poll with the new session", |calls| {
            calls.iter().find(|call| call.headers["x-amz-security-token"] == "token-of-SECOND").cloned()
        })
        .await;
    agent.stop().await;
    assert!(found.headers["authorization"].to_str().unwrap().contains("Credential=SECOND/"), "A-05");
}

#[tokio::test]
async fn a_control_plane_with_a_foreign_certificate_gets_no_request() {
    let (stub, other) = (Stub::start().await, Stub::start().await);
    let host = Host::new(&stub);
    std::fs::write(host.path("ca.pem"), &other.ca_pem).unwrap();
    let mut program = host.program("run");
    program.stderr(std::process::Stdio::piped());
    let mut process = program.spawn().unwrap();
    let stderr = process.stderr.take().unwrap();
    let line = tokio::task::spawn_blocking(move || {
        use std::io::BufRead as _;
        std::io::BufReader::new(stderr).lines().map_while(Result::ok).find(|line| line.contains("ERROR"))
    })
    .await
    .unwrap()
    .unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(line.contains("Network error: 127.0.0.1:") && line.contains("certificate"), "AG-068: {line}");
    assert!(
        line.ends_with("Failed to execute the command. Your certificates might have been deleted"),
        "{line}"
    );
    assert!(stub.calls("PollHostCommand").is_empty(), "AP-03");
}
