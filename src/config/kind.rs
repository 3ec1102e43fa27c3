//! What a directive's value may be, how it is parsed, and how CONFIG GET and a configuration file
//! show it.

use std::borrow::Cow;

use super::value::{OUTPUT_LIMITS_DEFAULT, OutputLimit, OutputLimits, SavePoint, Upstream, Value};
use super::words::quote;

/// Why a value is refused: Redis's text, without a prefix.
pub type Reason = Cow<'static, str>;

/// CPU numbers accepted by `shard-cpus`: what Linux's largest CPU set can hold.
const CPU_MAX: u16 = 8191;
/// Addresses that `bind` accepts, as in Redis.
const BIND_MAX: usize = 16;
const WRONG_ARITY: &str = "wrong number of arguments";
/// The event classes of `notify-keyspace-events` in the order in which Redis prints them.
const EVENT_CLASSES: &str = "g$lshzxetd";

/// The shape of a directive's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    /// A decimal number between both bounds.
    Int(i64, i64),
    /// Bytes between both bounds, with an optional unit: `k`, `kb`, `m`, `mb`, `g`, `gb` (a bare
    /// `k` is 1000).
    Memory(u64, u64),
    /// Bytes, or a percentage up to `100%`, kept as a negative number.
    MemoryOrPercent,
    /// An octal number up to this bound.
    Octal(u32),
    /// One of these names, in any case.
    Choice(&'static [&'static str]),
    /// Several of these names, divided by blanks; the first name means none of them.
    Choices(&'static [&'static str]),
    /// UTF-8 text; an empty text is a value like any other.
    Text,
    /// UTF-8 text; empty means that the directive is not set, and a rewritten file leaves it out.
    OptionalText,
    /// Any bytes; empty means that the directive is not set.
    Secret,
    /// A directory; a rewritten file always names it.
    Directory,
    /// Pairs of seconds and changes, or `""`.
    Save,
    /// Groups of `class hard soft soft-seconds`; classes that are not named keep their limits.
    OutputLimits,
    /// Addresses; `""` is none.
    Addresses,
    /// `host port`, or `no one`.
    Upstream,
    /// Three numbers between -2000 and 2000.
    OomScores,
    /// Percentages between 0 and 100.
    Percentiles,
    /// Event classes of keyspace notifications.
    Events,
    /// A list of CPUs such as `0-3,8`; empty: none chosen.
    Cpus,
}

