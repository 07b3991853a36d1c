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

/// The class that the area falls into: whatever the ratio, an image of class `1K` has a megapixel, one of `2K` four and one of `4K`
/// sixteen (tables that resellers of Gemini 3's image models publish, seen 2026-11: 21:9 is 1584x672, 3168x1344 or 6336x2688). What lies
/// between is the nearest of them, by factor; 3840x2160 lies in the middle, and is called 4K everywhere.
pub(super) fn class((width, height): (u64, u64)) -> &'static str {
    match width.saturating_mul(height) {
        0..=2_097_152 => "1K",
        2_097_153..8_294_400 => "2K",
        _ => "4K",
    }
}

/// Whether sides are what a ratio of class `1K` stands for to the pixel: a square of 1024.
pub(super) fn is_exact(sides: (u64, u64)) -> bool {
    sides == (1024, 1024)
}
