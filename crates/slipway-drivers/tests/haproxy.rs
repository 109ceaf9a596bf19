//! The HAProxy driver against a real HAProxy with real backends under load (CF-223, OV-190, A-19 of part 1).
#![allow(clippy::unwrap_used, reason = "a failed step of a test ends it")]

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use slipway_drivers::haproxy::{Endpoint, HaProxy};
use slipway_drivers::{DriverError, LoadBalancer as _, Patience, Progress};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

const HOSTS: [&str; 3] = ["web-1", "web-2", "web-3"];

/// An application on a host: answers its name; `/slow` answers when it is told to; `/health` as it is.
#[derive(Default)]
struct Application {
    port: u16,
    broken: AtomicBool,
    served: AtomicU64,
    slow: AtomicU64,
    release: Notify,
}

impl Application {
    async fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let is_check = head.contains(" /health ");
        if head.contains(" /slow ") {
            self.slow.fetch_add(1, Ordering::SeqCst);
            self.release.notified().await;
        }
        if !is_check {
            self.served.fetch_add(1, Ordering::SeqCst);
        }
        let status = if self.broken.load(Ordering::SeqCst) { "503 Broken" } else { "200 OK" };
        stream.write_all(format!("HTTP/1.0 {status}\r\nContent-Length: 2\r\n\r\nok").as_bytes()).await
    }
}

async fn start(port: u16) -> (Arc<Application>, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let application =
        Arc::new(Application { port: listener.local_addr().unwrap().port(), ..Application::default() });
    let serving = Arc::clone(&application);
    let task = tokio::spawn(async move {
        let mut requests = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let application = Arc::clone(&serving);
            requests.spawn(async move { application.answer(stream).await });
        }
    });
    (application, task)
}

/// A HAProxy in front of three applications.
struct Lab {
    directory: tempfile::TempDir,
    proxy: Child,
    entrance: PathBuf,
    applications: Vec<(Arc<Application>, JoinHandle<()>)>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

impl Lab {
    async fn new(checks: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut applications = Vec::new();
        for _ in HOSTS {
            applications.push(start(0).await);
        }
        let entrance = directory.path().join("web.sock");
        let mut servers = String::new();
        for (name, (application, _)) in HOSTS.iter().zip(&applications) {
            writeln!(servers, "  server {name} 127.0.0.1:{} {checks}", application.port).unwrap();
        }
        let file = directory.path().join("haproxy.cfg");
        let text = format!(
            "global\n  stats socket {} mode 600 level admin\ndefaults\n  mode http\n  timeout connect 5s\n  timeout \
             client 60s\n  timeout server 60s\n  timeout queue 60s\nlisten web\n  bind unix@{}\n  option \
             httpchk GET /health\n{servers}",
            directory.path().join("admin.sock").display(),
            entrance.display()
        );
        std::fs::write(&file, text).unwrap();
        let proxy = Command::new("haproxy")
            .args(["-db", "-q", "-f"])
            .arg(&file)
            // Debian installs it where only root looks.
            .env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap()))
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy must be installed: scripts/prepare does it");
        let lab = Self { directory, proxy, entrance, applications };
        lab.until("HAProxy serves", async || lab.get("/").await.is_ok()).await;
        lab
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    fn driver(&self) -> HaProxy {
        HaProxy::new([Endpoint::Unix(self.socket())], "web").unwrap()
    }

    async fn get(&self, path: &str) -> io::Result<()> {
        get(&self.entrance, path).await
    }

    async fn until(&self, what: &str, mut question: impl AsyncFnMut() -> bool) {
        let waiting = async {
            while !question().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), waiting)
            .await
            .unwrap_or_else(|_| panic!("never: {what}"));
    }

    async fn is_out(&self, host: &str) {
        let driver = self.driver();
        self.until("the host is out", async || {
            driver.take_out(host, Patience::Wait).await.unwrap() == Progress::Done
        })
        .await;
    }

    async fn is_in(&self, host: &str) {
        let driver = self.driver();
        self.until("the host is in", async || driver.put_in(host).await.unwrap() == Progress::Done).await;
    }

    fn served(&self, host: usize) -> u64 {
        self.applications[host].0.served.load(Ordering::SeqCst)
    }
}

async fn get(entrance: &Path, path: &str) -> io::Result<()> {
    let mut stream = UnixStream::connect(entrance).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if answer.contains(" 200 ") { Ok(()) } else { Err(io::Error::other(answer)) }
}

#[tokio::test]
async fn no_request_fails_while_each_host_in_turn_is_replaced() {
    let mut lab = Lab::new("check inter 50ms rise 2 fall 2").await;
    let entrance = lab.entrance.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    for _ in 0..8 {
        let (stop, entrance) = (Arc::clone(&stop), entrance.clone());
        load.spawn(async move {
            let mut sent = 0_u64;
            while !stop.load(Ordering::SeqCst) {
                get(&entrance, "/").await.unwrap_or_else(|error| panic!("request {sent} failed: {error}"));
                sent += 1;
            }
            sent
        });
    }
    for (index, host) in HOSTS.into_iter().enumerate() {
        assert!(lab.driver().serves(host).await.unwrap());
        lab.is_out(host).await;
        assert!(!lab.driver().serves(host).await.unwrap());
        // The old application goes, and its successor needs a while until it is healthy.
        let (old, task) = lab.applications.remove(index);
        task.abort();
        let _ = task.await;
        let (new, task) = start(old.port).await;
        new.broken.store(true, Ordering::SeqCst);
        lab.applications.insert(index, (new, task));
        for _ in 0..5 {
            let Progress::Waiting(why) = lab.driver().put_in(host).await.unwrap() else {
                panic!("let in although it is broken");
            };
            assert!(why.contains(host) && why.contains("health"), "{why}");
        }
        assert_eq!(lab.served(index), 0, "nothing is sent to a host whose checks fail");
        lab.applications[index].0.broken.store(false, Ordering::SeqCst);
        lab.is_in(host).await;
        lab.until("traffic is back", async || lab.served(index) > 0).await;
    }
    stop.store(true, Ordering::SeqCst);
    let sent = load.join_all().await;
    assert!(sent.iter().all(|sent| *sent > 0), "{sent:?}");
}

