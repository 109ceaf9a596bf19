//! What the engine costs: transitions in memory, bytes per target, whole deployments of up to 100,000 hosts.
//!
//! `cargo run --release -p slipway-engine --features sim --example engine_speed`; a part of `make bench`.

use std::time::Instant;

use slipway_engine::sim::speed::{transitions, whole_deployment};

fn main() {
    for (stored, what) in [(false, "in memory"), (true, "each read from and written to its stored form")] {
        let began = Instant::now();
        let count = transitions(if stored { 20_000 } else { 200_000 }, stored);
        println!("engine, target transitions {what}: {:.0}/s", count as f64 / began.elapsed().as_secs_f64());
    }
    for hosts in [100, 1000, 10_000, 100_000] {
        let began = Instant::now();
        let done = whole_deployment(hosts);
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "engine, deployment of {hosts} hosts, seven events each: {seconds:.2} s, {:.0} µs a host, {:.0} steps/s",
            seconds * 1e6 / f64::from(hosts),
            done.steps as f64 / seconds
        );
        if hosts == 100 {
            let (waiting, ended) = done.bytes;
            println!("engine, stored target: {waiting} bytes waiting, {ended} bytes ended");
        }
    }
}
