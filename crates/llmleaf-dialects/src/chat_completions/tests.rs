mod edits;
mod encoding;
mod errors;
mod recorded;
mod rendering;
mod requests;
mod streams;
