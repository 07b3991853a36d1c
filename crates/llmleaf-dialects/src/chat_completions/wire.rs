//! The structs as documented.
