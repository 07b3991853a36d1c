//! Token counts: this wire counts cached input within the prompt, thoughts and tool use beside everything else.

use super::wire::{ObjectWriter, array, one_line, tokens, whole};
use crate::object::{Object, items, string};
use llmleaf_model::{DialectName, Json, Usage};
use serde_json::value::RawValue;

/// Reads `usageMetadata`; `None` where it counts nothing (the first chunks of Vertex AI name a traffic type alone).
pub(crate) fn parse(raw: &RawValue, searches: u64) -> Option<Usage> {
    let report = Object::from_raw(raw)?;
    let count = |name: &str| tokens(&report, name);
    let counts = [
        "promptTokenCount",
        "candidatesTokenCount",
        "totalTokenCount",
    ];
    if counts.iter().all(|name| report.get(name).is_none()) {
        return None;
    }
    let mut usage = Usage {
        server_tool_calls: searches,
        native: Some((DialectName::GenerateContent, Json::from(raw))),
        ..Usage::default()
    };
    let prompt = count("promptTokenCount").saturating_add(count("toolUsePromptTokenCount"));
    let cached = count("cachedContentTokenCount");
    // Cached audio is counted as cached.
    let audio = of_modality(&report, "promptTokensDetails", AUDIO).saturating_sub(of_modality(
        &report,
        "cacheTokensDetails",
        AUDIO,
    ));
    usage.set_inclusive_input(prompt, cached, 0, audio);
    let thoughts = count("thoughtsTokenCount");
    // Newer Live models name it otherwise.
    let answer = count("candidatesTokenCount").max(count("responseTokenCount"));
    // Newer models have the other list ("instead of candidatesTokensDetails": OpenAPI document, 2026-08).
    let of_answer = |modality| {
        let lists = ["candidatesTokensDetails", "responseTokensDetails"];
        let counts = lists.map(|name| of_modality(&report, name, modality));
        counts.into_iter().max().unwrap_or(0)
    };
    let spoken = of_answer(AUDIO);
    usage.set_inclusive_output(answer.saturating_add(thoughts), thoughts, spoken);
    usage.set_output_image(of_answer(IMAGE));
    // Vertex AI says `ON_DEMAND_PRIORITY` where the other surface says `priority`.
    let said = ["serviceTier", "trafficType"]
        .into_iter()
        .find_map(|name| report.get(name).and_then(string))
        .unwrap_or_default()
        .to_ascii_lowercase();
    usage.set_tier(said.strip_prefix("on_demand_").unwrap_or(&said));
    Some(usage)
}

/// Audio, as a word and as the number of its enum.
const AUDIO: [&str; 2] = ["AUDIO", "4"];

/// Images, likewise. They are told apart in the answer only: in a prompt they cost what text costs.
const IMAGE: [&str; 2] = ["IMAGE", "2"];

fn of_modality(report: &Object<'_>, name: &str, modality: [&str; 2]) -> u64 {
    let details = report.get(name).and_then(items).unwrap_or_default();
    details
        .into_iter()
        .filter_map(Object::from_raw)
        .filter(|one| {
            one.get("modality").is_some_and(|raw| {
                let word = string(raw);
                modality.contains(&word.as_deref().unwrap_or(raw.get()))
            })
        })
        .map(|one| tokens(&one, "tokenCount"))
        .fold(0, u64::saturating_add)
}

/// Writes the counts as this wire has them.
pub(super) fn render(out: &mut Vec<u8>, usage: &Usage) {
    if let Some((DialectName::GenerateContent, native)) = &usage.native {
        return one_line(out, native.as_str());
    }
    let answer = usage.output_total().saturating_sub(usage.output_reasoning);
    let mut object = ObjectWriter::new(out);
    object
        .number("promptTokenCount", usage.input_total())
        .number("candidatesTokenCount", answer);
    if usage.output_reasoning > 0 {
        object.number("thoughtsTokenCount", usage.output_reasoning);
    }
    if usage.input_cache_read > 0 {
        object.number("cachedContentTokenCount", usage.input_cache_read);
    }
    object.number("totalTokenCount", usage.total());
    let details = [
        (
            "promptTokensDetails",
            [usage.input_audio, usage.input_image],
            usage.input_total(),
        ),
        (
            "candidatesTokensDetails",
            [usage.output_audio, usage.output_image],
            answer,
        ),
    ];
    for (name, [audio, image], all) in details {
        if audio > 0 || image > 0 {
            let text = all.saturating_sub(audio).saturating_sub(image);
            let parts = [("TEXT", text), ("AUDIO", audio), ("IMAGE", image)];
            let parts = parts.into_iter().filter(|(_, count)| *count > 0);
            array(object.key(name), parts, |out, (modality, count)| {
                let mut one = ObjectWriter::new(out);
                one.string("modality", modality).number("tokenCount", count);
                one.end();
            });
        }
    }
    object.end();
}

/// The count in a reply to a request to count.
pub(super) fn total(object: &Object<'_>) -> Option<u64> {
    let count = object.get("totalTokens").and_then(whole)?;
    u64::try_from(count)
        .ok()
        .filter(|count| *count <= crate::LARGEST_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Usage> {
        parse(Json::parse(text).unwrap().raw(), 0)
    }

    #[test]
    fn counts_fall_into_disjoint_classes() {
        let usage = read(
            r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"toolUsePromptTokenCount":7,"candidatesTokenCount":"20",
            "thoughtsTokenCount":30,"totalTokenCount":157,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":70},{"modality":"AUDIO","tokenCount":30}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":10}]}"#,
        )
        .unwrap();
        let classes = [usage.input, usage.input_cache_read, usage.input_audio];
        assert_eq!(classes, [47, 40, 20]);
        assert_eq!((usage.output, usage.output_reasoning), (20, 30));
        assert_eq!(usage.total(), 157);
    }

    #[test]
    fn the_newer_list_of_an_answers_kinds_is_read() {
        let usage = read(
            r#"{"promptTokenCount":1,"responseTokenCount":20,
            "responseTokensDetails":[{"modality":"AUDIO","tokenCount":15},{"modality":"TEXT","tokenCount":5}]}"#,
        )
        .unwrap();
        assert_eq!((usage.output, usage.output_audio), (5, 15));
    }

    #[test]
    fn a_report_without_counts_is_none() {
        assert_eq!(read(r#"{"trafficType":"ON_DEMAND"}"#), None);
        assert_eq!(read("[]"), None);
        assert_eq!(read(r#"{"promptTokenCount":-1}"#).unwrap().total(), 0);
    }

    #[test]
    fn what_is_rendered_reads_back() {
        let usage = Usage {
            input: 3,
            input_cache_read: 4,
            input_audio: 2,
            output: 5,
            output_image: 8,
            output_reasoning: 6,
            ..Usage::default()
        };
        let mut out = Vec::new();
        render(&mut out, &usage);
        let again = read(std::str::from_utf8(&out).unwrap()).unwrap();
        assert_eq!(
            Usage {
                native: None,
                ..again
            },
            usage
        );
    }
}
