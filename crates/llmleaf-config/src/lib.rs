//! The TOML file: typed, validated, every mistake reported at once with a caret under it.
