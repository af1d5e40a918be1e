//! The project itself.

mod layering;
