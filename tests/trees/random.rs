//! Random changes to random trees under three writers. A model knows which of them cost a full
//! synchronisation, and at which node; after every change the counts and the data are compared.
//!
//! What makes the count certain: a backlog that outlasts a change; no PING in the stream; a new
//! parent has what its new child has before the child is told; where histories fork, both sides
//! have written before they meet.

use super::tree::Tree;
use crate::support::client::local;
use crate::support::proxy::{Proxy, Way};
use crate::support::server::Kind;
use crate::support::wait_until;

/// A change; says what it did.
type Change = fn(&mut Tree) -> String;

/// The changes, and how often each is chosen.
const CHANGES: [(Change, usize); 8] = [
    (cut, 5),
    (new_parent, 6),
    (killed, 2),
    (saved_and_restarted, 2),
    (frozen, 1),
    (top_lost, 2),
    (top_handed_over, 2),
    (histories_forked, 1),
];

/// Runs `cycles` changes on trees that are made anew every so often.
pub fn run(real: Kind, cycles: usize, seed: u64) {
    /// Changes to one tree.
    const CYCLES_PER_TREE: usize = 25;
    let (mut done, mut full) = (0, 0);
    while done < cycles {
        let tree_seed = seed.wrapping_add(done as u64);
        let mut tree = Tree::grow(real, tree_seed);
        println!("seed {tree_seed}: {}", tree.show());
        for _ in 0..CYCLES_PER_TREE.min(cycles - done) {
            let what = change(&mut tree);
            println!("cycle {done}: {what}: {}", tree.show());
            tree.settle();
            done += 1;
        }
        full += tree.full_total;
    }
    println!("{done} cycles, {full} full syncs, each foreseen");
}

fn change(tree: &mut Tree) -> String {
    let sum: usize = CHANGES.iter().map(|change| change.1).sum();
    let mut at = tree.random.below(sum);
    for (change, weight) in CHANGES {
        if at < weight {
            return change(tree);
        }
        at -= weight;
    }
    unreachable!("the weights sum up")
}

fn any(tree: &mut Tree, of: &[usize]) -> usize {
    of[tree.random.below(of.len())]
}

/// A link breaks at any byte, perhaps for some time.
fn cut(tree: &mut Tree) -> String {
    let others = tree.others();
    let node = any(tree, &others);
    let longer = tree.random.one_in(2);
    tree.uplink(node).refuse(longer);
    break_at_random(tree, node);
    if longer {
        tree.write_on(500);
        tree.uplink(node).refuse(false);
    }
    tree.await_link(node);
    format!("link of {node} cut, {longer}")
}

/// Breaks a link at a random byte and waits until the replica knows.
fn break_at_random(tree: &mut Tree, node: usize) {
    let at = tree.random.between(1, 20_000) as u64;
    let uplink = tree.uplink(node);
    uplink.cut_after(Way::ToClient, at);
    tree.wait_writing("the cut", || uplink.was_cut(Way::ToClient));
}

/// Another parent, anywhere but below itself.
fn new_parent(tree: &mut Tree) -> String {
    let others = tree.others();
    let node = any(tree, &others);
    let below = tree.below(node);
    let parent = tree.nodes[node].parent;
    let fits = |n: &usize| *n != node && Some(*n) != parent && !below.contains(n);
    let fitting: Vec<usize> = (0..tree.nodes.len()).filter(fits).collect();
    if fitting.is_empty() {
        return cut(tree);
    }
    let target = any(tree, &fitting);
    let ancestor = tree.below(target).contains(&node);
    if ancestor && tree.random.one_in(2) {
        // Whoever is above has whatever the node has.
        tree.write_on(300);
    } else {
        tree.uplink(node).refuse(true);
        break_at_random(tree, node);
        tree.await_loss(node);
        let offset = tree.offset(node);
        tree.wait_writing("the new parent to have what its child has", || {
            tree.offset(target) >= offset
        });
    }
    tree.follow(node, target);
    tree.await_link(node);
    format!("{node} moved below {target}")
}

/// SIGKILL under load; it comes back empty, and the stream has gone on: whatever is below it
/// has to begin anew, each node once.
fn killed(tree: &mut Tree) -> String {
    let others = tree.others();
    let node = any(tree, &others);
    let parent = tree.nodes[node].parent.expect("it is not the top");
    tree.write_on(300);
    tree.nodes[node].server.kill();
    let children = tree.children(node);
    for child in &children {
        tree.await_loss(*child);
    }
    let most = children.iter().map(|child| tree.offset(*child)).max();
    tree.wait_writing("the stream to go on", || {
        tree.offset(parent) > most.unwrap_or(0)
    });
    let port = tree.uplink(node).port;
    tree.nodes[node].server.restart_following(local(port));
    tree.nodes[node].full = 0;
    tree.expect_full(parent);
    for lost in tree.below(node) {
        let parent = tree.nodes[lost].parent.expect("it is below another one");
        tree.expect_full(parent);
    }
    tree.await_link(node);
    format!("{node} killed")
}

