//! The deployment file as it is written.

use crate::source::document;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// `havenlint.toml`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeploymentFile {
    /// Versions of havenlint that the file is for: `">=0.1"`.
    #[schemars(with = "Option<String>")]
    pub required_version: Option<Spanned<String>>,
    /// A built-in catalogue's name, or a path relative to this file.
    #[schemars(with = "Option<String>")]
    pub catalogue: Option<Spanned<String>>,
    /// The phase that the cluster is in.
    #[schemars(with = "Option<String>")]
    pub phase: Option<Spanned<String>>,
    /// What `check` does where its options do not say.
    #[serde(default)]
    pub check: CheckEntry,
    /// Address sets by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Words>")]
    pub networks: BTreeMap<Spanned<String>, Spanned<Words>>,
    /// Addresses of host names.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Words>")]
    pub names: BTreeMap<Spanned<String>, Spanned<Words>>,
    /// Data centers.
    #[serde(default, rename = "site")]
    pub sites: Vec<SiteEntry>,
    /// Machines with a role.
    #[serde(default, rename = "node")]
    pub nodes: Vec<NodeEntry>,
    /// Firewalls between networks.
    #[serde(default, rename = "gateway")]
    pub gateways: Vec<GatewayEntry>,
    /// Findings that are accepted.
    #[serde(default, rename = "waiver")]
    pub waivers: Vec<WaiverEntry>,
    /// Which waivers beside rules are in force: true (all), false (none), "with-owner", or those of a list of rules.
    #[schemars(with = "Option<InlineEntry>")]
    pub inline_waivers: Option<Spanned<InlineEntry>>,
}

/// Which waivers beside rules are in force.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum InlineEntry {
    /// All, or none.
    Switch(bool),
    /// `with-owner`.
    Word(String),
    /// Those of these rules.
    Rules(Vec<String>),
}

/// Options of `check` that hold unless others are given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CheckEntry {
    /// Formats of the report: `human`, `sarif=havenlint.sarif`.
    #[serde(default = "no_words")]
    #[schemars(with = "Words")]
    pub format: Spanned<Words>,
    /// The lowest level of findings that makes the exit status 1: `error`, `warning`, `note` or `never`.
    #[schemars(with = "Option<String>")]
    pub fail_on: Option<Spanned<String>>,
    /// The lowest level of findings that is reported.
    #[schemars(with = "Option<String>")]
    pub min_severity: Option<Spanned<String>>,
    /// Only these rules: ids or prefixes.
    #[serde(default = "no_words")]
    #[schemars(with = "Words")]
    pub select: Spanned<Words>,
    /// All but these rules.
    #[serde(default = "no_words")]
    #[schemars(with = "Words")]
    pub ignore: Spanned<Words>,
    /// Files and folders that are passed over, as names or patterns.
    #[serde(default = "no_words")]
    #[schemars(with = "Words")]
    pub exclude: Spanned<Words>,
}

impl Default for CheckEntry {
    fn default() -> Self {
        Self {
            format: no_words(),
            fail_on: None,
            min_severity: None,
            select: no_words(),
            ignore: no_words(),
            exclude: no_words(),
        }
    }
}

/// A data center.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteEntry {
    /// Its name.
    #[schemars(with = "String", length(min = 1))]
    pub name: Spanned<String>,
    /// Its type, one of the catalogue's.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub kind: Spanned<String>,
    /// Addresses by key.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Words>")]
    pub addresses: BTreeMap<Spanned<String>, Spanned<Words>>,
}

/// Keys of `[[site]]` that are no addresses.
pub const SITE_KEYS: &[&str] = &["name", "type"];

/// A machine.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NodeEntry {
    /// Its name.
    #[schemars(with = "String", length(min = 1))]
    pub name: Spanned<String>,
    /// Its role, one of the catalogue's. Left out: the machine is checked by itself.
    #[schemars(with = "Option<String>")]
    pub role: Option<Spanned<String>>,
    /// Its site.
    #[schemars(with = "Option<String>")]
    pub site: Option<Spanned<String>>,
    /// Its firewall's files, globs allowed.
    #[serde(default = "no_words")]
    #[schemars(with = "Words")]
    pub firewall: Spanned<Words>,
    /// Network on each of its interfaces.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub interfaces: BTreeMap<Spanned<String>, Spanned<String>>,
    /// Groups attached to it, in a cloud.
    #[serde(default = "no_words")]
    #[schemars(with = "Words")]
    pub security_groups: Spanned<Words>,
    /// Its addresses and routes: files with the output of `ip address` and `ip route` (`-j` or not), or routes as `ip route` prints them.
    #[serde(default = "no_words")]
    #[schemars(with = "Words")]
    pub routes: Spanned<Words>,
    /// Addresses by key.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Words>")]
    pub addresses: BTreeMap<Spanned<String>, Spanned<Words>>,
}

/// Keys of `[[node]]` that are no addresses.
pub const NODE_KEYS: &[&str] =
    &["name", "role", "site", "firewall", "interfaces", "security-groups", "routes"];

