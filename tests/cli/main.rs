//! The commands as people call them.

mod again;
mod commands;
mod editor;
mod looked_at;
mod review;
mod shards;
mod shipped;
mod through;
mod trace_query;
mod unguarded;
mod waivers;

#[path = "../support/random.rs"]
#[allow(dead_code)]
mod random;