/// A node ends in peace and goes on from its own snapshot; those below it, from where they were.
fn saved_and_restarted(tree: &mut Tree) -> String {
    let others = tree.others();
    let node = any(tree, &others);
    tree.write_on(300);
    let port = tree.uplink(node).port;
    let server = &mut tree.nodes[node].server;
    server.follow_at_start(local(port));
    server.shutdown_save();
    tree.write_on(300);
    tree.nodes[node].server.restart();
    tree.nodes[node].full = 0;
    tree.await_link(node);
    for child in tree.children(node) {
        tree.await_link(child);
    }
    format!("{node} saved and restarted")
}

/// SIGSTOP, for less than any timeout.
fn frozen(tree: &mut Tree) -> String {
    let others = tree.others();
    let node = any(tree, &others);
    tree.nodes[node].server.freeze();
    tree.write_on(500);
    tree.nodes[node].server.thaw();
    format!("{node} frozen")
}

/// SIGKILL of the top under load. Of its children the one that has most is promoted, the others
/// follow it, and the old top comes back, empty, anywhere.
fn top_lost(tree: &mut Tree) -> String {
    let old = tree.top;
    tree.write_on(300);
    tree.writers.resume();
    tree.writers.await_written(100);
    tree.nodes[old].server.kill();
    let children = tree.children(old);
    for child in &children {
        wait_until("a child to notice", || !tree.is_linked(*child));
    }
    // Those further down have what is above them.
    for node in tree.others() {
        let parent = tree.nodes[node].parent.expect("it is not the top");
        if parent != old {
            wait_until("what was sent to arrive", || {
                tree.is_linked(node) && tree.offset(node) == tree.offset(parent)
            });
        }
    }
    tree.writers.pause();
    let heir = children.iter().copied().max_by_key(|n| tree.offset(*n));
    let heir = heir.expect("the top has a child");
    tree.promote(heir);
    tree.writers.point_at(local(tree.port(heir)));
    for child in children.into_iter().filter(|child| *child != heir) {
        tree.follow(child, heir);
    }
    let rest: Vec<usize> = (0..tree.nodes.len()).filter(|n| *n != old).collect();
    for node in rest.iter().filter(|n| **n != heir) {
        tree.await_link(*node);
    }
    let parent = any(tree, &rest);
    come_back(tree, old, parent);
    format!("top {old} lost, {heir} promoted")
}

/// A former top comes back with nothing.
fn come_back(tree: &mut Tree, node: usize, parent: usize) {
    let uplink = Proxy::to(tree.port(parent));
    tree.nodes[node]
        .server
        .restart_following(local(uplink.port));
    tree.nodes[node].uplink = Some(uplink);
    tree.nodes[node].parent = Some(parent);
    tree.nodes[node].full = 0;
    tree.expect_full(parent);
    tree.await_link(node);
}

/// A quiet top gives its place to any node, and with all that hangs on it follows that one.
fn top_handed_over(tree: &mut Tree) -> String {
    let old = tree.top;
    let others = tree.others();
    let heir = any(tree, &others);
    tree.write_on(300);
    tree.writers.pause();
    let mut client = tree.nodes[old].server.client();
    // Not even the deletion of an expired key may come between.
    client.must("CLIENT PAUSE 60000 WRITE");
    tree.settle();
    tree.promote(heir);
    tree.writers.point_at(local(tree.port(heir)));
    tree.write_on(300);
    tree.follow(old, heir);
    tree.await_link(old);
    client.must("CLIENT UNPAUSE");
    format!("{old} handed over to {heir}")
}

/// A node is promoted while the top still writes: of the two histories one is dropped, and
/// whoever followed it begins anew.
fn histories_forked(tree: &mut Tree) -> String {
    let old = tree.top;
    let others = tree.others();
    let heir = any(tree, &others);
    tree.write_on(300);
    tree.promote(heir);
    let mut client = tree.nodes[heir].server.client();
    let fork = client.replication("second_repl_offset");
    let fork: u64 = fork.parse().expect("an offset");
    let kept = tree.below(heir);
    let mut dropped = tree.below(old);
    dropped.retain(|n| *n != heir && !kept.contains(n));
    for node in dropped.iter().chain([&old]) {
        tree.wait_writing("the old history to go on", || tree.offset(*node) > fork);
    }
    tree.writers.pause();
    tree.writers.point_at(local(tree.port(heir)));
    tree.write_on(100);
    tree.follow(old, heir);
    tree.expect_full(heir);
    for node in dropped {
        let parent = tree.nodes[node].parent.expect("it is below the old top");
        tree.expect_full(parent);
    }
    tree.await_link(old);
    format!("{heir} promoted beside {old}, which then followed it")
}

mod suite {
    use super::*;
    use crate::support::seed;

    /// Changes to the trees of one kind: half of `BANYAN_CYCLES`, or of 10.
    fn cycles() -> usize {
        let asked = std::env::var("BANYAN_CYCLES").ok();
        let all = asked.map_or(10, |text| {
            text.parse::<usize>().expect("BANYAN_CYCLES is a number")
        });
        all.div_ceil(2)
    }

    #[test]
    fn trees_of_banyan_and_redis_cost_the_full_syncs_that_are_foreseen() {
        run(Kind::Redis, cycles(), seed());
    }

    #[test]
    fn trees_of_banyan_and_valkey_cost_the_full_syncs_that_are_foreseen() {
        run(Kind::Valkey, cycles(), seed());
    }
}
