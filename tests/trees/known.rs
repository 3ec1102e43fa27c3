//! Ways in which trees of this field lost data, each as one test.

use super::start;
use crate::support::client::Client;
use crate::support::load::{write_big, write_some};
use crate::support::proxy::{Proxy, Way};
use crate::support::replica::Replica;
use crate::support::resp::Value;
use crate::support::server::{Kind, Server};
use crate::support::sync::{assert_all_same, attach, digest, linked, syncs};
use crate::support::{PATIENCE, seed, wait_until};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

const BACKLOG: &[&str] = &["--repl-backlog-size", "64mb"];

/// top → Banyan → each of the others, the upper link through a proxy.
struct Chain {
    top: Server,
    middle: Server,
    bottoms: Vec<Server>,
    proxy: Proxy,
}

impl Chain {
    fn of(top: Kind) -> Chain {
        let top = start(top, 3, BACKLOG);
        let middle = start(Kind::Banyan, 2, BACKLOG);
        let bottoms = [(Kind::Redis, 0), (Kind::Valkey, 0), (Kind::Banyan, 7)];
        let bottoms: Vec<Server> = bottoms.map(|(k, n)| start(k, n, BACKLOG)).into();
        let proxy = Proxy::to(top.port);
        attach(&middle, proxy.port);
        for bottom in &bottoms {
            attach(bottom, middle.port);
        }
        Chain {
            top,
            middle,
            bottoms,
            proxy,
        }
    }

    fn assert_same(&self, top: &Server) {
        let mut servers = vec![top, &self.middle];
        servers.extend(&self.bottoms);
        assert_all_same(&servers);
    }

    fn full_syncs_below(&self) -> u64 {
        syncs(&mut self.middle.client()).full
    }
}

/// redis#3899: what had arrived of a command when the link broke stayed in the middle's stream,
/// and the whole command followed it.
#[test]
fn a_link_cut_mid_command_leaves_the_middle_of_a_chain_whole() {
    for top in [Kind::Redis, Kind::Valkey, Kind::Banyan] {
        let chain = Chain::of(top);
        let mut client = chain.top.client();
        let mut middle = chain.middle.client();
        chain.assert_same(&chain.top);
        for at in [1, 13, 20, 40, 70_000, 399_990, 400_040] {
            let before = chain.proxy.accepted();
            chain.proxy.cut_after(Way::ToClient, at);
            let value = vec![b'a' + (at % 26) as u8; 400_000];
            client.run(&[b"SET".as_slice(), b"long", &value]);
            client.must("MSET x 1 y 2 z 3");
            wait_until("the link to come back", || {
                chain.proxy.accepted() > before && linked(&mut middle)
            });
            chain.assert_same(&chain.top);
        }
        assert_eq!(chain.full_syncs_below(), 3, "nobody below began anew");
        assert_eq!(syncs(&mut client).full, 1);
    }
}

/// redis#6718: PINGs of a middle without its upstream moved the offsets below past what a new
/// upstream could go on from.
#[test]
fn nothing_moves_a_sub_chain_while_its_middle_has_no_upstream() {
    for top in [Kind::Redis, Kind::Banyan] {
        let chain = Chain::of(top);
        let heir = start(Kind::Banyan, 3, BACKLOG);
        attach(&heir, chain.top.port);
        write_some(&mut chain.top.client(), 1_000, 1);
        chain.assert_same(&chain.top);
        assert_all_same(&[&chain.top, &heir]);
        let mut middle = chain.middle.client();
        for node in chain.bottoms.iter().chain([&chain.middle, &heir]) {
            node.client().must("CONFIG SET repl-ping-replica-period 1");
        }
        let mut top = chain.top;
        let mut down = top.client();
        let offset = down.replication("master_repl_offset");
        top.kill();
        wait_until("some periods to pass", || {
            let down = middle.info("replication", "master_link_down_since_seconds");
            down.is_some_and(|s| s.parse::<i64>().is_ok_and(|s| s >= 4))
        });
        for node in chain.bottoms.iter().chain([&chain.middle]) {
            let mut client = node.client();
            assert_eq!(client.replication("master_repl_offset"), offset);
        }
        heir.client().must("REPLICAOF NO ONE");
        heir.client().must("SET of the-heir");
        attach(&chain.middle, heir.port);
        let mut servers = vec![&heir, &chain.middle];
        servers.extend(&chain.bottoms);
        heir.client()
            .must("CONFIG SET repl-ping-replica-period 3600");
        assert_all_same(&servers);
        assert_eq!(syncs(&mut heir.client()).full, 0, "the middle went on");
        assert_eq!(syncs(&mut middle).full, 3, "those below it went on");
    }
}

