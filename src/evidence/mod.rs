//! What a finding shows and proposes beside its message: rules that nearly admit a packet, packets in the words of the chain
//! that sees them, the edit that takes a rule away.

pub mod near;
pub mod removal;
pub mod scope;
