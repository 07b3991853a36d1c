//! Media parts: addresses, inline data, files.

/// Splits `data:<mime>[;name=value];base64,<data>`. `None` for any other address, also for data that is not base64.
pub(super) fn split_data_url(url: &str) -> Option<(&str, &str)> {
    let rest = url
        .get(..5)
        .filter(|scheme| scheme.eq_ignore_ascii_case("data:"))
        .and_then(|_| url.get(5..))?;
    let (head, data) = rest.split_once(',')?;
    let mime = head.strip_suffix(";base64")?;
    Some((mime, data))
}
