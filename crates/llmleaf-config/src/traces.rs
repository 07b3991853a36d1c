//! `[traces]`: to whom spans of exchanges are told. What the table does not say may stand in the variables that OpenTelemetry has for it
//! ("OpenTelemetry Environment Variable Specification" and "OTLP Exporter Configuration", read 2026-11); without the table none of them means anything.

use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use crate::control::header_name;
use crate::diagnose::{Diagnostic, Place};
use crate::read::{At, Reading, Table};
use crate::{Secret, secrets, url};

/// The `[traces]` table.
#[derive(Debug, PartialEq)]
pub struct Traces {
    /// Where spans go, called as it is.
    pub url: String,
    /// What proves who sends them, and whatever else the collector wants: names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// What this service is called. Default `llmleaf`.
    pub service_name: String,
    /// What else is said of it.
    pub resource: Vec<(String, String)>,
    /// How many of the requests that come without a trace begin one, from 0 to 1. Default all.
    pub sample_ratio: f64,
    /// How long one call may take. Default 10 s.
    pub timeout: Duration,
    /// PEM file with the authorities that sign the collector's certificate, instead of the public ones.
    pub ca_file: Option<PathBuf>,
}

/// Environment variables that set values of this table.
const ENV_PREFIX: &str = "LLMLEAF_TRACES__";
const MAX_CALL_MS: u64 = 60_000;
/// Where a collector takes traces, below its address.
const PATH: &str = "/v1/traces";

/// Reads the `[traces]` table.
pub(crate) fn read(cx: &Reading<'_>, root: &mut Table<'_>) -> Option<Traces> {
    let mut table = root.table(cx, "traces")?.with_env(ENV_PREFIX);
    let place = table.place().clone();
    let off = common(cx, "OTEL_SDK_DISABLED")
        .is_some_and(|word| word.trim().eq_ignore_ascii_case("true"));
    let url = match table.string(cx, "url") {
        Some(at) => url::plain(cx, "url", &at),
        None if off => None,
        None => common_url(cx, &place),
    };
    let mut headers = match off {
        true => Vec::new(),
        false => common_headers(cx, &place),
    };
    let own = headers_of(cx, &mut table);
    headers.retain(|(name, _)| own.iter().all(|(known, _)| known != name));
    headers.extend(own);
    if let Some(token) = secrets::read(cx, &mut table, "credential") {
        headers.retain(|(name, _)| name != "authorization");
        let bearer = format!("Bearer {}", token.value.expose());
        headers.push(("authorization".to_owned(), Secret::new(bearer)));
    }
    let (common_name, mut resource) = common_resource(cx);
    let own = texts(cx, &mut table, "resource");
    resource.retain(|(name, _)| own.iter().all(|(known, _)| known != name));
    resource.extend(own);
    let service_name = table.string(cx, "service_name").map(|at| at.value);
    let sample_ratio = ratio(cx, &mut table);
    let timeout = table.millis(cx, "timeout_ms", 1..=MAX_CALL_MS);
    let ca_file = table.string(cx, "ca_file");
    table.finish(cx);
    if off {
        return None;
    }
    Some(Traces {
        url: url?,
        headers,
        service_name: service_name
            .or(common_name)
            .unwrap_or_else(|| "llmleaf".to_owned()),
        resource,
        sample_ratio: sample_ratio.or_else(|| common_ratio(cx)).unwrap_or(1.0),
        timeout: timeout.unwrap_or(Duration::from_secs(10)),
        ca_file: ca_file.map(|at| cx.file(&at.value)),
    })
}

/// One of OpenTelemetry's variables; an empty one is none ("Environment Variable Specification", 1.50).
fn common(cx: &Reading<'_>, name: &str) -> Option<String> {
    (cx.env)(name).filter(|value| !value.is_empty())
}

