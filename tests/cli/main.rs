//! The commands as people call them.

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
