//! The ruleset that the firewall generates from its configuration: pf rules in the order of `/tmp/rules.debug`.

use super::xml::Doubt;
use crate::packet::{Family, IntervalSet};
use crate::source::Origin;
use std::sync::Arc;

/// Something that only the running firewall knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown {
    /// The condition in words, such as `table snort2c`; equal conditions have equal texts.
    pub text: String,
    /// Why it is not known, or what would settle it.
    pub why: String,
    /// The truth it is assumed to have while nothing is throttled or locked out; `None` = no assumption.
    pub assumed: Option<bool>,
    /// For a condition about an address: it holds for none but these; `None` = it can for all.
    pub within: Option<IntervalSet>,
}

impl Unknown {
    /// A condition without an assumption.
    pub fn new(text: impl Into<String>, why: impl Into<String>) -> Self {
        Self { text: text.into(), why: why.into(), assumed: None, within: None }
    }

    /// The same for addresses of one family only.
    #[must_use]
    pub fn only(self, family: Family) -> Self {
        self.within(family.all())
    }

    /// The same for these addresses only.
    #[must_use]
    pub fn within(self, addresses: IntervalSet) -> Self {
        Self { within: Some(addresses), ..self }
    }
}

/// Addresses at one end of a rule: the packet's address is in `set`, or one of `names` resolves to it, or one of `unknown` holds –
/// or none of these, if `negated` – and all of `needs` hold beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses {
    /// Certain members, of both families.
    pub set: IntervalSet,
    /// Host names that resolve to members.
    pub names: Vec<String>,
    /// Conditions of which each adds members.
    pub unknown: Vec<Unknown>,
    /// The complement is meant.
    pub negated: bool,
    /// Conditions without which the rule is not there at all.
    pub needs: Vec<Unknown>,
}

impl Addresses {
    /// Every address.
    pub fn any() -> Self {
        Self::of(Family::V4.all().union(&Family::V6.all()))
    }

    /// Just these.
    pub fn of(set: IntervalSet) -> Self {
        Self { set, names: Vec::new(), unknown: Vec::new(), negated: false, needs: Vec::new() }
    }

    /// Those for which a condition holds.
    pub fn unknown(unknown: Unknown) -> Self {
        Self { unknown: vec![unknown], ..Self::of(IntervalSet::EMPTY) }
    }

    /// These and others.
    pub fn add(&mut self, other: Addresses) {
        self.set = self.set.union(&other.set);
        self.names.extend(other.names);
        self.unknown.extend(other.unknown);
        self.needs.extend(other.needs);
    }
}

/// Ports at one end of a rule: in `set`, or one of `unknown` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ports {
    /// Certain members.
    pub set: IntervalSet,
    /// Conditions of which each adds members.
    pub unknown: Vec<Unknown>,
}

impl Ports {
    /// Just these.
    pub fn of(set: IntervalSet) -> Self {
        Self { set, unknown: Vec::new() }
    }
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PfAction {
    /// `pass`.
    Pass,
    /// `block drop`.
    Block,
    /// `block return`.
    Reject,
    /// `match`: decides nothing.
    Match,
    /// Rules that are not in the file: any verdict.
    Unknown,
}

/// Which way packets go through the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Into the box.
    In,
    /// Out of the box.
    Out,
    /// Either.
    Both,
}

impl Direction {
    /// Whether the rule looks at incoming packets.
    pub fn has_in(self) -> bool {
        self != Direction::Out
    }

    /// Whether the rule looks at outgoing packets.
    pub fn has_out(self) -> bool {
        self != Direction::In
    }
}

/// What a rule says about TCP flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flags {
    /// Nothing: pf takes S/SA for a `pass` that keeps state, and any flags otherwise.
    Default,
    /// `flags any`.
    Any,
    /// `flags SET/MASK`: the flag bytes that match.
    Of(Arc<IntervalSet>),
}

/// A test of the tag that earlier rules gave to the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tagged {
    /// The tag's name.
    pub name: String,
    /// `! tagged`.
    pub negated: bool,
}

/// A pf rule.
#[derive(Debug, Clone)]
pub(super) struct PfRule {
    /// What it does.
    pub action: PfAction,
    /// Evaluation stops here when it matches.
    pub quick: bool,
    /// Direction.
    pub direction: Direction,
    /// Names of the interfaces, as values of the interface fields; `None` = all.
    pub on: Option<IntervalSet>,
    /// `inet` or `inet6`.
    pub family: Option<Family>,
    /// Protocols; `None` = any.
    pub proto: Option<IntervalSet>,
    /// Source.
    pub src: Addresses,
    /// Destination.
    pub dst: Addresses,
    /// Source ports.
    pub sport: Option<Ports>,
    /// Destination ports.
    pub dport: Option<Ports>,
    /// ICMP types and codes, as values of the field.
    pub icmp: Option<IntervalSet>,
    /// TCP flags.
    pub flags: Flags,
    /// `no state`.
    pub stateless: bool,
    /// Tag that it sets.
    pub tag: Option<String>,
    /// Tag that it tests.
    pub tagged: Option<Tagged>,
    /// Further conditions, all of which must hold.
    pub conditions: Vec<Unknown>,
    /// Limits of states or rates.
    pub limited: bool,
    /// A pass that sends packets to a gateway: the name. Packets for the box itself go there too.
    pub gateway: Option<String>,
    /// The element that it comes from.
    pub origin: Origin,
    /// For a rule that nobody wrote: the setting that makes it.
    pub note: Option<String>,
}

