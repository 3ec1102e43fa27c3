//! Places on Earth as numbers: what the geo commands keep as scores.
//!
//! A place becomes the cell of a grid over longitude and latitude in which it lies, 2^26 cells
//! each way, and a cell one number, the bits of both coordinates in turn:
//!
//! ```text
//!   bit     51   50   49   48        1    0
//!          lon  lat  lon  lat  ...  lon  lat
//! ```
//!
//! So places with the same leading bits lie in the same cell of a coarser grid, and such a cell is
//! a range of scores. Latitudes end at those of the Mercator projection. Formulas and constants
//! are Redis's, to the last bit: scores, distances and the order of results can be compared.

/// Bits of a coordinate.
pub const STEP_MAX: u32 = 26;

/// Longitudes of a place, degrees.
pub const LONGITUDE_MAX: f64 = 180.0;
/// Latitudes of a place, degrees.
pub const LATITUDE_MAX: f64 = 85.051_128_78;
/// Latitudes of a standard geohash, degrees.
const LATITUDE_MAX_STANDARD: f64 = 90.0;

const EARTH_RADIUS_M: f64 = 6_372_797.560_856;
/// Half of what the projection's equator measures.
const MERCATOR_MAX_M: f64 = 20_037_726.37;

/// A place, in degrees.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Place {
    pub longitude: f64,
    pub latitude: f64,
}

impl Place {
    /// `None` if a coordinate is out of range.
    pub fn new(longitude: f64, latitude: f64) -> Option<Self> {
        let fits = (-LONGITUDE_MAX..=LONGITUDE_MAX).contains(&longitude)
            && (-LATITUDE_MAX..=LATITUDE_MAX).contains(&latitude);
        fits.then_some(Place {
            longitude,
            latitude,
        })
    }

    /// The middle of the cell that a score stands for.
    pub fn from_score(score: f64) -> Self {
        let area = Cell::from_bits(score as u64, STEP_MAX).area();
        let middle = |(min, max): (f64, f64), limit: f64| ((min + max) / 2.0).clamp(-limit, limit);
        Place {
            longitude: middle(area.longitude, LONGITUDE_MAX),
            latitude: middle(area.latitude, LATITUDE_MAX),
        }
    }

    /// The score of the cell around this place.
    pub fn to_bits(self) -> u64 {
        Cell::around(self, STEP_MAX, LATITUDE_MAX).bits()
    }

    /// The standard geohash, eleven characters. The last is always `0`: 52 bits are ten and a bit.
    pub fn geohash(self) -> [u8; 11] {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = Cell::around(self, STEP_MAX, LATITUDE_MAX_STANDARD).bits();
        let mut text = [b'0'; 11];
        for (at, letter) in text.iter_mut().take(10).enumerate() {
            *letter = ALPHABET[(bits >> (52 - (at + 1) * 5)) as usize & 0x1f];
        }
        text
    }

    /// How far another place is, in metres.
    pub fn distance_m(self, other: Place) -> f64 {
        let v = ((other.longitude.radians() - self.longitude.radians()) / 2.0).sin();
        if v == 0.0 {
            return latitude_distance_m(self, other);
        }
        let (latitude, other) = (self.latitude.radians(), other.latitude.radians());
        let u = ((other - latitude) / 2.0).sin();
        let a = u * u + latitude.cos() * other.cos() * v * v;
        2.0 * EARTH_RADIUS_M * a.sqrt().asin()
    }
}

/// As in C: one multiplication by one constant.
trait Degrees {
    fn radians(self) -> f64;
}

const RADIAN: f64 = std::f64::consts::PI / 180.0;

impl Degrees for f64 {
    fn radians(self) -> f64 {
        self * RADIAN
    }
}

fn latitude_distance_m(a: Place, b: Place) -> f64 {
    EARTH_RADIUS_M * (b.latitude.radians() - a.latitude.radians()).abs()
}

/// The shape of a search, in metres.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

impl Shape {
    /// How far `place` is from `centre`, if it lies within the shape around it.
    pub fn distance_within(self, centre: Place, place: Place) -> Option<f64> {
        match self {
            Shape::Circle { radius } => {
                let distance = centre.distance_m(place);
                (distance <= radius).then_some(distance)
            }
            Shape::Box { width, height } => {
                if latitude_distance_m(place, centre) > height / 2.0 {
                    return None;
                }
                let beside = Place {
                    longitude: centre.longitude,
                    ..place
                };
                if place.distance_m(beside) > width / 2.0 {
                    return None;
                }
                Some(centre.distance_m(place))
            }
        }
    }

