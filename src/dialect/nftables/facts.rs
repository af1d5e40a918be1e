//! What the dialect keeps of a ruleset for its own checks ([`Firewall::native`](crate::model::Firewall::native)).

use crate::model::Firewall;
use crate::source::Origin;

/// Facts about a ruleset that its lowered rules no longer show, each in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Comparisons of the connection state that always hold.
    pub always: Vec<Always>,
    /// Named sets and maps that nothing names.
    pub unused: Vec<Unused>,
    /// Lists with elements that others of the list cover.
    pub covered: Vec<Covered>,
    /// Base chains whose policy is stated more than once.
    pub policies: Vec<Policies>,
    /// Variables with the name of a set that holds something else.
    pub shadows: Vec<Shadow>,
}

impl Facts {
    /// The facts that a firewall read from nftables carries.
    pub fn of(firewall: &Firewall) -> Option<&Facts> {
        firewall.native.as_ref().and_then(|n| n.downcast_ref())
    }
}

/// `ct state != a,b`: a comparison that every packet meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Always {
    /// The comparison.
    pub origin: Origin,
    /// The rule that it stands in.
    pub rule: Origin,
    /// What is compared: `ct state`.
    pub left: String,
    /// The values, in canonical words: `established,related`.
    pub right: String,
}

/// A named set or map that nothing names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// Its declaration.
    pub origin: Origin,
    /// Its name.
    pub name: String,
    /// A map, not a set.
    pub is_map: bool,
}

/// Elements of one list that other elements of it cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// Name of the set; `None` = written in a rule.
    pub set: Option<String>,
    /// Covered elements, each with the one that covers it; at most [`Covered::MOST`].
    pub elements: Vec<(Origin, Origin)>,
    /// How many there are in all.
    pub count: usize,
}

impl Covered {
    /// No more elements of one list are kept.
    pub const MOST: usize = 8;
}

/// A base chain whose policy is stated more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// The chain's name.
    pub chain: String,
    /// Every statement, in the order in which nft meets them: whether it is drop, and where.
    pub stated: Vec<(bool, Origin)>,
}

/// A variable with the name of a set of the same table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The name of both.
    pub name: String,
    /// Where the variable is defined.
    pub variable: Origin,
    /// Where the set is declared.
    pub set: Origin,
}
