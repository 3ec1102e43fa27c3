//! What Sentinel learns of a group in which nothing is wrong.

use crate::support::sentinel::{FIRST, Group, Plan};
use crate::support::wait_until;

#[test]
fn sentinels_discover_every_replica_and_each_other() {
    let plan = Plan::usual().with_priorities([10, 20, 30]);
    // Waits until all lists are complete and all flags clean.
    let group = Group::start(&plan);
    for sentinel in &group.sentinels {
        let master = sentinel.master();
        let run_id = |place| group.client(place).info("server", "run_id").expect("an id");
        assert_eq!(sentinel.primary(), group.port(FIRST));
        assert_eq!(master["flags"], "master");
        assert_eq!(master["role-reported"], "master");
        assert_eq!(master["num-slaves"], "3");
        assert_eq!(master["num-other-sentinels"], "2");
        assert_eq!(master["runid"], run_id(FIRST));
        let replicas = sentinel.replicas();
        for place in group.others(FIRST) {
            let replica = &replicas[&group.port(place)];
            assert_eq!(replica["runid"], run_id(place));
            assert_eq!(replica["ip"], "127.0.0.1");
            assert_eq!(replica["role-reported"], "slave");
            assert_eq!(replica["master-host"], "127.0.0.1");
            assert_eq!(replica["master-port"], group.port(FIRST).to_string());
            assert_eq!(replica["slave-priority"], (10 * place).to_string());
            assert_eq!(replica["replica-announced"], "1");
        }
    }
    // What a replica says of itself later arrives, too.
    let mut client = group.client(1);
    client.must("CONFIG SET replica-priority 77");
    client.must("CONFIG SET replica-announced no");
    group.client(FIRST).must("SET a 1");
    let offset = group.client(FIRST).replication("master_repl_offset");
    let offset: u64 = offset.parse().expect("an offset");
    for sentinel in &group.sentinels {
        wait_until("the sentinel to hear of the changes", || {
            // A replica that is not announced is no longer listed.
            let seen = sentinel.replicas();
            let reached = |f: &crate::support::sentinel::Fields| {
                f["slave-repl-offset"].parse::<u64>().expect("an offset") >= offset
            };
            let listed: Vec<u16> = seen.keys().copied().collect();
            let mut wanted = vec![group.port(2), group.port(3)];
            wanted.sort_unstable();
            listed == wanted && seen.values().all(reached)
        });
    }
}

#[test]
fn sentinels_show_a_replica_that_is_down_and_that_it_came_back() {
    let mut group = Group::start(&Plan::usual());
    let port = group.port(2);
    group.servers[2].freeze();
    for sentinel in &group.sentinels {
        wait_until("the replica to be taken for down", || {
            sentinel.replicas()[&port]["flags"].contains("s_down")
        });
        assert_eq!(
            sentinel.master()["flags"],
            "master",
            "nobody doubts the primary"
        );
    }
    group.servers[2].thaw();
    group.await_discovery();
    group.assert_same_data(FIRST, &group.others(FIRST));
}
