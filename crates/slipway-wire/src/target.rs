//! Which operation a JSON request asks for.

use crate::{ApiError, ErrorKind, codedeploy, commands};

/// The target prefix of agents that run with `enable_auth_policy`; it has no version (AP-01, AG-035).
pub const SECURE_COMMANDS_TARGET_PREFIX: &str = "CodeDeployCommandService";

/// The service's name in the credential scope of agents that run with `enable_auth_policy`.
pub const SECURE_COMMANDS_SIGNING_NAME: &str = "codedeploy-commands-secure";

/// An operation of one of the JSON services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// The CodeDeploy API.
    CodeDeploy(codedeploy::Operation),
    /// The agents' command API.
    Commands(commands::Operation),
    /// The agents' command API, where the caller also needs `codedeploy-commands-secure:*` actions (D-08).
    SecureCommands(commands::Operation),
}

impl Target {
    /// The operation that the header `X-Amz-Target` names, in a request that is signed for `signing_name`.
    ///
    /// Each service answers to its own prefix only: a scope with another's is `UnknownOperationException` (AP-01).
    pub fn resolve(header: &str, signing_name: &str) -> Result<Self, ApiError> {
        let found = header.split_once('.').and_then(|(prefix, name)| match (signing_name, prefix) {
            (codedeploy::SIGNING_NAME, codedeploy::TARGET_PREFIX) => {
                codedeploy::Operation::from_name(name).map(Self::CodeDeploy)
            }
            (commands::SIGNING_NAME, commands::TARGET_PREFIX) => {
                commands::Operation::from_name(name).map(Self::Commands)
            }
            (SECURE_COMMANDS_SIGNING_NAME, SECURE_COMMANDS_TARGET_PREFIX) => {
                commands::Operation::from_name(name).map(Self::SecureCommands)
            }
            _ => None,
        });
        found.ok_or_else(|| {
            let header: String = header.chars().take(LONGEST_ECHO).collect();
            let message = format!("{header:?} is not an operation of {signing_name}");
            ApiError::new(ErrorKind::UnknownOperationException, message)
        })
    }
}

/// How much of a wrong header comes back in the message.
const LONGEST_ECHO: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_is_found_by_its_own_prefix() {
        for (header, signing_name, expected) in [
            (
                "CodeDeploy_20141006.CreateDeployment",
                "codedeploy",
                Target::CodeDeploy(codedeploy::Operation::CreateDeployment),
            ),
            (
                "CodeDeployCommandService_v20141006.PollHostCommand",
                "codedeploy-commands",
                Target::Commands(commands::Operation::PollHostCommand),
            ),
            (
                "CodeDeployCommandService.PollHostCommand",
                "codedeploy-commands-secure",
                Target::SecureCommands(commands::Operation::PollHostCommand),
            ),
        ] {
            assert_eq!(Target::resolve(header, signing_name), Ok(expected));
        }
    }

    /// AP-01: or an identity without `codedeploy-commands-secure:*` would get in by the other door.
    #[test]
    fn a_scope_with_the_prefix_of_another_service_is_an_unknown_operation() {
        for (header, signing_name) in [
            ("CodeDeployCommandService.PollHostCommand", "codedeploy-commands"),
            ("CodeDeployCommandService_v20141006.PollHostCommand", "codedeploy-commands-secure"),
            ("CodeDeployCommandService_v20141006.PollHostCommand", "codedeploy"),
            ("CodeDeploy_20141006.CreateDeployment", "codedeploy-commands"),
            ("CodeDeploy_20141006.CreateDeployment", "iam"),
            ("CodeDeploy_20141006.PollHostCommand", "codedeploy"),
            ("CodeDeploy_20141006.createDeployment", "codedeploy"),
            ("CreateDeployment", "codedeploy"),
            ("", "codedeploy"),
        ] {
            let error = Target::resolve(header, signing_name).expect_err(header);
            assert_eq!(error.kind, ErrorKind::UnknownOperationException, "{header}");
            assert_eq!(error.http_status(), 400);
        }
    }

    #[test]
    fn the_message_does_not_grow_with_the_header() {
        let error = Target::resolve(&"x".repeat(100_000), "codedeploy").expect_err("unknown");
        assert!(error.message.len() < 400);
    }
}
