//! The text formats: OpenMetrics 1.0 (<https://prometheus.io/docs/specs/om/open_metrics_spec/>, read 2026-11) and Prometheus' own 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>, read 2026-11). They differ in the names of counters and infos, in units, and in the end.
//!
//! Numbers are integers until they are written: a sum of nano-units is written as a decimal, digit by digit, and never as a rounded one.

use crate::cells::Sums;
use crate::family::{Family, Kind};
use std::fmt::Write;

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
}

impl Format {
    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A text that is being written.
#[derive(Debug)]
pub struct Text {
    format: Format,
    text: String,
}

impl Text {
    /// An empty one.
    pub fn new(format: Format) -> Self {
        let text = String::with_capacity(64 * 1024);
        Self { format, text }
    }

    /// Begins a family. Its samples follow, and no other family's in between.
    pub fn family<'t>(&'t mut self, family: &'static Family) -> Samples<'t> {
        let open = self.format == Format::OpenMetrics;
        let (named, kind) = match family.kind {
            Kind::Counter if !open => ("_total", "counter"),
            // The older format knows no infos.
            Kind::Info if !open => ("_info", "gauge"),
            kind => ("", kind.as_str()),
        };
        let name = family.name;
        let _ = writeln!(self.text, "# TYPE {name}{named} {kind}");
        if let Some(unit) = family.unit.filter(|_| open) {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
        let _ = write!(self.text, "# HELP {name}{named} ");
        escaped(&mut self.text, family.help);
        self.text.push('\n');
        Samples { text: self, family }
    }

    /// The text, with its end.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// The samples of a family.
#[derive(Debug)]
pub struct Samples<'t> {
    text: &'t mut Text,
    family: &'static Family,
}

impl Samples<'_> {
    /// A whole number, by the values of its labels.
    pub fn whole(&mut self, labels: &[&str], value: u64) {
        self.parts(labels, value, 1);
    }

    /// A number of small units, of which so many are one of the family's.
    pub fn parts(&mut self, labels: &[&str], value: u64, per_unit: u64) {
        let ending = match self.family.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram(_) => "",
        };
        self.head(ending, labels, None);
        decimal(&mut self.text.text, value, per_unit);
        self.text.text.push('\n');
    }

    /// What a histogram holds. One of another kind of family is left out.
    pub fn histogram(&mut self, labels: &[&str], sums: &Sums) {
        let Kind::Histogram(scale) = self.family.kind else {
            return;
        };
        let mut below = 0_u64;
        let counts = sums.ranges.iter().copied().chain(std::iter::repeat(0));
        for (bound, count) in scale.bounds.iter().zip(counts) {
            below = below.saturating_add(count);
            let mut le = String::new();
            decimal(&mut le, *bound, scale.per_unit);
            if !le.contains('.') {
                // A bound is the same series in both formats only when it is written in the same way.
                le.push_str(".0");
            }
            self.head("_bucket", labels, Some(&le));
            let _ = writeln!(self.text.text, "{below}");
        }
        let count = sums.count();
        self.head("_bucket", labels, Some("+Inf"));
        let _ = writeln!(self.text.text, "{count}");
        self.head("_sum", labels, None);
        decimal(&mut self.text.text, sums.sum, scale.per_unit);
        self.text.text.push('\n');
        self.head("_count", labels, None);
        let _ = writeln!(self.text.text, "{count}");
    }

    /// Name and labels of a sample, and the space behind.
    fn head(&mut self, ending: &str, labels: &[&str], le: Option<&str>) {
        let text = &mut self.text.text;
        text.push_str(self.family.name);
        text.push_str(ending);
        let own = self
            .family
            .labels
            .iter()
            .copied()
            .zip(labels.iter().copied());
        // A label without a value is none, in both formats.
        let own = own.filter(|(_, value)| !value.is_empty());
        let mut before = '{';
        for (name, value) in own.chain(le.map(|le| ("le", le))) {
            text.push(before);
            text.push_str(name);
            text.push_str("=\"");
            escaped(text, value);
            text.push('"');
            before = ',';
        }
        if before == ',' {
            text.push('}');
        }
        text.push(' ');
    }
}

/// As a label's value or a sentence of help is written: in one line, whatever is in it.
fn escaped(text: &mut String, value: &str) {
    for char in value.chars() {
        match char {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            // Line ends by other names would be taken for ends of samples by some readers.
            char if char.is_control() => text.push('\u{fffd}'),
            char => text.push(char),
        }
    }
}

/// A number of small units as a decimal, without rounding. `per_unit` is a power of ten.
fn decimal(text: &mut String, value: u64, per_unit: u64) {
    let per_unit = per_unit.max(1);
    let (whole, part) = (value / per_unit, value % per_unit);
    let _ = write!(text, "{whole}");
    if part > 0 {
        let width = usize::try_from(per_unit.ilog10()).unwrap_or_default();
        let digits = format!("{part:0width$}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests;
