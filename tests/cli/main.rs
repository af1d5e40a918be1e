//! The commands as people call them.

mod commands;
mod looked_at;
mod readme;
mod trace_query;
