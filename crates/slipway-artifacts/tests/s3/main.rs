//! The store through its front door: signed HTTP requests in, answers and files out.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod access;
mod buckets;
mod lab;
mod listing;
mod multipart;
mod objects;
mod versions;
