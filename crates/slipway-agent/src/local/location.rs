//! Where a bundle is (DP-331, DP-332, DP-362, DP-363, A-07).

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use crate::spec::Revision;

const TYPES: [&str; 4] = ["tgz", "tar", "zip", DIRECTORY];
const DIRECTORY: &str = "directory";
const GITHUB: &str = "https://github.com/";
const GITHUB_API: &str = "https://api.github.com";

/// A location or a type that cannot be obeyed, in the documented words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LocationError {
    #[error("type {0} is not a valid type. Must be one of {types}", types = TYPES.join(","))]
    Type(String),
    #[error("type {0} needs the location of a bundle: --bundle-location")]
    NoLocation(String),
    #[error("location {0} is not a valid uri")]
    Uri(String),
    #[error("location {0} cannot be http, only encrypted (https) url endpoints supported")]
    Http(String),
    #[error("location {0} is specified as a file or directory which does not exist")]
    Missing(String),
    #[error("location {0} is specified with type directory but it is a file")]
    IsFile(String),
    #[error("location {0} is specified as a compressed local file but it is a directory")]
    IsDirectory(String),
    #[error("unknown location {0} cannot be determined to be S3, Github, or a local file / directory")]
    Unknown(String),
    #[error("s3 location {0} not in the expected format of 's3://bucket/key'")]
    S3(String),
    #[error("type directory cannot be used with the location {0}; name the type of the bundle with --type")]
    S3Directory(String),
    #[error(
        "Expecting appspec file at location {expected} but it is not found there. Please either run the CLI from within a directory containing the {names} file or specify a bundle location containing an {names} file in its root directory"
    )]
    NoAppSpec { expected: String, names: String },
}

/// The bundle that the command line names.
pub(super) fn revision(
    location: Option<&str>,
    kind: Option<&str>,
    current_directory: &Path,
    github_endpoint: &str,
) -> Result<Revision, LocationError> {
    if let Some(kind) = kind.filter(|kind| !TYPES.contains(kind)) {
        return Err(LocationError::Type(kind.to_owned()));
    }
    match (location, kind) {
        (None, Some(kind)) if kind != DIRECTORY => Err(LocationError::NoLocation(kind.to_owned())),
        (None, _) => local(".", DIRECTORY, current_directory),
        (Some(location), kind) => match location.split_once("://") {
            None => local(location, kind.unwrap_or(DIRECTORY), current_directory),
            Some(("s3", rest)) => s3(location, rest, kind),
            Some(("https", _)) => github(location, kind, github_endpoint),
            Some(("http", _)) => Err(LocationError::Http(location.to_owned())),
            Some(_) => Err(LocationError::Unknown(location.to_owned())),
        },
    }
}

fn local(location: &str, kind: &str, current_directory: &Path) -> Result<Revision, LocationError> {
    let path = current_directory.join(location);
    let metadata = std::fs::metadata(&path).map_err(|_| LocationError::Missing(location.to_owned()))?;
    match (kind == DIRECTORY, metadata.is_dir()) {
        (true, false) => Err(LocationError::IsFile(location.to_owned())),
        (false, true) => Err(LocationError::IsDirectory(location.to_owned())),
        _ => {
            let location: PathBuf = path.components().collect();
            Ok(Revision::Local { location, bundle_type: kind.to_owned() })
        }
    }
}

/// `s3://bucket/key[?versionId=V&etag=E]`.
fn s3(location: &str, rest: &str, kind: Option<&str>) -> Result<Revision, LocationError> {
    let malformed = || LocationError::S3(location.to_owned());
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (bucket, key) = place.split_once('/').ok_or_else(malformed)?;
    if bucket.is_empty() || key.is_empty() {
        return Err(malformed());
    }
    let (mut version, mut etag) = (None, None);
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').ok_or_else(malformed)?;
        let value = percent_decode_str(value).decode_utf8().map_err(|_| malformed())?.into_owned();
        match name {
            "versionId" => version = Some(value),
            "etag" => etag = Some(value),
            _ => return Err(malformed()),
        }
    }
    let bundle_type = match kind {
        Some(DIRECTORY) => return Err(LocationError::S3Directory(location.to_owned())),
        Some(kind) => kind,
        None => by_name(key).ok_or_else(|| LocationError::S3Directory(location.to_owned()))?,
    };
    Ok(Revision::S3 {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        bundle_type: bundle_type.to_owned(),
        version,
        etag,
    })
}

