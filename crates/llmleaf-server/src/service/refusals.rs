//! What is refused before anything is read of a request.

use crate::path;
use crate::reply::{self, Reply};
use http::header::ALLOW;
use http::{HeaderValue, Method};
use llmleaf_dialects::Dialect;
use llmleaf_model::{Failure, FailureKind, Origin};

/// The path exists, with other methods.
pub(super) fn other_methods(dialect: Dialect, methods: &[&'static Method], id: &str) -> Reply {
    let list: Vec<&str> = methods.iter().map(|m| m.as_str()).collect();
    let list = list.join(", ");
    let message = format!("this path takes {list}");
    let failure = Failure::new(Origin::Consumer, FailureKind::MethodNotAllowed, message);
    let mut reply = reply::failed(dialect, &failure, id);
    if let Ok(value) = HeaderValue::from_str(&list) {
        reply.headers_mut().insert(ALLOW, value);
    }
    reply
}

/// There is no room.
pub(super) fn overloaded() -> Failure {
    let message = "this gateway has no room for more work now; try again shortly";
    let mut failure = Failure::gateway(FailureKind::Overloaded, message);
    failure.code = Some("server_overloaded".to_owned());
    failure
}

/// There is no such path.
pub fn unknown(path: &str) -> Failure {
    let message = format!("no such endpoint; {}", path::hint(path));
    Failure::new(Origin::Consumer, FailureKind::NotFound, message)
}
