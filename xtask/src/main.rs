//! The one entry for project chores.
fn main() {}
