//! What a request for a session says: in its query, and in the sub-protocols by which browsers say what headers cannot.

use super::secrets;
use crate::discovery::query::decode;
use crate::reply;
use http::header::{AUTHORIZATION, HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use llmleaf_auth::{AuthError, Pass};
use llmleaf_dialects::realtime::names::{KEY_PROTOCOL, OLDER_HEADER, OLDER_PROTOCOL, PROTOCOL};
use llmleaf_model::{Failure, FailureKind, Origin};

/// Fields of a query in which keys are sent, and in which they end up in logs.
const KEYS: &[&str] = &[
    "api_key",
    "api-key",
    "apikey",
    "key",
    "token",
    "access_token",
];

/// What is asked for.
#[derive(Debug)]
pub struct Asked {
    /// The model.
    pub model: String,
    /// The form that stood before.
    pub older: bool,
    /// Only to write down what is heard.
    pub transcribes: bool,
    /// The sub-protocol is named, and must be in the answer.
    pub names_protocol: bool,
}

impl Asked {
    /// Reads a request.
    ///
    /// # Errors
    /// It names no model, shows a key where keys may not stand, or comes from another site than is served.
    pub fn read(parts: &Parts, origins: &[String], pass: Option<&Pass>) -> Result<Self, Failure> {
        let headers = &parts.headers;
        // A pass was made for a browser, by whoever holds the key.
        if pass.is_none() {
            check_origin(headers, origins)?;
        }
        let mut asked = Self {
            model: String::new(),
            older: names(headers, OLDER_HEADER.0).any(|name| name == OLDER_HEADER.1),
            transcribes: false,
            names_protocol: false,
        };
        for field in parts.uri.query().unwrap_or_default().split('&') {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let value = || decode(value).unwrap_or_default();
            match name {
                // By this some surfaces call the model.
                "model" | "deployment" => asked.model = value(),
                "intent" => asked.transcribes = value() == "transcription",
                "call_id" => {
                    let why = "sessions of calls are not offered here; open one with `model`";
                    return Err(Failure::invalid(why, Some("call_id")));
                }
                _ if KEYS.contains(&name) => return Err(in_query()),
                _ => {}
            }
        }
        for name in names(headers, SEC_WEBSOCKET_PROTOCOL.as_str()) {
            asked.names_protocol |= name == PROTOCOL;
            asked.older |= name == OLDER_PROTOCOL;
        }
        if let Some(pass) = pass {
            asked.passed(pass)?;
        }
        if asked.model.is_empty() {
            let why = "the query names no `model`; with `intent=transcription` it is the one that writes down what is heard";
            return Err(Failure::invalid(why, Some("model")));
        }
        Ok(asked)
    }
}

impl Asked {
    /// A pass says what is asked for.
    fn passed(&mut self, pass: &Pass) -> Result<(), Failure> {
        let model = pass.models.first().map_or("", String::as_str);
        if !self.model.is_empty() && self.model != model {
            let model = std::mem::take(&mut self.model);
            return Err(reply::unauthorised(&AuthError::ModelNotAllowed { model }));
        }
        model.clone_into(&mut self.model);
        self.transcribes |= secrets::transcribes(&pass.session);
        Ok(())
    }
}

/// The pass that is shown, in the places of a key.
pub fn pass(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|text| text.strip_prefix("Bearer "));
    let mut shown = bearer.into_iter().chain(credentials(headers));
    shown.find(|token| token.starts_with(llmleaf_auth::pass::PREFIX))
}

/// A key has no business in a URL.
fn in_query() -> Failure {
    let why = format!(
        "a key in the query ends up in logs and is not taken; send it as `Authorization: Bearer`, or from a browser as \
         the sub-protocol `{KEY_PROTOCOL}KEY`"
    );
    Failure::new(Origin::Consumer, FailureKind::Authentication, why)
}

/// The keys among the sub-protocols.
pub fn credentials(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    names(headers, SEC_WEBSOCKET_PROTOCOL.as_str())
        .filter_map(|name| name.strip_prefix(KEY_PROTOCOL))
}

/// The elements of a header that is a list.
fn names<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim)
}

/// Browsers say from which site a request comes, and nobody else does. Another site than this one must be listed: else any page
/// could have its visitors' browsers, with what these know of keys, open sessions here.
fn check_origin(headers: &HeaderMap, origins: &[String]) -> Result<(), Failure> {
    let mut all = headers.get_all(ORIGIN).iter();
    let Some(origin) = all.next() else {
        return Ok(());
    };
    let text = origin.to_str().ok().filter(|_| all.next().is_none());
    let text = text.unwrap_or_default();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let site = text.split_once("://").map(|(_, site)| site);
    let same = site
        .zip(host)
        .is_some_and(|(site, host)| site.eq_ignore_ascii_case(host));
    let listed = |allowed: &String| allowed == "*" || allowed.eq_ignore_ascii_case(text);
    if same || origins.iter().any(listed) {
        return Ok(());
    }
    let why = "sessions are not opened for pages of other sites; `realtime_origins` in the gateway's configuration lists those \
               that are served";
    let mut failure = Failure::new(Origin::Consumer, FailureKind::Permission, why);
    failure.status = Some(StatusCode::FORBIDDEN.as_u16());
    failure.code = Some("origin_not_allowed".to_owned());
    Err(failure)
}

#[cfg(test)]
mod tests;