impl Kind {
    /// Whether a value may be several words.
    pub fn is_multiple(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Choices(_) | Save | OutputLimits | Addresses | Upstream | OomScores | Percentiles
        )
    }

    /// What `--help` calls the value.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Bool => "yes|no",
            Self::Int(..) => "number",
            Self::Memory(..) => "bytes",
            Self::MemoryOrPercent => "bytes|percent",
            Self::Octal(_) => "octal",
            Self::Choice(_) | Self::Choices(_) => "name",
            Self::Text | Self::OptionalText | Self::Secret => "text",
            Self::Directory => "path",
            Self::Save => "seconds changes",
            Self::OutputLimits => "class hard soft seconds",
            Self::Addresses => "address",
            Self::Upstream => "host port",
            Self::OomScores => "score score score",
            Self::Percentiles => "percentile",
            Self::Events => "classes",
            Self::Cpus => "cpus",
        }
    }

    /// Parses a value given as separate words.
    ///
    /// # Errors
    /// Redis's text of what was expected.
    pub fn parse(self, words: &[&[u8]], current: &Value) -> Result<Value, Reason> {
        if self.is_multiple() {
            return self.parse_words(words, current);
        }
        let [word] = words else {
            return Err(WRONG_ARITY.into());
        };
        match self {
            Self::Bool => match () {
                () if word.eq_ignore_ascii_case(b"yes") => Ok(Value::Bool(true)),
                () if word.eq_ignore_ascii_case(b"no") => Ok(Value::Bool(false)),
                () => Err("argument must be 'yes' or 'no'".into()),
            },
            Self::Int(min, max) => {
                let number = integer(word).ok_or("argument couldn't be parsed into an integer")?;
                within(number.into(), min.into(), max.into())
            }
            Self::Memory(min, max) => {
                let bytes = memory(word).ok_or("argument must be a memory value")?;
                within(bytes.into(), min.into(), max.into())
            }
            Self::MemoryOrPercent => memory_or_percent(word),
            Self::Octal(max) => {
                let text = utf8(word)?;
                let number = i64::from_str_radix(&text, 8)
                    .map_err(|_| "argument couldn't be parsed as an octal number")?;
                match u32::try_from(number) {
                    Ok(mode) if mode <= max => Ok(Value::Number(mode.into())),
                    _ => Err(format!("argument must be between 0 and {max:o} inclusive").into()),
                }
            }
            Self::Choice(names) => choice(names, word).map(Value::Choice),
            Self::Secret => Ok(Value::Bytes(word.to_vec())),
            Self::Directory if word.is_empty() => Err("No such file or directory".into()),
            Self::Events => events(word).map(Value::Text),
            Self::Cpus => cpus(word).map(Value::Cpus),
            _ => utf8(word).map(Value::Text),
        }
    }

    fn parse_words(self, words: &[&[u8]], current: &Value) -> Result<Value, Reason> {
        // A single empty word stands for no words at all.
        let listed = if words == [b""] { &[] } else { words };
        match self {
            Self::Choices(names) => choices(names, listed).map(Value::Choices),
            Self::Save => save(listed).map(Value::Save),
            Self::OutputLimits => output_limits(words, current).map(Value::OutputLimits),
            Self::Addresses if words.len() > BIND_MAX => {
                Err("Too many bind addresses specified.".into())
            }
            Self::Addresses => listed
                .iter()
                .map(|word| utf8(word))
                .collect::<Result<_, _>>()
                .map(Value::Words),
            Self::Upstream => upstream(words).map(Value::Upstream),
            Self::OomScores => oom_scores(words).map(Value::Numbers),
            _ => percentiles(listed).map(Value::Percentiles),
        }
    }

    /// The value as CONFIG GET shows it; parsing it gives the value back.
    pub fn format(self, value: &Value) -> Vec<u8> {
        match value {
            Value::Text(classes) if self == Self::Events && classes.contains('A') => {
                classes.replace('n', "").into_bytes()
            }
            Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
            Value::Number(number) => match self {
                Self::Octal(_) => format!("{number:o}").into_bytes(),
                Self::MemoryOrPercent if *number < 0 => format!("{}%", -number).into_bytes(),
                _ => number.to_string().into_bytes(),
            },
            Value::Text(text) => text.clone().into_bytes(),
            Value::Bytes(bytes) => bytes.clone(),
            Value::Choice(name) => (*name).into(),
            Value::Choices(names) => match (names.as_slice(), self) {
                ([], Self::Choices([none, ..])) => (*none).into(),
                _ => names.join(" ").into_bytes(),
            },
            Value::Words(words) => words.join(" ").into_bytes(),
            Value::OutputLimits(limits) => format_limits(limits).into_bytes(),
            Value::Upstream(None) => Vec::new(),
            Value::Upstream(Some(Upstream { host, port })) => format!("{host} {port}").into_bytes(),
            Value::Save(points) => join(points, |point| {
                format!("{} {}", point.seconds, point.changes)
            }),
            Value::Numbers(numbers) => join(numbers, i64::to_string),
            Value::Percentiles(percentiles) => join(percentiles, |p| trimmed(*p)),
            Value::Cpus(cpus) => format_cpus(cpus).into_bytes(),
        }
    }

    /// The lines of a rewritten configuration file, each with whether it must be there even if the
    /// old file has no such line. No lines: the file must not mention the directive.
    pub fn rewrite(self, name: &str, value: &Value, default: &Value) -> Vec<(String, bool)> {
        let changed = value != default;
        let text = self.format(value);
        match (self, value) {
            (Self::OptionalText | Self::Secret | Self::Upstream, _) if text.is_empty() => {
                Vec::new()
            }
            (Self::Addresses, _) if !changed => Vec::new(),
            (Self::Memory(..) | Self::MemoryOrPercent, Value::Number(bytes)) if *bytes >= 0 => {
                vec![(format!("{name} {}", with_unit(*bytes)), changed)]
            }
            (Self::Text | Self::OptionalText | Self::Secret | Self::Events | Self::Cpus, _) => {
                vec![(format!("{name} {}", quote(&text)), changed)]
            }
            (Self::Directory, _) => vec![(format!("{name} {}", quote(&text)), true)],
            // Always written: a later version, or Redis itself, may have another default.
            (Self::Save, Value::Save(points)) if !points.is_empty() => points
                .iter()
                .map(|p| (format!("{name} {} {}", p.seconds, p.changes), true))
                .collect(),
            (Self::OutputLimits, Value::OutputLimits(limits)) => rewrite_limits(name, limits),
            _ => {
                let force = changed || matches!(self, Self::Save | Self::Percentiles);
                let text = if text.is_empty() {
                    "\"\"".into()
                } else {
                    String::from_utf8_lossy(&text)
                };
                vec![(format!("{name} {text}"), force)]
            }
        }
    }
}

