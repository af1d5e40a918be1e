//! The typed syntax tree of rules: what both forms of nftables, text and JSON, are read into.
//!
//! Only one rule's tree exists at a time. Names that stand for values (`ssh`, `cs1`) are kept as words: what a word means depends on what it
//! is compared with.

use super::selector::Selector;
use crate::source::Origin;
use std::borrow::Cow;

/// Text taken from the file, or made from a JSON string.
pub(super) type Text<'a> = Cow<'a, str>;

/// An expression and its place.
#[derive(Debug, Clone)]
pub(super) struct Expr<'a> {
    pub(super) kind: ExprKind<'a>,
    pub(super) at: Origin,
}

/// What an expression is.
#[derive(Debug, Clone)]
pub(super) enum ExprKind<'a> {
    /// A number, a name, an address.
    Word(Text<'a>),
    /// A word in quotes.
    Quoted(Text<'a>),
    /// Something of the packet or the box: `ip saddr`, `ct state`, `fib daddr type`.
    Selector(Box<Selector<'a>>),
    /// `value/length`.
    Prefix(Box<Expr<'a>>, u32),
    /// `low-high`.
    Range(Box<Expr<'a>>, Box<Expr<'a>>),
    /// `value / mask` of flags.
    Masked(Box<Expr<'a>>, Box<Expr<'a>>),
    /// `a . b`.
    Concat(Vec<Expr<'a>>),
    /// `a,b` outside braces.
    List(Vec<Expr<'a>>),
    /// `{ a, b }`.
    Set(Vec<Element<'a>>),
    /// `@name`.
    Named(Text<'a>),
    /// `key map { … }`.
    Map(Box<Expr<'a>>, Box<Expr<'a>>),
    /// `a & b`.
    Bits(BitOp, Box<Expr<'a>>, Box<Expr<'a>>),
    /// `*` as an element: everything else.
    Rest,
}

/// Operators on bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BitOp {
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

impl BitOp {
    /// As nft prints it.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            BitOp::And => "&",
            BitOp::Or => "|",
            BitOp::Xor => "^",
            BitOp::ShiftLeft => "<<",
            BitOp::ShiftRight => ">>",
        }
    }
}

/// An element of a set or map.
#[derive(Debug, Clone)]
pub(super) struct Element<'a> {
    pub(super) key: Expr<'a>,
    /// What a map gives for it.
    pub(super) value: Option<MapValue<'a>>,
    /// It expires.
    pub(super) timed: bool,
    /// Canonical text of a limit, quota or connection count that the element carries: it matches only while that holds.
    pub(super) guard: Option<Stateful<'a>>,
    pub(super) at: Origin,
}

/// What a map gives.
#[derive(Debug, Clone)]
pub(super) enum MapValue<'a> {
    Verdict(Verdict<'a>),
    Expr(Expr<'a>),
}

/// Comparison of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// Nothing written: equality, membership, or "any of these bits".
    Implicit,
    Equal,
    NotEqual,
    Less,
    Greater,
    LessEqual,
    GreaterEqual,
    /// `! flags`: none of these bits.
    NoneOf,
}

impl Op {
    /// As nft prints it.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Op::Implicit => "",
            Op::Equal => "==",
            Op::NotEqual => "!=",
            Op::Less => "<",
            Op::Greater => ">",
            Op::LessEqual => "<=",
            Op::GreaterEqual => ">=",
            Op::NoneOf => "!",
        }
    }
}

/// A verdict statement.
#[derive(Debug, Clone)]
pub(super) enum Verdict<'a> {
    Accept,
    Drop,
    Continue,
    Return,
    /// Handed to user space; how, in canonical words.
    Queue(String),
    Jump(Target<'a>),
    Goto(Target<'a>),
}

/// Where a jump goes.
#[derive(Debug, Clone)]
pub(super) enum Target<'a> {
    /// A chain of the table.
    Chain(Text<'a>, Origin),
    /// A chain without a name, written in place.
    Anonymous(Vec<Rule<'a>>, Origin),
}

/// A rule.
#[derive(Debug, Clone)]
pub(super) struct Rule<'a> {
    pub(super) statements: Vec<Statement<'a>>,
    pub(super) at: Origin,
}

/// Something whose answer changes as packets pass.
#[derive(Debug, Clone)]
pub(super) enum Stateful<'a> {
    /// `limit rate …`, `ct count …`: holds while under (or, `over`, above) the limit.
    Limit { text: String, over: bool },
    /// `quota …`.
    Quota { text: String },
    /// `limit name "x"`, `quota name "x"`: kind of object and name, or a map that gives names.
    Object { kind: &'static str, name: Expr<'a> },
}

/// What a statement does.
#[derive(Debug, Clone)]
pub(super) enum Statement<'a> {
    Match {
        left: Expr<'a>,
        op: Op,
        right: Expr<'a>,
    },
    Verdict(Verdict<'a>),
    VerdictMap {
        key: Expr<'a>,
        map: Expr<'a>,
    },
    /// Nothing that matters to the verdict: counters, logging, comments.
    Inert,
    /// `selector set value`.
    Assign {
        target: Expr<'a>,
        value: Expr<'a>,
    },
    Stateful(Stateful<'a>),
    /// A map that names a counter or the like: a miss ends the rule.
    Lookup(Expr<'a>),
    Reject(RejectWith),
    Nat(Box<Nat<'a>>),
    Notrack,
    /// `tproxy`: a local socket takes the packet, whatever its destination.
    Transparent,
    /// `add @set { key … }`: goes on if the set takes the element.
    Update {
        text: String,
        key: Expr<'a>,
        removes: bool,
        guards: Vec<Stateful<'a>>,
    },
    /// Goes on only if something holds that the ruleset does not tell.
    Opaque {
        text: String,
        why: &'static str,
        shared: bool,
    },
    /// May end the packet's way.
    Unknown {
        text: String,
        why: &'static str,
    },
}

/// The answer of a `reject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RejectWith {
    /// Any packet.
    Any,
    /// TCP only.
    TcpReset,
    /// IPv4 only.
    Icmp,
    /// IPv6 only.
    Icmpv6,
}

/// A translation.
#[derive(Debug, Clone)]
pub(super) struct Nat<'a> {
    /// Source or destination.
    pub(super) source: bool,
    /// `redirect`, `masquerade`.
    pub(super) own: bool,
    /// `ip`/`ip6` as written.
    pub(super) family: Option<crate::packet::Family>,
    /// New address, or a map that gives address (and port).
    pub(super) address: Option<Expr<'a>>,
    /// New port.
    pub(super) port: Option<Expr<'a>>,
    /// `prefix to`: host bits are kept.
    pub(super) prefix: bool,
}
