//! What is refused of a body before anybody is asked: what no provider of a wire takes, and what would multiply the cost of a
//! request. Everything else is left to the provider, whose answer is the consumer's.

use crate::head::{Field, Head};
use crate::wire::Dialect;
use llmleaf_model::Failure;

/// Most answers of one request: what OpenAI takes (API reference, `n`, read 2026-11-25). Each costs as much as the first.
const MOST_ANSWERS: u64 = 128;
/// Most output tokens that can be meant; no model writes a thousandth of it.
const MOST_TOKENS: u64 = 1_000_000_000;

/// The fields by which a request of the Responses wire asks.
const ASKING: [&str; 4] = ["input", "previous_response_id", "conversation", "prompt"];

/// What a field must be.
#[derive(Clone, Copy)]
enum Form {
    /// A list with something in it.
    List,
    /// A list or nothing.
    AnyList,
    /// A whole number up to this. Local servers read -1 as no limit (llama.cpp's README, read 2026-11-25).
    Tokens,
    /// A whole number from 1 to this.
    Answers,
    Number,
}

/// Whether a body can be meant.
///
/// # Errors
/// It cannot: which field, and why.
pub(crate) fn check(dialect: Dialect, head: &Head, body: &str) -> Result<(), Failure> {
    let required = match dialect {
        Dialect::ChatCompletions | Dialect::Messages | Dialect::CohereChat => Some("messages"),
        _ => None,
    };
    if let Some(name) = required.filter(|name| head.field(body, name).is_none()) {
        return Err(refuse(name, "is missing"));
    }
    if dialect == Dialect::Responses
        && head.field(body, "messages").is_some()
        && !ASKING.iter().any(|name| head.field(body, name).is_some())
    {
        let hint = "belongs to POST /v1/chat/completions; a request to /v1/responses has `input`";
        return Err(refuse("messages", hint));
    }
    head.fields()
        .iter()
        .try_for_each(|field| check_field(dialect, field, body))
}

fn check_field(dialect: Dialect, field: &Field, body: &str) -> Result<(), Failure> {
    let name = field.name(body);
    let chat = matches!(dialect, Dialect::ChatCompletions | Dialect::TextCompletions);
    let form = match name {
        // Without one, it is asked to load the model.
        "messages" if matches!(dialect, Dialect::Ollama(_)) => Form::AnyList,
        "messages" => Form::List,
        "tools" => Form::AnyList,
        "max_tokens" | "max_completion_tokens" | "max_output_tokens" => Form::Tokens,
        "n" if chat => Form::Answers,
        "temperature" | "top_p" => Form::Number,
        _ => return Ok(()),
    };
    let value = body.get(field.value.clone()).unwrap_or_default();
    let wrong = match form {
        Form::List if is_list(value) == Some(true) => return Ok(()),
        Form::List => "must be a list with at least one entry",
        _ if value == "null" => return Ok(()),
        Form::AnyList if is_list(value).is_some() => return Ok(()),
        Form::AnyList => "must be a list",
        Form::Tokens if value == "-1" || whole(value).is_some_and(|n| n <= MOST_TOKENS) => {
            return Ok(());
        }
        Form::Tokens => "must be a whole number that a model can reach",
        Form::Answers if whole(value).is_some_and(|n| (1..=MOST_ANSWERS).contains(&n)) => {
            return Ok(());
        }
        Form::Answers => "must be a whole number from 1 to 128",
        Form::Number if is_number(value) => return Ok(()),
        Form::Number => "must be a number",
    };
    Err(refuse(name, wrong))
}

fn refuse(name: &str, wrong: &str) -> Failure {
    Failure::invalid(format!("`{name}` {wrong}"), Some(name))
}

/// Whether a value is a list, and one with something in it. The value is well-formed.
fn is_list(value: &str) -> Option<bool> {
    let inner = value.strip_prefix('[')?;
    Some(!inner.trim_start().starts_with(']'))
}

fn whole(value: &str) -> Option<u64> {
    let digits = value.bytes().all(|b| b.is_ascii_digit());
    // `1e2` and `100.0` are whole, too; nobody writes them, and no reader is asked to agree.
    digits.then(|| value.parse().ok()).flatten()
}

/// A number that is finite where it is read as a float.
fn is_number(value: &str) -> bool {
    value.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && value.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::{Dialect, Head};

    fn checked(dialect: Dialect, more: &str) -> Option<String> {
        let body = format!(r#"{{"model":"m","messages":[{{}}]{more}}}"#);
        let head = Head::read(body.as_bytes()).unwrap();
        let failure = check(dialect, &head, &body).err()?;
        Some(failure.param.unwrap_or_default())
    }

    #[test]
    fn e6_e9_what_cannot_be_meant_is_named() {
        for (field, values) in [
            (
                "max_tokens",
                "-2 1.5 \"5\" true 1e3 1000000000000 99999999999999999999 [] {}",
            ),
            ("max_completion_tokens", "-7 \"x\" 2000000000"),
            ("n", "0 -1 129 1000000 1.0 \"1\" []"),
            ("temperature", "\"1\" true [] 1e400 -1e999"),
            ("top_p", "\"x\" {}"),
            ("tools", "{} 5 \"x\" true"),
        ] {
            for value in values.split(' ') {
                let found = checked(Dialect::ChatCompletions, &format!(r#","{field}":{value}"#));
                assert_eq!(found.as_deref(), Some(field), "{value}");
            }
        }
        for (body, param) in [
            (r#"{"model":"m"}"#, "messages"),
            (r#"{"model":"m","messages":null}"#, "messages"),
            (r#"{"model":"m","messages":[ ]}"#, "messages"),
            (r#"{"model":"m","messages":{"role":"user"}}"#, "messages"),
            (r#"{"model":"m","messages":"hi"}"#, "messages"),
        ] {
            for dialect in [Dialect::ChatCompletions, Dialect::Messages] {
                let head = Head::read(body.as_bytes()).unwrap();
                let failure = check(dialect, &head, body).unwrap_err();
                assert_eq!(failure.param.as_deref(), Some(param), "{body}");
            }
        }
    }

    #[test]
    fn e9_what_can_be_meant_is_left_to_the_provider() {
        for more in [
            "",
            r#","max_tokens":-1,"n":1,"temperature":0,"top_p":1,"tools":[]"#,
            r#","max_tokens":0,"n":128,"temperature":-0.0,"top_p":1e-3"#,
            r#","max_tokens":1000000000,"n":null,"temperature":null,"tools":null"#,
            r#","n_":0,"N":0,"Max_Tokens":-5,"top_k":"x""#,
        ] {
            assert_eq!(checked(Dialect::ChatCompletions, more), None, "{more}");
        }
        // The other wire's word for what is asked is the one field that is told.
        assert_eq!(checked(Dialect::Responses, ""), Some("messages".to_owned()));
        assert_eq!(checked(Dialect::Responses, r#","input":"x""#), None);
        // A field of another wire is nobody's business here.
        assert_eq!(checked(Dialect::Messages, r#","n":1000"#), None);
    }
}