fn join<T>(items: &[T], show: impl Fn(&T) -> String) -> Vec<u8> {
    items
        .iter()
        .map(show)
        .collect::<Vec<_>>()
        .join(" ")
        .into_bytes()
}

fn utf8(word: &[u8]) -> Result<String, Reason> {
    String::from_utf8(word.to_vec()).map_err(|_| "argument must be valid UTF-8".into())
}

/// Redis's `string2ll`: an optional minus, no plus, no leading zeros, no blanks.
fn integer(word: &[u8]) -> Option<i64> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let canonical = match digits {
        [b'0'] => digits.len() == word.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Bytes with an optional unit: Redis's `memtoull`, but a number that does not fit is refused,
/// where Redis takes the largest.
pub fn memory(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return Some(0);
    }
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = word.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    std::str::from_utf8(digits)
        .ok()?
        .parse::<u64>()
        .ok()?
        .checked_mul(factor)
}

fn memory_or_percent(word: &[u8]) -> Result<Value, Reason> {
    if let Some(bytes) = memory(word) {
        return within(bytes.into(), 0, i64::MAX.into());
    }
    match word.strip_suffix(b"%").and_then(integer) {
        Some(percent @ 0..=100) => Ok(Value::Number(-i128::from(percent))),
        Some(101..) => Err("percentage argument must be less or equal to 100".into()),
        _ => Err("argument must be a memory or percent value".into()),
    }
}

/// Bytes with the largest unit that divides them.
fn with_unit(bytes: i128) -> String {
    [(30, "gb"), (20, "mb"), (10, "kb")]
        .into_iter()
        .find(|(shift, _)| bytes != 0 && bytes % (1 << shift) == 0)
        .map_or_else(
            || bytes.to_string(),
            |(shift, unit)| format!("{}{unit}", bytes >> shift),
        )
}

fn within(number: i128, min: i128, max: i128) -> Result<Value, Reason> {
    if (min..=max).contains(&number) {
        Ok(Value::Number(number))
    } else {
        Err(format!("argument must be between {min} and {max} inclusive").into())
    }
}

fn choice(names: &'static [&'static str], word: &[u8]) -> Result<&'static str, Reason> {
    let found = names
        .iter()
        .find(|name| name.as_bytes().eq_ignore_ascii_case(word));
    found.copied().ok_or_else(|| {
        format!(
            "argument(s) must be one of the following: {}",
            names.join(", ")
        )
        .into()
    })
}

fn choices(names: &'static [&'static str], words: &[&[u8]]) -> Result<Vec<&'static str>, Reason> {
    if words.is_empty() {
        choice(names, b"")?;
    }
    let mut chosen = words
        .iter()
        .map(|word| choice(names, word))
        .collect::<Result<Vec<_>, _>>()?;
    if chosen.contains(&"save") && chosen.contains(&"nosave") {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    let rank = |name: &str| names.iter().position(|known| *known == name);
    chosen.retain(|name| rank(name) != Some(0));
    chosen.sort_by_key(|name| rank(name));
    chosen.dedup();
    Ok(chosen)
}

fn number_in<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn save(words: &[&[u8]]) -> Result<Vec<SavePoint>, Reason> {
    let (pairs, []) = words.as_chunks::<2>() else {
        return Err("Invalid save parameters".into());
    };
    let points = pairs.iter().map(|[seconds, changes]| {
        let seconds = number_in(seconds).filter(|seconds| *seconds >= 1)?;
        Some(SavePoint {
            seconds,
            changes: number_in(changes)?,
        })
    });
    points
        .collect::<Option<_>>()
        .ok_or_else(|| "Invalid save parameters".into())
}

