//! From samples to medians, verdicts, the table and the CSV.

use std::fmt::Write as _;
use std::io;

use crate::line::{Bound, LINES, Line, Reference};
use crate::process::CpuTime;
use crate::server::{Installed, Kind};

/// One measurement of one line.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub value: f64,
    /// CPU microseconds per request, where the line is about CPU.
    pub split: Option<CpuTime>,
    /// Requests per second, where there is a load.
    pub rate: Option<f64>,
    /// What a reader must know beside the figure.
    pub note: String,
}

impl Reading {
    /// A figure without further detail.
    pub fn of(value: f64) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }
}

struct Sample {
    line: &'static str,
    kind: Kind,
    outcome: Result<Reading, String>,
}

/// All samples of a run.
#[derive(Default)]
pub struct Results {
    samples: Vec<Sample>,
}

impl Results {
    /// Adds a measurement, or why there is none.
    pub fn add(&mut self, line: &'static str, kind: Kind, outcome: io::Result<Reading>) {
        let outcome = outcome.map_err(|error| error.to_string());
        match &outcome {
            Ok(reading) => eprintln!("  {line} {}: {:.3}", kind.name(), reading.value),
            Err(error) => eprintln!("  {line} {}: {error}", kind.name()),
        }
        self.samples.push(Sample {
            line,
            kind,
            outcome,
        });
    }

    fn readings(&self, line: &str, kind: Kind) -> Vec<&Reading> {
        let of_line = self
            .samples
            .iter()
            .filter(|s| s.line == line && s.kind == kind);
        of_line
            .filter_map(|sample| sample.outcome.as_ref().ok())
            .collect()
    }

    fn failure(&self, line: &str, kind: Kind) -> Option<&str> {
        let mut of_line = self
            .samples
            .iter()
            .filter(|s| s.line == line && s.kind == kind);
        of_line
            .find_map(|sample| sample.outcome.as_ref().err())
            .map(String::as_str)
    }

    /// Median over the rounds.
    pub fn median(&self, line: &str, kind: Kind) -> Option<f64> {
        median(
            self.readings(line, kind)
                .iter()
                .map(|reading| reading.value),
        )
    }

    fn ratio(&self, line: &str, kind: Kind, peer: Kind) -> Option<f64> {
        let reference = self.median(line, peer).filter(|&value| value > 0.0)?;
        Some(self.median(line, kind)? / reference)
    }

    /// The highest value that keeps `bound`, if its reference was measured.
    pub fn limit(&self, line: &Line, bound: &Bound) -> Option<f64> {
        let reference = match bound.reference {
            Reference::Absolute => 1.0,
            Reference::AbsoluteOrNoise(noise) => {
                let noise = self.median(noise, Kind::Banyan).unwrap_or(0.0);
                return Some(bound.factor.max(noise));
            }
            Reference::Peer(kind) => self.median(line.id, kind)?,
            Reference::Line(other) => self.median(other, Kind::Banyan)?,
        };
        Some(bound.factor * reference)
    }

    fn verdict(&self, line: &Line) -> &'static str {
        if line.bounds.is_empty() {
            return "";
        }
        let Some(value) = self.median(line.id, Kind::Banyan) else {
            return "NOT MEASURED";
        };
        let limits: Vec<_> = line
            .bounds
            .iter()
            .map(|bound| self.limit(line, bound))
            .collect();
        if limits.iter().flatten().any(|&limit| value > limit) {
            "MISS"
        } else if limits.iter().any(Option::is_none) {
            "NO REFERENCE"
        } else {
            "PASS"
        }
    }

    /// The lines of the table, one per line and server.
    pub fn rows(&self, installed: &Installed, selected: &[&'static str]) -> Vec<Row> {
        let lines = LINES.iter().filter(|line| selected.contains(&line.id));
        let mut rows = Vec::new();
        for line in lines {
            for &kind in line.kinds {
                rows.push(self.row(installed, line, kind));
            }
        }
        rows
    }

    fn row(&self, installed: &Installed, line: &'static Line, kind: Kind) -> Row {
        let readings = self.readings(line.id, kind);
        let of_split = |part: fn(&CpuTime) -> f64| {
            median(
                readings
                    .iter()
                    .filter_map(|reading| reading.split.as_ref().map(part)),
            )
        };
        let note = match self.failure(line.id, kind) {
            _ if installed.program(kind).is_none() => "not installed".to_owned(),
            Some(error) => format!("failed: {error}"),
            None => readings
                .last()
                .map(|reading| reading.note.clone())
                .unwrap_or_default(),
        };
        let banyan = kind == Kind::Banyan;
        Row {
            line,
            kind,
            value: median(readings.iter().map(|reading| reading.value)),
            lowest: readings
                .iter()
                .map(|reading| reading.value)
                .reduce(f64::min),
            highest: readings
                .iter()
                .map(|reading| reading.value)
                .reduce(f64::max),
            user: of_split(|split| split.user),
            system: of_split(|split| split.system),
            rate: median(readings.iter().filter_map(|reading| reading.rate)),
            rounds: readings.len(),
            to_redis: self.ratio(line.id, kind, Kind::Redis),
            to_floor: self.ratio(line.id, kind, Kind::Floor),
            bound: if banyan {
                bounds_text(line)
            } else {
                String::new()
            },
            verdict: if banyan { self.verdict(line) } else { "" },
            note,
        }
    }
}

