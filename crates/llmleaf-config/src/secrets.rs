//! Secrets: literal, from the environment (`env:VAR`) or from a file (`file:PATH`).

use std::fmt;

/// A secret value that prints nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value that must not be printed.
    pub fn new(value: String) -> Secret {
        Secret(value)
    }

    /// The value itself, for the place that must send or compare it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
