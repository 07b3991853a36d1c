//! Every wire, both ends: consumers that speak it and providers that speak it. No I/O.
