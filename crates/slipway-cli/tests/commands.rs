//! The commands against a running control plane: what they print, what they leave behind, how they exit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod control_plane;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use control_plane::{ControlPlane, Run, slipway};

const APPSPEC: &str = "version: 0.0\nos: linux\nfiles:\n  - source: /\n    destination: /opt/nowhere\n";

/// An application with a bucket and a group that selects hosts by `Name=<host>`.
fn with_group(plane: &ControlPlane) {
    plane.call("CreateApplication", r#"{"applicationName": "shop"}"#);
    plane.call(
        "CreateDeploymentGroup",
        r#"{"applicationName": "shop", "deploymentGroupName": "web",
            "onPremisesInstanceTagFilters": [{"Key": "Name", "Value": "web-1", "Type": "KEY_AND_VALUE"}],
            "serviceRoleArn": "arn:aws:iam::000000000001:role/CodeDeployServiceRole"}"#,
    );
    plane.make_bucket("releases");
}

fn bundle(plane: &ControlPlane) -> String {
    let source = plane.path("bundle");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("appspec.yml"), APPSPEC).unwrap();
    source.display().to_string()
}

fn push(plane: &ControlPlane, source: &str) -> Run {
    let push = [
        "deploy",
        "push",
        "--application-name",
        "shop",
        "--s3-location",
        "s3://releases/shop.zip",
        "--source",
    ];
    plane.run(&[&push[..], &[source]].concat())
}

/// AG-188, AG-198, AG-200.
#[test]
fn a_host_is_registered_with_a_user_and_deregistered_without_a_trace() {
    let plane = ControlPlane::start();
    let file = plane.path("codedeploy.onpremises.yml");
    let file = file.to_str().unwrap();
    let register =
        ["host", "register", "web-1", "--output", file, "--tags", "Key=Name,Value=web-1", "Key=Tier,Value="];
    plane
        .run(&register)
        .succeeds("Registered web-1 as arn:aws:iam::000000000001:user/AWS/CodeDeploy/web-1.\n");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains("\niam_user_arn: arn:aws:iam::000000000001:user/AWS/CodeDeploy/web-1\n"), "{text}");
    let info = plane.call("GetOnPremisesInstance", r#"{"instanceName": "web-1"}"#);
    assert_eq!(info["instanceInfo"]["tags"].as_array().unwrap().len(), 2);

    plane.run(&register).fails(2, "exists already and may hold the key of a host");
    let elsewhere = plane.path("other.yml");
    let again = ["host", "register", "web-1", "--output", elsewhere.to_str().unwrap()];
    plane.run(&again).fails(2, "EntityAlreadyExists");
    assert!(!elsewhere.exists());

    plane
        .run(&["host", "deregister", "web-1", "--delete-iam-user"])
        .succeeds("Deregistered web-1.\nDeleted the IAM user web-1.\n");
    // To repeat it finds what a first attempt left behind: nothing here.
    plane
        .run(&["host", "deregister", "web-1"])
        .succeeds("Deregistered web-1.\nThere is no IAM user web-1.\n");
    plane.run(&["host", "deregister", "nobody"]).fails(2, "InstanceNotRegisteredException");
    // Nothing of the first is in the way of a second host of this name.
    plane.run(&again).succeeds("Registered web-1");
}

/// AG-185: unlike the AWS CLI's, our command fails when it fails, and leaves no half-made host.
#[test]
fn a_registration_that_fails_leaves_no_user_and_no_file() {
    let plane = ControlPlane::start();
    let first = plane.path("first.yml");
    plane.run(&["host", "register", "web-1", "--output", first.to_str().unwrap()]).succeeds("Registered");
    plane.run(&["host", "deregister", "web-1", "--no-delete-iam-user"]).succeeds("Deregistered web-1.\n");
    let arn = "arn:aws:iam::000000000001:user/AWS/CodeDeploy/web-1";
    plane.run(&["host", "register", "db-1", "--iam-user-arn", arn]).succeeds("Registered db-1 as arn");

    // The name is taken, by a host with another user; the user named like the host is free.
    let second = plane.path("second.yml");
    let attempt = ["host", "register", "db-1", "--output", second.to_str().unwrap()];
    plane.run(&attempt).fails(2, "InstanceNameAlreadyRegisteredException");
    assert!(!second.exists());
    plane.run(&attempt).fails(2, "InstanceNameAlreadyRegisteredException");

    let long = "x".repeat(65);
    plane.run(&["host", "register", &long, "--output", second.to_str().unwrap()]).fails(2, "64 characters");
}