/// One row of the table; figures are medians over the rounds.
pub struct Row {
    pub line: &'static Line,
    pub kind: Kind,
    pub value: Option<f64>,
    pub lowest: Option<f64>,
    pub highest: Option<f64>,
    pub user: Option<f64>,
    pub system: Option<f64>,
    pub rate: Option<f64>,
    pub rounds: usize,
    pub to_redis: Option<f64>,
    pub to_floor: Option<f64>,
    pub bound: String,
    pub verdict: &'static str,
    pub note: String,
}

fn bounds_text(line: &Line) -> String {
    let texts: Vec<String> = line
        .bounds
        .iter()
        .map(|bound| match bound.reference {
            Reference::Peer(kind) if bound.factor == 1.0 => format!("< {}", short(kind)),
            Reference::Peer(kind) => format!("<= {}x {}", bound.factor, short(kind)),
            Reference::Line(other) => format!("<= {}x {other}", bound.factor),
            Reference::Absolute => format!("<= {}", bound.factor),
            Reference::AbsoluteOrNoise(_) => format!("<= {} or noise", bound.factor),
        })
        .collect();
    texts.join(", ")
}

fn short(kind: Kind) -> &'static str {
    match kind {
        Kind::Redis => "Redis",
        other => other.name(),
    }
}

const HEADER: [&str; 11] = [
    "what", "server", "value", "unit", "user", "system", "req/s", "/Redis", "/floor", "must be",
    "verdict",
];

/// The table as text.
pub fn table(rows: &[Row]) -> String {
    let mut cells: Vec<Vec<String>> = vec![HEADER.iter().map(|&head| head.to_owned()).collect()];
    let mut last = "";
    for row in rows {
        let title = if row.line.id == last {
            ""
        } else {
            row.line.title
        };
        last = row.line.id;
        cells.push(vec![
            title.to_owned(),
            row.kind.name().to_owned(),
            row.value.map_or_else(|| "-".to_owned(), figure),
            row.line.unit.to_owned(),
            row.user.map(figure).unwrap_or_default(),
            row.system.map(figure).unwrap_or_default(),
            row.rate
                .map(|rate| format!("{rate:.0}"))
                .unwrap_or_default(),
            row.to_redis
                .map(|ratio| format!("{ratio:.2}"))
                .unwrap_or_default(),
            row.to_floor
                .map(|ratio| format!("{ratio:.2}"))
                .unwrap_or_default(),
            row.bound.clone(),
            format!(
                "{}{}{}",
                row.verdict,
                if row.verdict.is_empty() { "" } else { " " },
                row.note
            ),
        ]);
    }
    let width = |column: usize| {
        cells
            .iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
    let mut text = String::new();
    for (index, row) in cells.iter().enumerate() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            // Figures to the right, words to the left.
            let _ = match column {
                2 | 4..=8 => write!(line, "{cell:>width$}  "),
                _ => write!(line, "{cell:<width$}  "),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
        if index == 0 {
            let _ = writeln!(
                text,
                "{}",
                "-".repeat(widths.iter().map(|width| width + 2).sum())
            );
        }
    }
    text
}

/// Three significant digits, more for large figures.
fn figure(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// All rows as CSV with a header; empty fields where there is no figure.
pub fn csv(rows: &[Row]) -> String {
    let mut text = String::from(
        "line,server,unit,median,lowest,highest,user,system,requests_per_second,rounds,\
         ratio_to_redis,ratio_to_floor,bound,verdict,note\n",
    );
    let field = |value: Option<f64>| value.map(|value| format!("{value:.6}")).unwrap_or_default();
    for row in rows {
        let fields = [
            row.line.id.to_owned(),
            row.kind.name().to_owned(),
            row.line.unit.to_owned(),
            field(row.value),
            field(row.lowest),
            field(row.highest),
            field(row.user),
            field(row.system),
            field(row.rate),
            row.rounds.to_string(),
            field(row.to_redis),
            field(row.to_floor),
            quoted(&row.bound),
            row.verdict.to_owned(),
            quoted(&row.note),
        ];
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}
