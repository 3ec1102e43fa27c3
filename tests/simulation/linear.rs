//! Whether what clients saw of one key is linearizable: Wing and Gong's search with the memory of
//! Lowe ("Testing for linearizability", 2017). Linearizability is local, so keys are judged one by
//! one.

use std::collections::HashSet;

/// The end of an operation whose reply never came: it may have run at any time, or never.
pub const NEVER: u64 = u64::MAX;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Write(Option<i64>),
    Read(Option<i64>),
    /// GETSET: the new value and, if the reply came, the old.
    Swap(i64, Option<i64>),
    /// INCRBY: the delta and, if the reply came, the sum.
    Add(i64, Option<i64>),
}

/// One operation of a client on one key.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    pub call: u64,
    pub end: u64,
    pub kind: Kind,
    /// An operation that the same client sent before, in the same pipeline, on this key.
    pub after: Option<usize>,
}

impl Op {
    fn apply(&self, value: Option<i64>) -> Result<Option<i64>, ()> {
        let known = self.end != NEVER;
        match self.kind {
            Kind::Write(new) => Ok(new),
            Kind::Read(seen) if !known || seen == value => Ok(value),
            Kind::Read(_) => Err(()),
            Kind::Swap(new, old) if !known || old == value => Ok(Some(new)),
            Kind::Swap(..) => Err(()),
            Kind::Add(delta, sum) => {
                let new = Some(value.unwrap_or(0) + delta);
                if !known || sum == new {
                    Ok(new)
                } else {
                    Err(())
                }
            }
        }
    }
}

/// Whether some order of the operations explains them all. `ops` are ordered by `call`.
pub fn is_linearizable(ops: &[Op], first: Option<i64>) -> bool {
    let mut seen = HashSet::new();
    let words = ops.len().div_ceil(64);
    let mut stack = vec![(vec![0u64; words], first)];
    let has = |bits: &[u64], at: usize| bits[at / 64] >> (at % 64) & 1 == 1;
    while let Some((done, value)) = stack.pop() {
        let open = |at: &usize| !has(&done, *at);
        let due = (0..ops.len()).filter(open).map(|at| ops[at].end).min();
        let Some(due) = due.filter(|due| *due != NEVER) else {
            return true;
        };
        // The operation that ends first is tried first: it is pushed last.
        let mut next: Vec<usize> = (0..ops.len())
            .take_while(|at| ops[*at].call <= due)
            .filter(open)
            .filter(|at| ops[*at].after.is_none_or(|before| has(&done, before)))
            .collect();
        next.sort_by_key(|at| std::cmp::Reverse(ops[*at].end));
        for at in next {
            if let Ok(value) = ops[at].apply(value) {
                let mut done = done.clone();
                done[at / 64] |= 1 << (at % 64);
                if seen.insert((done.clone(), value)) {
                    stack.push((done, value));
                }
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(call: u64, end: u64, kind: Kind) -> Op {
        Op {
            call,
            end,
            kind,
            after: None,
        }
    }

    #[test]
    fn a_stale_read_is_found_and_a_concurrent_one_is_not() {
        let write = op(1, 2, Kind::Write(Some(7)));
        let stale = op(3, 4, Kind::Read(None));
        assert!(!is_linearizable(&[write, stale], None));
        let concurrent = op(2, 4, Kind::Read(None));
        assert!(is_linearizable(&[write, concurrent], None));
    }

    #[test]
    fn a_write_without_a_reply_may_have_run_or_not_but_not_both() {
        let write = op(1, NEVER, Kind::Write(Some(7)));
        let new = op(3, 4, Kind::Read(Some(7)));
        let old = op(5, 6, Kind::Read(None));
        assert!(is_linearizable(&[write, new], None));
        assert!(is_linearizable(&[write, old], None));
        assert!(!is_linearizable(&[write, new, old], None));
    }

    #[test]
    fn the_order_of_a_pipeline_binds() {
        let first = op(1, 9, Kind::Add(1, Some(2)));
        let second = Op {
            after: Some(0),
            ..op(2, 9, Kind::Add(1, Some(1)))
        };
        assert!(!is_linearizable(&[first, second], None));
    }
}