    /// The ranges of scores, first and first behind, that together cover the shape: of the cells
    /// around the centre that it may touch, in the order in which Redis looks at them.
    pub fn ranges(self, centre: Place) -> Vec<(u64, u64)> {
        let bounds = self.bounds(centre);
        let radius = match self {
            Shape::Circle { radius } => radius,
            Shape::Box { width, height } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        };
        let mut step = step_for(radius, centre.latitude);
        let mut cell = Cell::around(centre, step, LATITUDE_MAX);
        if step > 1 && !cell.neighbours_cover(&bounds) {
            step -= 1;
            cell = Cell::around(centre, step, LATITUDE_MAX);
        }
        let mut ranges: Vec<(u64, u64)> = Vec::with_capacity(9);
        let mut previous = None;
        for (at, (east, north)) in NEIGHBOURS.into_iter().enumerate() {
            if step >= 2 && !cell.area().is_needed(east, north, &bounds) {
                continue;
            }
            // With cells this large a neighbour can be the one just looked at.
            let neighbour = cell.beside(east, north);
            if previous == Some(neighbour) {
                continue;
            }
            previous = (at > 0).then_some(neighbour);
            ranges.push(neighbour.scores());
        }
        ranges
    }

    fn bounds(self, centre: Place) -> Area {
        let (width, height) = match self {
            Shape::Circle { radius } => (radius, radius),
            Shape::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let degrees = |radians: f64| radians / RADIAN;
        let Place {
            longitude,
            latitude,
        } = centre;
        let up = degrees(height / EARTH_RADIUS_M);
        // A degree of longitude is shortest on the side of the pole.
        let far = if latitude < 0.0 {
            latitude - up
        } else {
            latitude + up
        };
        let aside = degrees(width / EARTH_RADIUS_M / far.radians().cos());
        Area {
            longitude: (longitude - aside, longitude + aside),
            latitude: (latitude - up, latitude + up),
        }
    }
}

/// A cell's neighbours, steps to the east and to the north, in Redis's order.
const NEIGHBOURS: [(i8, i8); 9] = [
    (0, 0),
    (0, 1),
    (0, -1),
    (1, 0),
    (-1, 0),
    (1, 1),
    (-1, 1),
    (1, -1),
    (-1, -1),
];

/// Of how many bits cells have to be so that one and its neighbours cover a radius.
fn step_for(mut radius_m: f64, latitude: f64) -> u32 {
    if radius_m == 0.0 {
        return STEP_MAX;
    }
    let mut step = 1i32;
    // Ends, because a positive number doubles past any other.
    while radius_m < MERCATOR_MAX_M {
        radius_m *= 2.0;
        step += 1;
    }
    step -= 2;
    // Cells get narrower towards the poles.
    step -= i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
    step.clamp(1, STEP_MAX as i32).unsigned_abs()
}

/// Ranges of degrees, from the least to the greatest.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Area {
    longitude: (f64, f64),
    latitude: (f64, f64),
}

impl Area {
    /// Whether what lies on these sides of this area may lie within `bounds`.
    fn is_needed(&self, east: i8, north: i8, bounds: &Area) -> bool {
        let along = |step, this: (f64, f64), bounds: (f64, f64)| match step {
            -1 => this.0 >= bounds.0,
            1 => this.1 <= bounds.1,
            _ => true,
        };
        along(east, self.longitude, bounds.longitude)
            && along(north, self.latitude, bounds.latitude)
    }
}

/// A cell of a grid of `2^step` by `2^step` cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cell {
    column: u32,
    row: u32,
    step: u32,
}

impl Cell {
    fn around(place: Place, step: u32, latitude_max: f64) -> Self {
        let index = |value: f64, max: f64| {
            let offset = (value - -max) / (max - -max);
            (offset * (1u64 << step) as f64) as u32
        };
        Cell {
            column: index(place.longitude, LONGITUDE_MAX),
            row: index(place.latitude, latitude_max),
            step,
        }
    }

    fn from_bits(bits: u64, step: u32) -> Self {
        Cell {
            column: even_bits(bits >> 1),
            row: even_bits(bits),
            step,
        }
    }

    fn bits(self) -> u64 {
        spread(self.row) | spread(self.column) << 1
    }

