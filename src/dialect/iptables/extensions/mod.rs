//! The matches and targets that `iptables` knows: their options, and how each is lowered.
//!
//! A new extension is one entry in one of the tables below. Names, options and arities: iptables-extensions(8) and the help texts of iptables 1.8.9;
//! `addons` come from modules outside the kernel, which dumps of real boxes hold.

mod addons;
mod matches;
mod targets;

use addons::ADDONS;
use matches::MATCHES;
use targets::TARGETS;

use crate::model::ConditionKind;

/// A match (`-m`) or a target (`-j`).
pub(super) struct Extension {
    /// Name as written.
    pub name: &'static str,
    /// The tool that has it.
    pub family: Only,
    /// Its options.
    pub options: &'static [Opt],
    /// How it becomes terms, effects and an action.
    pub lower: Lower,
}

/// The tool that has the extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Only {
    Both,
    V4,
    V6,
}

/// An option of an extension.
#[derive(Debug)]
pub(super) struct Opt {
    /// Name without the dashes.
    pub name: &'static str,
    /// The name under which it is lowered and shown.
    pub canonical: &'static str,
    /// How many arguments follow.
    pub args: u8,
    /// A further argument may follow, if the next word is not an option.
    pub optional: bool,
    /// May stand behind `!`.
    pub negatable: bool,
    /// How its argument is written in the text of an opaque condition.
    pub value: Kind,
    /// What the saver prints where it is left out.
    pub default: Option<&'static str>,
}

/// How the argument of an opaque option is brought to one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is.
    Text,
    /// Numbers and ranges of them, joined by `:`, `-`, `,` or `/`, in decimal.
    Numbers,
    /// Upper and lower case mean the same.
    Caseless,
    /// An address with an optional mask.
    Address,
    /// `FROM:TO` with either end left out; the number is what the missing end means.
    Range(u32),
    /// An address with a mask whose host bits are kept; the mask as a length.
    Masked,
    /// A protocol by name or number.
    Protocol,
    /// A port by name or number.
    Service,
    /// A user or group, or a range of them; only `root` has a number everywhere.
    User,
    /// A rate in bits or bytes: `5kbit`.
    Bits,
}

/// How an extension is lowered.
pub(super) enum Lower {
    /// A match with a function of its own.
    Match(Match),
    /// A match that always holds.
    Always,
    /// A match that no packet of the model meets.
    Outside,
    /// A match that the model has no field for: each option is a condition.
    Each(ConditionKind, &'static str),
    /// A match that the model has no field for: all options together are one condition.
    Joint(ConditionKind, &'static str),
    /// A target with a function of its own.
    Target(Verdict),
    /// A target after which the next rule is consulted, and that changes nothing a rule can see.
    Continue,
    /// A target that discards the packet.
    Drop,
    /// A target whose verdict is not known from the rules, and why.
    Unknown(&'static str),
}

/// Matches with a function of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Tcp,
    Udp,
    Udplite,
    State,
    Conntrack,
    Multiport,
    Icmp,
    Icmp6,
    Iprange,
    Mac,
    Addrtype,
    Mark,
    Connmark,
    Set,
    Sctp,
    Dccp,
    Limit,
    Hashlimit,
    Connlimit,
    Recent,
    Dscp,
    Tos,
    Ecn,
    Esp,
    Ah,
    Ipcomp,
    Time,
    Cluster,
    Rpfilter,
    Socket,
    ExtensionHeader,
    Mh,
}

/// Targets with a function of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Tproxy,
    Snpt,
    Dnpt,
    Same,
    Rawdnat,
    Rawsnat,
    Reject,
    Dnat,
    Snat,
    Masquerade,
    Redirect,
    Netmap,
    Mark,
    Connmark,
    Ct,
    Notrack,
    SetTarget,
    Hmark,
}

impl Extension {
    /// Whether it stands behind `-j`.
    pub(super) const fn is_target(&self) -> bool {
        matches!(self.lower, Lower::Target(_) | Lower::Continue | Lower::Drop | Lower::Unknown(_))
    }
}

impl Opt {
    const fn not(mut self) -> Self {
        self.negatable = true;
        self
    }
    const fn alias(mut self, of: &'static str) -> Self {
        self.canonical = of;
        self
    }
    const fn maybe(mut self) -> Self {
        self.optional = true;
        self
    }
    const fn is(mut self, value: Kind) -> Self {
        self.value = value;
        self
    }
    const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }
}

