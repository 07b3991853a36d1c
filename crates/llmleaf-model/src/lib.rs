//! The canonical request, event grammar, usage, errors and losses that every dialect maps to.