/// The type that a key's ending tells.
fn by_name(key: &str) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    let endings = [(".zip", "zip"), (".tgz", "tgz"), (".tar.gz", "tgz"), (".tar", "tar")];
    endings.into_iter().find(|(ending, _)| key.ends_with(ending)).map(|(_, kind)| kind)
}

/// `https://github.com/ACCOUNT/REPOSITORY[/]`, or the address of an archive at the API.
fn github(location: &str, kind: Option<&str>, endpoint: &str) -> Result<Revision, LocationError> {
    if location.chars().any(|c| c.is_whitespace() || c.is_control()) || location.parse::<http::Uri>().is_err()
    {
        return Err(LocationError::Uri(location.to_owned()));
    }
    let unknown = || LocationError::Unknown(location.to_owned());
    let (path, is_api) = [(GITHUB, false), (GITHUB_API, true), (endpoint, true)]
        .into_iter()
        .find_map(|(base, is_api)| location.strip_prefix(base).map(|path| (path, is_api)))
        .ok_or_else(unknown)?;
    let path = path.trim_matches('/');
    let (account, repository, format, commit_id) = if is_api {
        let mut parts = path.strip_prefix("repos/").ok_or_else(unknown)?.splitn(4, '/');
        let (Some(account), Some(repository), Some(format), Some(commit_id)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(unknown());
        };
        (account, repository, Some(format), commit_id)
    } else {
        let (account, repository) = path.split_once('/').ok_or_else(unknown)?;
        (account, repository.strip_suffix(".git").unwrap_or(repository), None, "HEAD")
    };
    let in_path = match format {
        None | Some("zipball") => "zip",
        Some("tarball") => "tar",
        Some(_) => return Err(unknown()),
    };
    if [account, repository, commit_id].iter().any(|part| part.is_empty()) || repository.contains('/') {
        return Err(unknown());
    }
    // DP-351: whatever is not tar means zip.
    let bundle_type = match kind {
        None => in_path,
        Some("tar") => "tar",
        Some(_) => "zip",
    };
    Ok(Revision::GitHub {
        account: account.to_owned(),
        repository: repository.to_owned(),
        commit_id: commit_id.to_owned(),
        bundle_type: Some(bundle_type.to_owned()),
        token: None,
    })
}

/// The AppSpec file of this deployment. A directory must have it before anything begins (DP-337, DP-363).
pub(super) fn appspec(revision: &Revision, named: Option<&str>) -> Result<String, LocationError> {
    let usual = || named.unwrap_or("appspec.yml").to_owned();
    let Revision::Local { location, bundle_type } = revision else { return Ok(usual()) };
    if bundle_type != DIRECTORY {
        return Ok(usual());
    }
    let candidates = match named {
        Some(name) => vec![name],
        None => vec!["appspec.yml", "appspec.yaml"],
    };
    if let Some(name) = candidates.iter().find(|name| location.join(name).is_file()) {
        return Ok((*name).to_owned());
    }
    let expected: Vec<String> =
        candidates.iter().map(|name| location.join(name).display().to_string()).collect();
    Err(LocationError::NoAppSpec { expected: expected.join(" or "), names: candidates.join(" or ") })
}

#[cfg(test)]
mod tests {
    use super::{LocationError, appspec, revision};
    use crate::spec::Revision;
    use std::path::Path;

    const API: &str = "https://api.github.com";

