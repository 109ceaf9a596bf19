//! The deployment state machines: pure functions from event and time to state and effects.
