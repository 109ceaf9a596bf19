//! The store through its front door: signed HTTP requests in, answers and files out.

mod access;
mod buckets;
mod lab;
mod listing;
mod multipart;
mod objects;
mod versions;
