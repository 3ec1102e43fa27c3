//! Whether two replies mean the same.

use super::generate::Check;
use crate::support::resp::Value;

/// Says what differs, or nothing. `before` is the reference's reply to the previous command.
pub fn differ(check: &Check, before: Option<&Value>, a: &Value, b: &Value) -> Option<String> {
    if a == b {
        return None;
    }
    let same = match check {
        Check::Exact | Check::Silent => false,
        Check::Unordered => a_sorted(a) == a_sorted(b) && kind(a) == kind(b),
        Check::UnorderedPairs => kind(a) == kind(b) && pairs(a).is_some() && pairs(a) == pairs(b),
        Check::Ordered(loose) => {
            let listpack = before.is_some_and(|v| matches!(v, Value::Bulk(e) if e == b"listpack"));
            return if listpack {
                unlike(a, b)
            } else {
                differ(loose, None, a, b)
            };
        }
        Check::Near(most) => match (a, b) {
            (Value::Int(x), Value::Int(y)) => *x >= 0 && *y >= 0 && x.abs_diff(*y) <= *most as u64,
            _ => false,
        },
        Check::Shape => same_shape(a, b),
        Check::Dump => same_dump(a, b),
        Check::Cursor => kind(a) == kind(b) && !a.is_error() && !a.is_null(),
        Check::Hello => same_hello(a, b),
        Check::Times => same_but_for_times(a, b),
        Check::Exec(checks) => return differ_exec(checks, a, b),
    };
    if same { None } else { unlike(a, b) }
}

fn unlike(a: &Value, b: &Value) -> Option<String> {
    (a != b).then(|| format!("reference {a:?}\n   banyan {b:?}"))
}

fn differ_exec(checks: &[Check], a: &Value, b: &Value) -> Option<String> {
    match (a, b) {
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() && x.len() == checks.len() => x
            .iter()
            .zip(y)
            .zip(checks)
            .enumerate()
            .find_map(|(i, ((x, y), check))| {
                differ(check, None, x, y).map(|text| format!("result {i} of EXEC: {text}"))
            }),
        _ => unlike(a, b),
    }
}

fn kind(value: &Value) -> std::mem::Discriminant<Value> {
    std::mem::discriminant(value)
}

fn a_sorted(value: &Value) -> Option<Vec<&Value>> {
    match value {
        Value::Array(items) | Value::Set(items) => {
            let mut sorted: Vec<&Value> = items.iter().collect();
            sorted.sort();
            Some(sorted)
        }
        _ => None,
    }
}

fn pairs(value: &Value) -> Option<Vec<(&Value, &Value)>> {
    let mut pairs: Vec<(&Value, &Value)> = match value {
        Value::Array(items) if items.len() % 2 == 0 => {
            items.chunks(2).map(|pair| (&pair[0], &pair[1])).collect()
        }
        Value::Map(pairs) => pairs.iter().map(|(k, v)| (k, v)).collect(),
        _ => return None,
    };
    pairs.sort();
    Some(pairs)
}

fn same_shape(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Error(_), _) | (_, Value::Error(_)) => a == b,
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same_shape(x, y))
        }
        _ => kind(a) == kind(b),
    }
}

/// Whether two payloads of DUMP hold the same. A value whose encoding knows no order of its own is
/// not looked into; digests compare those.
fn same_dump(a: &Value, b: &Value) -> bool {
    // A string, an intset, and listpacks: a hash's, a sorted set's, a list's.
    const ONE_FORM: &[u8] = &[0, 11, 16, 17, 18];
    const FOOTER_LEN: usize = 10;
    let (Value::Bulk(a), Value::Bulk(b)) = (a, b) else {
        return false;
    };
    let bodies = |dump: &Vec<u8>| Some((*dump.first()?, dump.len().checked_sub(FOOTER_LEN)?));
    match (bodies(a), bodies(b)) {
        (Some((kind, len)), Some((other, _))) if kind == other && ONE_FORM.contains(&kind) => {
            a.get(..len) == b.get(..b.len() - FOOTER_LEN)
        }
        (a, b) => a.is_some() && b.is_some(),
    }
}

/// Equal, but for what the servers' clocks said: the third of a pending entry's four parts, the
/// second of its three where the consumer is known, and what is named so.
fn same_but_for_times(a: &Value, b: &Value) -> bool {
    const NAMED: [&[u8]; 4] = [b"idle", b"inactive", b"seen-time", b"active-time"];
    const DRIFT_MS: u64 = 60_000;
    let near = |a: &Value, b: &Value| match (a, b) {
        (Value::Int(a), Value::Int(b)) => {
            a == b || (*a >= 0 && *b >= 0 && a.abs_diff(*b) <= DRIFT_MS)
        }
        _ => false,
    };
    let is_time = |items: &[Value], at: usize| match items {
        [Value::Bulk(_), Value::Bulk(_), Value::Int(_), Value::Int(_)] => at == 2,
        [Value::Bulk(_), Value::Int(_), Value::Int(_)] => at == 1,
        _ => matches!(at.checked_sub(1).and_then(|before| items.get(before)),
            Some(Value::Bulk(name)) if NAMED.contains(&name.as_slice())),
    };
    match (a, b) {
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len()
                && (0..x.len()).all(|at| match is_time(x, at) {
                    true => near(&x[at], &y[at]),
                    false => same_but_for_times(&x[at], &y[at]),
                })
        }
        (Value::Map(x), Value::Map(y)) => {
            x.len() == y.len()
                && x.iter().zip(y).all(|((name, x), (other, y))| {
                    let timed = matches!(name, Value::Bulk(n) if NAMED.contains(&n.as_slice()));
                    name == other
                        && if timed {
                            near(x, y)
                        } else {
                            same_but_for_times(x, y)
                        }
                })
        }
        _ => a == b,
    }
}

/// The greeting as pairs, less what is each server's own.
fn same_hello(a: &Value, b: &Value) -> bool {
    fn greeting(value: &Value) -> Option<Vec<(&Value, &Value)>> {
        let pairs = match value {
            Value::Array(items) if items.len() % 2 == 0 => {
                items.chunks(2).map(|pair| (&pair[0], &pair[1])).collect()
            }
            Value::Map(pairs) => pairs.iter().map(|(k, v)| (k, v)).collect::<Vec<_>>(),
            _ => return None,
        };
        let own = ["server", "version", "id"];
        Some(
            pairs
                .into_iter()
                .filter(|(k, _)| !own.contains(&k.text().as_str()))
                .collect(),
        )
    }
    kind(a) == kind(b) && greeting(a).is_some() && greeting(a) == greeting(b)
}
