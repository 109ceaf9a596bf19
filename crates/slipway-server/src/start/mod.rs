//! Start and stop of a control plane.
//!
//! | module | what is in it |
//! |---|---|
//! | `certificate` | the certificate of the endpoint, renewed while the server runs |
//! | `account` | what an account begins with, and adding one |
//! | `data` | the data directory: its lock |
//! | `keys` | master keys |
//! | `rotate` | replacing the master key |
//! | `first` | the records of the first start: account, administrator, service role |
//! | `client` | the files for clients: `credentials`, `config`, `env` |

mod account;
mod certificate;
mod client;
mod data;
mod first;
mod keys;
mod rotate;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use slipway_artifacts::{ArtifactError, Artifacts};
use slipway_store::Store as _;
use slipway_store::sqlite::SqliteStore;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};

use crate::audit::{AuditError, Delivery, Trail};
use crate::clock::{Clock, SystemClock, WorkClock};
use crate::config::Config;
use crate::control::{ControlPlane, Settings};
use crate::files::FileError;
use crate::http::listen::ListenError;
use crate::http::{self, Entry};
use crate::hub::Hub;
use crate::identities::Identities;
use crate::identities::usage::KeyUsage;
use crate::pki::{self, PkiError, Shown};
use crate::s3::S3Access;
use crate::spec::{SpecError, SpecSigner};
use crate::throttle::Throttle;

use keys::MasterKeys;

pub use account::{AddAccountError, NewAccount, add_account};
pub use data::DataError;
pub use first::FirstStartError;
pub use keys::GivenKeys;
pub use rotate::{RotateError, rotate_key};

const WORKERS_END: Duration = Duration::from_secs(10);