/// AG-199: a host without an IAM user.
#[test]
fn a_host_with_a_session_is_deregistered() {
    let plane = ControlPlane::start();
    plane.call(
        "RegisterOnPremisesInstance",
        r#"{"instanceName": "s-1", "iamSessionArn": "arn:aws:sts::000000000001:assumed-role/hosts/s-1"}"#,
    );
    let run = plane.run(&["host", "deregister", "s-1"]);
    assert_eq!(run.stdout, "Deregistered s-1.\n", "{}", run.stderr);
}

/// AG-202, AG-203.
#[test]
fn a_push_uploads_registers_and_prints_the_next_command() {
    let plane = ControlPlane::start();
    with_group(&plane);
    let source = bundle(&plane);
    let small = push(&plane, &source);
    let command = small.succeeds("To deploy with this revision, run:\nslipway deploy create --application-name shop --s3-location bucket=releases,key=shop.zip,bundleType=zip,eTag=");
    assert!(
        command
            .contains("\naws deploy create-deployment --application-name shop --s3-location bucket=releases")
    );
    let e_tag = command.split("eTag=").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(e_tag.len(), 32, "{e_tag}");
    let registered = plane.call(
        "GetApplicationRevision",
        &format!(
            r#"{{"applicationName": "shop", "revision": {{"revisionType": "S3", "s3Location":
                {{"bucket": "releases", "key": "shop.zip", "bundleType": "zip", "eTag": "{e_tag}"}}}}}}"#
        ),
    );
    let description = registered["revisionInfo"]["description"].as_str().unwrap();
    assert!(description.starts_with("Uploaded by slipway 2"), "{description}");

    // Bytes that do not shrink: in more than one part.
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..13 * 1024 * 1024)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    fs::write(format!("{source}/noise"), noise).unwrap();
    let large = push(&plane, &source);
    let e_tag = large.succeeds("").split("eTag=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(e_tag.ends_with("-3"), "three parts: {e_tag}");
}

#[test]
fn a_bundle_that_cannot_be_deployed_is_not_uploaded() {
    let plane = ControlPlane::start();
    with_group(&plane);
    let source = bundle(&plane);
    let appspec = format!("{source}/appspec.yml");
    fs::write(&appspec, format!("{APPSPEC}hooks:\n  AfterInstall:\n    - location: go.sh\n")).unwrap();
    let run = push(&plane, &source);
    run.fails(1, "Nothing was uploaded");
    assert!(
        run.stderr.contains(&format!("{appspec}:8:7: error: the bundle has no script \"go.sh\"\n")),
        "{}",
        run.stderr
    );

    fs::remove_file(&appspec).unwrap();
    push(&plane, &source).fails(2, &format!("{appspec} was not found"));
    assert!(!plane.list("releases").contains("<Key>"), "nothing is in the bucket");
}

