//! The commands as people call them.

mod commands;
mod looked_at;
mod trace_query;
mod unguarded;
