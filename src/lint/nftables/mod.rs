//! Checks of nftables rulesets: `HL-NFT-…`.

pub mod after_verdict;
pub mod always_true;
pub mod covered_element;
pub mod policy_twice;
pub mod set_shadowed;
pub mod set_unused;
pub mod undone;
