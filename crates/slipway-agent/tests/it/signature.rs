//! Whose specifications are obeyed (D-18, AP-39, AS-177).

use serde_json::json;
use slipway_agent::spec::verify;

use crate::support::{Host, Signer, Stub, exists, script, spec, zip};

/// What OpenSSL signed with these options over `{"DeploymentId":"d-OPENSSL01"}`.
macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("fixtures/", $name))
    };
}

#[test]
fn what_openssl_signs_with_accepted_algorithms_is_verified() {
    use rustls_pki_types::pem::PemObject as _;
    for (message, certificate) in [
        (fixture!("rsa-sha256.pem"), fixture!("rsa.crt")),
        (fixture!("rsa-sha256-noattr.pem"), fixture!("rsa.crt")),
        (fixture!("rsa-sha384.pem"), fixture!("rsa.crt")),
        (fixture!("rsa-sha512.pem"), fixture!("rsa.crt")),
        (fixture!("p256-sha256.pem"), fixture!("p256.crt")),
        (fixture!("p256-sha256-noattr.pem"), fixture!("p256.crt")),
        (fixture!("p256-sha512.pem"), fixture!("p256.crt")),
        (fixture!("p384-sha384.pem"), fixture!("p384.crt")),
    ] {
        let verified = verify(message).unwrap();
        assert_eq!(verified.content, br#"{"DeploymentId":"d-OPENSSL01"}"#, "AP-39");
        let certificate = rustls_pki_types::CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        assert_eq!(verified.signer, certificate.as_ref());
        let relabelled = message.replace("PKCS7-----", "PKCS #7 SIGNED DATA-----");
        assert!(verify(&relabelled).is_ok(), "AP-39: the other label");
    }
}

#[test]
fn weak_or_foreign_forms_are_refused() {
    for message in [fixture!("rsa-sha1.pem"), fixture!("rsa-pss.pem"), fixture!("rsa-keyid.pem")] {
        assert!(verify(message).is_err(), "AP-39");
    }
    let good = fixture!("rsa-sha256.pem");
    for bad in [
        good.replace("PKCS7-----", "CMS-----"),
        good.replace("-----BEGIN PKCS7-----\n", ""),
        good[..good.len() / 2].to_owned(),
        String::new(),
    ] {
        assert!(verify(&bad).is_err(), "AP-39");
    }
}

#[test]
fn no_single_changed_byte_is_overlooked() {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    for message in [fixture!("p256-sha256.pem"), fixture!("p256-sha256-noattr.pem")] {
        let body: String = message.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = engine.decode(body).unwrap();
        let original = verify(message).unwrap();
        for at in 0..der.len() {
            let mut changed = der.clone();
            changed[at] ^= 1;
            let pem = format!("-----BEGIN PKCS7-----\n{}\n-----END PKCS7-----", engine.encode(&changed));
            if let Ok(verified) = verify(&pem) {
                // Some bytes bind nothing: versions, the list of digest names, parts of a certificate that the
                // pin then refuses. Whatever is obeyed must be what was signed.
                assert_eq!(verified.content, original.content, "byte {at} changes the content unnoticed");
            }
        }
    }
}

/// Publishes a bundle whose ApplicationStop of a first deployment would be a no-op, and returns its spec.
fn harmless(stub: &Stub) -> String {
    stub.put_object(
        "/bucket/k",
        zip(&[("appspec.yml", "version: 0.0\nos: linux\n"), ("x.sh", &script("true"))]),
    );
    spec("d-1", "k", None).to_string()
}

async fn refused(stub: &Stub, host: &Host, format: &str, payload: &str) -> String {
    stub.put_envelope("a/b/c/d-1", format, payload);
    let agent = host.start();
    let report = stub.run("1", "DownloadBundle", "a/b/c/d-1").await;
    agent.stop().await;
    assert_eq!(report.body["CommandStatus"], "Failed");
    assert_eq!(report.diagnostics()["error_code"], json!(5));
    assert!(!exists(&host.path("root/6f1e4b5a-group")), "nothing was done");
    report.diagnostics()["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_tampered_specification_is_refused() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let payload = stub.signer.forge(harmless(&stub).as_bytes());
    let message = refused(&stub, &host, "PKCS7/JSON", &payload).await;
    assert_eq!(message, "Validation of PKCS7 signed message failed: the signature does not match", "AS-177");
}

#[tokio::test]
async fn a_specification_of_another_signer_is_refused() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let payload = Signer::new().sign(harmless(&stub).as_bytes());
    let message = refused(&stub, &host, "PKCS7/JSON", &payload).await;
    assert!(
        message.starts_with(
            "Validation of PKCS7 signed message failed: the signer's certificate is not the one pinned in"
        ),
        "D-18: {message}"
    );
}

#[tokio::test]
async fn an_unsigned_specification_is_refused() {
    let stub = Stub::start().await;
    let host = Host::new(&stub);
    let payload = harmless(&stub);
    let message = refused(&stub, &host, "TEXT/JSON", &payload).await;
    assert_eq!(message, "Unsupported DeploymentSpecification format: TEXT/JSON", "AG-069");
}

#[tokio::test]
async fn without_a_pin_the_first_signer_is_kept_and_no_other_obeyed() {
    let stub = Stub::start().await;
    let host = Host::with(&stub, "# no pin");
    let text = harmless(&stub);
    stub.put_envelope("a/b/c/d-1", "PKCS7/JSON", &stub.signer.sign(text.as_bytes()));
    let agent = host.start();
    assert_eq!(stub.run("1", "DownloadBundle", "a/b/c/d-1").await.body["CommandStatus"], "Succeeded");
    agent.stop().await;
    assert_eq!(
        host.read("root/agent-state/spec-signer.pem").trim(),
        stub.signer.pem.replace("\r\n", "\n").trim()
    );

    let agent = host.start();
    stub.put_envelope("a/b/c/d-1", "PKCS7/JSON", &Signer::new().sign(text.as_bytes()));
    let report = stub.run("2", "DownloadBundle", "a/b/c/d-1").await;
    assert_eq!(report.body["CommandStatus"], "Failed", "D-18");
    agent.stop().await;
}
