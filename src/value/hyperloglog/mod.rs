//! HyperLogLog: an estimate of how many different elements were added, kept in a string.
//!
//! The string is the one of Redis, byte for byte: clients may GET and SET it, and replicas of any
//! kind must read it.
//!
//! ```text
//!    0    1    2    3    4          5    6    7    8                     16
//!    +----+----+----+----+----------+----+----+----+---------------------+-----------+
//!    | 'H'  'Y'  'L'  'L'| encoding |   unused     | cardinality, u64 LE | registers |
//!    +----+----+----+----+----------+----+----+----+---------------------+-----------+
//! ```
//!
//! * The cardinality is the estimate as last computed; with its topmost bit set it is out of date.
//! * Encoding 0 is dense: 16,384 registers of 6 bits (`dense`). Encoding 1 is sparse: runs of
//!   equal registers (`sparse`). Sparse ones become dense when they outgrow a limit, never back.
//!
//! | File | What |
//! |---|---|
//! | `hash` | which register an element belongs to, and what it says there |
//! | `dense`, `sparse` | the two encodings |
//! | `estimate` | from the registers to a cardinality |
//!
//! A client may have written the string himself. Whether it is a HyperLogLog at all is looked at
//! by [`Form::of`]; what follows a right header may still be nonsense, which every function
//! answers with [`Corrupt`].

mod dense;
mod estimate;
mod hash;
mod sparse;
#[cfg(test)]
mod tests;

use estimate::Histogram;

/// Number of registers.
pub const REGISTERS: usize = 1 << REGISTER_BITS;
/// Bits of an element's hash that choose its register.
const REGISTER_BITS: u32 = 14;
/// The greatest value of a register that an element can cause: all other bits of its hash are zero.
const RANK_MAX: u8 = 64 - REGISTER_BITS as u8 + 1;

const MAGIC: &[u8; 4] = b"HYLL";
const ENCODING: usize = 4;
const CARDINALITY: usize = 8;
const HEADER_LEN: usize = 16;
/// The byte and the bit in it that say that the cardinality is out of date.
const STALE: (usize, u8) = (CARDINALITY + 7, 0x80);

const DENSE: u8 = 0;
const SPARSE: u8 = 1;

/// The registers of a HyperLogLog do not add up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt;

/// How the registers are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// All of them.
    Dense,
    /// Runs of equal ones.
    Sparse,
}

impl Form {
    /// The form of a string, `None` if it is not a HyperLogLog.
    pub fn of(bytes: &[u8]) -> Option<Form> {
        if bytes.len() < HEADER_LEN || !bytes.starts_with(MAGIC) {
            return None;
        }
        match bytes[ENCODING] {
            DENSE => (bytes.len() == HEADER_LEN + dense::LEN).then_some(Form::Dense),
            SPARSE => Some(Form::Sparse),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Form::Dense => "dense",
            Form::Sparse => "sparse",
        }
    }
}

/// A new one, sparse, of which nothing is said yet.
pub fn empty() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + 2);
    bytes.extend_from_slice(MAGIC);
    bytes.push(SPARSE);
    bytes.resize(HEADER_LEN, 0);
    sparse::push_zeros(&mut bytes, REGISTERS);
    bytes
}

/// The cardinality in the header, unless it is out of date. `bytes` must have a [`Form`].
pub fn cached(bytes: &[u8]) -> Option<u64> {
    let stored = bytes.get(CARDINALITY..HEADER_LEN)?;
    let number = u64::from_le_bytes(stored.try_into().ok()?);
    (bytes[STALE.0] & STALE.1 == 0).then_some(number)
}

/// Writes a cardinality into the header. `bytes` must have a [`Form`].
pub fn set_cached(bytes: &mut [u8], cardinality: u64) {
    bytes[CARDINALITY..HEADER_LEN].copy_from_slice(&cardinality.to_le_bytes());
}

/// Says that the cardinality in the header is out of date. `bytes` must have a [`Form`].
pub fn invalidate(bytes: &mut [u8]) {
    bytes[STALE.0] |= STALE.1;
}

/// Adds an element; whether a register changed. The cached cardinality is left to the caller, who
/// may add more.
///
/// `sparse_len_max`: bytes, header included, above which a sparse one becomes dense.
///
/// # Errors
/// [`Corrupt`] if the register was not found or the conversion failed; nothing was changed then.
pub fn add(bytes: &mut Vec<u8>, element: &[u8], sparse_len_max: usize) -> Result<bool, Corrupt> {
    let (register, rank) = hash::place(element);
    raise(bytes, register, rank, sparse_len_max)
}

