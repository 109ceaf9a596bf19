//! Asking the deployed application, as a browser would.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

const LIMIT: Duration = Duration::from_secs(10);
const LONGEST: usize = 1024 * 1024;

/// Fetches a page.
pub(super) async fn get(url: &str) -> anyhow::Result<String> {
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let fetch = async {
        let response = client.get(url.parse()?).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        anyhow::ensure!(status.is_success(), "HTTP status {status}");
        anyhow::Ok(String::from_utf8_lossy(&body).into_owned())
    };
    tokio::time::timeout(LIMIT, fetch)
        .await
        .map_err(anyhow::Error::from)
        .flatten()
        .with_context(|| format!("{url} does not answer"))
}

/// The words of a page, line by line, without its markup.
pub(super) fn words(page: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in page.lines().filter(|line| !line.starts_with("<title")) {
        let mut inside = false;
        let words: String = line
            .chars()
            .filter(|c| {
                let keep = !inside && *c != '<';
                inside = if *c == '<' { true } else { inside && *c != '>' };
                keep
            })
            .collect();
        if !words.trim().is_empty() {
            lines.push(words.trim().to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_page_is_told_without_its_markup() {
        assert_eq!(
            words("<!doctype html>\n<title>x</title>\n<h1>Hello</h1>\n<p>a <b>b</b></p>\n"),
            ["Hello", "a b"]
        );
    }
}
