//! The test vectors of CF 3.4, each in both pacings.

mod fleet;

use std::collections::BTreeSet;

use fleet::{Fleet, PACINGS};
use slipway_engine::deployment::Pacing;
use slipway_model::config::MinimumHealthyHosts::{self, FleetPercent, HostCount, MostConcurrency};

const ONE_AT_A_TIME: MinimumHealthyHosts = MostConcurrency(1);
const HALF_AT_A_TIME: MinimumHealthyHosts = FleetPercent(50);
const ALL_AT_ONCE: MinimumHealthyHosts = FleetPercent(0);

/// Row, (Unhealthy, Healthy) hosts, configuration, numbers of the hosts that fail (from 1, ranges inclusive),
/// sizes of the batches (`1x10` is ten of one), result.
type Vector = (&'static str, (u32, u32), MinimumHealthyHosts, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const VECTORS: &[Vector] = &[
    ("V-01", (0, 10), HostCount(9), "", "1x10", "OK 10/0"),
    ("V-02", (0, 10), HostCount(9), "1", "1", "FAIL 1/0/1/9"),
    ("V-03", (0, 10), HostCount(9), "5", "1x5", "FAIL 5/4/1/5"),
    ("V-04", (0, 10), HostCount(9), "10", "1x10", "OK 9/1"),
    ("V-05", (0, 10), HostCount(8), "", "2x5", "OK 10/0"),
    ("V-06", (0, 10), HostCount(8), "1", "2,1x8", "OK 9/1"),
    ("V-07", (0, 10), HostCount(8), "1,2", "2", "FAIL 2/0/2/8"),
    ("V-08", (0, 10), HostCount(8), "1,4", "2,1,1", "FAIL 4/2/2/6"),
    ("V-09", (0, 10), HostCount(8), "3,10", "2,2,1x6", "OK 8/2"),
    ("V-10", (0, 10), HostCount(8), "9,10", "2x5", "OK 8/2"),
    ("V-11", (0, 10), HostCount(3), "", "7,3", "OK 10/0"),
    ("V-12", (0, 10), HostCount(3), "1-3", "7,3", "OK 7/3"),
    ("V-13", (0, 10), HostCount(3), "1-6", "7,1,1,1", "OK 4/6"),
    ("V-14", (0, 10), HostCount(3), "1-7", "7", "FAIL 7/0/7/3"),
    ("V-15", (0, 10), HostCount(0), "1-9", "10", "OK 1/9"),
    ("V-16", (0, 10), HostCount(0), "1-10", "10", "FAIL 10/0/10/0"),
    ("V-17", (0, 10), FleetPercent(95), "", "", "FAIL at start 0/0"),
    ("V-18", (0, 10), FleetPercent(85), "1", "1", "FAIL 1/0/1/9"),
    ("V-19", (0, 10), FleetPercent(85), "10", "1x10", "OK 9/1"),
    ("V-20", (0, 9), HALF_AT_A_TIME, "", "4,4,1", "OK 9/0"),
    ("V-21", (0, 9), HALF_AT_A_TIME, "5,6,7,9", "4,4,1", "OK 5/4"),
    ("V-22", (0, 9), HALF_AT_A_TIME, "1-4", "4", "FAIL 4/0/4/5"),
    ("V-23", (0, 9), HALF_AT_A_TIME, "1", "4,3,2", "OK 8/1"),
    ("V-24", (0, 9), HALF_AT_A_TIME, "5-8", "4,4", "FAIL 8/4/4/1"),
    ("V-25", (0, 9), ALL_AT_ONCE, "1-8", "9", "OK 1/8"),
    ("V-26", (0, 9), ALL_AT_ONCE, "1-9", "9", "FAIL 9/0/9/0"),
    ("V-27", (0, 9), ONE_AT_A_TIME, "8", "1x8", "FAIL 8/7/1/1"),
    ("V-28", (0, 9), ONE_AT_A_TIME, "9", "1x9", "OK 8/1"),
    ("V-29 fails", (0, 1), ONE_AT_A_TIME, "1", "1", "FAIL 1/0/1/0"),
    ("V-29 succeeds", (0, 1), ONE_AT_A_TIME, "", "1", "OK 1/0"),
    ("V-30 first", (0, 2), ONE_AT_A_TIME, "1", "1", "FAIL 1/0/1/1"),
    ("V-30 last", (0, 2), ONE_AT_A_TIME, "2", "1,1", "OK 1/1"),
    ("V-31", (0, 9), HostCount(6), "", "3,3,3", "OK 9/0"),
    ("V-31 just enough", (0, 9), HostCount(6), "7-9", "3,3,3", "OK 6/3"),
    ("V-32", (0, 9), FleetPercent(40), "", "5,4", "OK 9/0"),
    ("V-32 just enough", (0, 9), FleetPercent(40), "5-9", "5,4", "OK 4/5"),
    ("V-33", (0, 1), HALF_AT_A_TIME, "", "", "FAIL at start 0/0"),
    ("V-34", (0, 2), HALF_AT_A_TIME, "", "1,1", "OK 2/0"),
    ("V-35", (0, 3), FleetPercent(75), "", "", "FAIL at start 0/0"),
    ("V-36", (0, 4), FleetPercent(75), "", "1x4", "OK 4/0"),
    ("V-37", (0, 10), FleetPercent(75), "", "2x5", "OK 10/0"),
    ("V-38 equal", (0, 10), HostCount(10), "", "", "FAIL at start 0/0"),
    ("V-38 above", (0, 10), HostCount(12), "", "", "FAIL at start 0/0"),
    ("V-39 7 %", (0, 100), FleetPercent(7), "", "93,7", "OK 100/0"),
    ("V-39 29 %", (0, 100), FleetPercent(29), "", "71,29", "OK 100/0"),
    ("V-39 57 %", (0, 100), FleetPercent(57), "", "43,43,14", "OK 100/0"),
    ("V-40 33 %", (0, 3), FleetPercent(33), "", "2,1", "OK 3/0"),
    ("V-40 34 %", (0, 3), FleetPercent(34), "", "1x3", "OK 3/0"),
    ("V-41", (0, 20), HALF_AT_A_TIME, "11-20", "10,10", "OK 10/10"),
    ("V-42 99", (0, 99), FleetPercent(99), "", "", "FAIL at start 0/0"),
    ("V-42 101", (0, 101), FleetPercent(99), "", "1x101", "OK 101/0"),
    ("V-43", (0, 5), HostCount(2), "2,4", "3,2", "OK 3/2"),
    ("V-44", (0, 5), HostCount(2), "1-3", "3", "FAIL 3/0/3/2"),
    ("V-45 one", (0, 1), FleetPercent(100), "", "", "FAIL at start 0/0"),
    ("V-45 many", (0, 7), FleetPercent(100), "", "", "FAIL at start 0/0"),
    ("V-46", (0, 0), HALF_AT_A_TIME, "", "", "FAIL NO_INSTANCES"),
    ("V-46 whatever the minimum", (0, 0), HostCount(0), "", "", "FAIL NO_INSTANCES"),
    ("V-50", (1, 9), HostCount(9), "", "1,1x9", "OK 10/0"),
    ("V-51", (1, 9), HostCount(9), "1", "1", "FAIL 1/0/1/9"),
    ("V-52", (2, 8), HostCount(5), "", "2,5,3", "OK 10/0"),
    ("V-53", (4, 6), HostCount(8), "", "2,2,2,2,2", "OK 10/0"),
    ("V-54", (4, 6), HostCount(8), "1,2", "2", "FAIL 2/0/2/8"),
    ("V-55", (3, 7), HostCount(8), "1", "2,1,1x7", "OK 9/1"),
    // Powered-off hosts are attempted, and fail by their pick-up limit (CF-041).
    ("V-56", (0, 10), HostCount(8), "1,2", "2", "FAIL 2/0/2/8"),
    // CF-042: a first deployment, all hosts Unhealthy, follows the same rules.
    ("CF-042", (9, 0), ONE_AT_A_TIME, "8", "1x8", "FAIL 8/7/1/1"),
    ("CF-042 last", (9, 0), ONE_AT_A_TIME, "9", "1x9", "OK 8/1"),
];