/// Raises a register to `rank`; whether it was lower.
fn raise(
    bytes: &mut Vec<u8>,
    register: usize,
    rank: u8,
    sparse_len_max: usize,
) -> Result<bool, Corrupt> {
    if Form::of(bytes) == Some(Form::Sparse) {
        match sparse::raise(bytes, HEADER_LEN, register, rank, sparse_len_max)? {
            sparse::Raised::Done(changed) => return Ok(changed),
            sparse::Raised::TooLarge => make_dense(bytes)?,
        };
    }
    let registers = bytes.get_mut(HEADER_LEN..).ok_or(Corrupt)?;
    Ok(dense::raise(registers, register, rank))
}

/// Makes it dense; whether it was not. The header's cardinality stays.
///
/// # Errors
/// [`Corrupt`] if the runs are not those of all registers; nothing was changed then.
pub fn make_dense(bytes: &mut Vec<u8>) -> Result<bool, Corrupt> {
    if Form::of(bytes) != Some(Form::Sparse) {
        return Ok(false);
    }
    let mut dense = vec![0; HEADER_LEN + dense::LEN];
    dense[..HEADER_LEN].copy_from_slice(&bytes[..HEADER_LEN]);
    dense[ENCODING] = DENSE;
    let registers = &mut dense[HEADER_LEN..];
    sparse::for_each_run(&bytes[HEADER_LEN..], |from, len, value| {
        if value > 0 {
            (from..from + len).for_each(|register| dense::set(registers, register, value));
        }
    })?;
    *bytes = dense;
    Ok(true)
}

/// The estimated number of different elements that were added.
///
/// # Errors
/// [`Corrupt`] if the runs are not those of all registers.
pub fn estimate(bytes: &[u8]) -> Result<u64, Corrupt> {
    let mut histogram = Histogram::default();
    match Form::of(bytes).ok_or(Corrupt)? {
        Form::Dense => dense::for_each(&bytes[HEADER_LEN..], |_, value| histogram.add(value, 1)),
        Form::Sparse => sparse::for_each_run(&bytes[HEADER_LEN..], |_, len, value| {
            histogram.add(value, len);
        })?,
    }
    Ok(histogram.estimate())
}

/// The runs of a sparse one as PFDEBUG DECODE writes them, as far as they are there; `None` if it
/// is dense.
pub fn describe(bytes: &[u8]) -> Option<String> {
    (Form::of(bytes)? == Form::Sparse).then(|| sparse::describe(&bytes[HEADER_LEN..]))
}

/// Calls `f` with the value of every register of a dense one, in order.
pub fn for_each_register(bytes: &[u8], mut f: impl FnMut(u8)) {
    if Form::of(bytes) == Some(Form::Dense) {
        dense::for_each(&bytes[HEADER_LEN..], |_, value| f(value));
    }
}

/// The union of several: of each register the greatest value.
pub struct Union {
    registers: Box<[u8; REGISTERS]>,
    /// Whether one of them was dense.
    dense: bool,
}

impl Default for Union {
    fn default() -> Self {
        Self::new()
    }
}

impl Union {
    /// Of none yet.
    pub fn new() -> Self {
        Union {
            registers: Box::new([0; REGISTERS]),
            dense: false,
        }
    }

    /// Adds a HyperLogLog.
    ///
    /// # Errors
    /// [`Corrupt`] if the runs are not those of all registers; the union is of no use then.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        let registers = &mut self.registers;
        match Form::of(bytes).ok_or(Corrupt)? {
            Form::Dense => {
                self.dense = true;
                dense::for_each(&bytes[HEADER_LEN..], |register, value| {
                    registers[register] = registers[register].max(value);
                });
                Ok(())
            }
            Form::Sparse => sparse::for_each_run(&bytes[HEADER_LEN..], |from, len, value| {
                if value > 0 {
                    for register in &mut registers[from..from + len] {
                        *register = (*register).max(value);
                    }
                }
            }),
        }
    }

    /// The estimated number of different elements in all.
    pub fn estimate(&self) -> u64 {
        let mut histogram = Histogram::default();
        for value in self.registers.iter() {
            histogram.add(*value, 1);
        }
        histogram.estimate()
    }

    /// Raises the registers of `bytes` to those of the union, register by register as Redis does:
    /// a sparse one then has the same runs. It becomes dense if one of the union's was.
    ///
    /// # Errors
    /// [`Corrupt`] if the target is; `bytes` is then of no use.
    pub fn store(&self, bytes: &mut Vec<u8>, sparse_len_max: usize) -> Result<(), Corrupt> {
        if self.dense {
            make_dense(bytes)?;
        }
        for (register, value) in self.registers.iter().enumerate() {
            if *value > 0 {
                // Redis goes on where a register is not found; that happens only to a target that
                // did not pass when it was added to the union.
                raise(bytes, register, *value, sparse_len_max)?;
            }
        }
        invalidate(bytes);
        Ok(())
    }
}
