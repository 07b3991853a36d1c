//! The roster: each provider is a row of data over a dialect.
