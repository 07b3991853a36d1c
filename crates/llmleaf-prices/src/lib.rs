//! What models cost. Pure: no clock, no file, no float; money is in nano-dollars (1e-9 USD), rates are per million tokens.
//!
//! A price belongs to a provider and the model's name there: the same model costs differently elsewhere. Whatever is not known here
//! is unknown, which is never the same as free.
//!
//! Reading order: [`rates`] (what a model costs, and what a count of use comes to), [`book`] (whose model costs what; how a name is
//! looked up), [`shipped`] (the table that comes with the program), [`file`] (tables of others), [`decimal`].

pub mod book;
pub mod decimal;
pub mod file;
pub mod rates;
pub mod shipped;

pub use book::{Book, Sheet, Tariff};
pub use rates::{Rates, Service, Tier, TokenRates, UnitRates};

#[cfg(test)]
mod tests;
