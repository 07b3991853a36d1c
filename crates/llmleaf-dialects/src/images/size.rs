//! Sizes: pixels in OpenAI's form, ratios and classes at other services.

/// Width and height of `1024x1536`; `None` for other words.
pub(super) fn sides(size: &str) -> Option<(u64, u64)> {
    let (width, height) = size.split_once(['x', 'X'])?;
    let side = |text: &str| text.trim().parse::<u64>().ok().filter(|side| *side > 0);
    Some((side(width)?, side(height)?))
}

/// The nearest of the ratios `w:h`, and whether it is that of the sides.
pub(super) fn ratio<'r>((width, height): (u64, u64), known: &[&'r str]) -> Option<(&'r str, bool)> {
    let wanted = (width as f64 / height as f64).ln();
    let mut best: Option<(&str, f64)> = None;
    for name in known {
        let Some((w, h)) = name.split_once(':') else {
            continue;
        };
        let (Ok(w), Ok(h)) = (w.parse::<f64>(), h.parse::<f64>()) else {
            continue;
        };
        let off = ((w / h).ln() - wanted).abs();
        if best.is_none_or(|(_, least)| off < least) {
            best = Some((name, off));
        }
    }
    best.map(|(name, off)| (name, off < 1e-6))
}

/// The class that the longer side falls into.
pub(super) fn class((width, height): (u64, u64)) -> &'static str {
    match width.max(height) {
        0..=1536 => "1K",
        1537..=3072 => "2K",
        _ => "4K",
    }
}

/// Whether sides are what a ratio of class `1K` stands for to the pixel: a square of 1024.
pub(super) fn is_exact(sides: (u64, u64)) -> bool {
    sides == (1024, 1024)
}
