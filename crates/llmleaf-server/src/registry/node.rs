//! What the operator asks the node itself.

use super::{AuthClass, Endpoint, Operation, get};

pub const ROUTES: Endpoint = get(
    "/admin/routes",
    AuthClass::Admin,
    Operation::AdminRoutes,
    "Configured routes and prefixes.",
);
pub const HEALTH: Endpoint = get(
    "/admin/health",
    AuthClass::Admin,
    Operation::AdminHealth,
    "Health of the targets, and the last usage records.",
);
pub const RECENT: Endpoint = get(
    "/admin/recent",
    AuthClass::Admin,
    Operation::AdminRecent,
    "The last exchanges, each with its attempts.",
);
pub const KEYS: Endpoint = get(
    "/admin/keys",
    AuthClass::Admin,
    Operation::AdminKeys,
    "Consumer keys, without secrets.",
);
pub const METRICS: Endpoint = get(
    "/metrics",
    AuthClass::Admin,
    Operation::Metrics,
    "Numbers for scrapers, as OpenMetrics or Prometheus' text.",
);
