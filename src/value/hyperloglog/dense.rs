//! The dense encoding: 16,384 registers of six bits, the lowest bits of the lowest byte first.
//!
//! ```text
//!    byte 0     byte 1     byte 2
//!    11000000   22221111   33333322      digits: the number of the register
//! ```

use super::REGISTERS;

/// Bytes of all registers.
pub(super) const LEN: usize = REGISTERS * WIDTH / 8;
const WIDTH: usize = 6;
const MASK: u16 = (1 << WIDTH) - 1;

/// The byte in which a register begins, and the bit.
fn position(register: usize) -> (usize, usize) {
    let bit = register * WIDTH;
    (bit / 8, bit % 8)
}

/// The two bytes that hold a register; the last one needs no second.
fn pair(registers: &[u8], byte: usize) -> u16 {
    let high = registers.get(byte + 1).copied().unwrap_or(0);
    u16::from_le_bytes([registers[byte], high])
}

/// The value of a register.
pub(super) fn get(registers: &[u8], register: usize) -> u8 {
    let (byte, bit) = position(register);
    (pair(registers, byte) >> bit & MASK) as u8
}

/// Sets a register to a value below 64.
pub(super) fn set(registers: &mut [u8], register: usize, value: u8) {
    let (byte, bit) = position(register);
    let changed = pair(registers, byte) & !(MASK << bit) | (u16::from(value) & MASK) << bit;
    let [low, high] = changed.to_le_bytes();
    registers[byte] = low;
    if let Some(next) = registers.get_mut(byte + 1) {
        *next = high;
    }
}

/// Sets a register if its value is lower; whether it was.
pub(super) fn raise(registers: &mut [u8], register: usize, value: u8) -> bool {
    let lower = get(registers, register) < value;
    if lower {
        set(registers, register, value);
    }
    lower
}

/// Calls `f` with every register and its value, in order.
pub(super) fn for_each(registers: &[u8], mut f: impl FnMut(usize, u8)) {
    // Four registers are three bytes.
    for (group, bytes) in registers.as_chunks::<3>().0.iter().enumerate() {
        let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
        for i in 0..4 {
            f(group * 4 + i, (word >> (i * WIDTH)) as u8 & MASK as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_do_not_touch_each_other() {
        let mut registers = vec![0; LEN];
        let mut model = vec![0; REGISTERS];
        let mut state = 1u32;
        for _ in 0..50_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (register, value) = (
                state as usize >> 16 & (REGISTERS - 1),
                (state >> 8) as u8 & 63,
            );
            let raised = raise(&mut registers, register, value);
            assert_eq!(raised, value > model[register]);
            model[register] = value.max(model[register]);
            assert_eq!(get(&registers, register), model[register]);
        }
        let mut count = 0;
        for_each(&registers, |register, value| {
            assert_eq!((register, value), (count, model[count]));
            count += 1;
        });
        assert_eq!(count, REGISTERS);
        set(&mut registers, REGISTERS - 1, 63);
        assert_eq!(get(&registers, REGISTERS - 1), 63);
        assert_eq!(get(&registers, REGISTERS - 2), model[REGISTERS - 2]);
    }
}
