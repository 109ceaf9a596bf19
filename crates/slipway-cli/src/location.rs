//! How locations and tags are written on a command line, as with the AWS CLI.

use std::str::FromStr;

use slipway_wire::codedeploy::{GitHubLocation, RevisionLocation, S3Location, Tag};

/// `s3://BUCKET/KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct S3Url {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

impl FromStr for S3Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            _ => Err("it must be of the form s3://BUCKET/KEY".to_owned()),
        }
    }
}

/// `bucket=B,key=K,bundleType=T[,eTag=E][,version=V]` (AG-204).
pub(crate) fn parse_s3_location(text: &str) -> Result<S3Location, String> {
    let mut fields = fields(text, &["bucket", "key", "bundleType", "eTag", "version"])?;
    let mut take =
        |name: &str| fields.iter().position(|(field, _)| *field == name).map(|at| fields.remove(at).1);
    let location = S3Location {
        bucket: take("bucket"),
        key: take("key"),
        bundle_type: take("bundleType"),
        e_tag: take("eTag").map(|tag| tag.trim_matches('"').to_owned()),
        version: take("version"),
    };
    for (name, value) in
        [("bucket", &location.bucket), ("key", &location.key), ("bundleType", &location.bundle_type)]
    {
        if value.is_none() {
            return Err(format!("{name}= is missing"));
        }
    }
    Ok(location)
}

/// `repository=R,commitId=C`.
pub(crate) fn parse_git_hub_location(text: &str) -> Result<GitHubLocation, String> {
    let mut fields = fields(text, &["repository", "commitId"])?;
    let mut take = |name: &str| {
        let at = fields.iter().position(|(field, _)| *field == name);
        at.map(|at| fields.remove(at).1).ok_or_else(|| format!("{name}= is missing"))
    };
    Ok(GitHubLocation { repository: Some(take("repository")?), commit_id: Some(take("commitId")?) })
}

/// `Key=K,Value=V`, both needed (AG-186).
pub(crate) fn parse_tag(text: &str) -> Result<Tag, String> {
    let mut fields = fields(text, &["Key", "Value"])?;
    let mut take = |name: &str| {
        let at = fields.iter().position(|(field, _)| *field == name);
        at.map(|at| fields.remove(at).1).ok_or_else(|| format!("{name}= is missing"))
    };
    let (key, value) = (take("Key")?, take("Value")?);
    if key.chars().count() > 128 {
        return Err("Tag Key cannot be longer than 128 characters.".to_owned());
    }
    if value.chars().count() > 256 {
        return Err("Tag Value cannot be longer than 256 characters.".to_owned());
    }
    Ok(Tag { key: Some(key), value: Some(value) })
}

