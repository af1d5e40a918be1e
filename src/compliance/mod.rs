//! Requirements of the catalogue, judged.
//!
//! ```text
//! path ──▶ conversation ──▶ walk ──▶ row ──▶ requirement ──▶ explanation
//! points   packets there    from     one      every flow,     findings
//! passed   and back         point    answer   every point     in words
//!                           to point
//! ```

mod barrier;
pub mod conversation;
pub mod example;
pub mod explanation;
mod extent;
pub mod journey;
mod neighbours;
pub mod path;
pub mod requirement;
pub mod row;
pub mod walk;
