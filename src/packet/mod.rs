//! Fields of a packet and the algebra of packet sets.
//!
//! Every field is a finite set of whole numbers, so that one [`IntervalSet`] serves ports, addresses of both
//! families, interface names and connection states alike (see [`Field`] for each encoding). A [`Region`] is a
//! product of such sets: the set of all packets whose every field lies in that field's set.

pub mod addr;
mod concrete;
pub mod dotted;
mod field;
pub mod masked;
mod neighbours;
pub mod opening;
pub mod public;
mod region;
mod set;

pub use addr::Family;
pub use concrete::{Packet, PacketError, Path, first_state, has_field, mac_text, opening_state, parse_mac};
pub use field::{
    ConnState, Field, NameError, flags, interface_name, interface_prefix, interface_value, proto,
};
pub use neighbours::Neighbours;
pub use region::{Region, carriers, shared_carriers};
pub use set::{IntervalSet, Value};