#[tokio::test]
async fn a_host_is_out_when_its_last_request_has_ended_or_patience_has() {
    for patience in [Patience::Wait, Patience::Cut] {
        let lab = Lab::new("check inter 50ms").await;
        let entrance = lab.entrance.clone();
        let driver = lab.driver();
        for host in [HOSTS[1], HOSTS[2]] {
            lab.is_out(host).await;
        }
        let slow = tokio::spawn(async move { get(&entrance, "/slow").await });
        lab.until("the slow request is under way", async || {
            lab.applications[0].0.slow.load(Ordering::SeqCst) == 1
        })
        .await;
        for host in [HOSTS[1], HOSTS[2]] {
            lab.is_in(host).await;
        }
        let Progress::Waiting(why) = driver.take_out(HOSTS[0], Patience::Wait).await.unwrap() else {
            panic!("out with a request under way");
        };
        assert!(why.contains("web/web-1") && why.contains("1 open session"), "{why}");
        let before = lab.served(0);
        for _ in 0..20 {
            lab.get("/").await.unwrap();
        }
        assert_eq!(lab.served(0), before, "new requests go elsewhere");
        if patience == Patience::Cut {
            assert_eq!(driver.take_out(HOSTS[0], Patience::Cut).await.unwrap(), Progress::Done);
        }
        lab.applications[0].0.release.notify_one();
        lab.is_out(HOSTS[0]).await;
        slow.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_host_without_checks_is_taken_at_its_word() {
    let lab = Lab::new("").await;
    lab.is_out("web-2").await;
    assert_eq!(lab.driver().put_in("web-2").await.unwrap(), Progress::Done);
    assert!(lab.driver().serves("web-2").await.unwrap());
}

#[tokio::test]
async fn a_drain_that_is_taken_back_needs_no_new_proof_of_health() {
    let lab = Lab::new("check inter 10s").await;
    let driver = lab.driver();
    let entrance = lab.entrance.clone();
    for host in [HOSTS[1], HOSTS[2]] {
        lab.is_out(host).await;
    }
    let slow = tokio::spawn(async move { get(&entrance, "/slow").await });
    lab.until("the slow request is under way", async || {
        lab.applications[0].0.slow.load(Ordering::SeqCst) == 1
    })
    .await;
    assert_ne!(driver.take_out(HOSTS[0], Patience::Wait).await.unwrap(), Progress::Done);
    assert_eq!(driver.put_in(HOSTS[0]).await.unwrap(), Progress::Done);
    lab.applications[0].0.release.notify_one();
    slow.await.unwrap().unwrap();
}

#[tokio::test]
async fn mistakes_are_told_apart() {
    let lab = Lab::new("check").await;
    let driver = lab.driver();
    assert!(!driver.serves("stranger").await.unwrap());
    assert_eq!(driver.take_out("stranger", Patience::Wait).await.unwrap(), Progress::Done);
    assert_eq!(
        driver.take_out("web-1; shutdown frontend web", Patience::Wait).await.unwrap(),
        Progress::Done
    );
    let error = driver.put_in("stranger").await.unwrap_err();
    assert!(matches!(&error, DriverError::NoSuchHost { .. }), "{error}");
    assert!(error.to_string().contains("has no server stranger"), "{error}");

    let elsewhere = HaProxy::new([Endpoint::Unix(lab.socket())], "api").unwrap();
    let error = elsewhere.serves("web-1").await.unwrap_err();
    assert!(matches!(&error, DriverError::NoSuchPool { pool, .. } if pool == "api"), "{error}");
    assert!(!error.is_passing());

    let gone = HaProxy::new([Endpoint::from("/nonexistent/admin.sock")], "web").unwrap();
    let error = gone.take_out("web-1", Patience::Wait).await.unwrap_err();
    assert!(error.is_passing() && error.to_string().contains("/nonexistent/admin.sock"), "{error}");
}

#[tokio::test]
async fn a_pair_is_changed_together_and_half_a_pair_is_not_done() {
    let (one, other) = (Lab::new("check inter 50ms").await, Lab::new("check inter 50ms").await);
    let pair = HaProxy::new([Endpoint::Unix(one.socket()), Endpoint::Unix(other.socket())], "web").unwrap();
    one.is_out("web-3").await;
    assert!(pair.serves("web-3").await.unwrap(), "the other still sends");
    one.until("both are out", async || {
        pair.take_out("web-3", Patience::Wait).await.unwrap() == Progress::Done
    })
    .await;
    assert!(!other.driver().serves("web-3").await.unwrap());
    other.applications[2].0.broken.store(true, Ordering::SeqCst);
    one.until("one is in", async || {
        let Progress::Waiting(_) = pair.put_in("web-3").await.unwrap() else { panic!("the other is not") };
        one.driver().serves("web-3").await.unwrap()
    })
    .await;
    other.applications[2].0.broken.store(false, Ordering::SeqCst);
    one.until("both are in", async || pair.put_in("web-3").await.unwrap() == Progress::Done).await;
}
