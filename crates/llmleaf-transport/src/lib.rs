//! Upstream HTTP: connections owned by the exchange that uses them, pools, TLS.