    fn read(location: Option<&str>, kind: Option<&str>, cwd: &Path) -> Result<Revision, String> {
        revision(location, kind, cwd, API).map_err(|error| error.to_string())
    }

    fn remote(location: &str, kind: Option<&str>) -> Result<Revision, String> {
        read(Some(location), kind, Path::new("/"))
    }

    #[test]
    fn dp_331_a_directory_is_named_by_nothing_a_relative_or_an_absolute_path() {
        let home = tempfile::tempdir().expect("scratch directory");
        let app = home.path().join("app");
        std::fs::create_dir(&app).expect("mkdir");
        let expected = Ok(Revision::Local { location: app.clone(), bundle_type: "directory".to_owned() });
        assert_eq!(read(None, None, &app), expected);
        assert_eq!(read(None, Some("directory"), &app), expected, "A-07");
        assert_eq!(read(Some("app"), None, home.path()), expected, "A-07");
        assert_eq!(read(Some("./app/"), Some("directory"), home.path()), expected);
        assert_eq!(read(app.to_str(), Some("directory"), Path::new("/")), expected);
    }

    #[test]
    fn dp_362_locations_that_are_not_what_the_type_says() {
        let home = tempfile::tempdir().expect("scratch directory");
        std::fs::write(home.path().join("b.tgz"), "").expect("write");
        std::fs::create_dir(home.path().join("d")).expect("mkdir");
        let told = |location: Option<&str>, kind: Option<&str>| {
            read(location, kind, home.path()).expect_err("DP-362")
        };
        assert_eq!(
            told(Some("b.tgz"), Some("rar")),
            "type rar is not a valid type. Must be one of tgz,tar,zip,directory"
        );
        assert_eq!(
            told(Some("x"), Some("tgz")),
            "location x is specified as a file or directory which does not exist"
        );
        assert_eq!(
            told(Some("b.tgz"), None),
            "location b.tgz is specified with type directory but it is a file"
        );
        assert_eq!(
            told(Some("d"), Some("zip")),
            "location d is specified as a compressed local file but it is a directory"
        );
        assert_eq!(
            told(Some("http://github.com/a/b"), None),
            "location http://github.com/a/b cannot be http, only encrypted (https) url endpoints supported"
        );
        assert_eq!(told(Some("https://a b"), None), "location https://a b is not a valid uri");
        for unknown in [
            "ftp://x/y",
            "https://example.org/a/b",
            "https://github.com/a",
            "https://github.com/a/b/tree/main",
        ] {
            assert_eq!(
                told(Some(unknown), None),
                format!(
                    "unknown location {unknown} cannot be determined to be S3, Github, or a local file / directory"
                )
            );
        }
        for malformed in ["s3://bucket", "s3://bucket/", "s3:///key", "s3://b/k?versionid=1", "s3://b/k?etag"]
        {
            assert_eq!(
                told(Some(malformed), Some("zip")),
                format!("s3 location {malformed} not in the expected format of 's3://bucket/key'")
            );
        }
        assert!(told(None, Some("zip")).contains("--bundle-location"), "A-07");
    }

    #[test]
    fn dp_331_objects_of_s3_with_version_and_etag() {
        let s3 = |version: Option<&str>, etag: Option<&str>, kind: &str| {
            Ok(Revision::S3 {
                bucket: "bucket".to_owned(),
                key: "a/key.zip".to_owned(),
                bundle_type: kind.to_owned(),
                version: version.map(str::to_owned),
                etag: etag.map(str::to_owned),
            })
        };
        assert_eq!(remote("s3://bucket/a/key.zip", Some("tgz")), s3(None, None, "tgz"));
        assert_eq!(remote("s3://bucket/a/key.zip", None), s3(None, None, "zip"), "its name tells the type");
        let versioned = "s3://bucket/a/key.zip?versionId=1234&etag=%22abcd%22";
        assert_eq!(remote(versioned, Some("zip")), s3(Some("1234"), Some("\"abcd\""), "zip"));
        assert!(remote("s3://bucket/key", None).expect_err("no type").contains("--type"));
        assert!(remote("s3://bucket/key.zip", Some("directory")).is_err());
    }

