//! What searches ask for.

use super::{Unit, place};
use crate::command::Error;
use crate::protocol::Args;
use crate::value::geohash::{Place, Shape};
use crate::value::number::{parse_f64, parse_i64};
use crate::value::sorted_set::SortedSet;

const NO_MEMBER: Error = Error::text("ERR could not decode requested zset member");

/// The command at hand, with its name as it came.
#[derive(Clone, Copy)]
pub(super) enum Form<'a> {
    /// GEORADIUS and its relatives: where the centre and the radius stand, and whether the result
    /// may be stored.
    Radius { by_member: bool, may_store: bool },
    /// GEOSEARCH.
    Search { name: &'a [u8] },
    /// GEOSEARCHSTORE.
    SearchStore { name: &'a [u8] },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    None,
    Near,
    Far,
}

/// A search.
pub(super) struct Request<'a> {
    /// `None` where there is nothing to search, and so no member to search around.
    pub(super) centre: Option<Place>,
    /// In metres. `None` as above.
    pub(super) shape: Option<Shape>,
    pub(super) unit: Unit,
    pub(super) with_distance: bool,
    pub(super) with_hash: bool,
    pub(super) with_place: bool,
    pub(super) sort: Sort,
    /// 0: all.
    pub(super) count: usize,
    /// Any so many, not the nearest.
    pub(super) any: bool,
    /// Where to store the result.
    pub(super) store: Option<&'a [u8]>,
    /// Scores are the distances.
    pub(super) store_distance: bool,
    by_member: bool,
    by_place: bool,
}

impl<'a> Request<'a> {
    /// From all arguments of the command; `set` is what is to be searched.
    pub(super) fn parse(
        args: Args<'a>,
        form: Form<'_>,
        set: Option<&SortedSet>,
    ) -> Result<Self, Error> {
        let mut request = Request {
            centre: None,
            shape: None,
            unit: Unit::METRE,
            with_distance: false,
            with_hash: false,
            with_place: false,
            sort: Sort::None,
            count: 0,
            any: false,
            store: None,
            store_distance: false,
            by_member: false,
            by_place: false,
        };
        let first = match form {
            Form::Radius {
                by_member: false, ..
            } => {
                request.centre = Some(place(args.at(2), args.at(3))?);
                request.circle(args.at(4), args.at(5))?;
                6
            }
            Form::Radius { .. } => {
                if set.is_some() {
                    request.centre = Some(member_of(set, args.at(2))?);
                    request.circle(args.at(3), args.at(4))?;
                }
                5
            }
            Form::Search { .. } => 2,
            Form::SearchStore { .. } => {
                request.store = Some(args.at(1));
                3
            }
        };
        request.parse_options(args.tail(first), form, set)?;
        request.check(form)?;
        Ok(request)
    }

    fn parse_options(
        &mut self,
        options: Args<'a>,
        form: Form<'_>,
        set: Option<&SortedSet>,
    ) -> Result<(), Error> {
        let searches = !matches!(form, Form::Radius { .. });
        let may_store = matches!(
            form,
            Form::Radius {
                may_store: true,
                ..
            }
        );
        let mut at = 0;
        while let Some(word) = options.get(at) {
            let behind = options.len() - at - 1;
            let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
            match () {
                () if is(b"withdist") => self.with_distance = true,
                () if is(b"withhash") => self.with_hash = true,
                () if is(b"withcoord") => self.with_place = true,
                () if is(b"any") => self.any = true,
                () if is(b"asc") => self.sort = Sort::Near,
                () if is(b"desc") => self.sort = Sort::Far,
                () if is(b"count") && behind >= 1 => {
                    self.count = parse_count(options.at(at + 1))?;
                    at += 1;
                }
                () if may_store && behind >= 1 && (is(b"store") || is(b"storedist")) => {
                    self.store = Some(options.at(at + 1));
                    self.store_distance = is(b"storedist");
                    at += 1;
                }
                () if searches => {
                    at += self.parse_search_option(word, options.tail(at + 1), form, set)?;
                }
                () => return Err(Error::Syntax),
            }
            at += 1;
        }
        Ok(())
    }

