//! What the dialect keeps of a configuration for its own checks ([`Firewall::native`](crate::model::Firewall::native)).

use crate::model::Firewall;
use crate::packet::IntervalSet;
use crate::source::Origin;

/// Facts about a configuration that its pf rules no longer show.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Things that mean something else than they look like, in the order of the file.
    pub quirks: Vec<Quirk>,
    /// Aliases, in the order of the file.
    pub aliases: Vec<AliasFact>,
    /// Port forwards whose filter rule is missing or off.
    pub orphans: Vec<Orphan>,
    /// Port forwards behind which nothing is let in.
    pub dead: Vec<Dead>,
    /// Blocks that IPv6 goes around.
    pub gaps: Vec<Gap>,
    /// Rules on outside interfaces that are open to everybody.
    pub openings: Vec<Opening>,
    /// The setting that turns the anti-lockout rule off, if it is off.
    pub no_anti_lockout: Option<Origin>,
    /// Ports of the box's administration: web interface, and ssh where it is on.
    pub admin_ports: Vec<u16>,
    /// Interface keys that lead outside: those with a gateway or an address from a provider.
    pub outside: Vec<String>,
    /// pf would not load the rules, or cannot read the file: nothing is certain about this box.
    pub refused: bool,
}

impl Facts {
    /// The facts that a firewall read from a pfSense or OPNsense configuration carries.
    pub fn of(firewall: &Firewall) -> Option<&Facts> {
        firewall.native.as_ref().and_then(|n| n.downcast_ref())
    }
}

/// Something that means something else than it looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quirk {
    /// What kind.
    pub kind: QuirkKind,
    /// The rule.
    pub origin: Origin,
    /// What happens, one sentence without a full stop.
    pub message: String,
    /// What makes it so, where it is another element.
    pub related: Option<(Origin, String)>,
}

/// Kinds of quirks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuirkKind {
    /// A port without a protocol: the rule matches every TCP port.
    PortWithoutProtocol,
    /// A port with a protocol that has none: it is ignored.
    PortIgnored,
    /// A block rule for TCP that stops only packets that open a connection.
    SynOnlyBlock,
    /// A floating rule whose interfaces are all disabled: it applies to every interface.
    FloatingEverywhere,
    /// The rule is left out when the rules are generated.
    Dropped,
    /// `not` together with `any` is ignored.
    NotAnyIgnored,
}

/// An alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasFact {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub origin: Origin,
    /// No rule and no other alias in use names it.
    pub unused: bool,
    /// It has no members.
    pub empty: bool,
    /// The addresses that it holds, where they are few and all in the file.
    pub addresses: Option<IntervalSet>,
}

/// A port forward that expects a filter rule which does not admit its packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The port forward.
    pub origin: Origin,
    /// What is wrong.
    pub message: String,
    /// The filter rule that is off, if it still exists.
    pub rule: Option<Origin>,
}

/// A port forward of which every packet is dropped behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// The port forward.
    pub origin: Origin,
}

/// A block for IPv4 only that a pass for both families undoes for IPv6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The block.
    pub origin: Origin,
    /// The pass.
    pub pass: Origin,
}

/// A rule that lets everybody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The rule.
    pub origin: Origin,
    /// What it opens, one sentence without a full stop.
    pub message: String,
}
