//! The rules for names and tags that users choose.

/// Whether a byte may stand in an application, group, configuration or instance name (CF-105, AG-163).
fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b)
}

/// Whether `name` is a valid application, deployment group or deployment configuration name:
/// 1 to 100 characters of `A-Za-z0-9+=,.@_-` (CF-105, CF-153, CF-185).
pub fn is_valid_resource_name(name: &str) -> bool {
    (1..=100).contains(&name.len()) && name.bytes().all(is_name_byte)
}

/// Why an on-premises instance name was refused (AG-163).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InstanceNameError {
    /// Longer than 100 characters.
    #[error("Instance name cannot be longer than 100 characters.")]
    TooLong,
    /// A character outside `A-Za-z0-9+=,.@_-`, or none at all.
    #[error("Instance name contains invalid characters. Use only letters, digits and + = , . @ _ -")]
    Characters,
    /// Looks like the id of an EC2 instance.
    #[error("Instance name cannot start with 'i-'.")]
    Ec2Prefix,
}

/// Checks the name of an on-premises instance (AG-163).
pub fn check_instance_name(name: &str) -> Result<(), InstanceNameError> {
    if name.len() > 100 {
        return Err(InstanceNameError::TooLong);
    }
    if name.is_empty() || !name.bytes().all(is_name_byte) {
        return Err(InstanceNameError::Characters);
    }
    if name.starts_with("i-") {
        return Err(InstanceNameError::Ec2Prefix);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_names_follow_ag_163() {
        assert_eq!(check_instance_name("AssetTag12010298EX"), Ok(()));
        assert_eq!(check_instance_name("i-0123"), Err(InstanceNameError::Ec2Prefix));
        assert_eq!(check_instance_name("00:1B:44:11:3A:B7"), Err(InstanceNameError::Characters));
        assert_eq!(check_instance_name(""), Err(InstanceNameError::Characters));
        assert_eq!(check_instance_name(&"x".repeat(101)), Err(InstanceNameError::TooLong));
    }

    #[test]
    fn resource_names_follow_cf_105() {
        assert!(is_valid_resource_name("300Total50PerAZ"));
        assert!(is_valid_resource_name("a+=,.@_-Z"));
        assert!(!is_valid_resource_name("with space"));
        assert!(!is_valid_resource_name(""));
        assert!(!is_valid_resource_name(&"x".repeat(101)));
    }
}