/// The collector's address as OpenTelemetry's variables have it: that for traces is called as it is, the path is added to the other.
fn common_url(cx: &Reading<'_>, place: &Place) -> Option<String> {
    let own = common(cx, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    let base = || common(cx, "OTEL_EXPORTER_OTLP_ENDPOINT");
    let below = |base: String| format!("{}{PATH}", base.trim_end_matches('/'));
    let Some(value) = own.or_else(|| base().map(below)) else {
        let message = "`[traces]` does not say where spans go";
        let help = "`url = \"http://127.0.0.1:4318/v1/traces\"` for a collector on this machine, or OTEL_EXPORTER_OTLP_ENDPOINT";
        cx.report(Diagnostic::error(place, message, "needs `url`").help(help));
        return None;
    };
    let at = At {
        value,
        place: place.clone(),
    };
    url::plain(cx, "OTEL_EXPORTER_OTLP_ENDPOINT", &at)
}

/// `OTEL_EXPORTER_OTLP_HEADERS`: names and values, percent-encoded, between commas.
fn common_headers(cx: &Reading<'_>, place: &Place) -> Vec<(String, Secret)> {
    let variables = [
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "OTEL_EXPORTER_OTLP_HEADERS",
    ];
    let Some((variable, text)) = variables
        .iter()
        .find_map(|name| Some((*name, common(cx, name)?)))
    else {
        return Vec::new();
    };
    let each = pairs(&text).into_iter().filter_map(|(name, value)| {
        let plain = !value.chars().any(char::is_control);
        let name = header_name(
            cx,
            &At {
                value: name,
                place: place.clone(),
            },
        )?;
        if !plain {
            let message = format!("a value in {variable} cannot be a header");
            cx.report(Diagnostic::error(place, message, ""));
        }
        plain.then(|| (name, Secret::new(value)))
    });
    each.collect()
}

/// What this service is called, and what else is said of it, as OpenTelemetry's variables have it.
fn common_resource(cx: &Reading<'_>) -> (Option<String>, Vec<(String, String)>) {
    let mut resource = common(cx, "OTEL_RESOURCE_ATTRIBUTES")
        .map(|text| pairs(&text))
        .unwrap_or_default();
    let at = resource.iter().position(|(name, _)| name == "service.name");
    let named = at.map(|at| resource.remove(at).1);
    (
        common(cx, "OTEL_SERVICE_NAME")
            .filter(|name| !name.is_empty())
            .or(named),
        resource,
    )
}

/// `OTEL_TRACES_SAMPLER`, of which those that follow their callers and all others are one here: whoever calls decides about a trace of its own.
fn common_ratio(cx: &Reading<'_>) -> Option<f64> {
    let sampler = common(cx, "OTEL_TRACES_SAMPLER")?;
    let kind = sampler.trim();
    match kind.strip_prefix("parentbased_").unwrap_or(kind) {
        "always_off" => Some(0.0),
        "traceidratio" => {
            let ratio = common(cx, "OTEL_TRACES_SAMPLER_ARG")?.trim().parse().ok();
            ratio.filter(|ratio| (0.0..=1.0).contains(ratio))
        }
        _ => None,
    }
}

/// `a=1,b=2`, with both sides percent-encoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| url::percent_decoded(text.trim());
    let each = text.split(',').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((decoded(name)?, decoded(value)?))
    });
    each.filter(|(name, _)| !name.is_empty()).collect()
}

/// A table whose keys its author chose, and whose values are texts.
fn texts(cx: &Reading<'_>, table: &mut Table<'_>, key: &'static str) -> Vec<(String, String)> {
    let Some(inner) = table.table(cx, key) else {
        return Vec::new();
    };
    let each = inner.free_keys().into_iter().filter_map(|name| {
        let at = inner.free_value(&name)?;
        match at.value.as_str() {
            Some(text) => Some((name.value.to_owned(), text.to_owned())),
            None => {
                let message = format!("`{}` in `{key}` must be a string", name.value);
                cx.report(Diagnostic::error(&at.place, message, "expected a string"));
                None
            }
        }
    });
    each.collect()
}

