//! The order in which the hosts of a deployment are taken (CF-012, CF-013).

use crate::health::{InstanceHealth, RevisionHealth};

/// A host that a deployment is about to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostHealth {
    /// What tells it from the others, and the same in every call.
    pub id: String,
    /// Whether the last attempt to deploy to it ended well.
    pub instance: InstanceHealth,
    /// How what it runs relates to the group's last successful revision.
    pub revision: RevisionHealth,
}

/// Brings hosts into the order in which they are started and returns how many of them, all at the front, are
/// Unhealthy: the phase of CF-034.
///
/// Unhealthy hosts first, then Healthy ones with Unknown, Old and Current revision (CF-012). Within a class the order
/// is random, but it depends on `seed` and the ids alone: not on the order in which the hosts came, nor on the
/// machine or the release of the program (CF-013).
pub fn order_hosts(hosts: &mut [HostHealth], seed: u64) -> u32 {
    hosts.sort_by_cached_key(|host| (class(host), draw(&host.id, seed), host.id.clone()));
    let unhealthy = hosts.iter().take_while(|h| h.instance == InstanceHealth::Unhealthy).count();
    u32::try_from(unhealthy).unwrap_or(u32::MAX)
}

fn class(host: &HostHealth) -> u8 {
    match (host.instance, host.revision) {
        (InstanceHealth::Unhealthy, _) => 0,
        (InstanceHealth::Healthy, RevisionHealth::Unknown) => 1,
        (InstanceHealth::Healthy, RevisionHealth::Old) => 2,
        (InstanceHealth::Healthy, RevisionHealth::Current) => 3,
    }
}

/// FNV-1a over the id, begun at the seed and finished as in SplitMix64. The hashers of the standard library are not
/// used because they may change from one release to the next.
fn draw(id: &str, seed: u64) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    finish(id.bytes().fold(finish(seed) ^ BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)))
}

const fn finish(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use InstanceHealth::{Healthy, Unhealthy};
    use RevisionHealth::{Current, Old, Unknown};

    fn fleet(size: usize) -> Vec<HostHealth> {
        let classes = [
            (Healthy, Current),
            (Unhealthy, Unknown),
            (Healthy, Old),
            (Healthy, Unknown),
            (Unhealthy, Current),
        ];
        (0..size)
            .map(|i| {
                let (instance, revision) = classes[i % classes.len()];
                HostHealth { id: format!("host-{i}"), instance, revision }
            })
            .collect()
    }

    fn ids(hosts: &[HostHealth]) -> Vec<String> {
        hosts.iter().map(|h| h.id.clone()).collect()
    }

    #[test]
    fn unhealthy_hosts_are_first_then_unknown_old_current_cf_012() {
        let mut hosts = fleet(50);
        assert_eq!(order_hosts(&mut hosts, 7), 20);
        let classes: Vec<u8> = hosts.iter().map(class).collect();
        assert!(classes.is_sorted(), "{classes:?}");
    }

    #[test]
    fn the_order_depends_on_the_seed_alone_cf_013() {
        let (mut one, mut two) = (fleet(50), fleet(50));
        two.reverse();
        order_hosts(&mut one, 42);
        order_hosts(&mut two, 42);
        assert_eq!(ids(&one), ids(&two), "the order in which the hosts came must not matter");
        order_hosts(&mut two, 43);
        assert_ne!(ids(&one), ids(&two), "another seed, another order");
    }

    #[test]
    fn every_host_of_a_class_is_first_for_some_seed_cf_013() {
        let mut first = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut hosts: Vec<HostHealth> = fleet(50).into_iter().filter(|h| class(h) == 3).collect();
            order_hosts(&mut hosts, seed);
            first.insert(hosts[0].id.clone());
        }
        assert_eq!(first.len(), 10);
    }
}
