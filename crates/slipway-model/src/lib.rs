//! The vocabulary of Slipway: names, ids, ARNs, revisions, configurations, statuses, quotas.