/// A firewall between networks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayEntry {
    /// Its name.
    #[schemars(with = "String", length(min = 1))]
    pub name: Spanned<String>,
    /// Its files, globs allowed.
    #[schemars(with = "Words")]
    pub firewall: Spanned<Words>,
    /// Its addresses and routes: files with the output of `ip address` and `ip route` (`-j` or not), or routes as `ip route` prints them.
    #[serde(default = "no_words")]
    #[schemars(with = "Words")]
    pub routes: Spanned<Words>,
    /// Networks behind each interface.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Words>")]
    pub interfaces: BTreeMap<Spanned<String>, Spanned<Words>>,
    /// The site that it stands in: other sites have their own way to the Internet and to each other.
    #[schemars(with = "Option<String>")]
    pub site: Option<Spanned<String>>,
}

/// A finding that is accepted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaiverEntry {
    /// Id of the requirement or check.
    #[schemars(with = "String", length(min = 1))]
    pub rule: Spanned<String>,
    /// Only for this node or gateway.
    #[schemars(with = "Option<String>")]
    pub node: Option<Spanned<String>>,
    /// Only in files that this path or glob names.
    #[schemars(with = "Option<String>")]
    pub path: Option<Spanned<String>>,
    /// Only for flows from these addresses.
    #[schemars(with = "Option<Words>")]
    pub from: Option<Spanned<Words>>,
    /// Only for flows to these addresses.
    #[schemars(with = "Option<Words>")]
    pub to: Option<Spanned<Words>>,
    /// Only for flows of this protocol.
    #[schemars(with = "Option<String>")]
    pub proto: Option<Spanned<String>>,
    /// Only for flows to these ports.
    #[schemars(with = "Option<Words>")]
    pub port: Option<Spanned<Words>>,
    /// Why it is accepted.
    #[schemars(with = "String", length(min = 1))]
    pub reason: Spanned<String>,
    /// Who answers for it.
    #[serde(default)]
    pub owner: String,
    /// Last day on which it holds.
    #[schemars(with = "Option<String>")]
    pub expires: Option<Spanned<Day>>,
}

fn no_words() -> Spanned<Words> {
    Spanned::new(0..0, Words::default())
}

/// A word, or a list of them. A number counts as a word.
#[derive(Debug, Clone, Default)]
pub struct Words(pub Vec<Word>);

/// A word of a list, with its place where the list gives one.
#[derive(Debug, Clone)]
pub struct Word {
    /// The word.
    pub text: String,
    /// Its place; `None` = the list's.
    pub span: Option<std::ops::Range<usize>>,
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Words;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }
            fn visit_str<E: de::Error>(self, s: &str) -> Result<Words, E> {
                Ok(Words(vec![Word { text: s.to_owned(), span: None }]))
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Words, E> {
                self.visit_str(&n.to_string())
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
                let mut out = Vec::new();
                while let Some(item) = list.next_element::<Spanned<Text>>()? {
                    let span = Some(item.span());
                    out.push(Word { text: item.into_inner().0, span });
                }
                Ok(Words(out))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A text or a number.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Words(mut words) = Words::deserialize(deserializer)?;
        match (words.pop(), words.is_empty()) {
            (Some(w), true) => Ok(Text(w.text)),
            _ => Err(de::Error::custom("a list inside a list: a string is needed here")),
        }
    }
}

impl JsonSchema for Words {
    fn schema_name() -> Cow<'static, str> {
        "Words".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "array", "items": { "anyOf": [{ "type": "string" }, { "type": "integer" }] } },
                { "type": "string" },
                { "type": "integer" }
            ]
        })
    }
}

/// A day, as a TOML date or a text.
#[derive(Debug, Clone, Copy)]
pub struct Day(pub jiff::civil::Date);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Date(toml::value::Datetime),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Date(d) => d.to_string(),
            Written::Text(t) => t,
        };
        text.parse()
            .map(Day)
            .map_err(|_| de::Error::custom(format!("`{text}` is not a date: write 2027-03-31")))
    }
}

/// Addresses stand beside the other keys of sites and nodes, under names that the catalogue gives; here they become a
/// table of their own, `addresses`.
pub fn gather_addresses(table: &mut DeTable<'_>) {
    for (list, fixed) in [("site", SITE_KEYS), ("node", NODE_KEYS)] {
        let Some(DeValue::Array(items)) = table.get_mut(list).map(Spanned::get_mut) else { continue };
        for item in items.iter_mut() {
            let span = item.span();
            let DeValue::Table(entry) = item.get_mut() else { continue };
            let keys: Vec<_> = entry.keys().filter(|k| !fixed.contains(&&**k.get_ref())).cloned().collect();
            let mut addresses = DeTable::new();
            for key in keys {
                if let Some(value) = entry.remove(&key) {
                    addresses.insert(key, value);
                }
            }
            let name = Spanned::new(span.clone(), "addresses".into());
            entry.insert(name, Spanned::new(span, DeValue::Table(addresses)));
        }
    }
}

/// The format's JSON schema, for editors. Addresses stand beside the other keys of sites and nodes, under names that the catalogue gives.
pub fn schema_text() -> String {
    let mut schema = document::schema::<DeploymentFile>();
    schema["title"] = "havenlint.toml".into();
    for entry in ["SiteEntry", "NodeEntry"] {
        let own = &mut schema["$defs"][entry];
        if let Some(properties) = own["properties"].as_object_mut() {
            properties.shift_remove("addresses");
        }
        own["additionalProperties"] = serde_json::json!({ "$ref": "#/$defs/Words" });
    }
    // Printing a value that is in memory cannot fail.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}
