//! Any bytes as what consumers hand over and what services say of batches: nothing panics, and what is read can be told.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use llmleaf_dialects::batches::files::Jobs;
use llmleaf_dialects::batches::{
    BatchForm, BatchWire, FilesQuirks, Kind, Task, files, items, line, object,
};

fuzz_target!(|input: &[u8]| {
    let of = |jobs| {
        BatchWire::Files(FilesQuirks {
            jobs,
            ..FilesQuirks::REFERENCE
        })
    };
    let wires = [
        of(Jobs::Reference),
        of(Jobs::Wrapped),
        of(Jobs::OfOneModel),
        BatchWire::Messages,
        BatchWire::GenerateContent,
        BatchWire::Added,
    ];
    let naming = |_: Kind, own: &str| own.to_owned();
    for form in [BatchForm::Files, BatchForm::Messages] {
        let _ = items::order(&Bytes::copy_from_slice(input), form);
        if let Some(told) = files::renamed(input, form, &naming) {
            assert!(std::str::from_utf8(&told).is_ok());
        }
        for wire in &wires {
            if let Ok(batch) = wire.parse_batch(input) {
                let body = object::render(&batch, form, Task::Chat, &naming);
                assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
            }
            let mut results = Vec::from_iter(wire.parse_line(input));
            results.extend(wire.parse_page(input).into_iter().flat_map(|(page, _)| page));
            for result in results {
                let mut out = Vec::new();
                line::write(&mut out, &result, form, "id");
                assert!(out.ends_with(b"\n") && !out[..out.len() - 1].contains(&b'\n'));
            }
        }
    }
    if let Ok(text) = std::str::from_utf8(input) {
        let mut reader = items::Reader::new(BatchForm::Files, None, "line");
        for (at, line) in text.lines().enumerate() {
            reader.read(at + 1, line, None);
        }
        let _ = reader.problems.check("file");
    }
});
