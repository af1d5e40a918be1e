//! The project itself.

mod growth;
mod layering;
