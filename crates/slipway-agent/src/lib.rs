//! The host agent: polls, downloads, unpacks, installs, runs hooks, reports.
