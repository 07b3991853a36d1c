//! Who may read the numbers, and how they are handed over.

use super::Telemetry;
use crate::app::App;
use crate::incoming::Incoming;
use crate::registry::{self, Matched, Operation};
use crate::reply::{self, Reply};
use crate::service::{Worker, public, unix_now, unknown};
use crate::{admin, gate};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use llmleaf_auth::Secret;
use llmleaf_config::Config;
use llmleaf_dialects::Dialect;
use llmleaf_metrics::negotiate;
use llmleaf_model::{Failure, FailureKind, Origin};
use std::io::Write;
use std::sync::Arc;

/// What opens the numbers, beside the admin token.
#[derive(Debug, Default)]
pub struct Door {
    token: Option<Secret>,
}

impl Door {
    /// As configured.
    pub fn of(config: &Config) -> Self {
        let token = config.metrics.token.as_ref();
        Self {
            token: token.map(|token| Secret::new(token.expose().to_owned())),
        }
    }

    fn opens(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let given = given.and_then(|given| {
            let (scheme, token) = given.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
        });
        match (&self.token, given) {
            (Some(token), Some(given)) => token.ct_eq(given),
            _ => false,
        }
    }
}

/// At the listener that consumers use: with the metrics' token or the admin's. Without either configured there is nothing here.
pub async fn enter(app: &Arc<App>, headers: &HeaderMap, path: &str) -> Result<Reply, Failure> {
    let door = app.telemetry.door();
    if door.token.is_none() && app.admin_token.is_none() {
        return Err(unknown(path));
    }
    if !admin::admitted(app, headers) && !door.opens(headers) {
        return Err(refused());
    }
    Ok(page(app, headers).await)
}

/// Answers a request at the listener for scrapers: numbers and health, and nothing else.
pub async fn serve(worker: &Worker, request: &Request<Incoming>) -> Reply {
    let now = u64::try_from(unix_now().as_millis()).unwrap_or_default();
    let (id, _) = worker.ids.of(request.headers(), now);
    let dialect = Dialect::ChatCompletions;
    if let Err(failure) = gate::check(request) {
        let mut reply = reply::finish(reply::failed(dialect, &failure, &id), dialect, &id);
        gate::close(&mut reply, request.version());
        return reply;
    }
    let path = request.uri().path();
    let answered = match registry::find(request.method(), path) {
        Matched::Found(endpoint, _) => match endpoint.operation {
            Operation::Metrics => enter_apart(&worker.app, request.headers()).await,
            Operation::Alive | Operation::Ready => Ok(public(&worker.app, endpoint)),
            _ => Err(unknown(path)),
        },
        _ => Err(unknown(path)),
    };
    let reply = answered.unwrap_or_else(|failure| reply::failed(dialect, &failure, &id));
    reply::finish(reply, dialect, &id)
}

/// At the listener for scrapers: whoever reaches it, unless there is a token.
pub async fn enter_apart(app: &Arc<App>, headers: &HeaderMap) -> Result<Reply, Failure> {
    let door = app.telemetry.door();
    if door.token.is_some() && !admin::admitted(app, headers) && !door.opens(headers) {
        return Err(refused());
    }
    Ok(page(app, headers).await)
}

fn refused() -> Failure {
    let message = "the numbers want their token in `authorization: Bearer`";
    Failure::new(Origin::Consumer, FailureKind::Authentication, message)
}

/// The numbers, in the form that the scraper asks for. They are written beside the worker, which has consumers to serve.
async fn page(app: &Arc<App>, headers: &HeaderMap) -> Reply {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let format = negotiate(text(ACCEPT));
    let squeeze = text(ACCEPT_ENCODING).is_some_and(takes_gzip);
    let own = Arc::clone(app);
    // It is kept by who writes: a scraper that goes does not let the next one begin before.
    let leave = app.telemetry.writing().acquire_owned().await;
    let work = move || {
        let _leave = leave;
        let page = Telemetry::page(&own, format).into_bytes();
        match squeeze {
            true => squeezed(&page).map_or((page, false), |page| (page, true)),
            false => (page, false),
        }
    };
    let Ok((page, squeezed)) = tokio::task::spawn_blocking(work).await else {
        // It was a fault of this program, which was told where it happened.
        return reply::whole(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "");
    };
    let mut reply = reply::whole(StatusCode::OK, format.content_type(), page);
    let headers = reply.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if squeezed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    reply
}

/// Whether a coding is taken that is not refused by its weight.
fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|one| {
        let mut parts = one.split(';');
        let name = parts.next().unwrap_or_default().trim();
        let refused = parts
            .filter_map(|part| part.split_once('='))
            .any(|(key, weight)| {
                let is_zero = weight.trim().bytes().all(|b| matches!(b, b'0' | b'.'));
                key.trim().eq_ignore_ascii_case("q") && is_zero
            });
        name.eq_ignore_ascii_case("gzip") && !refused
    })
}

fn squeezed(page: &[u8]) -> Option<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::with_capacity(page.len() / 8), Compression::fast());
    out.write_all(page).ok()?;
    out.finish().ok()
}
