//! A controller that is reached by HTTP.

use super::{Plan, Push, Reach, What};
use crate::endpoint::Endpoint;
use crate::pull::{Answer, Trouble};
use bytes::Bytes;
use llmleaf_transport::Pool;

/// Connections to each endpoint of a plan.
pub struct Http {
    identity: Option<(Endpoint, Pool)>,
    verdicts: Option<(Endpoint, Pool)>,
    topology: Option<(Endpoint, Pool)>,
    leases: Option<(Endpoint, Pool)>,
    usage: Option<(Endpoint, Pool)>,
}

/// Largest answer to what is pushed, in bytes.
const ANSWER: usize = 4 * 1024 * 1024;

impl Http {
    /// To the endpoints of that plan.
    pub fn new(plan: &Plan) -> Self {
        let pooled = |endpoint: &Endpoint| (endpoint.clone(), endpoint.pool());
        let way = |what| plan.pull(what).map(|pull| pooled(&pull.endpoint));
        Self {
            identity: way(What::Identity),
            verdicts: way(What::Verdicts),
            topology: way(What::Topology),
            leases: plan.leases.as_ref().map(pooled),
            usage: plan.usage.as_ref().map(|usage| pooled(&usage.endpoint)),
        }
    }
}

impl Reach for Http {
    async fn get(&self, what: What, etag: Option<&str>) -> Result<(Answer, Bytes), Trouble> {
        let way = match what {
            What::Identity => &self.identity,
            What::Verdicts => &self.verdicts,
            What::Topology => &self.topology,
        };
        let Some((endpoint, pool)) = way else {
            return Err(Trouble::Transport("there is no endpoint".to_owned()));
        };
        endpoint.get(pool, etag, what.limit()).await
    }

    async fn post(&self, what: Push, body: Bytes) -> Result<(Answer, Bytes), Trouble> {
        let way = match what {
            Push::Leases => &self.leases,
            Push::Usage => &self.usage,
        };
        let Some((endpoint, pool)) = way else {
            return Err(Trouble::Transport("there is no endpoint".to_owned()));
        };
        endpoint.post(pool, body, ANSWER).await
    }
}
