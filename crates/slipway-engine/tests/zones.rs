//! The zonal test vectors of CF 3.5, each in both pacings, and deployments to outdated hosts only.

mod fleet;

use std::collections::BTreeSet;

use fleet::{Fleet, PACINGS, settings};
use slipway_engine::deployment::{DeploymentEvent, DeploymentSettings, Pacing, ZoneHosts};
use slipway_model::config::MinimumHealthyHosts::{self, FleetPercent, HostCount};
use slipway_model::status::ErrorCode;
use slipway_model::zones::ZonalConfig;

/// Row, sizes of the zones, global minimum, minimum per zone, numbers of the hosts that fail, sizes of the batches (`|`
/// separates zones), result.
type Vector = (
    &'static str,
    &'static [u32],
    MinimumHealthyHosts,
    Option<MinimumHealthyHosts>,
    &'static [usize],
    &'static str,
    &'static str,
);

const HALF: Option<MinimumHealthyHosts> = Some(FleetPercent(50));

#[rustfmt::skip]
const VECTORS: &[Vector] = &[
    ("Z-01", &[100, 100], HostCount(160), Some(HostCount(50)), &[], "40,40,20|40,40,20", "OK 200/0"),
    ("Z-02", &[100, 100, 100, 100], HostCount(300), Some(HostCount(50)), &[], "50,50|50,50|50,50|50,50", "OK 400/0"),
    ("Z-03", &[100, 100, 100], HostCount(300), Some(HostCount(50)), &[], "", "FAIL at start 0/0"),
    ("Z-04", &[110, 110, 110], HostCount(300), Some(HostCount(50)), &[], "30,30,30,20|30,30,30,20|30,30,30,20", "OK 330/0"),
    ("Z-05", &[40, 60, 20], FleetPercent(75), HALF, &[], "20,20|30,30|10,10", "OK 120/0"),
    ("Z-06", &[4, 4, 4], HostCount(9), None, &[], "3,1|3,1|3,1", "OK 12/0"),
    ("Z-07", &[3, 3, 3], FleetPercent(50), HALF, &[], "1,1,1|1,1,1|1,1,1", "OK 9/0"),
    ("Z-08", &[5, 5, 2], HostCount(6), Some(HostCount(2)), &[], "", "FAIL at start 0/0"),
    ("Z-09", &[4, 4, 4], HostCount(9), Some(HostCount(2)), &[1, 2], "2", "FAIL 2/0/2/10"),
    ("Z-10", &[4, 4, 4], HostCount(9), Some(HostCount(2)), &[3, 4], "2,2|1,1,1,1|1,1,1,1", "OK 10/2"),
    ("Z-11", &[4, 4, 4], HostCount(9), None, &[1, 2, 3], "3", "FAIL 3/0/3/9"),
    ("Z-12", &[4, 4, 4], HostCount(9), None, &[10, 11, 12], "3,1|3,1|3,1", "OK 9/3"),
    ("Z-13", &[3, 3], HostCount(0), None, &[1, 2, 3], "3|3", "OK 3/3"),
    ("Z-14", &[7, 3, 2], FleetPercent(50), HALF, &[], "3,3,1|1,1,1|1,1", "OK 12/0"),
    ("Z-15 last of the zone", &[4, 4, 4], HostCount(6), Some(HostCount(3)), &[4], "1,1,1,1|1,1,1,1|1,1,1,1", "OK 11/1"),
    ("Z-15 first of the zone", &[4, 4, 4], HostCount(6), Some(HostCount(3)), &[1], "1", "FAIL 1/0/1/11"),
];

fn zonal(
    minimum: MinimumHealthyHosts,
    per_zone: Option<MinimumHealthyHosts>,
    pacing: Pacing,
) -> DeploymentSettings {
    let zonal = ZonalConfig { minimum_per_zone: per_zone, ..ZonalConfig::default() };
    DeploymentSettings { zonal: Some(zonal), ..settings(minimum, pacing) }
}

