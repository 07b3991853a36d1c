//! The endpoints of batches and their files.

use super::{Addressing, AuthClass, Endpoint, Operation};
use http::Method;
use llmleaf_dialects::Dialect;

/// What is asked about batches and their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchCall {
    /// To make one.
    Make,
    /// Which there are.
    List,
    /// How far one is.
    Retrieve,
    /// To stop one.
    Cancel,
    /// To forget one.
    Delete,
    /// Its results.
    Results,
    /// To keep a file of requests.
    Upload,
    /// Which files there are.
    Files,
    /// What is known of a file.
    File,
    /// To forget a file.
    DeleteFile,
    /// What a file holds.
    Content,
}

/// Makes a batch of messages requests.
pub const MESSAGES_MAKE: Endpoint = batch(
    Method::POST,
    "/v1/messages/batches",
    BatchCall::Make,
    Dialect::Messages,
    "Makes a batch of messages requests.",
);
/// The key's batches of messages requests.
pub const MESSAGES_LIST: Endpoint = batch(
    Method::GET,
    "/v1/messages/batches",
    BatchCall::List,
    Dialect::Messages,
    "The key's batches of messages requests.",
);
/// How far a batch is.
pub const MESSAGES_RETRIEVE: Endpoint = batch(
    Method::GET,
    "/v1/messages/batches/{id}",
    BatchCall::Retrieve,
    Dialect::Messages,
    "How far a batch is.",
);
/// Has a batch that has ended forgotten.
pub const MESSAGES_DELETE: Endpoint = batch(
    Method::DELETE,
    "/v1/messages/batches/{id}",
    BatchCall::Delete,
    Dialect::Messages,
    "Has a batch that has ended forgotten.",
);
/// Stops a batch.
pub const MESSAGES_CANCEL: Endpoint = batch(
    Method::POST,
    "/v1/messages/batches/{id}/cancel",
    BatchCall::Cancel,
    Dialect::Messages,
    "Stops a batch.",
);
/// The results of a batch, one a line.
pub const MESSAGES_RESULTS: Endpoint = batch(
    Method::GET,
    "/v1/messages/batches/{id}/results",
    BatchCall::Results,
    Dialect::Messages,
    "The results of a batch, one a line.",
);
/// Makes a batch of the requests in a file, or of those in the body.
pub const MAKE: Endpoint = batch(
    Method::POST,
    "/v1/batches",
    BatchCall::Make,
    Dialect::ChatCompletions,
    "Makes a batch of the requests in a file, or of those in the body.",
);
/// The key's batches.
pub const LIST: Endpoint = batch(
    Method::GET,
    "/v1/batches",
    BatchCall::List,
    Dialect::ChatCompletions,
    "The key's batches.",
);
/// How far a batch is.
pub const RETRIEVE: Endpoint = batch(
    Method::GET,
    "/v1/batches/{id}",
    BatchCall::Retrieve,
    Dialect::ChatCompletions,
    "How far a batch is.",
);
/// Stops a batch.
pub const CANCEL: Endpoint = batch(
    Method::POST,
    "/v1/batches/{id}/cancel",
    BatchCall::Cancel,
    Dialect::ChatCompletions,
    "Stops a batch.",
);
/// The results of a batch, answers and errors, one a line.
pub const RESULTS: Endpoint = batch(
    Method::GET,
    "/v1/batches/{id}/results",
    BatchCall::Results,
    Dialect::ChatCompletions,
    "The results of a batch, answers and errors, one a line.",
);
/// Keeps a file of requests, for batches.
pub const UPLOAD: Endpoint = batch(
    Method::POST,
    "/v1/files",
    BatchCall::Upload,
    Dialect::ChatCompletions,
    "Keeps a file of requests, for batches.",
);
/// The key's files, of those that are kept here.
pub const FILES: Endpoint = batch(
    Method::GET,
    "/v1/files",
    BatchCall::Files,
    Dialect::ChatCompletions,
    "The key's files, of those that are kept here.",
);
/// What is known of a file of a batch.
pub const FILE: Endpoint = batch(
    Method::GET,
    "/v1/files/{id}",
    BatchCall::File,
    Dialect::ChatCompletions,
    "What is known of a file of a batch.",
);
/// Has a file forgotten.
pub const DELETE_FILE: Endpoint = batch(
    Method::DELETE,
    "/v1/files/{id}",
    BatchCall::DeleteFile,
    Dialect::ChatCompletions,
    "Has a file forgotten.",
);
/// What a file holds.
pub const CONTENT: Endpoint = batch(
    Method::GET,
    "/v1/files/{id}/content",
    BatchCall::Content,
    Dialect::ChatCompletions,
    "What a file holds.",
);

/// Something about batches, on OpenAI's surface or on that of messages.
const fn batch(
    method: Method,
    path: &'static str,
    call: BatchCall,
    dialect: Dialect,
    summary: &'static str,
) -> Endpoint {
    Endpoint {
        method,
        path,
        auth: AuthClass::Consumer,
        operation: Operation::Batch(call),
        dialect,
        addressing: Addressing::Body,
        takes_body: matches!(call, BatchCall::Make | BatchCall::Upload),
        summary,
    }
}
