//! The sparse encoding: runs of equal registers, in order.
//!
//! ```text
//! 00LLLLLL             L+1 registers of 0 (1 to 64)
//! 01LLLLLL LLLLLLLL    L+1 registers of 0 (1 to 16,384)
//! 1VVVVVLL             L+1 registers (1 to 4) of V+1 (1 to 32)
//! ```
//!
//! The same elements in the same order must give the same bytes as on Redis. Where a run is split,
//! what takes its place is the shortest form; afterwards neighbours of equal value are joined, in a
//! short window that begins at the run before.

use super::{Corrupt, REGISTERS};

/// The longest run of zeros in one byte.
const SHORT_ZEROS_MAX: usize = 64;
/// The longest run of values.
const VALUES_MAX: usize = 4;
/// The greatest value of a register.
const VALUE_MAX: u8 = 32;
/// Runs that are looked at for joining.
const JOIN_WINDOW: usize = 5;

/// One run, as it stands at some place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    /// Value of its registers.
    value: u8,
    /// Number of registers.
    len: usize,
    /// Bytes that it takes.
    size: usize,
}

impl Run {
    /// The run at `at`, if there is a whole one.
    fn at(bytes: &[u8], at: usize) -> Option<Run> {
        let first = *bytes.get(at)?;
        let six = usize::from(first & 0x3f);
        Some(match first >> 6 {
            0 => Run {
                value: 0,
                len: six + 1,
                size: 1,
            },
            1 => Run {
                value: 0,
                len: (six << 8 | usize::from(*bytes.get(at + 1)?)) + 1,
                size: 2,
            },
            _ => Run {
                value: (first >> 2 & 0x1f) + 1,
                len: usize::from(first & 3) + 1,
                size: 1,
            },
        })
    }

    fn is_value(self) -> bool {
        self.value > 0
    }
}

/// The byte of a run of up to four registers of a value.
fn values(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len as u8 - 1)
}

/// Appends a run of zeros.
pub(super) fn push_zeros(out: &mut Vec<u8>, len: usize) {
    if len > SHORT_ZEROS_MAX {
        out.push(0x40 | ((len - 1) >> 8) as u8);
    }
    out.push((len - 1) as u8);
}

/// What became of raising a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Raised {
    /// Whether it was lower.
    Done(bool),
    /// It is lower, and this encoding cannot hold the new value, or not within the limit. Nothing
    /// was changed.
    TooLarge,
}

/// Raises a register to `rank`, within runs that begin at `start` of `bytes`, which may get
/// `len_max` bytes long.
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    start: usize,
    register: usize,
    rank: u8,
    len_max: usize,
) -> Result<Raised, Corrupt> {
    if rank > VALUE_MAX {
        return Ok(Raised::TooLarge);
    }
    let (mut at, mut before, mut first) = (start, start, 0);
    let run = loop {
        let run = Run::at(bytes, at).ok_or(Corrupt)?;
        if register < first + run.len {
            break run;
        }
        before = at;
        at += run.size;
        first += run.len;
    };
    if run.value >= rank {
        return Ok(Raised::Done(false));
    }
    if run.len == 1 && run.size == 1 {
        bytes[at] = values(rank, 1);
    } else {
        let left = register - first;
        let split = Split::of(run, left, rank);
        let longer = split.bytes().len().saturating_sub(run.size);
        if longer > 0 && bytes.len() + longer > len_max {
            return Ok(Raised::TooLarge);
        }
        bytes.splice(at..at + run.size, split.bytes().iter().copied());
    }
    join(bytes, before);
    Ok(Raised::Done(true))
}

/// What takes the place of a run: the rest on the left, one register, the rest on the right.
struct Split {
    bytes: [u8; 5],
    len: usize,
}

impl Split {
    /// `left`: registers of the run before the one that gets the value `rank`.
    fn of(run: Run, left: usize, rank: u8) -> Split {
        let mut split = Split {
            bytes: [0; 5],
            len: 0,
        };
        split.rest(run.value, left);
        split.push(values(rank, 1));
        split.rest(run.value, run.len - left - 1);
        split
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn rest(&mut self, value: u8, len: usize) {
        match (value, len) {
            (_, 0) => {}
            (0, len) => {
                if len > SHORT_ZEROS_MAX {
                    self.push(0x40 | ((len - 1) >> 8) as u8);
                }
                self.push((len - 1) as u8);
            }
            (value, len) => self.push(values(value, len)),
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Joins neighbouring runs of the same value, from the run at `at` on.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOIN_WINDOW {
        let Some(run) = Run::at(bytes, at) else {
            return;
        };
        if let Some(next) = Run::at(bytes, at + 1)
            && run.is_value()
            && next.value == run.value
            && run.len + next.len <= VALUES_MAX
        {
            // The joined run may have another neighbour of its value.
            bytes[at + 1] = values(run.value, run.len + next.len);
            bytes.remove(at);
        } else {
            at += run.size;
        }
    }
}

/// Calls `f` with the first register, the length and the value of every run.
///
/// # Errors
/// [`Corrupt`], after some calls, if the runs are not those of all registers and no more.
pub(super) fn for_each_run(
    runs: &[u8],
    mut f: impl FnMut(usize, usize, u8),
) -> Result<(), Corrupt> {
    let (mut at, mut first) = (0, 0);
    while at < runs.len() {
        let run = Run::at(runs, at).ok_or(Corrupt)?;
        if first + run.len > REGISTERS {
            return Err(Corrupt);
        }
        f(first, run.len, run.value);
        first += run.len;
        at += run.size;
    }
    match first == REGISTERS {
        true => Ok(()),
        false => Err(Corrupt),
    }
}

/// The runs in words. Of a last run that is cut off the second byte counts as zero, as in Redis.
pub(super) fn describe(runs: &[u8]) -> String {
    let padded = [runs, &[0]].concat();
    let mut words = Vec::new();
    let mut at = 0;
    while at < runs.len()
        && let Some(run) = Run::at(&padded, at)
    {
        words.push(match run {
            run if run.is_value() => format!("v:{},{}", run.value, run.len),
            run if run.size == 1 => format!("z:{}", run.len),
            run => format!("Z:{}", run.len),
        });
        at += run.size;
    }
    words.join(" ")
}
