//! Who this host is: what the on-premises file says, else what the instance metadata service says (AG-028, AG-029).

use std::sync::Arc;

use crate::agent::StartError;
use crate::config::{Config, CredentialSource, HostIdentity};
use crate::imds::Imds;
use crate::logs::AgentLog;

/// The identity of this host. Asks the instance metadata service if there is no on-premises file.
pub async fn of_this_host(config: &Config, log: &AgentLog) -> Result<HostIdentity, StartError> {
    let file = &config.on_premises_config_file;
    if let Some(host) = HostIdentity::load(file)? {
        return Ok(host);
    }
    log.info(format_args!("On Premises config file does not exist or not readable: {}", file.display()));
    let nobody = |reason: String| StartError::NoIdentity { file: file.clone(), reason };
    let imds = metadata_service(config, log)?
        .ok_or_else(|| nobody("the instance metadata service is switched off".to_owned()))?;
    let instance = imds.instance().await.map_err(|error| nobody(error.to_string()))?;
    log.info(format_args!("This is the EC2 instance {}", instance.arn));
    Ok(instance.identity(CredentialSource::role(imds)))
}

/// The instance metadata service, unless the environment switches it off.
pub fn metadata_service(config: &Config, log: &AgentLog) -> Result<Option<Arc<Imds>>, StartError> {
    Ok(Imds::usual(&variable, !config.disable_imds_v1, log)?.map(Arc::new))
}

/// A variable of the environment that says something.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
