//! The tables of a dump, with their built-in chains.

use crate::model::{Hook, Policy};

/// A table, as the kernel registers it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub name: &'static str,
    /// Built-in chains, their hooks and priorities (`NF_IP_PRI_*`, linux/netfilter_ipv4.h).
    pub chains: &'static [(&'static str, Hook, i32)],
}

/// The tables.
pub(super) static TABLES: [Table; 5] = [
    Table {
        name: "filter",
        chains: &[("INPUT", Hook::Input, 0), ("FORWARD", Hook::Forward, 0), ("OUTPUT", Hook::Output, 0)],
    },
    Table {
        name: "nat",
        chains: &[
            ("PREROUTING", Hook::Prerouting, -100),
            ("INPUT", Hook::Input, 100),
            ("OUTPUT", Hook::Output, -100),
            ("POSTROUTING", Hook::Postrouting, 100),
        ],
    },
    Table {
        name: "mangle",
        chains: &[
            ("PREROUTING", Hook::Prerouting, -150),
            ("INPUT", Hook::Input, -150),
            ("FORWARD", Hook::Forward, -150),
            ("OUTPUT", Hook::Output, -150),
            ("POSTROUTING", Hook::Postrouting, -150),
        ],
    },
    Table { name: "raw", chains: &[("PREROUTING", Hook::Prerouting, -300), ("OUTPUT", Hook::Output, -300)] },
    Table {
        name: "security",
        chains: &[("INPUT", Hook::Input, 50), ("FORWARD", Hook::Forward, 50), ("OUTPUT", Hook::Output, 50)],
    },
];

/// Verdict of a policy's name.
pub(super) fn policy(name: &[u8]) -> Option<Policy> {
    match name {
        b"ACCEPT" => Some(Policy::Accept),
        b"DROP" => Some(Policy::Drop),
        _ => None,
    }
}
