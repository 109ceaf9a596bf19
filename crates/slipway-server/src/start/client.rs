//! The files that point clients at this control plane: `credentials`, `config` and `env` in the data directory.
//! Rewritten at every start, since the port may have changed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::config::{Config, PlainHttp};
use crate::control::ControlPlane;
use crate::files::{self, FileError};
use crate::identities::records;
use crate::pki;

use super::StartError;
use super::first::Installation;

const CREDENTIALS: &str = "credentials";
const CONFIG: &str = "config";
const ENV: &str = "env";

/// Variables that would lead clients elsewhere, or let them sign with other keys.
const UNSET: &[&str] = &[
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_ENDPOINT_URL_CODEDEPLOY",
    "AWS_ENDPOINT_URL_IAM",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
];

/// The address for clients on this machine, or for all where the server has a name.
pub(super) fn url(config: &Config, address: SocketAddr) -> String {
    let scheme = if config.plain_http == PlainHttp::No { "https" } else { "http" };
    let port = address.port();
    match (public_name(config), connectable(address.ip())) {
        (Some(name), _) => format!("{scheme}://{name}:{port}"),
        (None, IpAddr::V4(ip)) => format!("{scheme}://{ip}:{port}"),
        (None, IpAddr::V6(ip)) => format!("{scheme}://[{ip}]:{port}"),
    }
}

/// The host name that the server is known under, if it has one: the one that it listens on, or the first configured one
/// when the operator's certificate is for names.
pub(super) fn public_name(config: &Config) -> Option<String> {
    let is_name =
        |text: &&str| text.parse::<IpAddr>().is_err() && *text != "localhost" && !text.starts_with("*.");
    let listened = listen_host(config);
    if is_name(&listened) {
        return Some(listened.to_owned());
    }
    let configured = config.names.iter().map(String::as_str).find(is_name);
    configured.filter(|_| config.tls.is_some()).map(str::to_owned)
}

/// Names and addresses of the server certificate.
pub(super) fn certificate_names(config: &Config) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain = |name: &String| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
    };
    names.extend(Some(node).filter(plain));
    let listened = listen_host(config);
    match listened.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => {}
        // In the form that the certificate shows it in.
        Ok(ip) => names.push(ip.to_string()),
        Err(_) => names.push(listened.to_owned()),
    }
    names.extend(
        config
            .names
            .iter()
            .map(|name| name.parse::<IpAddr>().map_or_else(|_| name.clone(), |ip| ip.to_string())),
    );
    names
}

