//! The shared files of the AWS clients: `credentials` and `config`.

use std::collections::BTreeMap;

/// The keys of one profile, in lower case.
pub(super) type Profile = BTreeMap<String, String>;

/// Reads one profile. In a `config` file every profile but `default` is headed `[profile NAME]`; both forms are read
/// in both files. Indented lines continue a nested setting, which nothing here needs.
pub(super) fn read(text: &str, name: &str) -> Option<Profile> {
    let mut profile: Option<Profile> = None;
    let mut inside = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let header = header.trim();
            inside = header.strip_prefix("profile ").map_or(header, str::trim) == name;
            if inside {
                profile.get_or_insert_default();
            }
        } else if inside
            && !line.starts_with([' ', '\t'])
            && let (Some(profile), Some((key, value))) = (&mut profile, trimmed.split_once('='))
        {
            profile.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    profile
}

#[cfg(test)]
mod tests {
    use super::read;

    const TEXT: &str = "\
# comment
[default]
aws_access_key_id = AKIA1
aws_secret_access_key=a=b
[profile ops]
Region = eu-west-1
s3 =
  region = nested
[default]
region = us-east-2
";

    #[test]
    fn a_profile_is_found_by_either_heading_and_may_come_in_parts() {
        let default = read(TEXT, "default").unwrap();
        assert_eq!(default["aws_access_key_id"], "AKIA1");
        assert_eq!(default["aws_secret_access_key"], "a=b");
        assert_eq!(default["region"], "us-east-2");
        assert_eq!(read(TEXT, "ops").unwrap()["region"], "eu-west-1");
        assert_eq!(read(TEXT, "nobody"), None);
    }
}
