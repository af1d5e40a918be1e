//! `iptables-save` dumps and ipset files: reading, bad input, fixtures, the tools' own test rows.

mod bad_input;
mod families;
mod fixtures;
mod layers;
mod reading;
mod rewriting;
mod vectors;
