//! Requirements of the catalogue, judged.
//!
//! ```text
//! path ──▶ conversation ──▶ row ──▶ requirement ──▶ explanation
//! points   packets there    one      every flow,     findings
//! passed   and back         answer   every point     in words
//! ```

pub mod conversation;
pub mod example;
pub mod explanation;
pub mod path;
pub mod requirement;
pub mod row;
