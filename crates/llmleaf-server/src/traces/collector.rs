//! Who collects spans, and what becomes of a call: "OTLP/HTTP" of the OpenTelemetry Protocol, 1.x, in its JSON form
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>, read 2026-11).

use crate::app::BuildError;
use crate::ways;
use bytes::Bytes;
use llmleaf_config::Config;
use llmleaf_control::{Endpoint, Trouble};
use llmleaf_transport::{Pool, TlsConfig};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Most calls for one batch, and the pause before the second. A collector may ask for longer ones, up to the last of these.
const CALLS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Most bytes of an answer that are read.
const ANSWER: usize = 64 * 1024;

/// Who is told of spans.
pub struct Collector {
    endpoint: Endpoint,
    /// Requests that begin a trace, of 2^64.
    sampled: u64,
    /// What is said of this service.
    pub resource: Value,
    /// Providers by their names here.
    services: HashMap<String, Service>,
}

/// A provider, as others know it.
pub struct Service {
    /// What OpenTelemetry calls it.
    pub name: &'static str,
    /// Where it is, unless nobody is called for it.
    pub address: Option<(String, u16)>,
}

/// What a collector says to what it took.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    partial_success: Option<Partial>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Partial {
    /// A number, or as protobuf's JSON writes large ones: a text.
    rejected_spans: Value,
}

impl Collector {
    /// The one of a configuration.
    ///
    /// # Errors
    /// It cannot be called.
    pub fn of(
        config: &Config,
        upstreams: &[llmleaf_exchange::Upstream],
    ) -> Result<Option<Arc<Self>>, BuildError> {
        let Some(traces) = &config.traces else {
            return Ok(None);
        };
        let refused = |error: &dyn std::fmt::Display| BuildError::Traces(error.to_string());
        let ca = traces.ca_file.as_deref().map(ways::file).transpose()?;
        let tls = TlsConfig::with(ca.as_deref(), None).map_err(|error| refused(&error))?;
        let headers = traces.headers.iter();
        let headers: Vec<(&str, &str)> = headers
            .map(|(name, value)| (name.as_str(), value.expose()))
            .collect();
        let endpoint = Endpoint::elsewhere(&traces.url, &headers, traces.timeout, &tls);
        let services = upstreams.iter().map(|upstream| {
            let origin = upstream.origin();
            let service = Service {
                name: upstream.row.semantic_name(),
                address: origin.map(|origin| (origin.host().to_owned(), origin.port())),
            };
            (upstream.name.to_string(), service)
        });
        let own = [
            ("service.name", traces.service_name.as_str()),
            ("service.version", env!("CARGO_PKG_VERSION")),
        ];
        let more = traces.resource.iter();
        let more = more.map(|(name, value)| (name.as_str(), value.as_str()));
        let attributes: Vec<Value> = own
            .into_iter()
            .chain(more)
            .map(|(name, value)| json!({"key": name, "value": {"stringValue": value}}))
            .collect();
        Ok(Some(Arc::new(Self {
            endpoint: endpoint.map_err(|error| refused(&error))?,
            sampled: share(traces.sample_ratio),
            resource: json!({"attributes": attributes}),
            services: services.collect(),
        })))
    }

    /// Whether a request that comes without a trace begins one.
    pub fn samples(&self, chance: u64) -> bool {
        chance < self.sampled || self.sampled == u64::MAX
    }

    /// A provider by its name here.
    pub fn service(&self, provider: &str) -> Option<&Service> {
        self.services.get(provider)
    }

    /// Connections to it.
    pub fn pool(&self) -> Pool {
        self.endpoint.pool()
    }

    /// Tells it spans; how many of them it rejects.
    ///
    /// # Errors
    /// It has not taken them, or nobody knows.
    pub async fn tell(&self, pool: &Pool, body: Bytes) -> Result<u64, Trouble> {
        let mut call = 1;
        loop {
            let outcome = self.endpoint.post(pool, body.clone(), ANSWER).await;
            let (trouble, wait) = match outcome {
                Ok((answer, said)) if (200..300).contains(&answer.status) => {
                    return Ok(rejected(&said));
                }
                // The only ones after which it may be sent again; anything else would be refused again.
                Ok((answer, _)) if matches!(answer.status, 429 | 502 | 503 | 504) => {
                    (Trouble::Status(answer.status), answer.retry_after)
                }
                Ok((answer, _)) => return Err(Trouble::Status(answer.status)),
                // Of no other than a good answer is the body read.
                Err(Trouble::TooLarge(_)) => return Ok(0),
                Err(trouble) => (trouble, None),
            };
            if call >= CALLS {
                return Err(trouble);
            }
            let usual = PAUSE.saturating_mul(call);
            tokio::time::sleep(wait.unwrap_or(usual).min(LONGEST_PAUSE)).await;
            call += 1;
        }
    }
}

/// How many spans an answer says were not taken.
fn rejected(said: &[u8]) -> u64 {
    let answer: Answer = serde_json::from_slice(said).unwrap_or_default();
    let rejected = answer.partial_success.map(|partial| partial.rejected_spans);
    match rejected {
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        Some(number) => number.as_u64().unwrap_or_default(),
        None => 0,
    }
}

/// A part of all, of 2^64.
fn share(ratio: f64) -> u64 {
    /// As finely as it is told apart.
    const PARTS: u64 = 1 << 32;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "it is from 0 to 1, and a part of it is as good"
    )]
    let parts = (ratio * PARTS as f64) as u64;
    match parts >= PARTS {
        true => u64::MAX,
        false => parts << 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_all_is_what_was_asked_for() {
        assert_eq!((share(0.0), share(1.0)), (0, u64::MAX));
        assert_eq!(share(0.5), 1 << 63);
        assert!(share(0.001) > 0);
    }

    #[test]
    fn what_was_not_taken_is_read_however_it_is_written() {
        for (said, count) in [
            ("", 0),
            ("{}", 0),
            (r#"{"partialSuccess":{}}"#, 0),
            (
                r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}"#,
                3,
            ),
            (r#"{"partialSuccess":{"rejectedSpans":4}}"#, 4),
        ] {
            assert_eq!(rejected(said.as_bytes()), count, "{said}");
        }
    }
}
