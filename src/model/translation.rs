//! New addresses and ports.

use super::{Hook, SetId};
use crate::packet::Value;

/// An address translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Translation {
    /// Which end it changes.
    pub end: TranslatedEnd,
    /// New address: from–to, both included; one address where both are equal. `None` = unchanged, or see `own`.
    pub address: Option<(Value, Value)>,
    /// New port, likewise. A single value or range; where the range is as wide as `port_from`, see there.
    pub port: Option<(u16, u16)>,
    /// The port range that is mapped one to one on `port` (pf: `rdr … port a:b -> … port c:*`); `None`: any of `port`.
    pub port_from: Option<(u16, u16)>,
    /// The new address is one of the box's own (redirect, masquerade).
    pub own: bool,
    /// The new address is one of these (a table, a map, a pool); instead of `address`.
    pub one_of: Option<SetId>,
    /// Address and port may become anything, or stay what they are (a load balancer, an address that is learnt). Whether the rule translates at
    /// all is not said here: where that is not known either, the rule has an opaque term too.
    pub unknown: bool,
    /// Nothing is changed, and no later rule of the kind is consulted (`no rdr`, `-j ACCEPT` needs no translation).
    pub identity: bool,
    /// The new address keeps the host bits: prefix translation (NETMAP, NPt, 1:1); `address` is the prefix.
    pub netmap: bool,
}

impl Translation {
    /// A translation of an end that changes nothing yet.
    pub const fn of(end: TranslatedEnd) -> Self {
        Self {
            end,
            address: None,
            port: None,
            port_from: None,
            own: false,
            one_of: None,
            unknown: false,
            identity: false,
            netmap: false,
        }
    }

    /// Whatever a rule that is not understood may do in a nat chain of a hook.
    pub const fn anything(hook: Hook) -> Self {
        let end = match hook {
            Hook::Prerouting | Hook::Output => TranslatedEnd::Destination,
            _ => TranslatedEnd::Source,
        };
        Self { unknown: true, ..Self::of(end) }
    }

    /// The host bits that a prefix translation keeps; `None` if it is none, or its addresses are no prefix.
    pub fn host_mask(&self) -> Option<Value> {
        let (lo, hi) = self.address.filter(|_| self.netmap)?;
        let mask = hi.checked_sub(lo)?;
        (mask & mask.wrapping_add(1) == 0 && lo & mask == 0).then_some(mask)
    }
}

/// Which end a translation changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TranslatedEnd {
    /// Destination.
    Destination,
    /// Source.
    Source,
}
