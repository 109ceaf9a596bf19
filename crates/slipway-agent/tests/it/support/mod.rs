//! The stub control plane and the host under test.

mod bundle;
mod cms;
mod host;
mod stub;

pub(crate) use bundle::{script, tgz, zip};
pub(crate) use cms::Signer;
pub(crate) use host::{ARN, Host, deployment_dir, exists, spec};
pub(crate) use stub::{Call, Fault, Stub};

use std::time::Duration;

/// No condition of a test takes this long; it only turns a hang into a failure.
pub(crate) const GUARD: Duration = Duration::from_mins(1);

/// Looks at something that another process does until it is so.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let looking = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(GUARD, looking).await.is_ok(), "never happened: {what}");
}
