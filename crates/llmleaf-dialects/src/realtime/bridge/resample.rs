//! Samples of one rate as samples of another: a low-pass of windowed sinc, a row of weights for each phase.

use std::f64::consts::PI;

/// Zero crossings of the sinc on each side.
const CROSSINGS: f64 = 8.0;
/// Where the low-pass ends, as a part of the lower rate's half.
const EDGE: f64 = 0.92;
/// Most phases. Every rate that services have with every rate of ours needs fewer (11,025 to 24,000: 320).
const MOST_PHASES: u32 = 640;
/// Rates that are taken.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;

/// Changes the rate of what passes.
#[derive(Debug)]
pub struct Resampler {
    /// So many samples out for so many samples in.
    up: usize,
    down: usize,
    taps: usize,
    /// `taps` weights for each of `up` phases.
    weights: Vec<f32>,
    /// What is still needed of what came.
    held: Vec<f32>,
    /// Where the next sample out is, in parts of `up` of a sample, counted from what is held.
    at: usize,
}

impl Resampler {
    /// From one rate to another; `None` where that is not done.
    pub fn new(from: u32, to: u32) -> Option<Self> {
        if !RATES.contains(&from) || !RATES.contains(&to) {
            return None;
        }
        let common = common(from, to);
        let (up, down) = (to / common, from / common);
        if up > MOST_PHASES {
            return None;
        }
        let edge = EDGE * (f64::from(to) / f64::from(from)).min(1.0);
        let half = (CROSSINGS / edge).ceil();
        let half_taps = half as usize;
        let (up, down, taps) = (up as usize, down as usize, half_taps * 2);
        let mut weights = Vec::with_capacity(up * taps);
        for phase in 0..up {
            let shift = phase as f64 / up as f64;
            let distances = (0..taps).map(|tap| tap as f64 - (half - 1.0) - shift);
            let row: Vec<f64> = distances.map(|d| weight(d, edge, half)).collect();
            // Silence stays silence, and what is constant stays as loud as it is.
            let sum: f64 = row.iter().sum();
            weights.extend(row.iter().map(|weight| (weight / sum) as f32));
        }
        Some(Self {
            up,
            down,
            taps,
            weights,
            held: vec![0.0; half_taps - 1],
            at: 0,
        })
    }

    /// Takes samples, and appends those that they make.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        self.held.extend(samples.iter().map(|s| f32::from(*s)));
        self.drain(out);
    }

    /// No more will come.
    pub fn finish(&mut self, out: &mut Vec<i16>) {
        self.held.resize(self.held.len() + self.taps / 2, 0.0);
        self.drain(out);
    }

    fn drain(&mut self, out: &mut Vec<i16>) {
        loop {
            let (from, phase) = (self.at / self.up, self.at % self.up);
            let Some(window) = self.held.get(from..from + self.taps) else {
                break;
            };
            let row = self.weights.get(phase * self.taps..).unwrap_or_default();
            let sum: f32 = window.iter().zip(row).map(|(s, w)| s * w).sum();
            let (least, most) = (f32::from(i16::MIN), f32::from(i16::MAX));
            out.push(sum.round().clamp(least, most) as i16);
            self.at += self.down;
        }
        let gone = (self.at / self.up).min(self.held.len());
        self.held.drain(..gone);
        self.at -= gone * self.up;
    }
}

/// The low-pass at a distance, under a Hann window.
fn weight(distance: f64, edge: f64, half: f64) -> f64 {
    if distance.abs() >= half {
        return 0.0;
    }
    let x = PI * edge * distance;
    let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
    let window = 0.5 + 0.5 * (PI * distance / half).cos();
    edge * sinc * window
}

fn common(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, rate: u32, samples: usize) -> Vec<i16> {
        let each = (0..samples).map(|at| at as f64 * hz / f64::from(rate) * 2.0 * PI);
        each.map(|x| (x.sin() * 10_000.0) as i16).collect()
    }

    /// Root of the mean square, without what is at the ends.
    fn loudness(samples: &[i16]) -> f64 {
        let inner = &samples[samples.len() / 4..samples.len() * 3 / 4];
        let sum: f64 = inner.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
        (sum / inner.len() as f64).sqrt()
    }

    fn through(from: u32, to: u32, samples: &[i16], cut: usize) -> Vec<i16> {
        let mut resampler = Resampler::new(from, to).expect("it is done");
        let mut out = Vec::new();
        for piece in samples.chunks(cut) {
            resampler.push(piece, &mut out);
        }
        resampler.finish(&mut out);
        out
    }

    #[test]
    fn a_tone_stays_a_tone_and_as_long_as_it_was() {
        for from in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000] {
            for to in [8_000, 24_000] {
                let samples = tone(440.0, from, from as usize);
                let out = through(from, to, &samples, samples.len());
                assert!(
                    out.len().abs_diff(to as usize) <= 1,
                    "{from} {to} {}",
                    out.len()
                );
                let want = tone(440.0, to, to as usize);
                let inner = to as usize / 4..to as usize * 3 / 4;
                let off: Vec<i16> = inner.map(|at| out[at] - want[at]).collect();
                assert!(loudness(&off) < 100.0, "{from} {to} {}", loudness(&off));
                assert_eq!(out, through(from, to, &samples, 7), "whatever the cuts");
            }
        }
    }

    #[test]
    fn what_a_lower_rate_cannot_hold_is_not_heard_as_something_else() {
        let high = tone(7_000.0, 24_000, 24_000);
        let out = through(24_000, 8_000, &high, 480);
        assert!(loudness(&out) < 30.0, "{}", loudness(&out));
        assert!(Resampler::new(0, 24_000).is_none());
        assert!(Resampler::new(24_001, 8_000).is_none() || 8_000 <= MOST_PHASES);
    }
}
