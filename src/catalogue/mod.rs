//! The catalogue: which flows a product needs, and which nobody should be able to use. Data, not code: the files in
//! `rules/` are built in, others are read in the same way.

pub mod controls;
mod doc;
pub mod format;
pub mod load;
mod lower;
pub mod resolve;
pub mod together;
mod wanted;

pub use doc::service_words;
pub use load::{BUILT_IN, NONE, TEMPLATE, open, read, schema_text};

use crate::packet::IntervalSet;
use crate::source::digest::Digest;
use crate::source::{Diagnostic, Origin, Severity, SourceFile};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A catalogue.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Its id: `example-1`.
    pub id: String,
    /// Its version.
    pub version: String,
    /// What it is, a few words.
    pub title: String,
    /// SHA-256 of its file; of all its files one after another where it extends others.
    pub sha256: Digest,
    /// Phases of a cluster's life, the default first.
    pub phases: Vec<Named>,
    /// Types of sites.
    pub site_types: BTreeMap<String, SiteType>,
    /// Roles that machines play.
    pub roles: BTreeMap<String, Role>,
    /// Fixed address sets.
    pub sets: BTreeMap<String, IntervalSet>,
    /// Values that the source does not state, each with the reason for the one chosen.
    pub parameters: BTreeMap<String, Parameter>,
    /// Requirements, in the file's order.
    pub requirements: Vec<Requirement>,
    /// The file, and the files that it extends.
    pub files: Vec<Arc<SourceFile>>,
    /// What is wrong with it. With an error in here the catalogue must not be used.
    pub diagnostics: Vec<Diagnostic>,
}

/// A name and what it means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// What it means.
    pub summary: String,
}

/// A type of site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteType {
    /// What it is.
    pub summary: String,
    /// Roles of [`Declared::Site`] that a site of this type has: keys of the deployment's `[[site]]`.
    pub servers: Vec<String>,
}

/// What a machine is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// What it is.
    pub summary: String,
    /// Its networks, the main one first; empty = just `address`.
    pub networks: Vec<Named>,
    /// Where a deployment says who plays it. A `[[node]]` may always.
    pub declared: Declared,
}

/// Where a deployment says who plays a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Declared {
    /// Only as `[[node]]`.
    Node,
    /// Also as an entry of `[networks]` that has the role's name.
    Network,
    /// Also as a key of `[[site]]` that has the role's name: the site's own.
    Site,
}

/// A value that the catalogue's source leaves open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The ports that it stands for.
    pub ports: IntervalSet,
    /// Why these.
    pub reason: String,
}

/// How binding a requirement is, and in which direction.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The flow must be let through.
    Required,
    /// The flow should be let through.
    Recommended,
    /// The flow must not be let through.
    Forbidden,
    /// The flow should not be let through.
    AdvisedAgainst,
}

impl Kind {
    /// Whether the flow is to pass (otherwise it is to be kept out).
    pub const fn wants_passage(self) -> bool {
        matches!(self, Kind::Required | Kind::Recommended)
    }

    /// `required`, `recommended`, `forbidden` or `advised against`.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Required => "required",
            Kind::Recommended => "recommended",
            Kind::Forbidden => "forbidden",
            Kind::AdvisedAgainst => "advised against",
        }
    }
}

/// One row of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    /// Its id, such as `EX1-WEB-HTTPS`.
    pub id: String,
    /// A short name in PascalCase.
    pub name: String,
    /// One sentence, without a full stop: what must (not) be so.
    pub title: String,
    /// What the flow is for, or what may come in by it: one clause, as reports say it after "because".
    pub summary: String,
    /// Markdown: why.
    pub rationale: String,
    /// Where it comes from: article and section.
    pub reference: String,
    /// Address of the source; may be empty.
    pub reference_url: String,
    /// How binding.
    pub kind: Kind,
    /// Level of its findings.
    pub level: Severity,
    /// 0.0–10.0, as code scanning services use it; `None` = not a matter of security.
    pub security_severity: Option<f64>,
    /// Short words.
    pub tags: Vec<String>,
    /// Other ids under which the source lists the same flow.
    pub aliases: Vec<String>,
    /// Who sends.
    pub from: Vec<End>,
    /// Who is sent to.
    pub to: Vec<End>,
    /// Which end findings are about.
    pub subject: Side,
    /// Protocols and ports.
    pub services: Services,
    /// Names of the parameters that its ports come from.
    pub parameters: Vec<String>,
    /// The source says that the connection is encrypted. A packet filter cannot check that; reports say it.
    pub tls: bool,
    /// Applies only under these conditions.
    pub when: When,
    /// For flows that are to be kept out: what counts as a breach.
    pub breach: Breach,
    /// For flows that are to be kept out: leaves out whatever a requirement that applies asks for.
    pub except_wanted: bool,
    /// Examples that `catalogue test` runs.
    pub examples: Vec<Example>,
    /// Where it is written.
    pub origin: Origin,
}

/// One end of a flow.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Who sends the first packet.
    From,
    /// Who is sent to.
    To,
}

/// Who may stand at an end of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum End {
    /// Everybody who plays a role.
    Role {
        /// The role.
        role: String,
        /// The network of the role; `None` = all addresses.
        network: Option<String>,
        /// Which of them, as seen from the other end.
        place: Place,
    },
    /// A host name, or with `*` at the beginning all names that end so. Lower case.
    Host(String),
    /// An address set: [`INTERNET`], [`EVERYWHERE`] or one of [`Catalogue::sets`].
    Set(String),
}

/// Name of the built-in set of all public addresses.
pub const INTERNET: &str = "internet";
/// Name of the built-in set of all addresses.
pub const EVERYWHERE: &str = "everywhere";

/// Where a role is played, as seen from the other end of the flow.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Anywhere.
    #[default]
    Anywhere,
    /// At the same site.
    SameSite,
    /// At another site.
    OtherSite,
}

/// What a flow is on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Services {
    /// These ports of these protocols.
    These(Vec<Service>),
    /// Everything that requirements ask for towards the flow's destination, whoever may use it.
    OfDestination,
}

/// Ports of a protocol.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Service {
    /// IP protocol number; `None` = any.
    pub protocol: Option<u8>,
    /// Destination ports; all of them where the protocol is any or has none.
    pub ports: IntervalSet,
}

/// Conditions under which a requirement applies. Empty lists do not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// Phases.
    pub phases: Vec<String>,
    /// Types of the site that the subject stands in.
    pub site_types: Vec<String>,
    /// A site of one of these types exists.
    pub site_exists: Vec<String>,
}

/// When a flow that is to be kept out counts as let in.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// As soon as one packet of it passes.
    #[default]
    Some,
    /// Only where all of it passes, in one address family.
    Whole,
}

/// A firewall file for one node, and the state that the requirement must have on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// What it shows.
    pub title: String,
    /// Dialect of the file.
    pub dialect: String,
    /// Role of the node whose firewall it is.
    pub role: String,
    /// Phase; `None` = the catalogue's default.
    pub phase: Option<String>,
    /// Type of the node's site.
    pub site_type: Option<String>,
    /// Addresses, as with `--set`: (`srn.service`, `10.1.0.0/24,10.2.0.0/24`).
    pub sets: Vec<(String, String)>,
    /// The file's text.
    pub file: String,
    /// The state expected of the requirement.
    pub expect: Expected,
    /// Where it is written.
    pub origin: Origin,
}

/// State that an example expects.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// Holds.
    Met,
    /// Broken.
    Violated,
    /// The file does not decide it.
    Undecided,
    /// Does not apply.
    NotApplicable,
}

#[cfg(test)]
mod tests;