const fn opt(name: &'static str, args: u8) -> Opt {
    let canonical = name;
    Opt { name, canonical, args, optional: false, negatable: false, value: Kind::Text, default: None }
}

const fn flag(name: &'static str) -> Opt {
    opt(name, 0)
}
const fn one(name: &'static str) -> Opt {
    opt(name, 1)
}
const fn num(name: &'static str) -> Opt {
    opt(name, 1).is(Kind::Numbers)
}

const fn range(name: &'static str, max: u32) -> Opt {
    opt(name, 1).is(Kind::Range(max))
}

const fn ext(name: &'static str, options: &'static [Opt], lower: Lower) -> Extension {
    Extension { name, family: Only::Both, options, lower }
}
const fn v4(name: &'static str, options: &'static [Opt], lower: Lower) -> Extension {
    Extension { name, family: Only::V4, options, lower }
}
const fn v6(name: &'static str, options: &'static [Opt], lower: Lower) -> Extension {
    Extension { name, family: Only::V6, options, lower }
}
const PURE: ConditionKind = ConditionKind::Pure;
const VOLATILE: ConditionKind = ConditionKind::Volatile;

const CONTENT: &str = "the packet's content is not modelled";
const HEADER: &str = "this header field is not modelled";
const CHANCE: &str = "may differ from packet to packet";

/// All extensions. Looked up by name; matches and targets do not share names (`MARK` and `mark` differ).
pub(super) fn all() -> impl Iterator<Item = &'static Extension> {
    MATCHES.iter().chain(TARGETS).chain(ADDONS)
}

/// The match with a name; `v6` = for ip6tables.
pub(super) fn find_match(name: &[u8], v6: bool) -> Option<&'static Extension> {
    // The common ones first: they stand in nearly every rule.
    match name {
        b"tcp" => return Some(&MATCHES[0]),
        b"udp" => return Some(&MATCHES[1]),
        b"comment" => return Some(&MATCHES[3]),
        b"state" => return Some(&MATCHES[4]),
        b"conntrack" => return Some(&MATCHES[5]),
        b"multiport" => return Some(&MATCHES[6]),
        _ => {}
    }
    all().find(|e| e.name.as_bytes() == name && !e.is_target() && e.is_for(v6))
}

/// The target with a name.
pub(super) fn find_target(name: &[u8], v6: bool) -> Option<&'static Extension> {
    all().find(|e| e.name.as_bytes() == name && e.is_target() && e.is_for(v6))
}

impl Extension {
    fn is_for(&self, v6: bool) -> bool {
        match self.family {
            Only::Both => true,
            Only::V4 => !v6,
            Only::V6 => v6,
        }
    }
}

/// Targets that write what a match looks at; any that changes headers, for matches on the content.
pub(super) fn writers(name: &str) -> &'static [&'static [u8]] {
    const CONTENT: &[&[u8]] = &[
        b"DNAT",
        b"SNAT",
        b"REDIRECT",
        b"MASQUERADE",
        b"NETMAP",
        b"SAME",
        b"DNPT",
        b"SNPT",
        b"RAWDNAT",
        b"RAWSNAT",
        b"TTL",
        b"HL",
        b"TOS",
        b"DSCP",
        b"ECN",
        b"TCPMSS",
        b"TCPOPTSTRIP",
        b"SYNPROXY",
    ];
    match name {
        "dscp" | "tos" | "ecn" => &[b"DSCP", b"TOS", b"ECN"],
        "ttl" => &[b"TTL"],
        "hl" => &[b"HL"],
        "tcp" | "tcpmss" | "length" | "length2" => &[b"TCPMSS", b"TCPOPTSTRIP", b"SYNPROXY"],
        "helper" => &[b"CT"],
        "socket" => &[b"TPROXY"],
        "policy" | "rpfilter" | "realm" => {
            &[b"MARK", b"CONNMARK", b"DNAT", b"NETMAP", b"REDIRECT", b"DNPT", b"RAWDNAT"]
        }
        "u32" | "bpf" | "string" | "ipv4options" | "osf" | "layer7" | "ipp2p" => CONTENT,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortcuts_find_what_they_name() {
        for name in ["tcp", "udp", "comment", "state", "conntrack", "multiport", "mark", "set"] {
            assert_eq!(find_match(name.as_bytes(), false).map(|e| e.name), Some(name));
        }
    }

    #[test]
    fn names_are_unique() {
        for (i, e) in all().enumerate() {
            assert!(!all().take(i).any(|x| x.name == e.name), "{}", e.name);
        }
    }
}
