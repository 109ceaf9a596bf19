//! From an access key to its secret and identity.

use std::sync::Arc;

use slipway_auth::AuthError;
use slipway_auth::identity::Principal;
use slipway_auth::sigv4::SecretKey;
use slipway_auth::token::{self, SessionToken};

use crate::access::Session;
use crate::control::ControlPlane;
use crate::identities::IdentityError;

/// What an access key stands for.
pub(crate) struct Credentials {
    pub(crate) secret: SecretKey,
    pub(crate) principal: Principal,
    pub(crate) session: Option<Arc<Session>>,
}

/// The secret and identity behind an access key and the token that came with it. The user or role must still exist.
pub(crate) async fn find_credentials(
    control: &ControlPlane,
    access_key_id: &str,
    session_token: Option<&str>,
    now_ms: i64,
) -> Result<Result<Credentials, AuthError>, IdentityError> {
    let store = control.store.as_ref();
    if token::is_session_key_id(access_key_id) {
        let opened = session_token
            .ok_or(AuthError::UnrecognizedClient)
            .and_then(|token| SessionToken::open(&control.sealer, token, access_key_id, now_ms));
        let session = match opened {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        if control.identities.permissions(store, &session.principal).await?.is_none() {
            return Ok(Err(AuthError::UnrecognizedClient));
        }
        return Ok(Ok(Credentials {
            secret: session.secret,
            principal: session.principal,
            session: Some(Arc::new(Session {
                policy: session.session_policy,
                policy_arns: session.session_policy_arns,
                issued_ms: session.issued_ms,
                tags: session.tags,
                transitive_tags: session.transitive_tags,
                source_identity: session.source_identity,
            })),
        }));
    }
    let key = control.identities.key(store, &control.sealer, access_key_id).await?;
    // A token with a long-term key is a mix-up of two credentials.
    Ok(match key.filter(|key| key.active && session_token.is_none()) {
        None => Err(AuthError::UnrecognizedClient),
        Some(key) => {
            Ok(Credentials { secret: key.secret.clone(), principal: key.principal.clone(), session: None })
        }
    })
}
