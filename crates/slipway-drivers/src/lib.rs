//! What a deployment touches outside the control plane: load balancers, Auto Scaling and EC2 discovery, Lambda, ECS,
//! alarms and notifications.
//!
//! Nothing of that is part of an in-place deployment to on-premises hosts, so there is no driver yet, and the control
//! plane refuses every setting that would need one. The crate holds the place: each driver becomes a small trait here
//! with an `aws` implementation behind the feature of that name and, where one exists, a local one (HAProxy,
//! Prometheus, webhooks), so that neither engine nor server ever links an SDK.