    fn area(self) -> Area {
        let range = |index: u32, max: f64| {
            let edge =
                |index: f64| -max + (index * 1.0 / (1u64 << self.step) as f64) * (max - -max);
            (
                edge(f64::from(index)),
                edge(f64::from(index.wrapping_add(1))),
            )
        };
        Area {
            longitude: range(self.column, LONGITUDE_MAX),
            latitude: range(self.row, LATITUDE_MAX),
        }
    }

    /// The cell so many steps away, around the world if need be.
    fn beside(self, east: i8, north: i8) -> Self {
        let mask = (1u32 << self.step) - 1;
        Cell {
            column: self.column.wrapping_add_signed(east.into()) & mask,
            row: self.row.wrapping_add_signed(north.into()) & mask,
            ..self
        }
    }

    /// Whether the neighbours reach as far as `bounds`.
    fn neighbours_cover(self, bounds: &Area) -> bool {
        self.beside(0, 1).area().latitude.1 >= bounds.latitude.1
            && self.beside(0, -1).area().latitude.0 <= bounds.latitude.0
            && self.beside(1, 0).area().longitude.1 >= bounds.longitude.1
            && self.beside(-1, 0).area().longitude.0 <= bounds.longitude.0
    }

    /// The scores of the places in it: the first, and the first behind them.
    fn scores(self) -> (u64, u64) {
        let shift = 2 * (STEP_MAX - self.step);
        (self.bits() << shift, (self.bits() + 1) << shift)
    }
}

/// The bits of a number at the even places of a longer one.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    bits = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    bits = (bits | bits << 8) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & 0x5555_5555_5555_5555
}

/// The number that the bits at even places are.
fn even_bits(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits >> 4) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits >> 8) & 0x0000_ffff_0000_ffff;
    (bits | bits >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PALERMO: Place = Place {
        longitude: 13.361389,
        latitude: 38.115556,
    };
    const CATANIA: Place = Place {
        longitude: 15.087269,
        latitude: 37.502669,
    };

    #[test]
    fn scores_and_geohashes_are_those_of_redis() {
        assert_eq!(PALERMO.to_bits(), 3_479_099_956_230_698);
        assert_eq!(CATANIA.to_bits(), 3_479_447_370_796_909);
        let palermo = Place::from_score(3_479_099_956_230_698.0);
        assert_eq!(palermo.longitude, 13.361_389_338_970_184);
        assert_eq!(palermo.latitude, 38.115_556_395_496_3);
        assert_eq!(&palermo.geohash(), b"sqc8b49rny0");
        let catania = Place::from_score(3_479_447_370_796_909.0);
        assert_eq!(&catania.geohash(), b"sqdtr74hyu0");
        assert_eq!(format!("{:.4}", palermo.distance_m(catania)), "166274.1516");
    }

    #[test]
    fn places_off_the_map_are_none() {
        assert!(Place::new(180.0, LATITUDE_MAX).is_some());
        for (longitude, latitude) in [
            (180.1, 0.0),
            (0.0, 85.06),
            (f64::NAN, 0.0),
            (0.0, f64::INFINITY),
        ] {
            assert_eq!(Place::new(longitude, latitude), None);
        }
    }

    proptest! {
        #[test]
        fn bits_are_spread_and_gathered(number: u32) {
            prop_assert_eq!(even_bits(spread(number)), number);
        }

        #[test]
        fn a_place_is_near_the_middle_of_its_cell(
            longitude in -180.0..180.0,
            latitude in -85.0..85.0,
        ) {
            let place = Place::new(longitude, latitude).unwrap();
            let back = Place::from_score(place.to_bits() as f64);
            prop_assert!(place.distance_m(back) < 1.0);
        }

        #[test]
        fn the_ranges_of_a_circle_hold_all_places_within_it(
            longitude in -170.0..170.0,
            latitude in -60.0..60.0,
            radius in 1.0..1_000_000.0,
            east in -1.0..1.0,
            north in -1.0..1.0,
        ) {
            let centre = Place::new(longitude, latitude).unwrap();
            let degrees = radius / 111_000.0;
            let place = Place::new(longitude + east * degrees, latitude + north * degrees).unwrap();
            let shape = Shape::Circle { radius };
            let place = Place::from_score(place.to_bits() as f64);
            if shape.distance_within(centre, place).is_some() {
                let score = place.to_bits();
                let ranges = shape.ranges(centre);
                let holds = ranges.iter().any(|(start, end)| (*start..*end).contains(&score));
                prop_assert!(holds, "{:?} in {:?}", score, ranges);
            }
        }

        #[test]
        fn no_score_panics(bits: u64) {
            Place::from_score(f64::from_bits(bits));
        }
    }
}
