//! Checks of pfSense and OPNsense configurations: `HL-PF-…`.

pub mod alias;
pub mod lockout;
pub mod orphan;
pub mod quirk;
pub mod shadowed;
pub mod wan_open;
