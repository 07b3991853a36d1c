//! `[control]`: the controller that this node pulls from and pushes to.

use std::time::Duration;

use crate::Secret;

/// The `[control]` table; each capability stands alone.
#[derive(Clone, Debug, Default)]
pub struct Control {
    /// Credentials that the capabilities refer to by id.
    pub auth: Vec<ControlAuth>,
    /// Pulls the roster of keys.
    pub identity: Option<Identity>,
    /// Pulls verdicts on keys.
    pub limits: Option<LimitsPull>,
    /// Pulls further providers and routes.
    pub topology: Option<Topology>,
    /// Pushes usage.
    pub usage: Option<UsagePush>,
    /// Asks before a request goes on.
    pub intercept: Option<Intercept>,
}

/// One `[[control.auth]]` table.
#[derive(Clone, Debug)]
pub struct ControlAuth {
    /// The id that capabilities use.
    pub id: String,
    /// What to send.
    pub credential: ControlCredential,
}

/// How a call to the controller proves itself.
#[derive(Clone, Debug)]
pub enum ControlCredential {
    /// `Authorization: Bearer …`
    Bearer(Secret),
    /// One header of any name.
    Header {
        /// Lower-case header name.
        name: String,
        /// Its value.
        value: Secret,
    },
}

/// Where and how a capability calls.
#[derive(Clone, Debug)]
pub struct ControlCall {
    /// Endpoint.
    pub url: String,
    /// Credential, own or by `auth`.
    pub credential: Option<ControlCredential>,
    /// How long one call may take.
    pub timeout: Duration,
}

/// What a failed call means for requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// Let them through.
    Allow,
    /// Refuse them.
    Deny,
}

/// `[control.identity]`
#[derive(Clone, Debug)]
pub struct Identity {
    /// Where and how; timeout default 2 s.
    pub call: ControlCall,
    /// How often. Default 30 s.
    pub refresh: Duration,
    /// Default deny.
    pub on_error: OnError,
}

/// `[control.limits]`
#[derive(Clone, Debug)]
pub struct LimitsPull {
    /// Where and how; timeout default 2 s.
    pub call: ControlCall,
    /// How often. Default 5 s.
    pub refresh: Duration,
    /// Default allow.
    pub on_error: OnError,
}

/// `[control.topology]`
#[derive(Clone, Debug)]
pub struct Topology {
    /// Where and how; timeout default 2 s.
    pub call: ControlCall,
    /// How often. Default 30 s.
    pub refresh: Duration,
}

/// `[control.usage]`
#[derive(Clone, Debug)]
pub struct UsagePush {
    /// Where and how; timeout default 5 s.
    pub call: ControlCall,
    /// Longest wait before a batch is sent. Default 1 s.
    pub batch_wait: Duration,
    /// Most events in a batch. Default 256.
    pub batch_max: usize,
}

/// `[control.intercept]`
#[derive(Clone, Debug)]
pub struct Intercept {
    /// Where and how; timeout default 1 s.
    pub call: ControlCall,
    /// When to ask; empty means never.
    pub phases: Vec<InterceptPhase>,
    /// Only for these keys, by display name; empty means all.
    pub keys: Vec<String>,
    /// Only for these models, exact or with `*`; empty means all.
    pub models: Vec<String>,
    /// Default allow.
    pub on_error: OnError,
}

/// When an interceptor is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterceptPhase {
    /// Before the request is sent upstream.
    Request,
    /// Before the answer is sent to the consumer.
    Response,
}