/// `headers`, whose values may be secrets.
fn headers_of(cx: &Reading<'_>, table: &mut Table<'_>) -> Vec<(String, Secret)> {
    let Some(inner) = table.table(cx, "headers") else {
        return Vec::new();
    };
    let each = inner.free_keys().into_iter().filter_map(|name| {
        let at = inner.free_value(&name)?;
        let written = name.value.to_owned();
        let named = header_name(
            cx,
            &At {
                value: written,
                place: name.place.clone(),
            },
        )?;
        let Some(text) = at.value.as_str() else {
            let message = format!("`{}` in `headers` must be a string", name.value);
            cx.report(Diagnostic::error(&at.place, message, "expected a string"));
            return None;
        };
        let written = At {
            value: text.to_owned(),
            place: at.place,
        };
        secrets::written(cx, "headers", written).map(|secret| (named, secret))
    });
    each.collect()
}

/// A number from 0 to 1, with a fraction or without.
fn ratio(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<f64> {
    let at = table.value("sample_ratio")?;
    let text = match at.value {
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        _ => None,
    };
    let number = text.and_then(|text| text.parse::<f64>().ok());
    let ratio = number.filter(|number| (0.0..=1.0).contains(number));
    if ratio.is_none() {
        let message = "`sample_ratio` must be a number from 0 to 1";
        cx.report(Diagnostic::error(
            &at.place,
            message,
            "0.1 is one request in ten",
        ));
    }
    ratio
}

#[cfg(test)]
mod tests {
    use crate::Config;

    fn traces(table: &str, env: &[(&str, &str)]) -> Option<super::Traces> {
        let known = |name: &str| {
            let found = env.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let config = Config::parse(table, "x.toml", &known);
        config.unwrap_or_else(|found| panic!("{found}")).traces
    }

    const ENV: &[(&str, &str)] = &[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b,X-Team=t"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=ours,zone=b"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ];

    #[test]
    fn what_the_table_leaves_open_the_usual_variables_say() {
        assert_eq!(
            traces("", ENV),
            None,
            "nothing is sent unless the file says so"
        );
        let read = traces("[traces]", ENV).expect("it is on");
        assert_eq!(read.url, "http://127.0.0.1:4318/v1/traces");
        let headers: Vec<(&str, &str)> = (read.headers.iter())
            .map(|(name, value)| (name.as_str(), value.expose()))
            .collect();
        assert_eq!(headers, [("api-key", "a b"), ("x-team", "t")]);
        assert_eq!(
            (read.service_name.as_str(), read.sample_ratio),
            ("ours", 0.25)
        );
        assert_eq!(read.resource, [("zone".to_owned(), "b".to_owned())]);
        let off = [ENV, &[("OTEL_SDK_DISABLED", "true")]].concat();
        assert_eq!(traces("[traces]", &off), None);
        // Nothing else need be there then, or right.
        let alone = [
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c"),
        ];
        assert_eq!(traces("[traces]", &alone), None);
        let empty = [ENV, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")]].concat();
        assert_eq!(traces("[traces]", &empty), traces("[traces]", ENV));
    }

    #[test]
    fn what_the_table_says_counts() {
        let table = "[traces]\nurl = \"http://127.0.0.1:1/a\"\ncredential = \"env:T\"\nservice_name = \"mine\"\nsample_ratio = 1\n\
            headers = { api-key = \"other\" }\nresource = { zone = \"c\" }";
        let env = [ENV, &[("T", "CANARY")]].concat();
        let read = traces(table, &env).expect("it is on");
        assert_eq!(read.url, "http://127.0.0.1:1/a");
        let names: Vec<&str> = read.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-team", "api-key", "authorization"]);
        assert_eq!(
            (read.service_name.as_str(), read.sample_ratio),
            ("mine", 1.0)
        );
        assert_eq!(read.resource, [("zone".to_owned(), "c".to_owned())]);
        assert!(!format!("{read:?}").contains("CANARY"));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (table, says) in [
            ("[traces]", "does not say where spans go"),
            ("[traces]\nurl = \"no\"", "not a usable URL"),
            (
                "[traces]\nurl = \"http://127.0.0.1:1/\"\nsample_ratio = 2",
                "from 0 to 1",
            ),
            (
                "[traces]\nurl = \"http://127.0.0.1:1/\"\nheaders = { \"a b\" = \"c\" }",
                "no header name",
            ),
        ] {
            let found = Config::parse(table, "x.toml", &|_| None).expect_err(table);
            assert!(found.to_string().contains(says), "{found}");
        }
    }
}
