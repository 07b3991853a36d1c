//! What a number is called, and what it means.

/// A family of numbers that differ in their labels.
#[derive(Debug)]
pub struct Family {
    /// Its name, without the ending that its kind brings (`_total`, `_info`).
    pub name: &'static str,
    /// What is counted there.
    pub kind: Kind,
    /// The base unit, which the name ends with.
    pub unit: Option<&'static str>,
    /// One sentence for people.
    pub help: &'static str,
    /// Names of its labels, in the order of their values.
    pub labels: &'static [&'static str],
}

/// What is counted in a family.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It is as it is now.
    Gauge,
    /// How often values fell into ranges, and their sum.
    Histogram(&'static Scale),
    /// A constant that is all in its labels.
    Info,
}

impl Kind {
    /// Its name in both formats; Prometheus' older one knows no infos.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
            Self::Info => "info",
        }
    }
}

/// The ranges of a histogram. Values are whole numbers of a small unit, so that sums are exact and atomic.
#[derive(Debug)]
pub struct Scale {
    /// The greatest value in each range, ascending; one more range takes what is above.
    pub bounds: &'static [u64],
    /// How many small units are one of the family's: a power of ten.
    pub per_unit: u64,
}

impl Scale {
    /// The range that a value falls into.
    pub fn range(&self, value: u64) -> usize {
        self.bounds.partition_point(|bound| *bound < value)
    }
}
