//! Verdicts out of nothing: a text is flagged for violence where it says so in a line `/echo flag`.

use llmleaf_model::{Json, ModerationInput, ModerationRequest, Moderations, Usage};

/// The line that has an input flagged.
const FLAG: &str = "/echo flag";

/// The answer to a request for verdicts. Tokens are words.
pub fn moderate(request: &ModerationRequest) -> Moderations {
    let mut words = 0;
    let verdict = |input: &ModerationInput| {
        let text = match input {
            ModerationInput::Text(text) => text.as_str(),
            ModerationInput::Parts(json) | ModerationInput::Conversation(json) => json.as_str(),
        };
        words += text.split_whitespace().count() as u64;
        let flagged = text.contains(FLAG);
        let score = if flagged { "1.0" } else { "0.0" };
        let json = format!(
            r#"{{"flagged":{flagged},"categories":{{"violence":{flagged}}},"category_scores":{{"violence":{score}}}}}"#
        );
        Json::parse(&json).unwrap_or_else(|_| Json::from_value(&()))
    };
    let results = request.inputs.iter().map(verdict).collect();
    Moderations {
        id: Some("modr-echo".to_owned()),
        model: Some(request.model.clone()),
        results,
        usage: Some(Usage {
            input: words,
            ..Usage::default()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmleaf_model::{DialectName, Rest};

    #[test]
    fn a_text_is_flagged_where_it_says_so() {
        let text = |text: &str| ModerationInput::Text(text.to_owned());
        let answer = moderate(&ModerationRequest {
            dialect: DialectName::ChatCompletions,
            model: "echo".to_owned(),
            inputs: vec![text("good day"), text("no\n/echo flag")],
            bare: false,
            rest: Rest::default(),
        });
        let said: Vec<bool> = answer
            .results
            .iter()
            .map(|json| json.as_str().contains(r#""flagged":true"#))
            .collect();
        assert_eq!(said, [false, true]);
        assert_eq!(answer.usage.map(|usage| usage.input), Some(5));
    }
}
