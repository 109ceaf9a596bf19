//! The certificate of the endpoint: loaded at start, and again while the server runs, so that neither our own, which ends
//! after a year, nor the operator's, which is renewed by others, ever needs a restart.

use std::sync::Arc;
use std::time::Duration;

use slipway_model::Timestamp;
use tokio::sync::watch;

use super::{StartError, client};
use crate::clock::Clock;
use crate::config::{Config, PlainHttp};
use crate::pki::{self, Identity, Shown};

const LOOKED_AT_EVERY: Duration = Duration::from_hours(1);

/// The certificate and key that the configuration asks for, renewed where they are our own; `None` without TLS.
pub(super) fn load(config: &Config, now: Timestamp) -> Result<Option<Identity>, StartError> {
    Ok(match (config.plain_http, &config.tls) {
        (PlainHttp::Loopback | PlainHttp::Forced, _) => None,
        (PlainHttp::No, Some((certificate, key))) => Some(pki::operator_identity(certificate, key)?),
        (PlainHttp::No, None) => {
            let names = client::certificate_names(config);
            Some(pki::own_identity(&config.data_dir, &config.private_dir(), &names, now)?)
        }
    })
}

/// Looks at the certificate until `stopped`. One that cannot be used is told, and the one before stays.
pub(super) async fn keep(
    config: Config,
    clock: Arc<dyn Clock>,
    shown: Arc<Shown>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOKED_AT_EVERY) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let (config, shown, now) = (config.clone(), Arc::clone(&shown), clock.now());
        let looked = tokio::task::spawn_blocking(move || look(&config, &shown, now)).await;
        match looked {
            Ok(Ok(true)) => tracing::info!("another server certificate is shown from now on"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::error!(%error, "the server certificate was not renewed"),
            Err(error) => tracing::error!(%error, "the server certificate was not renewed"),
        }
    }
}

fn look(config: &Config, shown: &Shown, now: Timestamp) -> Result<bool, StartError> {
    match load(config, now)? {
        Some(identity) => Ok(shown.replace(identity)?),
        None => Ok(false),
    }
}
