//! A deterministic simulation of whole trees of processes: the production core, unchanged, on a
//! simulated network, clock and scheduler, in one thread, from one seed.
//!
//! `BANYAN_SEED=<seed> cargo test --test simulation one_seed -- --nocapture` replays a seed with
//! everything that happens; `BANYAN_SEEDS=<first>-<last> cargo test --test simulation many_seeds`
//! runs others; `BANYAN_TRACES` is how many seeds are run twice to compare their traces.

mod linear;
mod model;
mod network;
mod process;
mod random;
mod scenario;
mod stage;
mod told;
mod workload;
mod world;

use scenario::{Plan, Report, run};

/// The number that a variable of the environment holds.
fn number(name: &str, default: usize) -> usize {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("it is a number"))
}

/// What every seed does at least; `BANYAN_COMMANDS` and `BANYAN_FAULTS` change it.
fn plan() -> Plan {
    Plan {
        commands: number("BANYAN_COMMANDS", 2_000),
        faults: number("BANYAN_FAULTS", 10),
        orderly: true,
    }
}

fn run_all(seeds: impl Iterator<Item = u64>) {
    let started = std::time::Instant::now();
    let (mut count, mut checks, mut full, mut partial) = (0, 0, 0, 0);
    let (mut failovers, mut handed_over, mut loads) = (0, 0, 0);
    for seed in seeds {
        println!("seed {seed}");
        let report = run(seed, plan(), false);
        assert!(report.commands >= plan().commands && report.faults >= plan().faults);
        count += 1;
        checks += report.checks;
        full += report.full_syncs;
        partial += report.partial_syncs;
        failovers += report.failovers;
        handed_over += report.handed_over;
        loads += report.loads;
    }
    println!(
        "{count} seeds in {:?}: {checks} datasets compared, {full} full and {partial} partial \
         syncs, {failovers} failovers, {handed_over} by FAILOVER, {loads} starts from a file",
        started.elapsed()
    );
    let enough = handed_over > 0 && loads > 0;
    assert!(
        count < 50 || enough,
        "nobody handed over or came back from a file"
    );
}

#[test]
fn a_tree_under_faults_stays_a_prefix_of_its_primary_1_to_75() {
    run_all(1..=75);
}

#[test]
fn a_tree_under_faults_stays_a_prefix_of_its_primary_76_to_150() {
    run_all(76..=150);
}

#[test]
fn a_tree_under_faults_stays_a_prefix_of_its_primary_151_to_225() {
    run_all(151..=225);
}

#[test]
fn a_tree_under_faults_stays_a_prefix_of_its_primary_226_to_300() {
    run_all(226..=300);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 1001..1001 + number("BANYAN_TRACES", 3) as u64 {
        let reports: [Report; 2] = std::array::from_fn(|_| run(seed, plan(), false));
        assert_eq!(reports[0], reports[1], "seed {seed} is not reproducible");
    }
}

/// The seed of `BANYAN_SEED`, with everything that happens.
#[test]
fn one_seed() {
    let seed = std::env::var("BANYAN_SEED").ok();
    let chosen = seed
        .as_ref()
        .map(|seed| seed.parse().expect("BANYAN_SEED is a number"));
    let report = run(chosen.unwrap_or(1), plan(), seed.is_some());
    println!("{report:?}");
}

/// The seeds of `BANYAN_SEEDS`, as `first-last`.
#[test]
fn many_seeds() {
    let Ok(range) = std::env::var("BANYAN_SEEDS") else {
        return;
    };
    let (first, last) = range.split_once('-').expect("BANYAN_SEEDS is first-last");
    let number = |text: &str| text.parse::<u64>().expect("BANYAN_SEEDS has numbers");
    run_all(number(first)..=number(last));
}

#[test]
fn every_change_of_a_key_is_told_of_once_and_in_order() {
    (1..=60).for_each(told::events);
}

#[test]
fn who_waits_first_for_a_key_is_served_first() {
    (1..=100).for_each(told::waiters);
}

/// Bugs that a seed has found; each failed before its fix.
mod found {
    use super::*;

    const PLAN: Plan = Plan {
        commands: 2_000,
        faults: 10,
        // They came later than these seeds.
        orderly: false,
    };

    fn seed(seed: u64) {
        run(seed, PLAN, false);
    }

    #[test]
    fn a_write_that_waited_for_the_barrier_of_replicaof_is_refused() {
        [16, 44, 225].into_iter().for_each(seed);
    }

    #[test]
    fn a_large_value_is_saved_while_the_shutdown_holds_its_barrier() {
        let orderly = true;
        run(67, Plan { orderly, ..PLAN }, false);
    }

    #[test]
    fn an_heir_whose_answer_was_lost_gives_it_again() {
        let orderly = true;
        run(318, Plan { orderly, ..PLAN }, false);
    }

    #[test]
    fn a_small_output_limit_does_not_drop_a_replica_that_the_backlog_serves() {
        seed(238);
    }
}
