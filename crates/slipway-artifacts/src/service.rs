//! The store as an HTTP service.

use std::convert::Infallible;
use std::error::Error as StdErrorTrait;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, S3Error, S3Result};

use crate::auth::{Credentials, Doorkeeper, SENDER, Sender};
use crate::preflight;
use crate::s3::Backend;

/// Answers S3 requests; made by [`crate::Artifacts::service`]. Cheap to clone.
#[derive(Clone)]
pub struct S3Endpoint {
    service: S3Service,
}

impl fmt::Debug for S3Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Endpoint").finish_non_exhaustive()
    }
}

impl S3Endpoint {
    pub(crate) fn new(
        backend: Backend,
        credentials: Arc<dyn Credentials>,
        base_domain: Option<String>,
    ) -> Self {
        let mut builder = S3ServiceBuilder::new(backend);
        builder.set_auth(Doorkeeper { credentials });
        if let Some(domain) = base_domain {
            builder.set_host(BaseDomain(domain.to_ascii_lowercase()));
        }
        Self { service: builder.build() }
    }

    /// Answers one request. Every failure is an answer, too.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        Box<dyn StdErrorTrait + Send + Sync>: From<B::Error>,
    {
        let mut response = match self.answer(request).await {
            Ok(response) => response,
            Err(error) => {
                let error: s3s::StdError = error.into();
                tracing::error!(%error, "an S3 response could not be made");
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        let id = uuid::Uuid::new_v4().simple().to_string();
        let id = HeaderValue::from_str(&id).expect("a UUID in hex is a valid header value");
        response.headers_mut().insert("x-amz-request-id", id);
        response
    }

    async fn answer<B>(&self, request: Request<B>) -> Result<Response<Body>, HttpError>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        Box<dyn StdErrorTrait + Send + Sync>: From<B::Error>,
    {
        let (parts, body) = request.into_parts();
        let token = match preflight::inspect(&parts) {
            Ok(token) => token,
            Err(error) => return error.to_http_response().map_err(|e| HttpError::new(Box::new(e))),
        };
        let sender = Arc::new(Sender { token, ..Sender::default() });
        let mut request = Request::from_parts(parts, Body::http_body_unsync(body));
        request.extensions_mut().insert(Arc::clone(&sender));
        SENDER.scope(sender, self.service.call(request)).await
    }

    /// Like [`S3Endpoint::handle`], in the form that `hyper` services want.
    pub async fn call<B>(&self, request: Request<B>) -> Result<Response<Body>, Infallible>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        Box<dyn StdErrorTrait + Send + Sync>: From<B::Error>,
    {
        Ok(self.handle(request).await)
    }
}

/// `bucket.domain` names a bucket; any other host is addressed by path. (s3s's own parser takes every foreign host name
/// for a bucket, which would break `localhost` and addresses behind a proxy.)
struct BaseDomain(String);

impl S3Host for BaseDomain {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
        let lower = name.to_ascii_lowercase();
        let bucket = lower.strip_suffix(&self.0).and_then(|rest| rest.strip_suffix('.'));
        Ok::<_, S3Error>(match bucket {
            Some(bucket) if !bucket.is_empty() => {
                VirtualHost::new(self.0.as_str()).with_bucket(bucket.to_owned())
            }
            _ => VirtualHost::new(host),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_below_the_base_domain_are_buckets() {
        let domain = BaseDomain("s3.example.org".into());
        let bucket = |host| domain.parse_host_header(host).unwrap().bucket().map(str::to_owned);
        assert_eq!(bucket("releases.s3.example.org:8443").as_deref(), Some("releases"));
        assert_eq!(bucket("my.app.S3.example.org").as_deref(), Some("my.app"));
        for path_style in ["s3.example.org", "s3.example.org:8443", "localhost:8443", "xs3.example.org"] {
            assert_eq!(bucket(path_style), None, "{path_style}");
        }
    }
}
