//! The instance metadata service of EC2: who this instance is, and its role's credentials (AG-006, AG-028, AG-038).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde::Deserialize;

use crate::config::{HostIdentity, Keys};
use crate::http::{HttpClient, HttpError, HttpSetupError};
use crate::logs::AgentLog;

const ADDRESS: &str = "http://169.254.169.254";
/// AG-038; nobody else answers there, and the service is next door.
const TIMEOUT: Duration = Duration::from_secs(10);
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
const LONGEST_ANSWER: usize = 64 << 10;
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
const ROLE: &str = "/latest/meta-data/iam/security-credentials/";

/// Why the metadata service is of no use.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImdsError {
    /// AG-038.
    #[error("HTTP error from metadata service to get imdsv2 token.")]
    Token,
    /// Nobody there.
    #[error("the instance metadata service does not answer: {0}")]
    Unreachable(String),
    /// It has no such thing.
    #[error("the instance metadata service answers {status} to {path}")]
    Status {
        /// HTTP status.
        status: u16,
        /// What was asked for.
        path: String,
    },
    /// It has something else.
    #[error("the instance metadata service's answer to {path} makes no sense: {reason}")]
    Answer {
        /// What was asked for.
        path: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

/// A client of the metadata service.
#[derive(Debug)]
pub struct Imds {
    http: HttpClient,
    endpoint: String,
    /// `:disable_imds_v1: false` (AG-011).
    allow_v1: bool,
    pauses: Vec<Duration>,
    token: Mutex<Option<String>>,
    log: AgentLog,
}

/// What version of the service is spoken.
#[derive(Clone)]
enum Session {
    V2(String),
    V1,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    region: String,
    account_id: String,
    instance_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleCredentials {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: String,
}

impl Imds {
    /// The service at its usual address, or where `AWS_EC2_METADATA_SERVICE_ENDPOINT` says. `None`: switched off by
    /// `AWS_EC2_METADATA_DISABLED`.
    pub fn usual(
        variable: &dyn Fn(&str) -> Option<String>,
        allow_v1: bool,
        log: &AgentLog,
    ) -> Result<Option<Self>, HttpSetupError> {
        if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let endpoint = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| ADDRESS.to_owned());
        Self::at(&endpoint, allow_v1, PAUSES.to_vec(), log).map(Some)
    }

    /// The service at `endpoint`, tried again after each of `pauses`.
    pub fn at(
        endpoint: &str,
        allow_v1: bool,
        pauses: Vec<Duration>,
        log: &AgentLog,
    ) -> Result<Self, HttpSetupError> {
        Ok(Self {
            http: HttpClient::plain(TIMEOUT)?,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            allow_v1,
            pauses,
            token: Mutex::default(),
            log: log.clone(),
        })
    }

    /// Who this instance is (AG-028), and the domain of its partition's services (AG-034). Its credentials are the
    /// caller's business.
    pub async fn instance(&self) -> Result<Instance, ImdsError> {
        let path = "/latest/dynamic/instance-identity/document";
        let document = self.get(path).await?;
        let Document { region, account_id, instance_id } = parse(path, &document)?;
        let partition = self.get("/latest/meta-data/services/partition").await?;
        let domain = self.get("/latest/meta-data/services/domain").await?;
        let arn = format!("arn:{}:ec2:{region}:{account_id}:instance/{instance_id}", partition.trim());
        Ok(Instance { arn, region, domain: domain.trim().to_owned() })
    }

    /// The credentials of the instance's role, and when they end.
    pub async fn role_credentials(&self) -> Result<(Keys, SystemTime), ImdsError> {
        let names = self.get(ROLE).await?;
        let path = format!("{ROLE}{}", names.lines().next().unwrap_or_default().trim());
        let text = self.get(&path).await?;
        let found: RoleCredentials = parse(&path, &text)?;
        let expiration: jiff::Timestamp = found.expiration.parse().map_err(|error: jiff::Error| {
            ImdsError::Answer { path: path.clone(), reason: error.to_string() }
        })?;
        let keys = Keys {
            access_key_id: found.access_key_id,
            secret_access_key: found.secret_access_key,
            session_token: Some(found.token),
        };
        Ok((keys, expiration.into()))
    }

    /// One value; three attempts (AG-038).
    async fn get(&self, path: &str) -> Result<String, ImdsError> {
        let mut pauses = self.pauses.iter();
        loop {
            let error = match self.try_get(path).await {
                Ok(text) => return Ok(text),
                Err(error @ ImdsError::Status { status: 400..500, .. }) => return Err(error),
                Err(error) => error,
            };
            let Some(pause) = pauses.next() else { return Err(error) };
            tokio::time::sleep(*pause).await;
        }
    }

    async fn try_get(&self, path: &str) -> Result<String, ImdsError> {
        let mut session = self.session().await?;
        let mut answer = self.ask(Method::GET, path, &session).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            // The token has ended, once (AG-038).
            self.keep(None);
            session = self.session().await?;
            answer = self.ask(Method::GET, path, &session).await?;
        }
        text(path, &answer)
    }

    /// The token that was got before, a new one, or the older version of the service.
    async fn session(&self) -> Result<Session, ImdsError> {
        let known = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(token) = known {
            return Ok(Session::V2(token));
        }
        let path = "/latest/api/token";
        let answer = self.ask(Method::PUT, path, &Session::V1).await.and_then(|answer| text(path, &answer));
        match answer {
            Ok(token) => {
                let token = token.trim().to_owned();
                self.keep(Some(token.clone()));
                Ok(Session::V2(token))
            }
            Err(error @ ImdsError::Unreachable(_)) => Err(error),
            Err(_) if self.allow_v1 => {
                self.log.warn("IMDSv2 http request failed, falling back to IMDSv1.");
                Ok(Session::V1)
            }
            Err(_) => Err(ImdsError::Token),
        }
    }

    fn keep(&self, token: Option<String>) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    async fn ask(&self, method: Method, path: &str, session: &Session) -> Result<Response<Bytes>, ImdsError> {
        let wrong =
            |error: http::Error| ImdsError::Answer { path: path.to_owned(), reason: error.to_string() };
        let mut request = Request::builder().uri(format!("{}{path}", self.endpoint));
        if method == Method::PUT {
            request = request.header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
        } else if let Session::V2(token) = session {
            request = request.header(TOKEN_HEADER, token);
        }
        let request = request.method(method).body(Full::default()).map_err(wrong)?;
        self.http
            .fetch(request, LONGEST_ANSWER)
            .await
            .map_err(|error: HttpError| ImdsError::Unreachable(error.to_string()))
    }
}

/// Who an instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The ARN that it polls as (AP-06).
    pub arn: String,
    /// Its region.
    pub region: String,
    /// Where the services of its partition are: `amazonaws.com`.
    pub domain: String,
}

impl Instance {
    /// The identity of this instance with these credentials.
    pub fn identity(self, credentials: crate::config::CredentialSource) -> HostIdentity {
        let Self { arn, region, domain } = self;
        HostIdentity { host_identifier: arn, region, credentials, domain: Some(domain), renewal: None }
    }
}

fn text(path: &str, answer: &Response<Bytes>) -> Result<String, ImdsError> {
    if !answer.status().is_success() {
        return Err(ImdsError::Status { status: answer.status().as_u16(), path: path.to_owned() });
    }
    String::from_utf8(answer.body().to_vec())
        .map_err(|error| ImdsError::Answer { path: path.to_owned(), reason: error.to_string() })
}

fn parse<'a, T: Deserialize<'a>>(path: &str, text: &'a str) -> Result<T, ImdsError> {
    serde_json::from_str(text)
        .map_err(|error| ImdsError::Answer { path: path.to_owned(), reason: error.to_string() })
}