    /// An option of GEOSEARCH only; how many arguments it has.
    fn parse_search_option(
        &mut self,
        word: &[u8],
        behind: Args<'a>,
        form: Form<'_>,
        set: Option<&SortedSet>,
    ) -> Result<usize, Error> {
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        let shaped = self.shape.is_some();
        match behind.len() {
            1.. if is(b"frommember") && !self.by_place => {
                self.by_member = true;
                if set.is_some() {
                    self.centre = Some(member_of(set, behind.at(0))?);
                }
                Ok(1)
            }
            2.. if is(b"fromlonlat") && !self.by_member => {
                self.by_place = true;
                self.centre = Some(place(behind.at(0), behind.at(1))?);
                Ok(2)
            }
            2.. if is(b"byradius") && !matches!(self.shape, Some(Shape::Box { .. })) => {
                self.circle(behind.at(0), behind.at(1))?;
                Ok(2)
            }
            3.. if is(b"bybox") && (!shaped || matches!(self.shape, Some(Shape::Box { .. }))) => {
                self.rectangle(behind)?;
                Ok(3)
            }
            _ if is(b"storedist") && matches!(form, Form::SearchStore { .. }) => {
                self.store_distance = true;
                Ok(0)
            }
            _ => Err(Error::Syntax),
        }
    }

    fn circle(&mut self, radius: &[u8], unit: &[u8]) -> Result<(), Error> {
        const NOT_NUMBER: Error = Error::text("ERR need numeric radius");
        const NEGATIVE: Error = Error::text("ERR radius cannot be negative");
        let radius = parse_f64(radius).ok_or(NOT_NUMBER)?;
        if radius < 0.0 {
            return Err(NEGATIVE);
        }
        self.unit = Unit::parse(unit)?;
        self.shape = Some(Shape::Circle {
            radius: radius * self.unit.metres,
        });
        Ok(())
    }

    fn rectangle(&mut self, args: Args<'_>) -> Result<(), Error> {
        const NEGATIVE: Error = Error::text("ERR height or width cannot be negative");
        let width = parse_f64(&args[0]).ok_or(Error::text("ERR need numeric width"))?;
        let height = parse_f64(&args[1]).ok_or(Error::text("ERR need numeric height"))?;
        if width < 0.0 || height < 0.0 {
            return Err(NEGATIVE);
        }
        self.unit = Unit::parse(&args[2])?;
        self.shape = Some(Shape::Box {
            width: width * self.unit.metres,
            height: height * self.unit.metres,
        });
        Ok(())
    }

    fn check(&mut self, form: Form<'_>) -> Result<(), Error> {
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_place) {
            return Err(Error::text(match form {
                Form::SearchStore { .. } => {
                    "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD \
                     options"
                }
                _ => {
                    "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and \
                     WITHCOORD options"
                }
            }));
        }
        if let Form::Search { name } | Form::SearchStore { name } = form {
            let name = crate::protocol::quote(name, usize::MAX);
            if !self.by_member && !self.by_place {
                let text = "exactly one of FROMMEMBER or FROMLONLAT can be specified for";
                return Err(Error::Text(format!("ERR {text} {name}").into()));
            }
            if self.shape.is_none() {
                let text = "exactly one of BYRADIUS and BYBOX can be specified for";
                return Err(Error::Text(format!("ERR {text} {name}").into()));
            }
        }
        if self.any && self.count == 0 {
            return Err(Error::text("ERR the ANY argument requires COUNT argument"));
        }
        if self.count > 0 && !self.any && self.sort == Sort::None {
            self.sort = Sort::Near;
        }
        Ok(())
    }
}

fn parse_count(text: &[u8]) -> Result<usize, Error> {
    let count = parse_i64(text).ok_or(Error::NotInteger)?;
    match usize::try_from(count) {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(Error::text("ERR COUNT must be > 0")),
    }
}

fn member_of(set: Option<&SortedSet>, member: &[u8]) -> Result<Place, Error> {
    let score = set.and_then(|set| set.score(member)).ok_or(NO_MEMBER)?;
    Ok(Place::from_score(score))
}