fn listen_host(config: &Config) -> &str {
    let host = config.listen.rsplit_once(':').map_or(config.listen.as_str(), |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Where to connect to reach a server that listens on `ip`.
fn connectable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

/// Writes the files.
pub(super) async fn write_files(
    config: &Config,
    url: &str,
    control: &ControlPlane,
    installation: &Installation,
) -> Result<(), StartError> {
    let directory =
        config.absolute_data_dir().map_err(|source| FileError::new("resolve", &config.data_dir, source))?;
    let id = &installation.administrator_key;
    let key = records::access_key(control.store.as_ref(), id).await.map_err(super::FirstStartError::from)?;
    if let Some(secret) = key.and_then(|key| key.value.secret(&control.sealer)) {
        let text = slipway_auth::Zeroizing::new(format!(
            "# Written by slipway server. The administrator's access key.\n[default]\naws_access_key_id = {id}\n\
             aws_secret_access_key = {}\n",
            secret.expose()
        ));
        files::write_atomic(&directory.join(CREDENTIALS), text.as_bytes(), files::SECRET)?;
    } else {
        // The operator has replaced the key: it is not ours to make another one.
        tracing::warn!(
            access_key_id = id.as_str(),
            "the first administrator key does not exist any more; the credentials file stays as it is"
        );
    }
    // Path style: a bucket's name in front of our host name would need DNS and a certificate for it. In us-east-1 the
    // AWS CLI would presign with the signatures of before SigV4, which are not accepted here (D-05).
    let client_config = format!(
        "# Written by slipway server.\n[default]\nregion = {}\ns3 =\n    addressing_style = path\n    \
         signature_version = s3v4\n",
        config.region
    );
    files::write_atomic(&directory.join(CONFIG), client_config.as_bytes(), files::PUBLIC)?;
    files::write_atomic(&directory.join(ENV), env(config, url, &directory).as_bytes(), files::PUBLIC)?;
    Ok(())
}

/// Shell commands that point the AWS CLI and every SDK at this server, whatever was set before.
fn env(config: &Config, url: &str, directory: &Path) -> String {
    let mut out = String::from("# Written by slipway server: . this file, then use any AWS client.\n");
    let mut export = |name: &str, value: &str| {
        out.extend(["export ", name, "=", &quoted(value), "\n"]);
    };
    let path = |name: &str| directory.join(name).display().to_string();
    export("AWS_ENDPOINT_URL", url);
    export("AWS_SHARED_CREDENTIALS_FILE", &path(CREDENTIALS));
    export("AWS_CONFIG_FILE", &path(CONFIG));
    export("AWS_REGION", config.region.as_str());
    export("AWS_DEFAULT_REGION", config.region.as_str());
    export("AWS_EC2_METADATA_DISABLED", "true");
    if config.plain_http == PlainHttp::No && config.tls.is_none() {
        export("AWS_CA_BUNDLE", &path(pki::CA_FILE));
    }
    out.extend(["unset ", &UNSET.join(" "), "\n"]);
    out
}

/// In single quotes, as every POSIX shell reads them.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn config(flags: &[(&str, &str)]) -> Config {
        let flags = flags.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Config::load(&Sources { flags, ..Sources::default() }).unwrap()
    }

    #[test]
    fn clients_get_an_address_that_they_can_connect_to() {
        for (listen, bound, url_text) in [
            ("127.0.0.1:0", "127.0.0.1:4711", "https://127.0.0.1:4711"),
            ("localhost:8443", "127.0.0.1:8443", "https://127.0.0.1:8443"),
            ("0.0.0.0:8443", "0.0.0.0:8443", "https://127.0.0.1:8443"),
            ("[::]:8443", "[::]:8443", "https://[::1]:8443"),
            ("deploy.example.org:443", "10.0.0.7:443", "https://deploy.example.org:443"),
        ] {
            assert_eq!(url(&config(&[("listen", listen)]), bound.parse().unwrap()), url_text);
        }
    }

    #[test]
    fn the_certificate_has_the_address_that_clients_use() {
        let config = config(&[("listen", "10.1.2.3:8443"), ("names", "deploy.example.org,FE80::1")]);
        let names = certificate_names(&config);
        for name in ["localhost", "127.0.0.1", "::1", "10.1.2.3", "deploy.example.org", "fe80::1"] {
            assert!(names.iter().any(|n| n == name), "{name}: {names:?}");
        }
    }

    #[test]
    fn env_replaces_whatever_was_set_before_even_in_odd_directories() {
        let text = env(&config(&[]), "https://127.0.0.1:1", Path::new("/tmp/it's here"));
        let script = format!(
            "export AWS_PROFILE=other AWS_ACCESS_KEY_ID=x AWS_ENDPOINT_URL_S3=y\n{text}\n\
             printf '%s|%s|%s|%s' \"$AWS_CA_BUNDLE\" \"${{AWS_PROFILE-unset}}\" \"${{AWS_ACCESS_KEY_ID-unset}}\" \"${{AWS_ENDPOINT_URL_S3-unset}}\""
        );
        let output = std::process::Command::new("sh").args(["-euc", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "/tmp/it's here/ca.pem|unset|unset|unset");
    }

    #[test]
    fn operators_certificates_are_not_overruled_by_our_ca() {
        let config =
            config(&[("tls.certificate", "/c.pem"), ("tls.key", "/k.pem"), ("names", "d.example.org")]);
        assert!(!env(&config, "https://d.example.org:1", Path::new("/d")).contains("AWS_CA_BUNDLE"));
        assert_eq!(public_name(&config).as_deref(), Some("d.example.org"));
    }
}
