//! The catalogue as it is written: TOML, see `rules/`. These types are the format; its JSON schema is made from them.

use super::{Breach, Expected, Kind, Place, Side};
use crate::source::Severity;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use toml::Spanned;

/// A havenlint catalogue: flows that a product needs between its machines, and flows that nobody should be able to use.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CatalogueFile {
    /// Version of this format.
    #[schemars(range(min = 1, max = 1))]
    #[allow(dead_code)]
    pub format: u32,
    /// Short name of the catalogue, in lower case with hyphens: `example-1`.
    #[schemars(length(min = 1))]
    pub id: String,
    /// Version of the catalogue, raised whenever its meaning changes.
    #[schemars(length(min = 1))]
    pub version: String,
    /// What it is the catalogue of, a few words.
    pub title: String,
    /// A catalogue that this one adds to or changes: a built-in name, or a path relative to this file. Everything in it
    /// holds here too, unless it is removed or written anew.
    #[schemars(with = "Option<String>")]
    pub extends: Option<Spanned<String>>,
    /// Ids of requirements of the extended catalogue that do not hold here.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub remove: Vec<Spanned<String>>,
    /// The document that the requirements come from.
    pub source: Option<SourceEntry>,
    /// Phases of a cluster's life; the first is the one of a deployment that does not say.
    #[serde(default)]
    pub phases: Vec<NamedEntry>,
    /// Types of sites, by name.
    #[serde(default)]
    pub site_types: BTreeMap<String, SummaryEntry>,
    /// Roles that machines play, by name.
    #[serde(default)]
    pub roles: BTreeMap<String, RoleEntry>,
    /// Fixed address sets, by name. `internet` and `everywhere` are built in.
    #[serde(default)]
    pub sets: BTreeMap<String, SetEntry>,
    /// Ports that the source does not state, by name.
    #[serde(default)]
    pub parameters: BTreeMap<String, ParameterEntry>,
    /// The requirements, in the order in which reports show them. One whose id stands in the extended catalogue
    /// replaces it.
    #[serde(default, rename = "requirement")]
    #[schemars(with = "Vec<RequirementEntry>")]
    pub requirements: Vec<Spanned<RequirementEntry>>,
}

/// A document that requirements come from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceEntry {
    /// How the document is cited: `kb/329 (2017-01-06)`.
    pub cite: String,
    /// Its address.
    #[serde(default)]
    pub url: String,
}

/// A name and what it means.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedEntry {
    /// The name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What it means.
    pub summary: String,
}

/// What a name means.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SummaryEntry {
    /// What it is.
    pub summary: String,
}

/// A role that machines play.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RoleEntry {
    /// What it is.
    pub summary: String,
    /// Logical networks that a machine of the role has an address on, the main one first. They are keys of a deployment's
    /// `[[node]]`. None = just `address`.
    #[serde(default)]
    pub networks: Vec<NamedEntry>,
    /// Where else than as a `[[node]]` a deployment may say who plays the role.
    #[serde(default)]
    pub declared: DeclaredEntry,
    /// With `declared = "site"`: the site types that have such a machine.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub site_types: Vec<Spanned<String>>,
}

/// Where a deployment says who plays a role.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeclaredEntry {
    /// Only as `[[node]]`.
    #[default]
    Node,
    /// Also as an address set of `[networks]` with the role's name.
    Network,
    /// Also as a key of `[[site]]` with the role's name.
    Site,
}

/// A fixed address set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetEntry {
    /// What it is.
    #[allow(dead_code)]
    pub summary: String,
    /// Its addresses: `10.0.0.1`, `10.0.0.0/24`, `10.0.0.1-10.0.0.9`, IPv6 alike.
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<Spanned<String>>,
}

/// Ports that the source does not state.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterEntry {
    /// The ports: numbers, or ranges as `"5000-5010"`.
    #[schemars(with = "Vec<PortEntry>", length(min = 1))]
    pub ports: Vec<Spanned<PortEntry>>,
    /// Why these.
    #[schemars(length(min = 1))]
    pub reason: String,
}