fn number(text: &str) -> usize {
    text.parse().expect("a number in the table")
}

/// `"1-3,7"` to zero-based ordinals.
fn ordinals(list: &str) -> BTreeSet<usize> {
    list.split(',')
        .filter(|part| !part.is_empty())
        .flat_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            number(from) - 1..number(to)
        })
        .collect()
}

/// `"2,1x3"` to `[2, 1, 1, 1]`.
fn batches(list: &str) -> Vec<u32> {
    list.split(',')
        .filter(|part| !part.is_empty())
        .flat_map(|part| {
            let (size, times) = part.split_once('x').unwrap_or((part, "1"));
            vec![number(size) as u32; number(times)]
        })
        .collect()
}

fn begin(vector: &Vector, pacing: Pacing) -> Fleet {
    let (_, (unhealthy, healthy), minimum, ..) = *vector;
    Fleet::begin(unhealthy, healthy, minimum, pacing)
}

fn row(id: &str) -> &'static Vector {
    VECTORS.iter().find(|v| v.0 == id).expect("a row of the table")
}

#[test]
fn every_row_ends_as_the_table_says_in_both_pacings() {
    for vector in VECTORS {
        let (id, _, _, fails, _, result) = *vector;
        for pacing in PACINGS {
            let one_by_one = begin(vector, pacing).finish_in_order(&ordinals(fails));
            assert_eq!(one_by_one.ending().notation(), result, "{id} {pacing:?}");
            let together = begin(vector, pacing).finish_in_batches(&ordinals(fails));
            assert_eq!(together.ending(), one_by_one.ending(), "{id} {pacing:?}");
        }
    }
}

