//! Checks of pfSense and OPNsense configurations: `HL-PF-…`.

pub mod alias;
pub mod dead_forward;
pub mod family_gap;
pub mod lockout;
pub mod orphan;
pub mod quirk;
pub mod shadowed;
pub mod wan_open;
