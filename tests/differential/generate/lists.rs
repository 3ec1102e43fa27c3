//! What the templates of lists name.

use super::{Generator, number_after};

impl Generator {
    /// The holes of templates of lists; whether `word` is one.
    pub(super) fn draw_of_list(&mut self, word: &str, out: &mut Vec<Vec<u8>>) -> bool {
        let one = match word {
            "$l" => self.list_key(),
            "$L" => number_after(b"L", self.random.below(3)),
            "$el" => self.element(),
            "$li" => self.list_index(),
            "$el+" => {
                self.several(out, |g, out| out.push(g.element()));
                return true;
            }
            "$EL+" => {
                for _ in 0..=self.random.below(40) {
                    out.push(self.element());
                }
                return true;
            }
            _ => return false,
        };
        out.push(one);
        true
    }

    pub(super) fn list_key(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => number_after(b"s", self.random.below(30)),
            1 => number_after(b"{t}l", self.random.below(2)),
            2..=4 => number_after(b"L", self.random.below(3)),
            _ => number_after(b"l", self.random.below(10)),
        }
    }

    /// Few enough that others are equal to it.
    fn element(&mut self) -> Vec<u8> {
        match self.random.below(10) {
            0 => self.value(),
            1..4 => number_after(b"", self.random.below(20)),
            _ => number_after(b"e", self.random.below(12)),
        }
    }

    fn list_index(&mut self) -> Vec<u8> {
        match self.random.below(12) {
            0 => self.index(),
            1..4 => self.random.between(-60, 60).to_string().into_bytes(),
            _ => self.random.between(-6, 6).to_string().into_bytes(),
        }
    }
}
