//! Bytes to frames: server-sent events and newline-delimited JSON, without I/O.