fn output_limits(words: &[&[u8]], current: &Value) -> Result<OutputLimits, Reason> {
    let mut limits = match current {
        Value::OutputLimits(limits) => *limits,
        _ => OUTPUT_LIMITS_DEFAULT,
    };
    let (groups, []) = words.as_chunks::<4>() else {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    };
    for [class, hard, soft, seconds] in groups {
        let limit = match class.to_ascii_lowercase().as_slice() {
            b"normal" => &mut limits.normal,
            b"slave" | b"replica" => &mut limits.replica,
            b"pubsub" => &mut limits.pubsub,
            _ => {
                return Err("Invalid client class specified in buffer limit configuration.".into());
            }
        };
        let parsed = (memory(hard), memory(soft), number_in::<u32>(seconds));
        let (Some(hard_bytes), Some(soft_bytes), Some(soft_seconds)) = parsed else {
            let text = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
            return Err(text.into());
        };
        *limit = OutputLimit {
            hard_bytes,
            soft_bytes,
            soft_seconds,
        };
    }
    Ok(limits)
}

fn format_limits(limits: &OutputLimits) -> String {
    let classes = [
        ("normal", limits.normal),
        ("slave", limits.replica),
        ("pubsub", limits.pubsub),
    ];
    let texts = classes.map(|(class, limit)| {
        format!(
            "{class} {} {} {}",
            limit.hard_bytes, limit.soft_bytes, limit.soft_seconds
        )
    });
    texts.join(" ")
}

fn rewrite_limits(name: &str, limits: &OutputLimits) -> Vec<(String, bool)> {
    let default = OUTPUT_LIMITS_DEFAULT;
    let classes = [
        ("normal", limits.normal, default.normal),
        ("replica", limits.replica, default.replica),
        ("pubsub", limits.pubsub, default.pubsub),
    ];
    let lines = classes.map(|(class, limit, default)| {
        let hard = with_unit(limit.hard_bytes.into());
        let soft = with_unit(limit.soft_bytes.into());
        (
            format!("{name} {class} {hard} {soft} {}", limit.soft_seconds),
            limit != default,
        )
    });
    lines.into()
}

fn upstream(words: &[&[u8]]) -> Result<Option<Upstream>, Reason> {
    let [host, port] = words else {
        return Err(WRONG_ARITY.into());
    };
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        return Ok(None);
    }
    let port = number_in(port).ok_or("Invalid master port")?;
    Ok(Some(Upstream {
        host: utf8(host)?,
        port,
    }))
}

fn oom_scores(words: &[&[u8]]) -> Result<Vec<i64>, Reason> {
    if words.len() != 3 {
        return Err(WRONG_ARITY.into());
    }
    let scores = words
        .iter()
        .map(|word| number_in(word).filter(|score| (-2000..=2000).contains(score)));
    scores.collect::<Option<_>>().ok_or_else(|| {
        "Invalid oom-score-adj-values, elements must be between -2000 and 2000.".into()
    })
}

fn percentiles(words: &[&[u8]]) -> Result<Vec<f64>, Reason> {
    let mut percentiles = Vec::with_capacity(words.len());
    for word in words {
        let percentile = number_in::<f64>(word).filter(|p| !p.is_nan());
        let percentile =
            percentile.ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&percentile) {
            let text =
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
            return Err(text.into());
        }
        percentiles.push(percentile);
    }
    Ok(percentiles)
}

/// C's `%f` without trailing zeros.
fn trimmed(number: f64) -> String {
    format!("{number:.6}")
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// The classes in Redis's canonical order, with `A` for all of them.
fn events(word: &[u8]) -> Result<String, Reason> {
    let allowed = |byte: &u8| b"Ag$lshzxeKEtmdn".contains(byte);
    if !word.iter().all(allowed) {
        return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into());
    }
    let all = word.contains(&b'A') || EVENT_CLASSES.bytes().all(|class| word.contains(&class));
    let mut text = String::new();
    if all {
        text.push('A');
        // Not shown, as in Redis, but in force.
        text.extend(word.contains(&b'n').then_some('n'));
    } else {
        text.extend(
            EVENT_CLASSES
                .chars()
                .chain(['n'])
                .filter(|class| word.contains(&(*class as u8))),
        );
    }
    text.extend(
        ['K', 'E', 'm']
            .into_iter()
            .filter(|class| word.contains(&(*class as u8))),
    );
    Ok(text)
}