#[test]
fn every_row_has_the_batches_of_the_table_cf_033() {
    for vector in VECTORS {
        let (id, _, _, fails, sizes, _) = *vector;
        let fails = ordinals(fails);
        assert_eq!(begin(vector, Pacing::Batch).finish_in_order(&fails).starts, batches(sizes), "{id}");
        assert_eq!(begin(vector, Pacing::Batch).finish_in_batches(&fails).starts, batches(sizes), "{id}");
    }
}

#[test]
fn the_first_batch_is_the_peak_of_the_rolling_window_too() {
    for vector in VECTORS {
        let (id, _, _, fails, sizes, _) = *vector;
        let run = begin(vector, Pacing::RollingWindow).finish_in_order(&ordinals(fails));
        let first = batches(sizes).first().copied();
        assert_eq!(run.starts.first().copied(), first, "{id}");
        // In V-52 the unhealthy phase is smaller than the capacity, so the peak comes later.
        if id != "V-52" {
            assert_eq!(run.peak as u32, first.unwrap_or(0), "{id}");
        }
    }
}

#[test]
fn all_rows_are_there() {
    let expected = (1..=46).chain(50..=56).map(|n| format!("V-{n:02}"));
    for id in expected {
        assert!(VECTORS.iter().any(|v| v.0 == id || v.0.starts_with(&format!("{id} "))), "{id}");
    }
}

/// Plays a rolling trace: each step is the number of the host that ends, and the numbers that start because of it.
fn trace(id: &str, steps: &[(usize, &[usize])]) -> Fleet {
    let vector = row(id);
    let fails = ordinals(vector.3);
    let mut fleet = begin(vector, Pacing::RollingWindow);
    for (ended, started) in steps {
        let expected: Vec<usize> = started.iter().map(|n| n - 1).collect();
        assert_eq!(fleet.end(&[ended - 1], &fails), expected, "{id}: when {ended} ends");
    }
    fleet
}

#[test]
fn r_01_the_window_stays_full_while_hosts_wait() {
    let fleet = trace("V-11", &[(1, &[8]), (2, &[9]), (3, &[10]), (4, &[])]);
    assert_eq!((fleet.starts.as_slice(), fleet.peak), ([7, 1, 1, 1].as_slice(), 7));
}

#[test]
fn r_02_a_failed_host_lowers_the_pace_for_good() {
    let mut fleet = trace("V-06", &[(1, &[]), (2, &[3])]);
    for next in 3..10 {
        assert_eq!(fleet.in_flight().len(), 1);
        assert_eq!(fleet.end(&[next - 1], &BTreeSet::new()), [next]);
    }
}

#[test]
fn r_03_three_in_flight_after_the_failure() {
    let fleet = trace("V-23", &[(1, &[]), (2, &[5]), (3, &[6]), (4, &[7]), (5, &[8]), (6, &[9])]);
    assert_eq!(fleet.in_flight().len(), 3);
}

#[test]
fn r_04_failures_start_nothing_and_the_stop_rule_finds_nothing_in_flight() {
    let steps: &[(usize, &[usize])] =
        &[(1, &[5]), (2, &[6]), (3, &[7]), (4, &[8]), (5, &[]), (6, &[]), (7, &[]), (8, &[])];
    let fleet = trace("V-24", steps);
    assert_eq!(fleet.ending().notation(), "FAIL 8/4/4/1");
}

#[test]
fn r_05_healthy_hosts_wait_for_the_end_of_the_unhealthy_phase() {
    trace("V-53", &[(1, &[3]), (2, &[4]), (3, &[]), (4, &[5, 6]), (5, &[7]), (6, &[8])]);
}

#[test]
fn r_06_a_failure_in_the_unhealthy_phase_lowers_the_pace_of_the_next() {
    trace("V-55", &[(1, &[]), (2, &[3]), (3, &[4]), (4, &[5]), (5, &[6])]);
}