    #[test]
    fn dp_331_the_four_forms_of_github() {
        let commit = |id: &str, kind: &str| {
            Ok(Revision::GitHub {
                account: "awslabs".to_owned(),
                repository: "app".to_owned(),
                commit_id: id.to_owned(),
                bundle_type: Some(kind.to_owned()),
                token: None,
            })
        };
        assert_eq!(remote("https://github.com/awslabs/app", Some("zip")), commit("HEAD", "zip"));
        assert_eq!(remote("https://github.com/awslabs/app/", None), commit("HEAD", "zip"));
        assert_eq!(remote("https://github.com/awslabs/app.git", Some("tar")), commit("HEAD", "tar"));
        let api = "https://api.github.com/repos/awslabs/app";
        assert_eq!(remote(&format!("{api}/zipball/master"), Some("zip")), commit("master", "zip"));
        assert_eq!(remote(&format!("{api}/zipball/HEAD"), None), commit("HEAD", "zip"));
        assert_eq!(remote(&format!("{api}/tarball/feature/x"), None), commit("feature/x", "tar"));
        assert_eq!(remote(&format!("{api}/tarball/1a2b3c"), Some("tgz")), commit("1a2b3c", "zip"), "DP-351");
        let own = revision(
            Some("https://git.example/api/v3/repos/awslabs/app/tarball/x"),
            None,
            Path::new("/"),
            "https://git.example/api/v3",
        );
        assert_eq!(own.map_err(|error| error.to_string()), commit("x", "tar"), "D-35");
        assert!(remote(&format!("{api}/contents/x"), None).is_err());
    }

    #[test]
    fn dp_363_a_directory_has_its_appspec_file_before_anything_begins() {
        let home = tempfile::tempdir().expect("scratch directory");
        let directory = home.path().display();
        let bundle =
            Revision::Local { location: home.path().to_owned(), bundle_type: "directory".to_owned() };
        let told = |named: Option<&str>| appspec(&bundle, named).map_err(|error| error.to_string());
        assert_eq!(
            told(None),
            Err(format!(
                "Expecting appspec file at location {directory}/appspec.yml or {directory}/appspec.yaml but it is not found there. Please either run the CLI from within a directory containing the appspec.yml or appspec.yaml file or specify a bundle location containing an appspec.yml or appspec.yaml file in its root directory"
            ))
        );
        assert_eq!(
            told(Some("own.yml")),
            Err(format!(
                "Expecting appspec file at location {directory}/own.yml but it is not found there. Please either run the CLI from within a directory containing the own.yml file or specify a bundle location containing an own.yml file in its root directory"
            ))
        );
        std::fs::write(home.path().join("appspec.yaml"), "").expect("write");
        assert_eq!(told(None).as_deref(), Ok("appspec.yaml"), "DP-337");
        std::fs::write(home.path().join("appspec.yml"), "").expect("write");
        assert_eq!(told(None).as_deref(), Ok("appspec.yml"), "DP-337");
        let archive = Revision::Local { location: "/x.zip".into(), bundle_type: "zip".to_owned() };
        assert_eq!(appspec(&archive, Some("own.yml")).as_deref(), Ok("own.yml"), "A-15");
        assert!(matches!(appspec(&bundle, Some("x")), Err(LocationError::NoAppSpec { .. })));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_typed_has_an_answer(location in "(s3://|https://github.com/|https://api.github.com/repos/|http|)\\PC{0,40}", kind in 0_usize..6) {
            let kind = [None, Some("zip"), Some("tar"), Some("tgz"), Some("directory"), Some("x")][kind];
            // The error, if it is one, is a text.
            let _ = remote(&location, kind);
        }
    }
}
