//! What a deployment touches outside: load balancers, discovery, alarms, notifications.
