//! One command, one answer.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use super::Endpoint;
use crate::DriverError;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Far more than the state of a backend with thousands of servers.
const LIMIT: u64 = 8 * 1024 * 1024;

/// The runtime API of one HAProxy. Each command is a connection of its own, as HAProxy's manual recommends for scripts.
#[derive(Debug)]
pub(super) struct Runtime {
    endpoint: Endpoint,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

impl Runtime {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    /// Asks; answers what HAProxy says, without blank lines at the end.
    pub(super) async fn ask(&self, command: &str) -> Result<String, DriverError> {
        let exchange = async {
            match &self.endpoint {
                Endpoint::Unix(path) => exchange(UnixStream::connect(path).await?, command).await,
                Endpoint::Tcp(address) => {
                    exchange(TcpStream::connect(address.as_str()).await?, command).await
                }
            }
        };
        match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(Ok(answer)) => Ok(answer.trim_end().to_owned()),
            Ok(Err(source)) => Err(DriverError::Unreachable { endpoint: self.to_string(), source }),
            Err(_) => Err(DriverError::TimedOut { endpoint: self.to_string(), seconds: TIMEOUT.as_secs() }),
        }
    }

    /// Commands that change something say nothing when they are done.
    pub(super) async fn change(&self, commands: &str) -> Result<(), DriverError> {
        let answer = self.ask(commands).await?;
        if answer.is_empty() {
            return Ok(());
        }
        Err(DriverError::Refused {
            endpoint: self.to_string(),
            command: commands.to_owned(),
            answer: shortened(&answer),
        })
    }

    /// An answer that we cannot read.
    pub(super) fn not_understood(&self, command: &str, answer: &str) -> DriverError {
        DriverError::NotUnderstood {
            endpoint: self.to_string(),
            command: command.to_owned(),
            answer: shortened(answer),
        }
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, command: &str) -> io::Result<String> {
    stream.write_all(format!("{command}\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.take(LIMIT).read_to_string(&mut answer).await?;
    Ok(answer)
}

fn shortened(answer: &str) -> String {
    answer.trim().chars().take(200).collect()
}
