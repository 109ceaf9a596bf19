//! A control plane reduced to the agent's view: it hands out what a test queues, serves objects, and keeps
//! every call. TLS is real, signatures are looked at, not verified (that is the server's own test).

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::{GUARD, Signer};

/// One request that the agent sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) operation: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Call {
    /// The payload of the diagnostics.
    pub(crate) fn diagnostics(&self) -> Value {
        serde_json::from_str(self.body["Diagnostics"]["Payload"].as_str().unwrap()).unwrap()
    }
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The call is taken and its answer is lost with the connection.
    Lost,
    /// 503.
    Unavailable,
    /// 400 of this type.
    Refused(&'static str),
    /// The connection is lost after so many bytes of the answer.
    Cut(usize),
}

#[derive(Default)]
struct State {
    queue: VecDeque<Value>,
    calls: Vec<Call>,
    specifications: HashMap<String, Value>,
    objects: HashMap<String, (Bytes, String)>,
    answers: HashMap<String, (u16, String)>,
    redirects: HashMap<String, String>,
    acknowledgements: HashMap<String, &'static str>,
    faults: Vec<(String, Fault)>,
    answers_empty: bool,
}

/// The stub. It lives as long as the test's runtime.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    pub(crate) ca_pem: String,
    pub(crate) signer: Signer,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl Stub {
    pub(crate) async fn start() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        Self::listen(Some(acceptor), certificate.pem()).await
    }

    /// A stub without TLS: the instance metadata service.
    pub(crate) async fn start_plain() -> Self {
        Self::listen(None, String::new()).await
    }

    async fn listen(acceptor: Option<TlsAcceptor>, ca_pem: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { state: Mutex::default(), changed: watch::channel(()).0 });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&serving));
                tokio::spawn(async move {
                    let Some(acceptor) = acceptor else { return talk(shared, stream).await };
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    talk(shared, stream).await;
                });
            }
        });
        Self { address, ca_pem, signer: Signer::new(), shared }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.shared.state.lock().unwrap());
        self.shared.changed.send_replace(());
        result
    }

    /// Publishes an object, as its bucket and key, with its MD5 as ETag; returns the ETag.
    pub(crate) fn put_object(&self, path: &str, content: Vec<u8>) -> String {
        use md5::Digest as _;
        let etag = hex::encode(md5::Md5::digest(&content));
        let object = (Bytes::from(content), etag.clone());
        self.change(|state| state.objects.insert(path.to_owned(), object));
        etag
    }

    /// Answers `METHOD path` as told.
    pub(crate) fn put_answer(&self, call: &str, status: u16, body: &str) {
        self.change(|state| state.answers.insert(call.to_owned(), (status, body.to_owned())));
    }

    /// Answers a path with a redirect.
    pub(crate) fn redirect(&self, path: &str, to: &str) {
        self.change(|state| state.redirects.insert(path.to_owned(), to.to_owned()));
    }

    /// Publishes the specification of an execution.
    pub(crate) fn put_spec(&self, execution: &str, spec: &Value) {
        self.put_envelope(execution, "PKCS7/JSON", &self.signer.sign(spec.to_string().as_bytes()));
    }

    /// Publishes an envelope as it is.
    pub(crate) fn put_envelope(&self, execution: &str, format: &str, payload: &str) {
        let envelope = json!({ "Format": format, "Payload": payload });
        self.change(|state| state.specifications.insert(execution.to_owned(), envelope));
    }

    /// Queues a command for the next poll.
    pub(crate) fn hand_out(&self, identifier: &str, name: &str, execution: &str) {
        let command = json!({
            "HostCommandIdentifier": identifier, "HostIdentifier": super::host::ARN,
            "DeploymentExecutionId": execution, "CommandName": name, "Nonce": 1
        });
        self.change(|state| state.queue.push_back(command));
    }

    /// What the acknowledgement of a command is answered; `InProgress` otherwise.
    pub(crate) fn answer_acknowledgement(&self, identifier: &str, status: &'static str) {
        self.change(|state| state.acknowledgements.insert(identifier.to_owned(), status));
    }

    /// Polls end at once and empty from now on.
    pub(crate) fn answer_empty(&self) {
        self.change(|state| state.answers_empty = true);
    }

    /// The next call of this operation fails; several faults of one operation come in order.
    pub(crate) fn fail_next(&self, operation: &str, fault: Fault) {
        self.change(|state| state.faults.push((operation.to_owned(), fault)));
    }

    /// All calls of an operation so far.
    pub(crate) fn calls(&self, operation: &str) -> Vec<Call> {
        let state = self.shared.state.lock().unwrap();
        state.calls.iter().filter(|call| call.operation == operation).cloned().collect()
    }

    /// Waits until `pick` finds something in what was called.
    pub(crate) async fn wait<T>(&self, what: &str, pick: impl Fn(&[Call]) -> Option<T>) -> T {
        let mut changed = self.shared.changed.subscribe();
        let looking = async {
            loop {
                changed.borrow_and_update();
                if let Some(found) = pick(&self.shared.state.lock().unwrap().calls) {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(GUARD, looking)
            .await
            .unwrap_or_else(|_| panic!("never came: {what}; calls: {:#?}", self.operations()))
    }

    /// Waits for the completion of a command.
    pub(crate) async fn completion(&self, identifier: &str) -> Call {
        self.wait(&format!("completion of {identifier}"), |calls| {
            calls
                .iter()
                .find(|call| {
                    call.operation == "PutHostCommandComplete"
                        && call.body["HostCommandIdentifier"] == identifier
                })
                .cloned()
        })
        .await
    }

    /// Hands out a command, waits for its completion.
    pub(crate) async fn run(&self, identifier: &str, name: &str, execution: &str) -> Call {
        self.hand_out(identifier, name, execution);
        self.completion(identifier).await
    }

    /// Waits for the `count`th call of an operation.
    pub(crate) async fn nth(&self, operation: &str, count: usize) -> Call {
        self.wait(&format!("{operation} number {count}"), |calls| {
            calls.iter().filter(|call| call.operation == operation).nth(count - 1).cloned()
        })
        .await
    }

    fn operations(&self) -> Vec<String> {
        let state = self.shared.state.lock().unwrap();
        state.calls.iter().map(|call| format!("{} {}", call.operation, call.body)).collect()
    }
}

async fn talk(shared: Arc<Shared>, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(move |request| serve(Arc::clone(&shared), request));
    // A fault closes the connection by an error of the service.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// A body that may break off.
#[derive(Default)]
struct Content {
    whole: Full<Bytes>,
    cut: Option<Cut>,
}

/// What happens where a body breaks off.
enum Cut {
    /// What stands before it is sent first.
    Flush,
    Break,
}

impl Content {
    fn new(whole: Bytes) -> Self {
        Self { whole: Full::new(whole), cut: None }
    }
}

impl From<&'static str> for Content {
    fn from(text: &'static str) -> Self {
        Self::new(Bytes::from_static(text.as_bytes()))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match Pin::new(&mut self.whole).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(_) if matches!(self.cut, Some(Cut::Flush)) => {
                self.cut = Some(Cut::Break);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(_) if self.cut.is_some() => {
                Poll::Ready(Some(Err(std::io::Error::other("the connection is lost"))))
            }
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The answer, broken off after so many bytes of what it promises.
async fn cut(answer: Response<Content>, after: usize) -> Response<Content> {
    let (mut parts, body) = answer.into_parts();
    let whole = body.collect().await.unwrap().to_bytes();
    parts.headers.insert("content-length", whole.len().into());
    let body = Content { whole: Full::new(whole.slice(..after)), cut: Some(Cut::Flush) };
    Response::from_parts(parts, body)
}

async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Content>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = match target {
        Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        None => format!("{} {}", parts.method, parts.uri),
    };
    let call = Call {
        operation: operation.clone(),
        headers: parts.headers,
        body: serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned())),
    };
    let fault = {
        let mut state = shared.state.lock().unwrap();
        state.calls.push(call.clone());
        let fault = state.faults.iter().position(|(of, _)| *of == operation);
        fault.map(|at| state.faults.remove(at).1)
    };
    shared.changed.send_replace(());
    match fault {
        Some(Fault::Lost) => return Err(std::io::Error::other("the connection is lost")),
        Some(Fault::Unavailable) => return Ok(answer(503, &json!({"__type": "ServerException"}))),
        Some(Fault::Refused(kind)) => {
            return Ok(answer(400, &json!({"__type": kind, "message": "as the test wants it"})));
        }
        Some(Fault::Cut(after)) => {
            let answer = respond(&shared, &call).await.unwrap_or_else(|never| match never {});
            return Ok(cut(answer, after).await);
        }
        None => {}
    }
    Ok(respond(&shared, &call).await.unwrap_or_else(|never| match never {}))
}

async fn respond(shared: &Shared, call: &Call) -> Result<Response<Content>, Infallible> {
    let text = |name: &str| call.body[name].as_str().unwrap_or_default().to_owned();
    Ok(match call.operation.as_str() {
        "PollHostCommand" => {
            let mut changed = shared.changed.subscribe();
            let command = loop {
                changed.borrow_and_update();
                {
                    let mut state = shared.state.lock().unwrap();
                    if let Some(command) = state.queue.pop_front() {
                        break Some(command);
                    }
                    if state.answers_empty {
                        break None;
                    }
                }
                if changed.changed().await.is_err() {
                    break None;
                }
            };
            answer(200, &command.map_or_else(|| json!({}), |command| json!({ "HostCommand": command })))
        }
        "GetDeploymentSpecification" => {
            let state = shared.state.lock().unwrap();
            match state.specifications.get(&text("DeploymentExecutionId")) {
                Some(envelope) => answer(
                    200,
                    &json!({"DeploymentSystem": "CodeDeploy",
                           "DeploymentSpecification": {"GenericEnvelope": envelope}}),
                ),
                None => answer(400, &json!({"__type": "ClientException", "message": "unknown deployment"})),
            }
        }
        "PutHostCommandAcknowledgement" => {
            let state = shared.state.lock().unwrap();
            let status = state.acknowledgements.get(&text("HostCommandIdentifier")).unwrap_or(&"InProgress");
            answer(200, &json!({ "CommandStatus": status }))
        }
        "PutHostCommandComplete" => answer(200, &json!({})),
        get => {
            let state = shared.state.lock().unwrap();
            if let Some(to) = state.redirects.get(get.trim_start_matches("GET ")) {
                let redirect = Response::builder().status(StatusCode::FOUND).header("location", to);
                return Ok(redirect.body(Content::default()).unwrap());
            }
            if let Some((status, body)) = state.answers.get(get) {
                let answer = Response::builder().status(*status);
                return Ok(answer.body(Content::new(body.clone().into())).unwrap());
            }
            match state.objects.get(get.trim_start_matches("GET ")) {
                Some((_, etag))
                    if call.headers.get("if-match").is_some_and(|wanted| *wanted != *format!("\"{etag}\"")) =>
                {
                    Response::builder()
                        .status(StatusCode::PRECONDITION_FAILED)
                        .body(Content::from("<Error><Code>PreconditionFailed</Code></Error>"))
                        .unwrap()
                }
                Some((content, etag)) if call.headers.contains_key("range") => {
                    let range = call.headers["range"].to_str().unwrap();
                    let from: usize =
                        range.strip_prefix("bytes=").unwrap().trim_end_matches('-').parse().unwrap();
                    let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
                    Response::builder()
                        .status(StatusCode::PARTIAL_CONTENT)
                        .header("etag", format!("\"{etag}\""))
                        .header("content-range", range)
                        .body(Content::new(content.slice(from..)))
                        .unwrap()
                }
                Some((content, etag)) => Response::builder()
                    .header("etag", format!("\"{etag}\""))
                    .body(Content::new(content.clone()))
                    .unwrap(),
                None => Response::builder()
                    .status(StatusCode::NOT_FOUND)
                    .body(Content::from(
                        "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>",
                    ))
                    .unwrap(),
            }
        }
    })
}

fn answer(status: u16, body: &Value) -> Response<Content> {
    Response::builder().status(status).body(Content::new(body.to_string().into())).unwrap()
}
