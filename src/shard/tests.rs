//! Behaviour of shards as their clients see it, with one shard and with several.

use super::testing::World;

#[test]
fn a_value_is_found_from_every_shard() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns: Vec<_> = (0..shards).map(|shard| world.connect(shard)).collect();
        for owner in 0..shards {
            let key = world.key(owner, 0);
            assert_eq!(world.text(conns[0], &format!("SET {key} v{owner}")), "+OK");
            for conn in &conns {
                let want = format!("$2 v{owner}");
                assert_eq!(world.text(*conn, &format!("GET {key}")), want);
            }
        }
    }
}
