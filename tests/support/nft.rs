//! Random rulesets for `nft -f`.
