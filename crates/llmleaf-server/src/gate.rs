//! What is refused of a request before anybody asks what it wants: heads that say two things, and more than is served.
//! A connection that sends such a thing is closed after the answer.

use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;
use llmleaf_model::{Failure, FailureKind, Origin};

/// Longest request target, in bytes.
const LONGEST_TARGET: usize = 8 * 1024;
/// Most fields of a request's head. Over HTTP/1 it is held to that while it is read.
pub const MOST_FIELDS: usize = 100;

/// Whether a request may go further.
///
/// # Errors
/// It may not: the refusal, which is the last answer on its connection.
pub fn check<B: Body>(request: &Request<B>) -> Result<(), Failure> {
    let uri = request.uri();
    let target = uri.path_and_query().map_or(0, |both| both.as_str().len());
    if target > LONGEST_TARGET {
        return Err(refusal(
            StatusCode::URI_TOO_LONG,
            "the request's path and query are too long",
        ));
    }
    if request.headers().len() > MOST_FIELDS {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(refusal(status, "the request has too many header fields"));
    }
    check_host(request)?;
    match *request.method() {
        // They ask for a tunnel or for an echo; neither is ever served, whatever the path.
        Method::CONNECT | Method::TRACE => Err(Failure::new(
            Origin::Consumer,
            FailureKind::MethodNotAllowed,
            "this method is not served",
        )),
        // RFC 9110, section 9.3.1: a body here means nothing, and is known for smuggling requests.
        Method::GET | Method::HEAD if !request.body().is_end_stream() => {
            Err(bad("a request with this method has no body"))
        }
        _ => Ok(()),
    }
}

/// One host, in its place, and the same in both places where it may stand (RFC 9112, section 3.2; RFC 9113, 8.3.1).
/// Nothing here is decided by it.
fn check_host<B>(request: &Request<B>) -> Result<(), Failure> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(bad("more than one `Host`"));
    }
    if host.is_none() && request.version() == Version::HTTP_11 {
        return Err(bad("a request of HTTP/1.1 names its `Host`"));
    }
    if host.is_some_and(|host| !is_host(host.as_bytes())) {
        return Err(bad("`Host` is a host and a port, and nothing else"));
    }
    // The form of a request target with a host in it, and HTTP/2's `:authority`.
    if let (Some(authority), Some(host)) = (request.uri().authority(), host)
        && !authority
            .as_str()
            .as_bytes()
            .eq_ignore_ascii_case(host.as_bytes())
    {
        return Err(bad("`Host` and the request's target name two hosts"));
    }
    Ok(())
}

/// The characters of a host, a port and the brackets of an IPv6 address; none that begins a path or user information.
fn is_host(text: &[u8]) -> bool {
    text.iter()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+,;=".contains(b))
}

fn bad(message: &str) -> Failure {
    Failure::invalid(message.to_owned(), None)
}

fn refusal(status: StatusCode, message: &str) -> Failure {
    let mut failure = bad(message);
    failure.status = Some(status.as_u16());
    failure
}

/// Makes a reply the last one on its connection.
pub fn close<B>(reply: &mut Response<B>, version: Version) {
    // HTTP/2 knows no such field, and its streams end one by one.
    if version <= Version::HTTP_11 {
        reply
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
}
