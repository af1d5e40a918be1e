//! What the files do not decide.

use crate::packet::Field;
use crate::source::Origin;

/// Something that the file does not decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The text as written, normalised so that equal conditions have equal texts: `-m recent --name X --rcheck`.
    pub text: String,
    /// What would settle it, or why it is not known: one clause, may be empty.
    pub why: String,
    /// How its truth behaves.
    pub kind: ConditionKind,
    /// Where it was first met.
    pub origin: Origin,
    /// How many terms and actions name it.
    pub uses: u32,
}

/// How the truth of a condition behaves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ConditionKind {
    /// A function of the packet and the box: the same on every evaluation of one packet.
    Pure,
    /// May differ at each evaluation (random, quotas, lists that rules update).
    Volatile,
    /// A rate or count limit. Has the given truth value while nothing is throttled.
    Rate {
        /// Truth while under the limit: `--limit 5/s` holds, `--hashlimit-above` does not.
        unthrottled: bool,
    },
    /// Whether there is a way back to the source, as routing has it (`fib saddr . iif oif`, `-m rpfilter`). Has the given truth value
    /// for packets whose source address is not forged.
    ReversePath {
        /// Truth for such packets: `rpfilter` holds, `oif missing` does not.
        unforged: bool,
    },
    /// The field's address is one that the host name resolves to.
    HostName {
        /// [`Field::Src`] or [`Field::Dst`].
        field: Field,
        /// The name, in lower case.
        name: String,
    },
}

impl ConditionKind {
    /// Whether it has one truth value per packet, whenever it is asked for.
    pub const fn is_pure(&self) -> bool {
        matches!(
            self,
            ConditionKind::Pure | ConditionKind::ReversePath { .. } | ConditionKind::HostName { .. }
        )
    }
}
