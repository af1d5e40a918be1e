//! The commands as people call them.

mod commands;
mod readme;
mod trace_query;