fn zones(sizes: &[u32]) -> Vec<ZoneHosts> {
    sizes.iter().map(|size| ZoneHosts { unhealthy: 0, healthy: *size, current: 0 }).collect()
}

fn begin(vector: &Vector, pacing: Pacing) -> Fleet {
    Fleet::begin_with(&zonal(vector.2, vector.3, pacing), &zones(vector.1))
}

fn fails(vector: &Vector) -> BTreeSet<usize> {
    vector.4.iter().map(|number| number - 1).collect()
}

fn batches(list: &str) -> Vec<u32> {
    list.split(['|', ','])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().expect("a number"))
        .collect()
}

#[test]
fn every_row_ends_as_the_table_says_in_both_pacings() {
    for vector in VECTORS {
        for pacing in PACINGS {
            let one_by_one = begin(vector, pacing).finish_in_order(&fails(vector));
            assert_eq!(one_by_one.ending().notation(), vector.6, "{} {pacing:?}", vector.0);
            let together = begin(vector, pacing).finish_in_batches(&fails(vector));
            assert_eq!(together.ending(), one_by_one.ending(), "{} {pacing:?}", vector.0);
        }
    }
}

#[test]
fn every_row_has_the_batches_of_the_table_cf_052() {
    for vector in VECTORS {
        let run = begin(vector, Pacing::Batch).finish_in_order(&fails(vector));
        assert_eq!(run.starts, batches(vector.5), "{}", vector.0);
    }
}

#[test]
fn zones_are_watched_between_but_not_after_the_last_cf_054() {
    for (count, first, later, waits) in [
        (3, Some(7200), Some(600), &[7200, 600][..]),
        (3, None, Some(3600), &[3600, 3600]),
        (3, Some(300), None, &[300]),
        (3, None, None, &[]),
        (1, Some(300), Some(600), &[]),
    ] {
        let mut settings = zonal(FleetPercent(50), None, Pacing::RollingWindow);
        settings.zonal = Some(ZonalConfig {
            monitor_seconds: later,
            first_zone_monitor_seconds: first,
            minimum_per_zone: None,
        });
        let run = Fleet::begin_with(&settings, &zones(&vec![4; count])).finish_in_order(&BTreeSet::new());
        assert_eq!(run.watched, waits, "Z-20..Z-24: {first:?} {later:?}");
        assert_eq!(run.ending().notation(), format!("OK {}/0", 4 * count));
    }
}

#[test]
fn r_07_the_next_zone_starts_when_all_of_the_one_before_have_ended() {
    let mut fleet = begin(&VECTORS[0], Pacing::RollingWindow);
    assert_eq!(fleet.in_flight().len(), 40);
    for host in 0..60 {
        assert_eq!(fleet.end(&[host], &BTreeSet::new()), [host + 40]);
    }
    for host in 60..99 {
        assert_eq!(fleet.end(&[host], &BTreeSet::new()), Vec::<usize>::new(), "zone 2 waits for zone 1");
    }
    assert_eq!(fleet.end(&[99], &BTreeSet::new()), (100..140).collect::<Vec<_>>());
}

#[test]
fn r_08_failures_of_an_earlier_zone_lower_the_pace_of_later_ones() {
    let vector = VECTORS.iter().find(|v| v.0 == "Z-10").expect("a row");
    let mut fleet = begin(vector, Pacing::RollingWindow);
    let fails = fails(vector);
    assert_eq!(fleet.end(&[0], &fails), [2]);
    assert_eq!(fleet.end(&[1], &fails), [3]);
    assert_eq!(fleet.end(&[2], &fails), Vec::<usize>::new());
    assert_eq!(fleet.end(&[3], &fails), [4], "one in flight");
}

#[test]
fn unhealthy_hosts_are_a_phase_of_their_zone_cf_034() {
    let hosts = [
        ZoneHosts { unhealthy: 1, healthy: 3, current: 0 },
        ZoneHosts { unhealthy: 2, healthy: 0, current: 0 },
    ];
    let mut fleet = Fleet::begin_with(&zonal(HostCount(1), None, Pacing::RollingWindow), &hosts);
    assert_eq!(fleet.in_flight(), [0]);
    assert_eq!(fleet.end(&[0], &BTreeSet::new()), [1, 2, 3]);
}

