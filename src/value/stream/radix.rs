//! How many nodes Redis's radix tree (its `rax`) has for given keys: XINFO STREAM reports it.

use super::StreamId;

const KEY_LEN: usize = 16;

/// Number of nodes of the tree of these keys, which ascend strictly.
///
/// Chains of nodes with one child are one compressed node. So there is a leaf per key; a node where
/// keys part; and a compressed node on every edge between those that is longer than the byte by
/// which the upper one tells its children apart.
pub(super) fn node_count(mut keys: impl Iterator<Item = StreamId>) -> usize {
    let Some(first) = keys.next() else {
        // The root.
        return 1;
    };
    let mut before = first.to_bytes();
    // Depths at which the path to the last key parts from others, ascending.
    let mut branches: Vec<usize> = Vec::with_capacity(KEY_LEN);
    let mut nodes = 0;
    for key in keys {
        let key = key.to_bytes();
        let shared = before.iter().zip(&key).take_while(|(a, b)| a == b).count();
        close(&mut branches, shared, KEY_LEN, &mut nodes);
        if branches.last() != Some(&shared) {
            branches.push(shared);
        }
        before = key;
    }
    // All that is open ends; the edge into the root is the only one without a branching byte.
    let mut below = KEY_LEN;
    nodes += 1;
    while let Some(depth) = branches.pop() {
        nodes += usize::from(below > depth + 1) + 1;
        below = depth;
    }
    nodes + usize::from(below > 0)
}

/// Counts the leaf at `below`, and the branches deeper than `shared`, with the edges that lead to
/// them.
fn close(branches: &mut Vec<usize>, shared: usize, mut below: usize, nodes: &mut usize) {
    *nodes += 1;
    while let Some(&depth) = branches.last() {
        if depth < shared {
            break;
        }
        *nodes += usize::from(below > depth + 1);
        if depth == shared {
            return;
        }
        *nodes += 1;
        branches.pop();
        below = depth;
    }
    // The edge from the new branch.
    *nodes += usize::from(below > shared + 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(keys: &[(u64, u64)]) -> usize {
        node_count(keys.iter().map(|(ms, seq)| StreamId::new(*ms, *seq)))
    }

    #[test]
    fn nodes_are_those_of_a_compressed_tree() {
        assert_eq!(count(&[]), 1);
        // Root with the whole key, leaf.
        assert_eq!(count(&[(1, 1)]), 2);
        // Root with seven bytes, a branch, two rests, two leaves.
        assert_eq!(count(&[(1, 0), (2, 0)]), 6);
        // Root with fifteen bytes, a branch, leaves.
        assert_eq!(count(&[(1, 0), (1, 1)]), 4);
        assert_eq!(count(&[(1, 0), (1, 1), (1, 2)]), 5);
        // Root, branch, rest and leaf; rest, branch, leaves.
        assert_eq!(count(&[(1, 0), (2, 0), (2, 1)]), 8);
        assert_eq!(count(&[(1, 0), (1, 1), (2, 0)]), 8);
        // Parted at the first byte: no compressed root.
        assert_eq!(count(&[(1, 0), (1 << 63, 0)]), 5);
    }
}