impl PfRule {
    /// A rule that matches every packet of both directions, not quick, keeping state.
    pub fn new(action: PfAction, origin: Origin) -> Self {
        Self {
            action,
            quick: false,
            direction: Direction::Both,
            on: None,
            family: None,
            proto: None,
            src: Addresses::any(),
            dst: Addresses::any(),
            sport: None,
            dport: None,
            icmp: None,
            flags: Flags::Default,
            stateless: false,
            tag: None,
            tagged: None,
            conditions: Vec::new(),
            limited: false,
            gateway: None,
            origin,
            note: None,
        }
    }

    /// An implicit rule with what explains it.
    pub fn implicit(action: PfAction, origin: Origin, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..Self::new(action, origin) }
    }

    /// Marked `quick`.
    #[must_use]
    pub fn quick(mut self) -> Self {
        self.quick = true;
        self
    }

    /// `in` only.
    #[must_use]
    pub fn inbound(mut self) -> Self {
        self.direction = Direction::In;
        self
    }

    /// `out` only.
    #[must_use]
    pub fn outbound(mut self) -> Self {
        self.direction = Direction::Out;
        self
    }

    /// On these interfaces.
    #[must_use]
    pub fn on(mut self, names: IntervalSet) -> Self {
        self.on = Some(names);
        self
    }

    /// Of this family.
    #[must_use]
    pub fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    /// Of these protocols.
    #[must_use]
    pub fn proto(mut self, protocols: &[u8]) -> Self {
        self.proto = Some(protocols.iter().map(|p| u128::from(*p)).collect());
        self
    }

    /// From these addresses.
    #[must_use]
    pub fn from(mut self, addresses: Addresses) -> Self {
        self.src = addresses;
        self
    }

    /// To these addresses.
    #[must_use]
    pub fn to(mut self, addresses: Addresses) -> Self {
        self.dst = addresses;
        self
    }

    /// From one port.
    #[must_use]
    pub fn sport(mut self, port: u16) -> Self {
        self.sport = Some(Ports::of(IntervalSet::single(port)));
        self
    }

    /// To one of these ports.
    #[must_use]
    pub fn dports(mut self, ports: &[u16]) -> Self {
        self.dport = Some(Ports::of(ports.iter().map(|p| u128::from(*p)).collect()));
        self
    }

    /// Under a condition.
    #[must_use]
    pub fn when(mut self, condition: Unknown) -> Self {
        self.conditions.push(condition);
        self
    }
}

/// What a translation rule does.
#[derive(Debug, Clone)]
pub(super) enum Rewrite {
    /// `no rdr`, `no nat`, `no binat`.
    Nothing,
    /// To one of these addresses, or to one that only the running firewall knows.
    Address {
        /// First and last; `None` = known at run time only.
        to: Option<(u128, u128)>,
        /// Keep the host bits.
        prefix: bool,
        /// New port: first and last.
        port: Option<(u16, u16)>,
        /// Range of ports that is mapped one to one on `port`.
        port_from: Option<(u16, u16)>,
    },
    /// Not in the file: the packet may be translated, to any address and port, or not.
    Unknown(Unknown),
}

/// A translation rule: what it matches, as a rule, and what it makes of it.
#[derive(Debug, Clone)]
pub(super) struct NatRule {
    /// What it matches; its action and state options mean nothing.
    pub matches: PfRule,
    /// What it does.
    pub rewrite: Rewrite,
    /// `rdr pass`: no filter rule is asked. Of an unknown translation: it may be so.
    pub pass: bool,
}

/// Everything that pf loads.
#[derive(Debug, Clone, Default)]
pub(super) struct Ruleset {
    /// Translations of incoming packets (`binat`, `rdr`), first match.
    pub nat_in: Vec<NatRule>,
    /// Translations of outgoing packets (`binat`, `nat`), first match.
    pub nat_out: Vec<NatRule>,
    /// Filter rules, last match wins.
    pub rules: Vec<PfRule>,
    /// What is not understood and may touch every packet: nothing is certain about the box then.
    pub doubts: Vec<Doubt>,
    /// What is not understood in translations; `nat_in` and `nat_out` leave open what it touches.
    pub translation_doubts: Vec<Doubt>,
    /// A rule that is not understood may set any tag.
    pub tags_open: bool,
    /// Why pf refuses to load this: nothing is known about the box then.
    pub refused: Vec<(Origin, String)>,
    /// The file cannot be read: `refused` says why.
    pub unreadable: bool,
    /// `pfctl -d`: no rule is in force. The element that says so.
    pub disabled: Option<Origin>,
}
