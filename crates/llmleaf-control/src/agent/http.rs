//! A controller that is reached by HTTP.

use super::{Plan, Reach, What};
use crate::endpoint::Endpoint;
use crate::pull::{Answer, Trouble};
use bytes::Bytes;
use llmleaf_transport::Pool;

/// Connections to each endpoint of a plan.
pub struct Http {
    identity: Option<(Endpoint, Pool)>,
    verdicts: Option<(Endpoint, Pool)>,
    topology: Option<(Endpoint, Pool)>,
}

impl Http {
    /// To the endpoints of that plan.
    pub fn new(plan: &Plan) -> Self {
        let way = |what| {
            let endpoint = plan.pull(what)?.endpoint.clone();
            let pool = endpoint.pool();
            Some((endpoint, pool))
        };
        Self {
            identity: way(What::Identity),
            verdicts: way(What::Verdicts),
            topology: way(What::Topology),
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
}
