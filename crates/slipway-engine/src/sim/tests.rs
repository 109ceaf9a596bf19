//! Seeds in the crate's own tests; `make simulate` runs more.

use super::scenario::Scenario;
use super::shrink::story;
use super::world::{Disturbance, run};

fn seeds(from: u64, to: u64) {
    for seed in from..to {
        let run = run(&Scenario::of_seed(seed), Disturbance::None, false);
        assert!(run.violation.is_none(), "{}", story(seed));
    }
}

#[test]
fn a_run_is_a_pure_function_of_its_seed() {
    for seed in 0..20 {
        let scenario = Scenario::of_seed(seed);
        let (one, two) = (run(&scenario, Disturbance::None, true), run(&scenario, Disturbance::None, true));
        assert_eq!(one.story, two.story, "seed {seed}");
    }
}

#[test]
fn seeds_0_to_249() {
    seeds(0, 250);
}

#[test]
fn seeds_250_to_499() {
    seeds(250, 500);
}

#[test]
fn seeds_500_to_749() {
    seeds(500, 750);
}

#[test]
fn seeds_750_to_999() {
    seeds(750, 1000);
}
