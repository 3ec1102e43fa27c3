//! Geo commands: sorted sets whose scores are places.

mod options;
mod read;
mod search;
#[cfg(test)]
mod tests;

use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::{Args, Reply, Version};
use crate::value::geohash::Place;
use crate::value::number::parse_f64;

type Handler = fn(&mut Ctx<'_>, Args<'_>) -> Outcome;

const READ: Flags = Flags::READONLY;
const STORE: Flags = Flags::WRITE.or(Flags::DENYOOM);

const ONE: Keys = Keys::Range {
    first: 1,
    last: 1,
    step: 1,
};
const TWO: Keys = Keys::Range {
    first: 1,
    last: 2,
    step: 1,
};

const fn row(
    name: &'static str,
    arity: i16,
    flags: Flags,
    (keys, access): (Keys, KeyAccess),
    doc: Doc,
    handler: Handler,
) -> Command {
    Command {
        name,
        full_name: name,
        arity,
        flags,
        categories: &["@geo"],
        keys,
        access,
        doc,
        run: Run::Data(handler),
        ..Command::ROW
    }
}

const fn doc(since: &'static str, complexity: &'static str, summary: &'static str) -> Doc {
    Doc {
        summary,
        since,
        group: "geo",
        complexity,
    }
}

const PER_AREA: &str =
    "O(N + log M) with N the members in the cells around the shape and M those of the sorted set";

/// The rows.
pub static COMMANDS: &[Command] = &[
    row(
        "geoadd",
        -5,
        STORE,
        (ONE, KeyAccess::Update),
        doc(
            "3.2.0",
            "O(log N) for each place, with N the members",
            "Adds places, or moves those that are there.",
        ),
        read::geoadd,
    ),
    row(
        "geodist",
        -4,
        READ,
        (ONE, KeyAccess::Read),
        doc(
            "3.2.0",
            "O(1)",
            "Tells how far two places are from each other.",
        ),
        read::geodist,
    ),
    row(
        "geohash",
        -2,
        READ,
        (ONE, KeyAccess::Read),
        doc(
            "3.2.0",
            "O(1) for each member named",
            "Gives places as standard geohashes.",
        ),
        read::geohash,
    ),
    row(
        "geopos",
        -2,
        READ,
        (ONE, KeyAccess::Read),
        doc(
            "3.2.0",
            "O(1) for each member named",
            "Gives the longitudes and latitudes of places.",
        ),
        read::geopos,
    ),
    row(
        "georadius",
        -6,
        STORE,
        (Keys::Stored { from: 6 }, KeyAccess::Read),
        doc(
            "3.2.0",
            PER_AREA,
            "Gives, or stores, the places around a point.",
        ),
        search::georadius,
    ),
    row(
        "georadius_ro",
        -6,
        READ,
        (ONE, KeyAccess::Read),
        doc("3.2.10", PER_AREA, "Gives the places around a point."),
        search::georadius_ro,
    ),
    row(
        "georadiusbymember",
        -5,
        STORE,
        (Keys::Stored { from: 5 }, KeyAccess::Read),
        doc(
            "3.2.0",
            PER_AREA,
            "Gives, or stores, the places around another one.",
        ),
        search::georadiusbymember,
    ),
    row(
        "georadiusbymember_ro",
        -5,
        READ,
        (ONE, KeyAccess::Read),
        doc("3.2.10", PER_AREA, "Gives the places around another one."),
        search::georadiusbymember_ro,
    ),
    row(
        "geosearch",
        -7,
        READ,
        (ONE, KeyAccess::Read),
        doc("6.2.0", PER_AREA, "Gives the places in a circle or a box."),
        search::geosearch,
    ),
    row(
        "geosearchstore",
        -8,
        STORE,
        (TWO, KeyAccess::Two(&KeyAccess::Overwrite, &KeyAccess::Read)),
        doc("6.2.0", PER_AREA, "Stores the places in a circle or a box."),
        search::geosearchstore,
    ),
];

/// A unit of length.
#[derive(Clone, Copy)]
struct Unit {
    metres: f64,
}

impl Unit {
    const METRE: Unit = Unit { metres: 1.0 };

    fn parse(word: &[u8]) -> Result<Self, Error> {
        const UNKNOWN: Error =
            Error::text("ERR unsupported unit provided. please use M, KM, FT, MI");
        let metres = match () {
            () if word.eq_ignore_ascii_case(b"m") => 1.0,
            () if word.eq_ignore_ascii_case(b"km") => 1000.0,
            () if word.eq_ignore_ascii_case(b"ft") => 0.3048,
            () if word.eq_ignore_ascii_case(b"mi") => 1609.34,
            () => return Err(UNKNOWN),
        };
        Ok(Unit { metres })
    }
}

/// The place of two arguments.
fn place(longitude: &[u8], latitude: &[u8]) -> Result<Place, Error> {
    let longitude = parse_f64(longitude).ok_or(Error::NotFloat)?;
    let latitude = parse_f64(latitude).ok_or(Error::NotFloat)?;
    Place::new(longitude, latitude).ok_or_else(|| {
        let text = format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}");
        Error::Text(text.into())
    })
}

/// A distance with four decimals.
fn write_distance(reply: &mut Reply, distance: f64) {
    // Of a number of at most 20,000 km in feet.
    let scaled = (distance * 10_000.0).round() as i64;
    let (whole, rest) = (scaled / 10_000, scaled % 10_000);
    reply.bulk_str(&format!("{whole}.{rest:04}"));
}

fn write_place(reply: &mut Reply, place: Place) {
    reply.array(2);
    write_coordinate(reply, place.longitude);
    write_coordinate(reply, place.latitude);
}

/// A coordinate with up to 17 decimals.
fn write_coordinate(reply: &mut Reply, degrees: f64) {
    let text = format!("{degrees:.17}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let text = if text == "-0" { "0" } else { text };
    match reply.version() {
        Version::Resp2 => reply.bulk_str(text),
        Version::Resp3 => reply.raw(format!(",{text}\r\n").as_bytes()),
    }
}
