//! What a completion says about whom.
//!
//! ```text
//! 63          32 31           8 7    0
//! +-------------+--------------+------+
//! |    index    |  generation  |  op  |   generation: its low 24 bits
//! +-------------+--------------+------+
//! ```

const GENERATION_MASK: u32 = (1 << 24) - 1;

/// The kinds of operations that the driver starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Op {
    /// Multishot receive of a connection.
    Recv = 1,
    Send,
    Connect,
    /// Cancels one or all operations of a connection.
    Cancel,
    /// Multishot accept; the index counts the listeners.
    Accept,
    /// Multishot poll of the waker's eventfd.
    Wake,
    /// Cancels what belongs to no connection; its completion says nothing.
    Quit,
}

/// The 64 bits of user data of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token(pub(super) u64);

impl Token {
    pub(super) fn new(op: Op, index: u32, generation: u32) -> Self {
        let generation = u64::from(generation & GENERATION_MASK);
        Token(u64::from(index) << 32 | generation << 8 | op as u64)
    }

    pub(super) fn op(self) -> Option<Op> {
        const OPS: [Op; 7] = [
            Op::Recv,
            Op::Send,
            Op::Connect,
            Op::Cancel,
            Op::Accept,
            Op::Wake,
            Op::Quit,
        ];
        OPS.into_iter().find(|op| *op as u64 == self.0 & 0xff)
    }

    pub(super) fn index(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether the operation was started by this generation of the slot.
    pub(super) fn is_of(self, generation: u32) -> bool {
        (self.0 >> 8) as u32 & GENERATION_MASK == generation & GENERATION_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_back_its_parts_and_tells_generations_apart() {
        for op in [
            Op::Recv,
            Op::Send,
            Op::Connect,
            Op::Cancel,
            Op::Accept,
            Op::Wake,
            Op::Quit,
        ] {
            let token = Token::new(op, u32::MAX, 0x0100_0002);
            assert_eq!((token.op(), token.index()), (Some(op), u32::MAX));
            assert!(token.is_of(0x0100_0002) && token.is_of(2));
            assert!(!token.is_of(3));
        }
        assert_eq!(Token(0).op(), None);
    }
}