/// dragonfly#5727: what a replica had received and not yet applied was lost when it took over.
#[test]
fn a_takeover_loses_nothing_that_was_received() {
    for (kind, shards) in [(Kind::Banyan, 1), (Kind::Banyan, 7), (Kind::Redis, 0)] {
        let primary = start(kind, shards, BACKLOG);
        let heir = start(Kind::Banyan, 3, BACKLOG);
        attach(&heir, primary.port);
        let (mut client, mut other) = (primary.client(), heir.client());
        for round in 0..5 {
            write_some(&mut client, 2_000, seed());
            let offset = client.replication("master_repl_offset");
            wait_until("the heir to have received it", || {
                other.replication("master_repl_offset") == offset
            });
            other.must("REPLICAOF NO ONE");
            let (ours, theirs) = (digest(&mut other), digest(&mut client));
            assert_eq!(ours, theirs, "{kind:?} round {round}");
            attach(&heir, primary.port);
        }
    }
}

/// A promoted node sent the first writes of its new history to replicas that filed them under the
/// old one: they could not go on anywhere, or worse, could go on where they must not. Found by a
/// random tree (seed 129300759507025).
#[test]
fn a_promoted_node_says_nothing_more_to_those_who_know_only_its_old_history() {
    let primary = start(Kind::Banyan, 1, BACKLOG);
    let heir = start(Kind::Banyan, 7, BACKLOG);
    let mut order = heir.client();
    for round in 0..20 {
        attach(&heir, primary.port);
        let mut below: Vec<Replica> = (0..6).map(|_| Replica::full(heir.port)).collect();
        let old = order.replication("master_replid");
        let promoted = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let (port, promoted) = (heir.port, &promoted);
                scope.spawn(move || {
                    let mut client = Client::connect(port);
                    while !promoted.load(SeqCst) {
                        client.call(&format!("SET early:{writer}:{round} x"));
                    }
                });
            }
            order.must("REPLICAOF NO ONE");
            promoted.store(true, SeqCst);
        });
        assert_eq!(order.replication("master_replid2"), old);
        let end: u64 = order
            .replication("second_repl_offset")
            .parse()
            .expect("an offset");
        for replica in &mut below {
            while replica.next(PATIENCE).is_some() {}
            assert!(
                replica.offset < end,
                "round {round}: {} of a history that ended at {end}",
                replica.offset
            );
        }
    }
}

/// A primary whose replicas may owe it less than `limit`, and a slow link to it.
fn limited(limit: &str) -> (Server, Proxy) {
    let limit = format!("replica {limit} 0 0");
    let args = ["--client-output-buffer-limit", limit.as_str()];
    let primary = start(Kind::Banyan, 2, &args);
    let proxy = Proxy::to(primary.port);
    (primary, proxy)
}

fn follow(replica: &Server, port: u16) -> Client {
    let mut client = replica.client();
    client.must(&format!("REPLICAOF 127.0.0.1 {port}"));
    client
}

/// redis#2315, redis#11534: what is written during a full synchronisation exceeds the limit of
/// the replica's output, so that it is dropped and begins anew without end, and nobody says why.
#[test]
fn endless_full_syncs_name_the_limit_and_end_once_it_is_raised() {
    const REASON: &str = "overran client-output-buffer-limit: raise it";
    for kind in [Kind::Redis, Kind::Banyan] {
        let (primary, slow) = limited("1mb");
        let mut client = primary.client();
        write_big(&mut client, 60, 100_000);
        slow.limit(Way::ToClient, 4_000_000);
        let replica = start(kind, 3, &[]);
        let mut follower = follow(&replica, slow.port);
        wait_until("it to be dropped twice", || {
            write_big(&mut client, 2, 100_000);
            primary.log().matches(REASON).count() >= 2
        });
        let raise = [
            "CONFIG",
            "SET",
            "client-output-buffer-limit",
            "replica 512mb 0 0",
        ];
        assert_eq!(client.run(&raise), Value::ok());
        wait_until("it to synchronise while clients write", || {
            client.must("SET going on");
            linked(&mut follower)
        });
        assert_all_same(&[&primary, &replica]);
        let full = syncs(&mut client).full;
        let dropped = primary.log().matches(REASON).count() as u64;
        assert_eq!(
            full,
            dropped + 1,
            "one for each time that the log names the reason"
        );
    }
}

/// redis#11667: one value larger than the limit dropped the replica, whose partial resync met
/// the same value again.
#[test]
fn one_value_larger_than_the_output_limit_loops_nobody() {
    for kind in [Kind::Redis, Kind::Banyan] {
        let (primary, slow) = limited("1mb");
        let replica = start(kind, 3, &[]);
        attach(&replica, slow.port);
        slow.limit(Way::ToClient, 8_000_000);
        write_big(&mut primary.client(), 2, 8_000_000);
        primary.client().must("SET after them");
        let mut client = replica.client();
        wait_until("the replica to catch up", || {
            client.call("GET after") == Value::bulk("them")
        });
        assert_all_same(&[&primary, &replica]);
        let answered = syncs(&mut primary.client());
        assert!(
            answered.full <= 2,
            "it began anew again and again: {answered:?}"
        );
        assert!(
            answered.partial <= 2,
            "it went on again and again: {answered:?}"
        );
    }
}
