//! Runs many seeds of the simulator and prints what they did; a failing one is told as a story.
//!
//! `cargo run --release -p slipway-engine --features sim --example simulate -- SEEDS [FIRST]`, or `make simulate
//! SEEDS=N`; `-- --seed N` tells the story of one.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use slipway_engine::sim::{Disturbance, Scenario, run, shrink};

#[derive(Default)]
struct Sums {
    steps: u64,
    store_steps: u64,
    virtual_ms: i64,
    endings: BTreeMap<String, u64>,
    targets: BTreeMap<String, u64>,
    failing: Vec<u64>,
}

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok());
    if arguments.first().is_some_and(|first| first == "--seed") {
        println!("{}", shrink::story(number(1).unwrap_or(0)));
        return std::process::ExitCode::SUCCESS;
    }
    let (count, first) = (number(0).unwrap_or(1000), number(1).unwrap_or(0));
    let began = Instant::now();
    let sums = simulate(first, first + count);
    let seconds = began.elapsed().as_secs_f64();
    print(&sums, count, seconds);
    for seed in sums.failing.iter().take(3) {
        println!("\n{}", shrink::story(*seed));
    }
    if sums.failing.is_empty() { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}

fn simulate(first: u64, end: u64) -> Sums {
    let next = AtomicU64::new(first);
    let sums = Mutex::new(Sums::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let run = run(&Scenario::of_seed(seed), Disturbance::None, false);
                    let mut sums = sums.lock().expect("no thread panics while it holds the sums");
                    sums.steps += run.steps;
                    sums.store_steps += run.store_steps;
                    sums.virtual_ms += run.lasted.0;
                    for ending in &run.endings {
                        let what = format!("{} {}", ending.creator, ending.status);
                        *sums.endings.entry(what).or_default() += 1;
                        for status in &ending.targets {
                            *sums.targets.entry(status.to_string()).or_default() += 1;
                        }
                    }
                    if run.violation.is_some() {
                        sums.failing.push(seed);
                    }
                }
            });
        }
    });
    let mut sums = sums.into_inner().expect("no thread panicked");
    sums.failing.sort_unstable();
    sums
}

fn print(sums: &Sums, count: u64, seconds: f64) {
    let row = |name: &str, value: String| println!("| {name:<34} | {value:>16} |");
    row("seeds", count.to_string());
    row("failing", sums.failing.len().to_string());
    row("steps", sums.steps.to_string());
    row("questions and commits", sums.store_steps.to_string());
    row("virtual hours", format!("{:.0}", sums.virtual_ms as f64 / 3_600_000.0));
    for (what, count) in &sums.endings {
        row(&format!("deployments: {what}"), count.to_string());
    }
    for (what, count) in &sums.targets {
        row(&format!("targets: {what}"), count.to_string());
    }
    row("seconds", format!("{seconds:.1}"));
    if !sums.failing.is_empty() {
        println!("failing seeds: {:?}", &sums.failing[..sums.failing.len().min(50)]);
    }
}