/// A control plane that cannot start or stop as it should.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The signer of specifications.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The database.
    #[error(transparent)]
    Store(#[from] slipway_store::sqlite::OpenError),
    /// What the database holds.
    #[error(transparent)]
    Read(#[from] slipway_store::ReadError),
    /// The object store.
    #[error("the object store: {0}")]
    Artifacts(#[from] ArtifactError),
    /// The audit trail.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The first records.
    #[error(transparent)]
    FirstStart(#[from] FirstStartError),
    /// The address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
    /// A task of the start panicked.
    #[error("the start was cut off: {0}")]
    Cut(#[from] JoinError),
}

/// Starts a control plane, calls `ready` with its address when it serves, and runs until SIGTERM or SIGINT; then it
/// answers waiting polls empty, finishes requests and commits, and returns.
pub async fn run(config: Config, ready: impl FnOnce(&str)) -> Result<(), StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let running = start(config, Arc::new(SystemClock)).await?;
    ready(running.url());
    tell_service_manager(sd_notify::NotifyState::Ready);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    tell_service_manager(sd_notify::NotifyState::Stopping);
    // A second signal ends the wait for requests; what is committed is safe anyway.
    tokio::select! {
        () = running.stop() => {}
        _ = terminate.recv() => tracing::warn!("stopped at once by a second signal"),
        _ = interrupt.recv() => tracing::warn!("stopped at once by a second signal"),
    }
    Ok(())
}

fn tell_service_manager(state: sd_notify::NotifyState<'_>) {
    // Does nothing where there is none.
    if let Err(error) = sd_notify::notify(false, &[state]) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// A control plane that serves.
pub struct Running {
    control: Arc<ControlPlane>,
    store: Arc<SqliteStore>,
    url: String,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    workers: JoinHandle<()>,
    key_usage: JoinHandle<()>,
    trail: Option<JoinHandle<()>>,
    /// Held for as long as the data directory is ours.
    _lock: data::Lock,
}

impl Running {
    /// The address for clients, `https://HOST:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address that is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The control plane behind it.
    pub fn control(&self) -> &Arc<ControlPlane> {
        &self.control
    }

    /// Stops: waiting polls are answered empty, requests and commits finish.
    pub async fn stop(self) {
        // Fails when both receivers are gone, which is what is wanted.
        let _ = self.stop.send(true);
        self.control.hub.close();
        if let Err(error) = self.server.await {
            tracing::error!(%error, "the listener ended badly");
        }
        match tokio::time::timeout(WORKERS_END, self.workers).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the workers ended badly"),
            Err(_) => {
                tracing::warn!("the workers had not ended in time; what they did not finish is due again");
            }
        }
        // All requests have been answered: nothing comes after this.
        self.control.trail.close().await;
        if let Some(task) = self.trail
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the audit trail ended badly");
        }
        if let Err(error) = self.key_usage.await {
            tracing::error!(%error, "the last use of access keys was not written");
        }
        self.store.close().await;
    }
}

/// Starts a control plane. Repeating an interrupted start completes it.
pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    let prepare = {
        let (config, clock) = (config.clone(), Arc::clone(&clock));
        move || Prepared::new(&config, &clock)
    };
    // Keys are made and files synced: seconds, on a slow machine.
    let prepared = tokio::task::spawn_blocking(prepare).await??;
    let Prepared { lock, sealer, signer, store, artifacts, tls } = prepared;
    let store = Arc::new(store);
    let installation = first::ensure(store.as_ref(), &sealer, &config, clock.now()).await?;
    let reached = store.latest_moment().await?;
    let work_clock = WorkClock::new(Arc::clone(&clock), reached);
    let started = work_clock.now();
    let delivery = config.audit.bucket.clone().map(|bucket| Delivery {
        artifacts: artifacts.clone(),
        bucket,
        account: installation.account.clone(),
    });
    let (trail, trail_task) = Trail::open(&config.data_dir, &config.audit, delivery, Arc::clone(&clock))?;
    let control = Arc::new(ControlPlane {
        store: store.clone(),
        started,
        clock,
        work_clock,
        settings: Settings {
            account: installation.account.clone(),
            installed: installation.made.unwrap_or(started),
            quotas: config.quotas.clone(),
            batch_pacing: config.batch_pacing,
            strict: config.strict,
            poll_hold_ms: u64::from(config.poll_hold_seconds) * 1000,
        },
        sealer,
        identities: Identities::new(),
        key_usage: KeyUsage::new(),
        throttle: Throttle::new(config.throttle),
        trail,
        records: crate::work::Records::default(),
        hub: Hub::new(),
        signer,
        artifacts,
    });
    let (listener, address) = http::bind(&config).await?;
    let url = client::url(&config, address);
    client::write_files(&config, &url, &control, &installation).await?;
    let access = Arc::new(S3Access::new(Arc::clone(&control)));
    let s3 = control.artifacts.service(access.clone(), access);
    let entry = Arc::new(Entry::new(Arc::clone(&control), s3, config.region.clone()));
    let (stop, stopped) = watch::channel(false);
    let workers = crate::work::spawn(Arc::clone(&control), stopped.clone());
    let key_usage = crate::identities::usage::spawn(Arc::clone(&control), stopped.clone());
    if let Some(shown) = &tls {
        let clock = Arc::clone(&control.clock);
        tokio::spawn(certificate::keep(config.clone(), clock, Arc::clone(shown), stopped.clone()));
    }
    let tls = tls.map(pki::server_config).transpose()?;
    let server = tokio::spawn(http::serve(listener, tls, entry, config.max_connections, stopped));
    tracing::info!(url, account = %installation.account, data_dir = %config.data_dir.display(), "serving");
    Ok(Running {
        control,
        store,
        url,
        address,
        stop,
        server,
        workers,
        key_usage,
        trail: trail_task,
        _lock: lock,
    })
}

/// Everything that is made or opened before anything is asked over the network.
struct Prepared {
    lock: data::Lock,
    sealer: slipway_auth::token::Sealer,
    signer: SpecSigner,
    store: SqliteStore,
    artifacts: Artifacts,
    tls: Option<Arc<Shown>>,
}

impl Prepared {
    fn new(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, StartError> {
        let dir = &config.data_dir;
        let lock = data::open(config)?;
        let private = config.private_dir();
        let now = clock.now();
        let database = dir.join("slipway.db");
        let sealer = MasterKeys::open(&private, &database, config.master_key.as_ref())?.sealer();
        let signer = SpecSigner::load_or_create(dir, &private, now)?;
        let tls = certificate::load(config, now)?.map(Shown::new).transpose()?.map(Arc::new);
        let store = SqliteStore::open(&database)?;
        let clock = Arc::clone(clock);
        let mut artifacts = Artifacts::open(&dir.join("s3"), Arc::new(move || clock.now().0))?;
        if let Some(domain) = client::public_name(config) {
            artifacts = artifacts.with_base_domain(domain);
        }
        Ok(Self { lock, sealer, signer, store, artifacts, tls })
    }
}