/// Splits `a=1,b=2`. A comma belongs to the value unless the name of a field and `=` follow it.
fn fields<'n>(text: &str, names: &[&'n str]) -> Result<Vec<(&'n str, String)>, String> {
    let mut found: Vec<(&'n str, String)> = Vec::new();
    for piece in text.split(',') {
        let field = piece
            .split_once('=')
            .and_then(|(name, value)| Some((*names.iter().find(|known| **known == name.trim())?, value)));
        if let Some((name, value)) = field {
            if found.iter().any(|(other, _)| *other == name) {
                return Err(format!("{name}= is given twice"));
            }
            found.push((name, value.to_owned()));
        } else if let Some((_, value)) = found.last_mut() {
            value.push(',');
            value.push_str(piece);
        } else {
            let names: Vec<_> = names.iter().map(|name| format!("{name}=..")).collect();
            return Err(format!("it must be of the form {}", names.join(",")));
        }
    }
    match found.iter().find(|(_, value)| value.is_empty()) {
        Some((name, _)) if *name != "Value" => Err(format!("{name}= is empty")),
        _ => Ok(found),
    }
}

/// The revision that an S3 location names.
pub(crate) fn s3_revision(location: S3Location) -> RevisionLocation {
    RevisionLocation {
        revision_type: Some("S3".to_owned()),
        s3_location: Some(location),
        ..RevisionLocation::default()
    }
}

/// The revision that a GitHub location names.
pub(crate) fn git_hub_revision(location: GitHubLocation) -> RevisionLocation {
    RevisionLocation {
        revision_type: Some("GitHub".to_owned()),
        git_hub_location: Some(location),
        ..RevisionLocation::default()
    }
}

/// An S3 location in the form that [`parse_s3_location`] reads.
pub(crate) fn show_s3_location(location: &S3Location) -> String {
    let fields = [
        ("bucket", &location.bucket),
        ("key", &location.key),
        ("bundleType", &location.bundle_type),
        ("eTag", &location.e_tag),
        ("version", &location.version),
    ];
    let set = fields.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
    set.collect::<Vec<_>>().join(",")
}

/// A revision in a few words.
pub(crate) fn show_revision(revision: Option<&RevisionLocation>) -> String {
    let Some(revision) = revision else { return "(no revision)".to_owned() };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    if let Some(s3) = &revision.s3_location {
        return format!("s3://{}/{}", text(&s3.bucket), text(&s3.key));
    }
    if let Some(git_hub) = &revision.git_hub_location {
        return format!("{} at {}", text(&git_hub.repository), text(&git_hub.commit_id));
    }
    text(&revision.revision_type)
}

/// One word for a POSIX shell.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_s3_url_needs_bucket_and_key() {
        let url: S3Url = "s3://b/dir/k.zip".parse().unwrap();
        assert_eq!((url.bucket.as_str(), url.key.as_str()), ("b", "dir/k.zip"));
        for bad in ["b/k", "s3://b", "s3://b/", "s3:///k", "S3://b/k", ""] {
            assert!(bad.parse::<S3Url>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_location_reads_back_as_it_is_shown() {
        for text in
            ["bucket=b,key=k.zip,bundleType=zip", "bucket=b,key=a,b=c.zip,bundleType=tar,eTag=e,version=v"]
        {
            assert_eq!(show_s3_location(&parse_s3_location(text).unwrap()), text);
        }
        assert_eq!(
            parse_s3_location("bucket=b,key=k,bundleType=zip,eTag=\"e\"").unwrap().e_tag.as_deref(),
            Some("e")
        );
    }

    #[test]
    fn what_is_wrong_with_a_location_is_told() {
        for (text, words) in [
            ("bucket=b,key=k", "bundleType= is missing"),
            ("bucket=,key=k,bundleType=zip", "bucket= is empty"),
            ("bucket=b,bucket=c,key=k,bundleType=zip", "bucket= is given twice"),
            ("s3://b/k", "it must be of the form bucket=..,key=..,bundleType=..,eTag=..,version=.."),
        ] {
            assert_eq!(parse_s3_location(text).unwrap_err(), words);
        }
        assert_eq!(parse_git_hub_location("repository=a/b").unwrap_err(), "commitId= is missing");
    }

    /// AG-186, AG-209.
    #[test]
    fn tags_need_key_and_value_and_may_hold_commas() {
        let tag = parse_tag("Key=Name,Value=a,b").unwrap();
        assert_eq!((tag.key.as_deref(), tag.value.as_deref()), (Some("Name"), Some("a,b")));
        assert_eq!(parse_tag("Key=Name,Value=").unwrap().value.as_deref(), Some(""));
        assert_eq!(parse_tag("Key=Name").unwrap_err(), "Value= is missing");
        let long = |n: usize| "x".repeat(n);
        assert!(parse_tag(&format!("Key={},Value=v", long(129))).unwrap_err().contains("128"));
        assert!(parse_tag(&format!("Key=k,Value={}", long(257))).unwrap_err().contains("256"));
    }

    #[test]
    fn shell_words_survive_a_shell() {
        assert_eq!(shell_word("bucket=b,key=a/b.zip"), "bucket=b,key=a/b.zip");
        assert_eq!(shell_word("it's a key"), r"'it'\''s a key'");
        assert_eq!(shell_word(""), "''");
    }
}
