mod edits;
mod errors;
mod recorded;
mod streams;
