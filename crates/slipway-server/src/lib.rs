//! The control plane: APIs, command hub, workers, TLS, configuration.
