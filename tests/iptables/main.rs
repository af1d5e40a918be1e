//! `iptables-save` dumps and ipset files: reading, bad input, fixtures, the tools' own test rows.

mod bad_input;
mod fixtures;
mod reading;
mod vectors;
