//! Checks: what is asked of firewalls, and the findings that come of it.

pub mod registry;
