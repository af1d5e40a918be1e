//! What the catalogue asks of one deployment: each requirement as flows between known ends.

#[cfg(doc)]
use super::Catalogue;
use super::Side;
#[cfg(doc)]
use crate::config::Deployment;
use crate::packet::IntervalSet;

/// One flow that a requirement speaks of: one source, one destination, one protocol.
///
/// Sources and destinations are single nodes where the deployment knows nodes, so that a path can be computed for each
/// pair; sets (a network, the Internet, a host name) stay one end.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedFlow {
    /// Index into [`Catalogue::requirements`].
    pub requirement: usize,
    /// Which end is the subject: the node that findings are about.
    pub subject: Side,
    /// Who sends the first packet.
    pub source: Endpoint,
    /// Who is sent to.
    pub destination: Endpoint,
    /// IP protocol number; `None` = any.
    pub protocol: Option<u8>,
    /// Destination ports. All of them (0–65535) where the protocol is any.
    pub ports: IntervalSet,
    /// Parts that are left out of the flow because a requirement asks for them. Only for flows that are to be kept out.
    pub except: Vec<Exempt>,
    /// Whether it has to be asked at all. If not, nothing else in here but the subject's name is of use.
    pub applies: Applies,
}

/// Whether a requirement applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applies {
    /// It does.
    Yes,
    /// It does not, and why: one clause, as in "does not apply: the site east is not of type clc".
    No(String),
}

/// One end of a resolved flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The node, an index into [`Deployment::nodes`]; `None` = a set of addresses, whose firewalls are not known.
    pub node: Option<usize>,
    /// Name to show: the node's, the set's (`gui`), the host's (`api.example.net`), or the role's where nobody was declared.
    pub name: String,
    /// The role; `None` for sets and hosts.
    pub role: Option<String>,
    /// The role's network that the flow uses; `None` = any.
    pub network: Option<String>,
    /// Addresses.
    pub addresses: Addresses,
    /// The node's interfaces that carry the network; empty = not known.
    pub interfaces: Vec<String>,
}

/// What is known about the addresses of an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addresses {
    /// Exactly these, of both families.
    Known(IntervalSet),
    /// Those of a host name (or `*.` pattern), which the deployment does not give. Lower case.
    HostName(String),
    /// Nobody declared them: any address may be meant, and the flow is asked for any.
    Undeclared,
}

impl Addresses {
    /// The addresses, if they are known.
    pub fn known(&self) -> Option<&IntervalSet> {
        match self {
            Addresses::Known(set) => Some(set),
            _ => None,
        }
    }
}

/// A part of a flow that is left out: packets for which all of this holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exempt {
    /// Index of the requirement that asks for it.
    pub requirement: usize,
    /// Sources, never undeclared.
    pub source: Addresses,
    /// Destinations, never undeclared.
    pub destination: Addresses,
    /// Protocol; `None` = any.
    pub protocol: Option<u8>,
    /// Destination ports.
    pub ports: IntervalSet,
}

impl ResolvedFlow {
    /// The end that findings are about.
    pub fn subject_end(&self) -> &Endpoint {
        match self.subject {
            Side::From => &self.source,
            Side::To => &self.destination,
        }
    }
}
