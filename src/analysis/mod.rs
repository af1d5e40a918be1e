//! What a firewall does with packets: one at a time ([`evaluate`]) and all of a region at once ([`decide`]).

pub mod coverage;
pub mod decide;
pub mod diagram;
pub mod diff;
pub mod evaluate;
pub mod flow;

use crate::model::{ConditionId, ConditionKind, Firewall};
use crate::packet::{Field, IntervalSet};
use std::collections::{BTreeMap, BTreeSet};

/// What is known about the box beside its files, and what is assumed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Environment {
    /// The box's own addresses; `None` = not known.
    pub local: Option<IntervalSet>,
    /// Labels that the enforcement point carries (security groups attached); `None` = not known.
    pub labels: Option<Vec<String>>,
    /// Rate limits may or may not be exceeded; otherwise they are assumed not to be.
    pub throttled: bool,
    /// Source addresses may be forged; otherwise there is assumed to be a way back to each.
    pub forged: bool,
    /// Host names that stand for the packet's address: conditions of kind `HostName` on that field and name hold.
    pub names: BTreeSet<(Field, String)>,
    /// What is taken for true or false, to ask what would be if. Only [`decide`] asks for it.
    pub settled: BTreeMap<Fact, bool>,
}

/// Something that the files do not decide, and that has one truth value per packet as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// A condition of a firewall of the point, by the firewall's index.
    Condition(usize, ConditionId),
    /// Whether the arriving address in the field is of one of the types (bits of [`AddressTypes`](crate::model::AddressTypes)).
    AddressType(Field, u8),
}

/// All firewalls of one box (or one cloud interface): a packet passes when each accepts it.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    /// The firewalls. Those of other families than the packet's have no say.
    pub firewalls: &'a [&'a Firewall],
    /// What is known about the box.
    pub environment: &'a Environment,
}

/// Whether a packet's way has to be looked up again when the base chain is done with it: routing comes after all rules of the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Moved {
    /// It has the destination with which it arrived, or has been looked up.
    No,
    /// It has another destination.
    Elsewhere,
    /// It goes to this box, whatever its address.
    Here,
}

/// What happens to a packet, or to a set of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Let through by every base chain on the way.
    Accept,
    /// Discarded, silently or with an answer.
    Drop,
    /// Depends on conditions that the files do not decide.
    Undecided,
}

impl Environment {
    /// The truth value that a condition is assumed to have.
    pub fn assumed(&self, kind: &ConditionKind) -> Option<bool> {
        match kind {
            ConditionKind::Rate { unthrottled } if !self.throttled => Some(*unthrottled),
            ConditionKind::ReversePath { unforged } if !self.forged => Some(*unforged),
            _ => None,
        }
    }

    /// The addresses known to be the box's own: declared, or told by the firewall's own files; `None` = not known.
    pub fn local_of(&self, firewall: &Firewall) -> Option<IntervalSet> {
        match (&self.local, &firewall.local) {
            (Some(a), Some(b)) => Some(a.union(b)),
            (Some(a), None) | (None, Some(a)) => Some(a.clone()),
            (None, None) => None,
        }
    }
}