/// One requirement.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequirementEntry {
    /// Its id, in capitals with hyphens: `EX1-WEB-HTTPS`. Findings carry it.
    #[schemars(with = "String", length(min = 1))]
    pub id: Spanned<String>,
    /// The requirement replaces the one of the extended catalogue that has its id.
    #[serde(default, rename = "override")]
    pub replaces: bool,
    /// A short name in PascalCase. Left out: made from the id.
    #[schemars(with = "Option<String>")]
    pub name: Option<Spanned<String>>,
    /// What must (not) be so: one sentence without a full stop.
    #[schemars(length(min = 1))]
    pub title: String,
    /// What the flow is for, or what may come in by it: one clause. Left out: the title.
    pub summary: Option<String>,
    /// Why, in Markdown.
    #[serde(default)]
    pub rationale: String,
    /// Section of the source document.
    #[serde(default)]
    pub section: String,
    /// How binding it is, and whether the flow is to pass or to be kept out.
    pub kind: Kind,
    /// Level of its findings. Left out: `error` if required or forbidden, else `note`.
    #[schemars(with = "Option<LevelEntry>")]
    pub level: Option<Severity>,
    /// How grave a breach is, 0.0 to 10.0, as code scanning services show it.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub security_severity: Option<f64>,
    /// Short words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Other ids under which the source lists the same flow.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub aliases: Vec<Spanned<String>>,
    /// Who sends the first packet.
    #[schemars(with = "Vec<EndEntry>", length(min = 1))]
    pub from: Vec<Spanned<EndEntry>>,
    /// Who is sent to.
    #[schemars(with = "Vec<EndEntry>", length(min = 1))]
    pub to: Vec<Spanned<EndEntry>>,
    /// Which end the requirement is about. Left out: `to`.
    pub subject: Option<Side>,
    /// Protocols: `tcp`, `udp`, another name or number, or `any` alone.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub protocols: Vec<Spanned<String>>,
    /// Destination ports: numbers, ranges as `"5000-5010"`, or names of parameters. Left out: all.
    #[serde(default)]
    #[schemars(with = "Vec<PortEntry>")]
    pub ports: Vec<Spanned<PortEntry>>,
    /// Instead of protocols and ports: which services are meant.
    #[schemars(with = "Option<ServicesEntry>")]
    pub services: Option<Spanned<ServicesEntry>>,
    /// The source says that the connection is encrypted (TLS). Recorded and reported; no packet filter can check it.
    #[serde(default)]
    pub tls: bool,
    /// Conditions under which it applies. Left out: always.
    #[serde(default)]
    pub when: WhenEntry,
    /// If the flow is to be kept out: what counts as a breach. Left out: `some`.
    #[serde(default)]
    pub breach: Breach,
    /// If the flow is to be kept out: whether the parts of it that required and recommended flows need are left out of it.
    #[serde(default)]
    pub except_wanted: bool,
    /// Examples, run by `havenlint catalogue test`.
    #[serde(default, rename = "example")]
    #[schemars(with = "Vec<ExampleEntry>")]
    pub examples: Vec<Spanned<ExampleEntry>>,
}

/// Level of findings.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)]
enum LevelEntry {
    Note,
    Warning,
    Error,
}

/// Services by description.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServicesEntry {
    /// Every service that required and recommended flows need at the destination, whoever may use it.
    OfDestination,
}

/// One end of a flow: a role, a host name or an address set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndEntry {
    /// A role: everybody who plays it.
    #[schemars(with = "Option<String>")]
    pub role: Option<Spanned<String>>,
    /// With a role: the network of the role that is used. Left out: all addresses.
    #[schemars(with = "Option<String>")]
    pub network: Option<Spanned<String>>,
    /// With a role: which of those who play it, as seen from the other end.
    #[serde(default)]
    pub place: Place,
    /// A host name; with `*.` at the beginning every name that ends so.
    #[schemars(with = "Option<String>")]
    pub host: Option<Spanned<String>>,
    /// An address set: `internet` (public addresses), `everywhere`, or one of `[sets]`.
    #[schemars(with = "Option<String>")]
    pub set: Option<Spanned<String>>,
}

/// Conditions under which a requirement applies; all must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WhenEntry {
    /// The cluster is in one of these phases.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub phase: Vec<Spanned<String>>,
    /// The subject stands at a site of one of these types.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub site_type: Vec<Spanned<String>>,
    /// There is a site of one of these types.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub site_exists: Vec<Spanned<String>>,
}

/// A firewall file for one machine, and the state that the requirement has on it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExampleEntry {
    /// What it shows: one clause.
    #[schemars(length(min = 1))]
    pub title: String,
    /// Dialect of the file. Left out: `iptables`.
    #[serde(default = "iptables")]
    pub dialect: String,
    /// Role of the machine whose firewall it is.
    #[schemars(with = "String")]
    pub role: Spanned<String>,
    /// Phase. Left out: the catalogue's first.
    #[schemars(with = "Option<String>")]
    pub phase: Option<Spanned<String>>,
    /// Type of the site that the machine stands at.
    #[schemars(with = "Option<String>")]
    pub site_type: Option<Spanned<String>>,
    /// Addresses by `role`, `role.network`, host name or network name, as with `--set`.
    #[serde(default)]
    pub sets: BTreeMap<String, Vec<String>>,
    /// The file's text.
    pub file: String,
    /// State of the requirement.
    pub expect: Expected,
}

fn iptables() -> String {
    "iptables".to_owned()
}

/// A port, a range of ports, or the name of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortEntry {
    /// A port.
    Number(u16),
    /// A range, or the name of a parameter.
    Text(String),
}

impl<'de> Deserialize<'de> for PortEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = PortEntry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port, a range such as \"5000-5010\", or the name of a parameter")
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<PortEntry, E> {
                u16::try_from(n)
                    .map(PortEntry::Number)
                    .map_err(|_| E::custom(format!("{n} is not a port: use 0 to 65535")))
            }
            fn visit_str<E: de::Error>(self, s: &str) -> Result<PortEntry, E> {
                Ok(PortEntry::Text(s.to_owned()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for PortEntry {
    fn schema_name() -> Cow<'static, str> {
        "PortEntry".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A port, a range of ports such as \"5000-5010\", or the name of a parameter.",
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": 65535 },
                { "type": "string", "minLength": 1 }
            ]
        })
    }
}