#[test]
fn no_healthy_host_is_taken_on_account_of_unhealthy_ones_in_later_zones_cf_039() {
    let zone = |unhealthy, healthy| ZoneHosts { unhealthy, healthy, current: 0 };
    let begin = |minimum, hosts: &[ZoneHosts]| {
        Fleet::begin_with(&zonal(HostCount(minimum), None, Pacing::RollingWindow), hosts)
    };
    // Of 6 hosts 4 are healthy and 2 must stay so: two at a time, although T − M is 4.
    let fleet = begin(2, &[zone(0, 4), zone(2, 0)]);
    assert_eq!(fleet.in_flight(), [0, 1]);
    assert_eq!(fleet.finish_in_order(&BTreeSet::new()).ending().notation(), "OK 6/0");
    // 4 are healthy and 4 must stay so: the unhealthy ones would have to come first.
    assert_eq!(begin(4, &[zone(0, 4), zone(2, 0)]).ending().notation(), "FAIL at start 0/0");
    let fleet = begin(4, &[zone(2, 0), zone(0, 4)]).finish_in_order(&BTreeSet::new());
    assert_eq!(fleet.ending().notation(), "OK 6/0");
    // The same shows later, when a host of the first zone has failed.
    let fleet = begin(3, &[zone(1, 1), zone(0, 2), zone(2, 0)]).finish_in_order(&BTreeSet::from([0]));
    assert_eq!(fleet.ending().notation(), "FAIL 1/0/1/5");
}

#[test]
fn a_stop_or_an_alarm_while_a_zone_is_watched_ends_it_there_z_25() {
    let events = [
        (DeploymentEvent::Stop { requested_by: "me".into(), roll_back: None }, ErrorCode::ManualStop),
        (DeploymentEvent::Alarm { names: vec!["hot".into()] }, ErrorCode::AlarmActive),
    ];
    for (event, code) in events {
        let mut settings = zonal(HostCount(0), None, Pacing::RollingWindow);
        settings.zonal = Some(ZonalConfig { monitor_seconds: Some(600), ..ZonalConfig::default() });
        let mut fleet = Fleet::begin_with(&settings, &zones(&[2, 2]));
        fleet.end(&[0, 1], &BTreeSet::new());
        assert_eq!(fleet.in_flight(), Vec::<usize>::new(), "zone 1 is watched");
        fleet.step(event);
        assert_eq!(fleet.ending().code, Some(code));
        assert_eq!(fleet.ending().count(fleet::Host::Skipped), 2);
    }
}

#[test]
fn hosts_that_run_the_revision_already_count_as_healthy_a_05() {
    let outdated = |unhealthy, current, minimum| {
        let hosts = [ZoneHosts { unhealthy, healthy: 0, current }];
        Fleet::begin_with(&settings(minimum, Pacing::RollingWindow), &hosts)
    };
    // T = 10: with 9 that must stay healthy, the two outdated ones go one at a time.
    let fleet = outdated(2, 8, HostCount(9));
    assert_eq!(fleet.in_flight(), [0]);
    assert_eq!(fleet.finish_in_order(&BTreeSet::new()).ending().notation(), "OK 2/0");
    let fleet = outdated(2, 8, HostCount(9)).finish_in_order(&BTreeSet::from([0]));
    assert_eq!(fleet.ending().notation(), "FAIL 1/0/1/1");
    // Nobody succeeded (CF-018), although enough are healthy.
    let fleet = outdated(1, 8, HostCount(0)).finish_in_order(&BTreeSet::from([0]));
    assert_eq!(fleet.ending().notation(), "FAIL 1/0/1/0");
    // Nothing to do is a success, whatever must stay healthy.
    assert_eq!(outdated(0, 3, FleetPercent(99)).ending().notation(), "OK 0/0");
}
