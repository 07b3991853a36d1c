//! The llmleaf program.
fn main() {}
