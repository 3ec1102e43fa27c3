//! What was let in and runs only after a change of role.

use std::sync::atomic::Ordering;

use super::testing::{World, request};

/// What `command` gets alone, in EXEC, and twice in a pipeline, let in on a primary and run on a
/// replica, which may be loading.
fn run_late(loading: bool, command: &str) -> [String; 3] {
    let mut world = World::new(3);
    let [late, exec, piped, third] = [0, 0, 0, 2].map(|shard| world.connect(shard));
    let (a, b) = (world.key(1, 0), world.key(0, 0));
    world.text(third, &format!("MSET {a} 1 {b} 1"));
    world.text(exec, "MULTI");
    world.text(exec, &command.replace("KEY", &a));
    // A transaction holds the key's lock, so what comes then is parked at its owner. It comes late
    // itself, and writes nothing.
    world.send(third, &request(&format!("MSET {a} 2 {b} 2")));
    world.tick(2);
    world.tick(1);
    world.send(late, &request(&command.replace("KEY", &a)));
    world.send(piped, &request(&command.replace("KEY", &a)).repeat(2));
    world.tick(0);
    world.tick(1);
    assert!(world.take(late).is_empty() && world.take(piped).is_empty());
    world.shared.is_replica.store(true, Ordering::Relaxed);
    world.shared.loading.store(loading, Ordering::Relaxed);
    world.send(exec, &request("EXEC"));
    world.run();
    [late, exec, piped].map(|conn| String::from_utf8(world.take(conn)).expect("text"))
}

fn assert_refused([late, exec, piped]: [String; 3], text: &str) {
    assert_eq!(late, format!("-{text}"));
    assert_eq!(
        exec,
        format!("-EXECABORT Transaction discarded because of: {text}")
    );
    assert_eq!(piped, format!("-{text}").repeat(2));
}

#[test]
fn a_read_that_comes_late_to_a_dataset_that_is_replaced_is_told_so() {
    let loading = "LOADING Redis is loading the dataset in memory\r\n";
    let [late, exec, piped] = run_late(true, "GET KEY");
    assert_refused([late, exec, piped], loading);
    // On a replica that does not load it is answered.
    let [late, exec, piped] = run_late(false, "GET KEY");
    assert_eq!(
        (late.as_str(), exec.as_str()),
        ("$1\r\n1\r\n", "*1\r\n$1\r\n1\r\n")
    );
    assert_eq!(piped, "$1\r\n1\r\n".repeat(2));
}

#[test]
fn a_write_that_comes_late_to_a_replica_changes_nothing() {
    let readonly = "READONLY You can't write against a read only replica.\r\n";
    for loading in [false, true] {
        assert_refused(run_late(loading, "INCR KEY"), readonly);
    }
}
