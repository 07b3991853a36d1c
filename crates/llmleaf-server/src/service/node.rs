//! What the node answers about itself: to anybody, and to its operator.

use super::{Call, unknown};
use crate::app::App;
use crate::registry::{Endpoint, Operation};
use crate::reply::{self, Reply};
use crate::{admin, discovery, openapi};
use http::{HeaderMap, StatusCode};
use llmleaf_model::{Failure, FailureKind, Origin};
use std::sync::atomic::Ordering;

/// What anybody may ask.
pub fn public(app: &App, endpoint: &Endpoint) -> Reply {
    match endpoint.operation {
        Operation::OpenApi => reply::whole(StatusCode::OK, "application/json", openapi::text()),
        Operation::Ready if app.draining.load(Ordering::Relaxed) => {
            reply::whole(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "draining\n")
        }
        Operation::Ready if app.authenticator.is_cold() => {
            let body = "waiting for the roster of keys\n";
            reply::whole(StatusCode::SERVICE_UNAVAILABLE, "text/plain", body)
        }
        Operation::Version => discovery::tags::version(),
        Operation::Probe => reply::whole(StatusCode::OK, "text/plain", endpoint.dialect.greeting()),
        _ => reply::whole(StatusCode::OK, "text/plain", "ok\n"),
    }
}

impl Call {
    /// What only the operator may ask.
    pub(super) fn admin(
        &self,
        operation: Operation,
        headers: &HeaderMap,
        (path, query): (&str, Option<&str>),
    ) -> Result<Reply, Failure> {
        let app = &self.worker.app;
        if app.admin_token.is_none() {
            return Err(unknown(path));
        }
        if !admin::admitted(app, headers) {
            let message = "the admin surface wants its token in `x-admin-token`";
            return Err(Failure::new(
                Origin::Consumer,
                FailureKind::Authentication,
                message,
            ));
        }
        match operation {
            Operation::AdminRoutes => Ok(admin::routes(app)),
            Operation::AdminHealth => Ok(admin::health(app)),
            Operation::AdminRecent => admin::recent::answer(app, query.unwrap_or_default()),
            _ => Ok(admin::keys(app)),
        }
    }
}