fn cpus(word: &[u8]) -> Result<Vec<u16>, Reason> {
    const EXPECTED: &str = "argument must be a list of CPUs such as 0-3,8";
    let mut cpus = std::collections::BTreeSet::new();
    if word.is_empty() {
        return Ok(Vec::new());
    }
    for part in word.split(|byte| *byte == b',') {
        let text = std::str::from_utf8(part).map_err(|_| EXPECTED)?.trim();
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let bounds = (first.parse::<u16>(), last.parse::<u16>());
        match bounds {
            (Ok(first), Ok(last)) if first <= last && last <= CPU_MAX => cpus.extend(first..=last),
            _ => return Err(EXPECTED.into()),
        }
    }
    Ok(cpus.into_iter().collect())
}

fn format_cpus(cpus: &[u16]) -> String {
    let ranges = cpus.chunk_by(|left, right| left + 1 == *right);
    let texts = ranges.map(|range| match range {
        [first, .., last] => format!("{first}-{last}"),
        one => one.iter().map(u16::to_string).collect(),
    });
    texts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(kind: Kind, text: &str) -> Result<Value, Reason> {
        let words: Vec<&[u8]> = match kind.is_multiple() {
            true => text.as_bytes().split(|byte| *byte == b' ').collect(),
            false => vec![text.as_bytes()],
        };
        kind.parse(&words, &Value::Bool(false))
    }

    fn shown(kind: Kind, text: &str) -> String {
        let value = parsed(kind, text).expect("valid");
        String::from_utf8(kind.format(&value)).expect("utf-8")
    }

    #[test]
    fn values_are_shown_in_redis_canonical_form() {
        // Event classes as redis-server 7.0.15 shows them.
        let events = [
            ("nA", "A"),
            ("mnKEg", "gnKEm"),
            ("tdxe$lshzgKE", "AKE"),
            ("xn", "xn"),
        ];
        for (text, canonical) in events {
            assert_eq!(shown(Kind::Events, text), canonical);
        }
        assert_eq!(
            shown(Kind::Percentiles, "50.5 99.9999999 0 100.0 1e1"),
            "50.5 100 0 100 10"
        );
        assert_eq!(shown(Kind::Memory(0, u64::MAX), "2Gb"), "2147483648");
        assert_eq!(shown(Kind::Memory(0, u64::MAX), "3k"), "3000");
        assert_eq!(shown(Kind::Memory(0, u64::MAX), ""), "0");
        assert_eq!(shown(Kind::Octal(0o777), "0755"), "755");
        assert_eq!(shown(Kind::Cpus, "8, 0-2,1,3"), "0-3,8");
        assert_eq!(
            shown(
                Kind::Choices(&["default", "save", "now"]),
                "now default now"
            ),
            "now"
        );
        assert_eq!(shown(Kind::Save, "3600 1 300 100"), "3600 1 300 100");
    }

    #[test]
    fn save_points_need_pairs_with_a_positive_time() {
        for text in ["1", "0 1", "1 -1", "a 1", "1  1", "1 1 "] {
            assert!(parsed(Kind::Save, text).is_err(), "{text}");
        }
        assert_eq!(parsed(Kind::Save, ""), Ok(Value::Save(Vec::new())));
    }

    #[test]
    fn a_rewritten_file_has_one_line_per_save_point_and_the_largest_exact_unit() {
        let save = parsed(Kind::Save, "3600 1 300 100").expect("valid");
        let lines = Kind::Save.rewrite("save", &save, &Value::Save(Vec::new()));
        assert_eq!(
            lines,
            [
                ("save 3600 1".to_owned(), true),
                ("save 300 100".to_owned(), true)
            ]
        );
        let units = [
            (3 << 30, "3gb"),
            (5 << 20, "5mb"),
            (1 << 10, "1kb"),
            (1025, "1025"),
            (0, "0"),
        ];
        for (bytes, text) in units {
            assert_eq!(with_unit(bytes), text);
        }
    }

    #[test]
    fn cpu_lists_that_are_open_reversed_or_too_large_are_refused() {
        for text in ["3-1", "1-", "-1", "a", "1,,2", "8192", "0-99999"] {
            assert!(parsed(Kind::Cpus, text).is_err(), "{text}");
        }
    }
}