#[test]
fn an_upload_into_no_bucket_fails_with_both_names() {
    let plane = ControlPlane::start();
    plane.call("CreateApplication", r#"{"applicationName": "shop"}"#);
    let source = bundle(&plane);
    push(&plane, &source).fails(
        2,
        &format!("Failed to upload '{source}' to 's3://releases/shop.zip': PutObject: NoSuchBucket"),
    );
}

#[test]
fn the_exit_code_tells_how_a_deployment_ended() {
    let plane = ControlPlane::start();
    with_group(&plane);
    push(&plane, &bundle(&plane)).succeeds("");
    let create = |watch: &[&str]| {
        let create = ["deploy", "create", "--application-name", "shop", "--deployment-group-name", "web"];
        let location = ["--s3-location", "bucket=releases,key=shop.zip,bundleType=zip"];
        plane.run(&[&create[..], &location[..], watch].concat())
    };
    // No host has the tag.
    let failed = create(&["--watch"]);
    failed.fails(1, "");
    assert!(failed.stdout.contains("\n    NO_INSTANCES: "), "{}", failed.stdout);
    assert!(failed.stdout.contains("`slipway explain NO_INSTANCES` says more"), "{}", failed.stdout);

    // A host whose agent never comes: the deployment goes on until it is stopped.
    let file = plane.path("web-1.yml");
    let register =
        ["host", "register", "web-1", "--tags", "Key=Name,Value=web-1", "--output", file.to_str().unwrap()];
    plane.run(&register).succeeds("");
    let id = create(&[]).succeeds("d-").trim().to_owned();
    plane.run(&["deploy", "stop", &id]).succeeds("");
    let stopped = plane.run(&["deploy", "watch", &id]);
    assert_eq!(stopped.code, 3, "{}{}", stopped.stdout, stopped.stderr);
    assert!(stopped.stdout.contains(&format!("deployment {id} Stopped")), "{}", stopped.stdout);

    let list = plane.run(&["deploy", "list", "--application-name", "shop", "--deployment-group-name", "web"]);
    let lines: Vec<&str> = list.succeeds("DEPLOYMENT").lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines[1].starts_with(&id)
            && lines[1].contains("Stopped")
            && lines[1].ends_with("s3://releases/shop.zip")
    );
    assert!(lines[2].contains("Failed"), "{list:?}");
    assert_eq!(plane.run(&["deploy", "list", "--max-items", "1"]).succeeds("").lines().count(), 2);

    plane.run(&["deploy", "watch", "d-NOTTHERE1"]).fails(2, "DeploymentDoesNotExistException");
    plane.run(&["deploy", "create", "--application-name", "shop"]).fails(2, "--deployment-group-name");
}

#[test]
fn the_environment_file_is_all_that_a_shell_needs() {
    let plane = ControlPlane::start();
    let script = format!(
        "eval \"$('{0}' env --data-dir '{1}')\" && '{0}' deploy list",
        env!("CARGO_BIN_EXE_slipway"),
        plane.path("data").display()
    );
    let output = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.starts_with(b"DEPLOYMENT"));
    let none = slipway(&["env", "--data-dir", "/nowhere"], &[]);
    none.fails(2, "has `slipway server --data-dir /nowhere` been started?");
}

#[test]
fn without_settings_the_way_to_get_them_is_told() {
    slipway(&["deploy", "list"], &[]).fails(2, "eval \"$(slipway env --data-dir DIR)\"");
}

#[test]
fn a_control_plane_that_is_not_there_is_told_with_its_address() {
    let environment = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let run = slipway(&["deploy", "list"], &environment);
    run.fails(2, "ListDeployments: the control plane at http://127.0.0.1:9 cannot be reached: ");
}

/// AS-132.
#[test]
fn a_bundle_is_validated_without_a_control_plane() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    slipway(&["deploy", "validate", &format!("{path}/gone")], &[]).fails(2, "cannot read ");
    let none = slipway(&["deploy", "validate", path], &[]);
    assert_eq!(none.code, 1, "{}", none.stderr);
    assert!(none.stdout.contains("error: appspec.yml was not found in "), "{}", none.stdout);
    fs::write(dir.path().join("appspec.yml"), APPSPEC).unwrap();
    slipway(&["deploy", "validate", path], &[]).succeeds("0 errors, ");
    fs::write(dir.path().join("appspec.yml"), "version: 0.0\nos: amiga\n").unwrap();
    let bad = slipway(&["deploy", "validate", path], &[]);
    assert_eq!(bad.code, 1, "{}", bad.stderr);
    assert!(bad.stdout.contains(&format!("{path}/appspec.yml:2:")), "{}", bad.stdout);
    assert!(bad.stdout.contains("\n  help: write os: linux\n"), "{}", bad.stdout);
}

