//! Load on a control plane: signed `GetDeployment` requests, one after the other on each of some kept connections.
//!
//! Each connection signs its request once, with an invocation id of its own, and sends it again and again: the server
//! checks the signature every time, while this process spends its time on TLS and little else. Requests and answers are
//! HTTP/1.1 by hand, for the same reason. Prints one JSON object.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use clap::Parser as _;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What to measure.
#[derive(Debug, clap::Parser)]
struct Args {
    /// HOST:PORT of the control plane
    #[arg(long)]
    address: String,
    /// Certificate authority to trust, PEM
    #[arg(long)]
    ca: PathBuf,
    /// Region of the deployment
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// The deployment that is asked for
    #[arg(long)]
    deployment: String,
    /// Kept connections
    #[arg(long, default_value_t = 1)]
    connections: u32,
    /// Seconds that are counted, after one that is not
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    #[arg(long, env = "AWS_ACCESS_KEY_ID", hide = true)]
    access_key_id: String,
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", hide = true, hide_env_values = true)]
    secret_access_key: String,
}

const WARM_UP: Duration = Duration::from_secs(1);

fn main() -> anyhow::Result<()> {
    let args = Arc::new(Args::parse());
    // One thread: what is measured is the server, and it runs on the same machine.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(args))
}

async fn run(args: Arc<Args>) -> anyhow::Result<()> {
    let tls = TlsConnector::from(Arc::new(trust(&args)?));
    let mut open = Vec::new();
    for number in 0..args.connections {
        open.push((connect(&args, &tls).await?, signed_request(&args, number)?));
    }
    let begin = Instant::now() + WARM_UP;
    let end = begin + Duration::from_secs(args.seconds);
    let tasks: Vec<_> = open
        .into_iter()
        .map(|(stream, request)| tokio::spawn(ask_until(stream, request, begin, end)))
        .collect();
    let mut micros: Vec<u64> = Vec::new();
    for task in tasks {
        micros.extend(task.await??);
    }
    micros.sort_unstable();
    let at = |share: f64| micros.get((micros.len() as f64 * share) as usize).copied().unwrap_or_default();
    let report = serde_json::json!({
        "connections": args.connections,
        "requests": micros.len(),
        "per_second": micros.len() as f64 / args.seconds as f64,
        "p50_ms": at(0.5) as f64 / 1000.0,
        "p99_ms": at(0.99) as f64 / 1000.0,
    });
    println!("{report}");
    Ok(())
}

fn trust(args: &Args) -> anyhow::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&args.ca).context("the certificate authority")? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

async fn connect(args: &Args, tls: &TlsConnector) -> anyhow::Result<TlsStream<TcpStream>> {
    let (host, _) = args.address.rsplit_once(':').context("--address must be HOST:PORT")?;
    let stream = TcpStream::connect(&args.address).await?;
    stream.set_nodelay(true)?;
    Ok(tls.connect(ServerName::try_from(host.to_owned())?, stream).await?)
}

/// The bytes of one request, valid for fifteen minutes.
#[expect(
    clippy::disallowed_methods,
    reason = "signatures are made for the present, and this is the program's only clock"
)]
fn signed_request(args: &Args, number: u32) -> anyhow::Result<Vec<u8>> {
    let body = serde_json::json!({"deploymentId": args.deployment}).to_string();
    let mut headers = vec![
        ("host".to_owned(), args.address.clone()),
        ("content-type".to_owned(), "application/x-amz-json-1.1".to_owned()),
        ("x-amz-target".to_owned(), "CodeDeploy_20141006.GetDeployment".to_owned()),
        ("amz-sdk-invocation-id".to_owned(), format!("bench-{number}")),
    ];
    let identity = Credentials::new(&args.access_key_id, &args.secret_access_key, None, None, "bench").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&args.region)
        .name("codedeploy")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let url = format!("https://{}/", args.address);
    let signable = SignableRequest::new(
        "POST",
        &url,
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        SignableBody::Bytes(body.as_bytes()),
    )?;
    let (instructions, _) = sign(signable, &params)?.into_parts();
    headers.extend(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())));
    headers.push(("content-length".to_owned(), body.len().to_string()));
    let mut text = "POST / HTTP/1.1\r\n".to_owned();
    for (name, value) in &headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.extend(["\r\n", &body]);
    Ok(text.into_bytes())
}

/// Sends the request until `end`; the microseconds that each answer took, of those asked for from `begin` on.
async fn ask_until(
    mut stream: TlsStream<TcpStream>,
    request: Vec<u8>,
    begin: Instant,
    end: Instant,
) -> anyhow::Result<Vec<u64>> {
    let mut micros = Vec::new();
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let started = Instant::now();
        if started >= end {
            return Ok(micros);
        }
        stream.write_all(&request).await?;
        stream.flush().await?;
        read_answer(&mut stream, &mut buffer).await?;
        if started >= begin {
            micros.push(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
    }
}

/// Reads one whole answer, which must be a success.
async fn read_answer(stream: &mut TlsStream<TcpStream>, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
    buffer.clear();
    let mut whole = None;
    while whole.is_none_or(|whole| buffer.len() < whole) {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the server closed the connection");
        }
        if whole.is_none() {
            whole = length_of(buffer)?;
        }
    }
    if !buffer.starts_with(b"HTTP/1.1 200 ") {
        bail!("the server refuses: {}", String::from_utf8_lossy(buffer));
    }
    Ok(())
}

/// Length of head and body, once the head is there.
fn length_of(buffer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&buffer[..end])?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("the answer has no length")?;
    Ok(Some(end + 4 + length.1.trim().parse::<usize>()?))
}
