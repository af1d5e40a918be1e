//! nftables rulesets, text and JSON: reading, checks, fixtures, suggestions, the tools' own test rows; what stands around the chains of IP, what
//! nft refuses, members that nobody knows, included files.

mod around;
mod certain;
mod checks;
mod fixtures;
mod includes;
mod members;
mod negation;
mod reading;
mod refused;
mod suggest;
mod vectors;
