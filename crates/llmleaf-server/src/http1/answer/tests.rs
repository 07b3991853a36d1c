use super::{date, write_size};
use std::time::SystemTime;

#[test]
fn a_size_is_written_as_the_reference_writes_it() {
    let ends = [
        1,
        9,
        10,
        15,
        16,
        255,
        256,
        4095,
        4096,
        65_535,
        1 << 20,
        usize::MAX,
    ];
    for size in (1..5000).chain(ends) {
        let mut buf = Vec::new();
        write_size(&mut buf, size);
        assert_eq!(buf, format!("{size:x}\r\n").into_bytes());
    }
}

#[test]
fn the_date_is_that_of_now() {
    let mut told = String::new();
    date(|date| told = String::from_utf8_lossy(date).into_owned());
    let told = httpdate::parse_http_date(&told).expect("a date");
    let now = SystemTime::now();
    let apart = now.duration_since(told).expect("not of tomorrow");
    assert!(apart.as_secs() <= 2, "{apart:?}");
}
