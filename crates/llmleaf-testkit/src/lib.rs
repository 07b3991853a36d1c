//! Test support: recordings, a replay upstream, fault scripts.
