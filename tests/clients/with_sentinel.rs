//! Clients that ask Sentinel who the primary is.

use crate::support::resp::Value;
use crate::support::sentinel::{FIRST, Group, Plan, Sentinel};
use crate::support::wait_until;
use crate::writer::{LIBRARIES, Library, Writer};

fn ports(group: &Group) -> String {
    let ports = group
        .sentinels
        .iter()
        .map(|s: &Sentinel| s.port.to_string());
    ports.collect::<Vec<String>>().join(",")
}

/// Loses the primary under a writer of each library. What was confirmed must be there, unless
/// the old primary went on writing beside the new one; so must be what was written since.
fn keeps_writing(lose: impl Fn(&mut Group), both_write: bool) {
    let mut group = Group::start(&Plan::usual());
    let ports = ports(&group);
    let start = |library: Library| Writer::start(library, &["--sentinels", &ports]);
    let mut writers = LIBRARIES.map(start);
    for writer in &mut writers {
        writer.await_more(50);
    }
    lose(&mut group);
    let promoted = group.await_failover(FIRST);
    let mut client = group.client(promoted);
    for (mut writer, library) in writers.into_iter().zip(LIBRARIES) {
        wait_until("a write to arrive at the new primary", || {
            client
                .call(&format!("EXISTS {}", library.key(writer.written())))
                .int()
                == 1
        });
        let since = writer.written();
        writer.await_more(50);
        let summary = writer.finish();
        assert!(summary.read > 0, "{library:?} has read from no replica");
        assert!(summary.confirmed.len() > 50, "{library:?} confirmed little");
        let from = if both_write { since } else { 0 };
        let expected = summary
            .confirmed
            .iter()
            .copied()
            .chain(since..=summary.written);
        for number in expected.filter(|number| *number >= from) {
            let found = client.call(&format!("GET {}", library.key(number)));
            assert_eq!(found, Value::bulk(number.to_string()), "{library:?}");
        }
    }
}

#[test]
fn clients_keep_writing_when_the_primary_is_killed() {
    keeps_writing(|group| group.servers[FIRST].kill(), false);
}

#[test]
fn clients_keep_writing_when_the_primary_freezes() {
    keeps_writing(|group| group.servers[FIRST].freeze(), false);
}

#[test]
fn clients_keep_writing_when_the_primary_is_moved_by_order() {
    // Until its replicas are told, the old primary still takes writes, and they acknowledge them.
    keeps_writing(
        |group| {
            let mut sentinel = group.sentinels[0].client();
            sentinel.must("SENTINEL FAILOVER banyan");
        },
        true,
    );
}
