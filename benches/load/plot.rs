//! One bar plot of all lines as SVG: every server relative to Redis, so that units do not matter.

use std::fmt::Write as _;

use crate::line::LINES;
use crate::report::{Results, Row};
use crate::server::Kind;

const LABEL_WIDTH: f64 = 330.0;
const UNIT_WIDTH: f64 = 320.0;
const BAR_HEIGHT: f64 = 13.0;
/// Bars longer than this many times the reference are cut.
const RATIO_MAX: f64 = 2.2;

fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Banyan => "#1b7f3b",
        Kind::Redis => "#c0392b",
        Kind::Valkey => "#6c5ce7",
        Kind::Kevy => "#e08e0b",
        Kind::Floor => "#8d99a6",
    }
}

/// The plot. A line without Redis is drawn relative to Banyan's bound.
pub fn svg(results: &Results, rows: &[Row]) -> String {
    let mut body = String::new();
    let mut y = 46.0;
    for line in LINES {
        let bars: Vec<(&Row, f64)> = rows
            .iter()
            .filter(|row| row.line.id == line.id)
            .filter_map(|row| Some((row, row.value?)))
            .collect();
        let limits = line
            .bounds
            .iter()
            .filter_map(|bound| results.limit(line, bound));
        let limit = limits.reduce(f64::min);
        let reference = results.median(line.id, Kind::Redis).or(limit);
        let Some(reference) = reference.filter(|&value| value > 0.0) else {
            continue;
        };
        if bars.is_empty() {
            continue;
        }
        let top = y;
        for (row, value) in bars {
            bar(&mut body, row, value, value / reference, y);
            y += BAR_HEIGHT + 2.0;
        }
        let middle = (top + y) / 2.0 + 3.0;
        let right = LABEL_WIDTH - 10.0;
        let _ = writeln!(
            body,
            r#"<text x="{right}" y="{middle:.0}" text-anchor="end">{}</text>"#,
            escape(line.title)
        );
        if let Some(limit) = limit {
            let x = LABEL_WIDTH + (limit / reference).min(RATIO_MAX) * UNIT_WIDTH;
            let bottom = y - 2.0;
            let _ = writeln!(
                body,
                r#"<line x1="{x:.1}" y1="{top}" x2="{x:.1}" y2="{bottom}" class="bound"/>"#
            );
        }
        y += 10.0;
    }
    frame(&body, y)
}

fn bar(body: &mut String, row: &Row, value: f64, ratio: f64, y: f64) {
    let width = ratio.min(RATIO_MAX) * UNIT_WIDTH;
    let (text_x, text_y) = (LABEL_WIDTH + width + 5.0, y + BAR_HEIGHT - 3.0);
    let _ = writeln!(
        body,
        "<rect x=\"{LABEL_WIDTH}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" \
         fill=\"{}\"/>\n<text x=\"{text_x:.0}\" y=\"{text_y:.0}\" \
         class=\"small\">{} {value:.2} {}</text>",
        colour(row.kind),
        row.kind.name(),
        escape(row.line.unit),
    );
}

fn frame(body: &str, height: f64) -> String {
    let width = LABEL_WIDTH + RATIO_MAX * UNIT_WIDTH + 190.0;
    let one = LABEL_WIDTH + UNIT_WIDTH;
    let bottom = height + 10.0;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{bottom:.0}"
 viewBox="0 0 {width:.0} {bottom:.0}" font-family="sans-serif" font-size="12">
<style>.small {{ font-size: 10px; fill: #333 }} .bound {{ stroke: #000; stroke-width: 2 }}
.one {{ stroke: #bbb; stroke-dasharray: 4 3 }}</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="{LABEL_WIDTH}" y="18" font-weight="bold">Shorter is better; relative to Redis, or to
 Banyan's bound where Redis was not measured</text>
<text x="{LABEL_WIDTH}" y="34" class="small">black mark: the bound that
 Banyan must keep; dashed: 1.0</text>
<line x1="{one}" y1="40" x2="{one}" y2="{height:.0}" class="one"/>
{body}</svg>
"##
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
