//! Command identifiers: opaque to agents, but they tell us the row; unguessable by the nonce in them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use slipway_engine::target::CommandRef;
use slipway_model::DeploymentId;
use slipway_store::TargetKey;

/// Puts the place of a command into its identifier.
pub fn encode(target: &TargetKey, command: &CommandRef) -> String {
    URL_SAFE_NO_PAD.encode(format!(
        "{}:{}:{}:{}:{:016x}",
        target.deployment, target.ordinal, command.event_index, command.hand_out, command.nonce
    ))
}

/// Reads an identifier; `None` for anything that we did not make.
pub fn decode(identifier: &str) -> Option<(TargetKey, CommandRef)> {
    // Ours are 60 characters at most.
    if identifier.len() > 128 {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(identifier).ok()?).ok()?;
    let mut parts = text.split(':');
    let deployment = DeploymentId::new(parts.next()?).ok()?;
    let ordinal = parts.next()?.parse().ok()?;
    let event_index = parts.next()?.parse().ok()?;
    let hand_out = parts.next()?.parse().ok()?;
    let nonce = parts.next()?;
    let nonce = if nonce.len() == 16 { u64::from_str_radix(nonce, 16).ok()? } else { return None };
    let done = parts.next().is_none();
    done.then_some((TargetKey { deployment, ordinal }, CommandRef { event_index, hand_out, nonce }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_round_trip_and_garbage_is_refused() {
        let key = TargetKey { deployment: DeploymentId::new("d-ABCDEF123").unwrap(), ordinal: 7 };
        let command = CommandRef { event_index: 3, hand_out: 2, nonce: 0xdead_beef };
        assert_eq!(decode(&encode(&key, &command)), Some((key, command)));
        for bad in ["", "hci-0", "AAAA", &"A".repeat(4096), "ZC1BQkNERUYxMjM6NzozOjI"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
