//! What templates of sorted sets name.

use super::Generator;

impl Generator {
    /// The holes of templates of sorted sets and places; whether `word` is one.
    pub(super) fn draw_of_sorted_set(&mut self, word: &str, out: &mut Vec<Vec<u8>>) -> bool {
        let one = match word {
            "$z" => self.sorted_set_key(),
            "$Z" => format!("Z{}", self.random.below(3)).into_bytes(),
            "$y" => format!("y{}", self.random.below(3)).into_bytes(),
            "$Y" => b"Y".to_vec(),
            "$sc" => self.score(),
            "$bnd" => self.score_bound(),
            "$lex" => self.member_bound(),
            "$sm+" => {
                self.several(out, |g, out| out.extend([g.score(), g.field()]));
                return true;
            }
            "$SM+" => {
                for _ in 0..=self.random.below(40) {
                    out.extend([self.score(), self.big_field()]);
                }
                return true;
            }
            "$zm+" => {
                for _ in 0..=self.random.below(60) {
                    out.extend([b"0".to_vec(), self.big_field()]);
                }
                return true;
            }
            "$q" => format!("q{}", self.random.below(4)).into_bytes(),
            "$pl" => format!("place{}", self.random.below(40)).into_bytes(),
            "$at" => {
                let at = self.place();
                out.extend(at);
                return true;
            }
            "$rad" => self.radius(),
            "$pl+" => {
                for _ in 0..=self.random.below(8) {
                    let at = self.place();
                    out.extend(at);
                    out.push(format!("place{}", self.random.below(40)).into_bytes());
                }
                return true;
            }
            _ => return false,
        };
        out.push(one);
        true
    }

    /// Longitude and latitude: mostly in one region, so that searches find some.
    fn place(&mut self) -> [Vec<u8>; 2] {
        let (longitude, latitude) = match self.random.below(12) {
            0 => (
                self.random.between(-1800, 1800),
                self.random.between(-850, 850),
            ),
            1 => (
                self.random.between(1780, 1800),
                self.random.between(-200, 200),
            ),
            2 => (
                self.random.between(-1800, 1800),
                self.random.between(640, 850),
            ),
            _ => (self.random.between(100, 180), self.random.between(340, 420)),
        };
        let mut degrees =
            |tenths: i64| format!("{}.{:04}", tenths / 10, self.random.below(10_000)).into_bytes();
        [degrees(longitude), degrees(latitude)]
    }

    fn radius(&mut self) -> Vec<u8> {
        match self.random.below(8) {
            0 => self
                .random
                .pick(&["0", "20000", "6000", "0.5", "100000"])
                .into(),
            1 => self.random.between(1, 3000).to_string().into(),
            _ => self.random.between(1, 400).to_string().into(),
        }
    }

    pub(super) fn sorted_set_key(&mut self) -> Vec<u8> {
        match self.random.below(30) {
            0 => self.string_key(),
            1 => format!("{{t}}z{}", self.random.below(2)).into_bytes(),
            2..=4 => format!("Z{}", self.random.below(3)).into_bytes(),
            _ => format!("z{}", self.random.below(9)).into_bytes(),
        }
    }

    /// A score. All sums and products that the templates make of them are exact: in which order
    /// the real server adds those of sets of equal size is up to its sorting algorithm.
    fn score(&mut self) -> Vec<u8> {
        match self.random.below(16) {
            0 => self
                .random
                .pick(&[
                    "inf", "-inf", "+inf", "-0", "0x10", "1e3", "1e17", ".5", "1e-5",
                ])
                .into(),
            1..=4 => (self.random.between(-64, 64) as f64 / 8.0)
                .to_string()
                .into(),
            5 => self
                .random
                .between(-1_000_000, 1_000_000)
                .to_string()
                .into(),
            _ => self.random.between(-5, 20).to_string().into(),
        }
    }

    fn score_bound(&mut self) -> Vec<u8> {
        match self.random.below(12) {
            0 => self
                .random
                .pick(&["-inf", "(-inf", "(1e400", "", "("])
                .into(),
            1 => self
                .random
                .pick(&["+inf", "inf", "(inf", "foo", "nan"])
                .into(),
            2..=5 => [b"(".to_vec(), self.score()].concat(),
            _ => self.score(),
        }
    }

    fn member_bound(&mut self) -> Vec<u8> {
        match self.random.below(12) {
            0 | 1 => b"-".to_vec(),
            2 | 3 => b"+".to_vec(),
            4 => self.random.pick(&["foo", "", "[", "(", "-x"]).into(),
            5..=7 => [b"(".to_vec(), self.big_field()].concat(),
            8 | 9 => [b"[".to_vec(), self.big_field()].concat(),
            _ => [b"[".to_vec(), self.field()].concat(),
        }
    }
}
