//! What a rule is made of.

use super::{AlternativesId, ChainId, ConditionId, EffectsId, LabelId, NoteId, SetId, TranslationId};
use crate::packet::Field;
use crate::source::Origin;

/// A slice of [`Firewall::terms`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TermRange {
    /// First term.
    pub start: u32,
    /// Number of terms; 0 = always holds.
    pub len: u32,
}

/// A rule: if all terms hold, effects, then action. 36 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Where it is written.
    pub origin: Origin,
    /// Conditions, all of which must hold.
    pub terms: TermRange,
    /// What it does.
    pub action: Action,
    /// What it changes before.
    pub effects: Option<EffectsId>,
    /// Why it exists where nobody wrote it.
    pub note: Option<NoteId>,
}

/// What a rule does when it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leave the base chain: accepted here.
    Accept,
    /// Silently discarded; final.
    Drop,
    /// Discarded with an answer; final.
    Reject,
    /// Go through a chain, then on with the next rule.
    Jump(ChainId),
    /// Go to a chain for good.
    Goto(ChainId),
    /// Leave this chain.
    Return,
    /// Nothing but the effects (logging, counting).
    Continue,
    /// Translate and accept in this base chain.
    Translate(TranslationId),
    /// May accept in this base chain, drop, or go on: a target that is not understood.
    Unknown(ConditionId),
}

/// A condition of a rule. 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Term {
    /// The field is from `lo` to `hi`, both included; for addresses: IPv4 addresses as numbers. Empty if `lo > hi`.
    Range {
        /// Field, not an interface and not the hardware address.
        field: Field,
        /// Lowest value.
        lo: u32,
        /// Highest value.
        hi: u32,
    },
    /// The field is in the set.
    In(Field, SetId),
    /// Unknown; the same condition always has the same truth value on one packet, unless its kind says otherwise.
    Opaque {
        /// Which.
        condition: ConditionId,
        /// Holds when the condition does not.
        negated: bool,
    },
    /// One of several conjunctions holds.
    Any(AlternativesId),
    /// The register, masked, has the value (or has not).
    Register {
        /// Which.
        register: Register,
        /// Holds when it differs.
        negated: bool,
        /// Index into the pool of mask/value pairs: see [`SetPool::mask`].
        test: MaskId,
    },
    /// What kind of address the field holds, as the box's routing sees it.
    AddressType {
        /// [`Field::Src`] or [`Field::Dst`].
        field: Field,
        /// Kinds that are wanted.
        types: AddressTypes,
        /// Holds when the address is of none of them.
        negated: bool,
    },
    /// The enforcement point carries the label.
    Label(LabelId),
    /// The field was in the set when the packet arrived, whatever was translated since (`--ctorigdst`, `ct original`): the record that the
    /// connection tracker makes of a packet that opens a connection. Of other packets, and of those that lo brings back, the dialect
    /// has to ask otherwise.
    Original(Field, SetId),
    /// Some bits of the field have the values wanted (or not): see [`Builder::masked`]. Does not hold of a packet without the field.
    Masked {
        /// Which.
        field: Field,
        /// Holds when they differ.
        negated: bool,
        /// Index into the pool: see [`SetPool::bits`].
        test: BitsId,
    },
}

id! {
    /// A pair of value and mask in [`SetPool`].
    MaskId,
    /// A pair of mask and value of a field in [`SetPool`].
    BitsId,
}

/// A value that travels with a packet through one box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Register {
    /// `skb->mark`; 0 on arrival.
    Mark,
    /// Mark of the connection; 0 for one that opens, unknown for others.
    ConnMark,
    /// A tag that rules set and test (pf); 0 = none.
    Tag,
    /// 1 once a translation gave the connection another destination (`IPS_DST_NAT`), 0 before. A translation to what the packet has anyway
    /// leaves no trace (`nf_nat_setup_info`). Not known for packets of a connection that exists. [`Action::Translate`] writes it; rules only
    /// test it, and have to ask for themselves whether the packet has a connection at all.
    DstNat,
    /// The same of the source (`IPS_SRC_NAT`).
    SrcNat,
}

impl Register {
    /// All registers.
    pub const ALL: [Register; Register::COUNT] =
        [Register::Mark, Register::ConnMark, Register::Tag, Register::DstNat, Register::SrcNat];

    /// Number of registers.
    pub const COUNT: usize = 5;

    /// What the registers hold when a packet arrives with a mark; `opens`: it opens a connection.
    pub const fn on_arrival(mark: u32, opens: bool) -> [Option<u32>; Register::COUNT] {
        let of_connection = if opens { Some(0) } else { None };
        [Some(mark), of_connection, Some(0), of_connection, of_connection]
    }
}

/// Kinds of addresses (`-m addrtype`, `fib … type`), a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AddressTypes(pub u8);

#[allow(missing_docs)]
impl AddressTypes {
    pub const LOCAL: Self = Self(1);
    pub const UNICAST: Self = Self(2);
    pub const BROADCAST: Self = Self(4);
    pub const MULTICAST: Self = Self(8);
    /// Unspecified, anycast, blackhole, unreachable, prohibit, throw, nat, xresolve: depends on the routing table.
    pub const OTHER: Self = Self(16);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Bits of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a rule changes about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// `register = (register & !mask) ^ value`; an assignment has all bits in the mask.
    Write {
        /// Which.
        register: Register,
        /// Bits that are cleared first.
        mask: u32,
        /// Bits that are then flipped.
        value: u32,
    },
    /// `to = (to & !mask) | (from & mask)`.
    Copy {
        /// From.
        from: Register,
        /// To.
        to: Register,
        /// Bits.
        mask: u32,
    },
    /// The register's value is not known from here on, because of a condition.
    Forget(Register, ConditionId),
    /// The field has one of the values of the set from here on: a constant where the set has one value, unknown where it has all
    /// ([`Builder::rewrite`] makes each). A packet without the field stays as it is; of addresses only those of the packet's family count. A
    /// protocol that is written makes ports, ICMP type and TCP flags unknown; a destination that is written before routing sends the packet
    /// where its new value belongs.
    Rewrite {
        /// Which.
        field: Field,
        /// New values.
        to: SetId,
    },
    /// Before routing: the packet is delivered to this box, whatever its destination says (a transparent proxy's socket; the kernel
    /// forwards no packet that has one: `ip_forward`).
    Deliver,
    /// The packet is not tracked: its state is untracked.
    Untrack,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_compact() {
        // A million rules must stay below four times the size of their text (about 81 bytes each).
        assert!(size_of::<Rule>() <= 48, "{}", size_of::<Rule>());
        assert!(size_of::<Term>() <= 12, "{}", size_of::<Term>());
    }
}