/// AS-135: a directory, its archive in each form and the file alone get one verdict.
#[test]
fn a_bundle_and_its_archives_get_the_same_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("app");
    fs::create_dir(&source).unwrap();
    let text = "version: 0.0\nos: linux\nfiles:\n  - source: gone\n    destination: /srv\nhooks:\n  AfterInstall:\n    - location: go.sh\n";
    fs::write(source.join("appspec.yml"), text).unwrap();
    fs::write(source.join("go.sh"), "#!/bin/sh\r\n").unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let status =
            std::process::Command::new(program).args(arguments).current_dir(&source).status().unwrap();
        assert!(status.success(), "{program}");
    };
    run("tar", &["-cf", "../app.tar", "."]);
    run("tar", &["-czf", "../app.tgz", "."]);
    run("tar", &["-cf", "../stripped.tar", "-C", "..", "app"]);
    run("python3", &["-m", "zipfile", "-c", "../app.zip", "appspec.yml", "go.sh"]);
    let verdict = |name: &str| {
        let path = dir.path().join(name);
        let run = slipway(&["deploy", "validate", path.to_str().unwrap()], &[]);
        assert_eq!(run.code, 1, "{name}: {}", run.stderr);
        run.stdout.replace(path.to_str().unwrap(), "BUNDLE")
    };
    let expected = "BUNDLE/appspec.yml:4:5: error: the bundle has no file or directory \"gone\"\n\
        BUNDLE/appspec.yml:8:7: warning: the script go.sh is not executable; hosts will make it so\n  help: chmod +x go.sh\n\
        BUNDLE/appspec.yml:8:7: warning: the script go.sh has Windows line ends: its interpreter will not be found\n  help: save it with Unix line ends, as dos2unix go.sh does\n\
        1 error, 2 warnings\n";
    for name in ["app", "app.tar", "app.tgz", "stripped.tar", "app.zip"] {
        assert_eq!(verdict(name), expected, "{name}");
    }
    fs::write(dir.path().join("broken.zip"), b"PK\x03\x04 and no more").unwrap();
    assert!(verdict("broken.zip").contains("error: hosts cannot unpack the bundle: "));
}

/// AS-022.
#[test]
fn the_file_is_printed_as_hosts_understand_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("appspec.yml");
    fs::write(&path, "version: '0.0'\nos: linux\nhooks: {AfterInstall: [{location: scripts/go.sh}]}\n")
        .unwrap();
    slipway(&["deploy", "validate", "--print", path.to_str().unwrap()], &[]).succeeds(
        "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    - location: scripts/go.sh\n      timeout: 3600\n",
    );
}

#[test]
fn codes_are_explained_whatever_their_case() {
    slipway(&["explain", "health_constraints"], &[])
        .succeeds("HEALTH_CONSTRAINTS\n\nToo many hosts have failed");
    slipway(&["explain"], &[]).succeeds("AGENT_ISSUE\n");
    slipway(&["explain", "NO_SUCH_CODE"], &[]).fails(2, "there is no code \"NO_SUCH_CODE\"");
}

#[test]
fn every_setting_of_the_server_is_a_flag_and_its_source_is_shown() {
    let run = slipway(
        &["server", "--print-config", "--listen", "127.0.0.1:1", "--quotas.applications", "7"],
        &[("SLIPWAY_LOG_LEVEL", "debug")],
    );
    let printed = run.succeeds("");
    for line in [
        "listen = \"127.0.0.1:1\"  # --listen",
        "log.level = \"debug\"  # SLIPWAY_LOG_LEVEL",
        "quotas.applications = 7  # --quotas.applications",
        "max_connections = 20000  # default",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
    slipway(&["server", "--print-config", "--listen", "8443"], &[])
        .fails(2, "--listen: listen must be HOST:PORT");
    slipway(&["server", "--print-config"], &[("SLIPWAY_LISTNE", "x")])
        .fails(2, "did you mean SLIPWAY_LISTEN?");
}
