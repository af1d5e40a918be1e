//! Rules to which no packet is left: what is told of them in each dialect, and that it is so.
#![allow(clippy::unwrap_used)]

mod cases;
mod fixtures;
mod planted;
