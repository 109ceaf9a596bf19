//! The rules for names, paths and numbers in IAM and STS calls.

use super::IamError;
use crate::identity::EC2_HOST_ROLE;

/// Users' names: `register` of an instance with a longer name must fail before anything is registered (AG-191).
pub const MAX_USER_NAME: usize = 64;
/// Roles' names.
pub const MAX_ROLE_NAME: usize = 64;
/// Policies' names.
pub const MAX_POLICY_NAME: usize = 128;
/// Paths.
pub const MAX_PATH: usize = 512;

/// Checks the name of a user.
pub fn check_user_name(name: &str) -> Result<(), IamError> {
    check_name(name, "userName", 1, MAX_USER_NAME)
}

/// Checks the name of a role.
pub fn check_role_name(name: &str) -> Result<(), IamError> {
    check_name(name, "roleName", 1, MAX_ROLE_NAME)
}

/// Checks the name of a role to be made: that of EC2 hosts is taken (D-31).
pub fn check_new_role_name(name: &str) -> Result<(), IamError> {
    check_role_name(name)?;
    if name.eq_ignore_ascii_case(EC2_HOST_ROLE) {
        return Err(IamError::InvalidInput(format!("The role name {name} is reserved for EC2 hosts.")));
    }
    Ok(())
}

/// Checks the name of a group.
pub fn check_group_name(name: &str) -> Result<(), IamError> {
    check_name(name, "groupName", 1, 128)
}

/// Checks the name of an instance profile.
pub fn check_instance_profile_name(name: &str) -> Result<(), IamError> {
    check_name(name, "instanceProfileName", 1, 128)
}

/// Checks the key of a tag.
pub fn check_tag_key(key: &str) -> Result<(), IamError> {
    check_length(key, "tagKey", 1, 128)?;
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(IamError::InvalidInput("Tag keys that begin with aws: are reserved.".into()));
    }
    check_tag_text(key, "tagKey")
}

/// Checks the value of a tag.
pub fn check_tag_value(value: &str) -> Result<(), IamError> {
    check_length(value, "tagValue", 0, 256)?;
    check_tag_text(value, "tagValue")
}

fn check_tag_text(text: &str, parameter: &str) -> Result<(), IamError> {
    if text.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c)) {
        return Ok(());
    }
    Err(IamError::constraint(
        text,
        parameter,
        r"Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+",
    ))
}

/// Checks the name of a policy.
pub fn check_policy_name(name: &str) -> Result<(), IamError> {
    check_name(name, "policyName", 1, MAX_POLICY_NAME)
}

/// Checks the session name of AssumeRole; it becomes the last part of the session's ARN (AG-165).
pub fn check_role_session_name(name: &str) -> Result<(), IamError> {
    check_length(name, "roleSessionName", 2, 64)?;
    if name.chars().all(is_name_char) {
        return Ok(());
    }
    Err(IamError::constraint(
        name,
        "roleSessionName",
        r"Member must satisfy regular expression pattern: [\w+=,.@-]*",
    ))
}

/// Checks a path; absent means `/`.
pub fn check_path(path: &str) -> Result<(), IamError> {
    check_length(path, "path", 1, MAX_PATH)?;
    let printable = path.chars().all(|c| ('\u{21}'..='\u{7f}').contains(&c));
    if path.starts_with('/') && path.ends_with('/') && printable && !path.contains("//") {
        return Ok(());
    }
    Err(IamError::ValidationError(
        "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric \
         characters and/or / characters."
            .into(),
    ))
}

/// Checks `MaxSessionDuration` of a role.
pub fn check_max_session_duration(seconds: i64) -> Result<(), IamError> {
    check_range(seconds, "maxSessionDuration", 3600, 43_200)
}

/// Checks `DurationSeconds` of AssumeRole against the role.
pub fn check_session_duration(seconds: i64, role_maximum: i64) -> Result<(), IamError> {
    check_range(seconds, "durationSeconds", 900, 43_200)?;
    if seconds <= role_maximum {
        return Ok(());
    }
    Err(IamError::ValidationError(
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".into(),
    ))
}

/// Checks the description of a role.
pub fn check_description(text: &str) -> Result<(), IamError> {
    check_length(text, "description", 0, 1000)
}

fn check_name(name: &str, parameter: &str, min: usize, max: usize) -> Result<(), IamError> {
    check_length(name, parameter, min, max)?;
    if name.chars().all(is_name_char) {
        return Ok(());
    }
    Err(IamError::ValidationError(format!(
        "The specified value for {parameter} is invalid. It must contain only alphanumeric characters and/or the \
         following: +=,.@_-"
    )))
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+=,.@_-".contains(c)
}

fn check_length(value: &str, parameter: &str, min: usize, max: usize) -> Result<(), IamError> {
    let length = value.chars().count();
    if length < min {
        let rule = format!("Member must have length greater than or equal to {min}");
        return Err(IamError::constraint(value, parameter, &rule));
    }
    if length > max {
        let rule = format!("Member must have length less than or equal to {max}");
        return Err(IamError::constraint(value, parameter, &rule));
    }
    Ok(())
}

fn check_range(value: i64, parameter: &str, min: i64, max: i64) -> Result<(), IamError> {
    let rule = match value {
        v if v < min => format!("Member must have value greater than or equal to {min}"),
        v if v > max => format!("Member must have value less than or equal to {max}"),
        _ => return Ok(()),
    };
    Err(IamError::constraint(&value.to_string(), parameter, &rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_end_at_64_characters_ag_191() {
        assert!(check_user_name(&"n".repeat(64)).is_ok());
        let error = check_user_name(&"n".repeat(65)).unwrap_err();
        assert_eq!(error.code(), "ValidationError");
        assert!(error.to_string().contains("'userName'"), "{error}");
        assert!(error.to_string().ends_with("Member must have length less than or equal to 64"), "{error}");
        assert!(check_user_name("").is_err());
        assert!(check_user_name("a b").unwrap_err().to_string().contains("+=,.@_-"));
    }

    #[test]
    fn nobody_makes_the_role_of_ec2_hosts_d_31() {
        assert_eq!(check_new_role_name("slipwayhost").unwrap_err().code(), "InvalidInput");
        assert!(check_new_role_name("CodeDeployServiceRole").is_ok());
    }

    #[test]
    fn paths_begin_and_end_with_a_slash() {
        for good in ["/", "/AWS/CodeDeploy/", "/a-b_c.d/"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "/a", "a/", "//", "/a//b/", "/ä/", "/a b/"] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_keep_to_their_characters_and_lengths() {
        assert!(check_tag_key("cost centre/ä:1@x").is_ok() && check_tag_value("").is_ok());
        for bad in ["", "a,b", "AWS:x", "<a>", &"k".repeat(129)] {
            assert!(check_tag_key(bad).is_err(), "{bad}");
        }
        assert!(check_tag_value(&"v".repeat(257)).is_err());
    }

    #[test]
    fn session_names_and_durations_keep_to_sts_limits() {
        assert!(check_role_session_name("web-1").is_ok());
        for bad in ["x", "a/b", "a:b", &"n".repeat(65)] {
            assert!(check_role_session_name(bad).is_err(), "{bad}");
        }
        assert!(check_session_duration(900, 3600).is_ok());
        assert!(check_session_duration(899, 3600).is_err());
        assert!(check_session_duration(3601, 3600).unwrap_err().to_string().contains("MaxSessionDuration"));
        assert!(check_max_session_duration(43_201).is_err());
    }
}
