//! The attribute tree: what a resource says, whether a state, a plan or a configuration says it.
//!
//! [`Fields`] is the view through which resources are read. It notes what was asked for, so that what nobody asked for can be named.

use crate::dialect::aws::value::Scalar;
use crate::source::Origin;
use std::borrow::Cow;
use std::cell::Cell;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub data: Data,
    /// Where it is written.
    pub at: Origin,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// `null`: as if it were not there.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number. Whole numbers up to 2^53 are exact.
    Number(f64),
    /// A string.
    Text(String),
    /// A list, set or tuple, or the blocks of one type.
    List(Vec<Node>),
    /// A map or object, or the content of a block.
    Map(Map),
    /// Not known from the files.
    Open(Open),
}

/// Members by name, in the order of the text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Map {
    /// The members.
    pub entries: Vec<(String, Node)>,
    /// Members beyond these are known only after apply: they are attributes of the resource with this address.
    pub rest: Option<String>,
}

/// A value that the files do not tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Open {
    /// As short as a condition: `var.office`.
    pub text: String,
    /// Why it is not known, or what would settle it.
    pub why: String,
    /// Attributes of resources from which it is made, as addresses from the root: `module.net.aws_security_group.web.id`. One that begins
    /// with `?` could not be followed to a resource.
    pub refs: Vec<String>,
    /// In a list: it may stand for any number of items.
    pub many: bool,
}

impl Node {
    /// A value at a place.
    pub fn new(data: Data, at: Origin) -> Self {
        Self { data, at }
    }

    /// A value that is not known.
    pub fn open(text: impl Into<String>, why: impl Into<String>, at: Origin) -> Self {
        Self::new(Data::Open(Open { text: text.into(), why: why.into(), ..Open::default() }), at)
    }

    /// The string, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(t) => Some(t),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(list) => Some(list),
            _ => None,
        }
    }

    /// The members, if it is a map.
    pub fn map(&self) -> Option<&Map> {
        match &self.data {
            Data::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Why it is not known, if it is not.
    pub fn unknown(&self) -> Option<&Open> {
        match &self.data {
            Data::Open(open) => Some(open),
            _ => None,
        }
    }

    /// The whole number, also one in quotes.
    pub fn int(&self) -> Option<i64> {
        match &self.data {
            Data::Number(n) if n.fract() == 0.0 && n.abs() < 9e15 => Some(*n as i64),
            Data::Text(t) => t.trim().parse().ok(),
            _ => None,
        }
    }

    /// The truth value, also one in quotes, as Terraform converts it.
    pub fn bool(&self) -> Option<bool> {
        match &self.data {
            Data::Bool(b) => Some(*b),
            Data::Text(t) if t == "true" => Some(true),
            Data::Text(t) if t == "false" => Some(false),
            _ => None,
        }
    }

    /// What it is, in words with an article.
    pub fn words(&self) -> &'static str {
        match self.data {
            Data::Null => "null",
            Data::Bool(_) => "true or false",
            Data::Number(_) => "a number",
            Data::Text(_) => "a string",
            Data::List(_) => "a list",
            Data::Map(_) => "an object",
            Data::Open(_) => "not known",
        }
    }

    /// As people write it, short.
    pub fn shown(&self) -> String {
        match &self.data {
            Data::Text(t) => format!("\"{t}\""),
            Data::Number(n) => n.to_string(),
            Data::Bool(b) => b.to_string(),
            Data::Open(open) => open.text.clone(),
            _ => self.words().to_owned(),
        }
    }

    /// As a protocol or port may be written.
    pub fn scalar(&self) -> Scalar<'_> {
        match &self.data {
            Data::Null => Scalar::Absent,
            Data::Text(t) => Scalar::Text(Cow::Borrowed(t)),
            _ => self.int().map_or_else(|| Scalar::Other(self.shown()), Scalar::Number),
        }
    }

    /// Everything that is not known in it, at any depth.
    pub fn opens(&self) -> Vec<&Open> {
        let mut out = Vec::new();
        let mut work = vec![self];
        while let Some(n) = work.pop() {
            match &n.data {
                Data::Open(open) => out.push(open),
                Data::List(list) => work.extend(list),
                Data::Map(map) => work.extend(map.entries.iter().map(|(_, n)| n)),
                _ => {}
            }
        }
        out
    }

    /// Every string in it, at any depth.
    pub fn texts(&self) -> Vec<&str> {
        let mut out = Vec::new();
        let mut work = vec![self];
        while let Some(n) = work.pop() {
            match &n.data {
                Data::Text(t) => out.push(t.as_str()),
                Data::List(list) => work.extend(list),
                Data::Map(map) => work.extend(map.entries.iter().map(|(_, n)| n)),
                _ => {}
            }
        }
        out
    }
}

impl Map {
    /// The last member of that name.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().rev().find(|(k, _)| k == key).map(|(_, n)| n)
    }
}

/// A map that is read, with a note of each member that was asked for.
pub struct Fields<'t> {
    map: &'t Map,
    taken: Vec<Cell<bool>>,
    /// Where the map is written.
    pub at: Origin,
}

impl<'t> Fields<'t> {
    /// The view of a map; `None` if the value is none.
    pub fn of(node: &'t Node) -> Option<Self> {
        let map = node.map()?;
        Some(Self { map, taken: vec![Cell::new(false); map.entries.len()], at: node.at })
    }

    /// The member, unless it is absent or null.
    pub fn get(&self, key: &str) -> Option<&'t Node> {
        let mut found = None;
        for ((name, node), taken) in self.map.entries.iter().zip(&self.taken) {
            if name == key {
                taken.set(true);
                found = Some(node);
            }
        }
        found.filter(|n| n.data != Data::Null)
    }

    /// The member's string, unless it is empty.
    pub fn text(&self, key: &str) -> Option<&'t str> {
        self.get(key)?.text().filter(|t| !t.is_empty())
    }

    /// The member as a protocol or port.
    pub fn scalar(&self, key: &str) -> Scalar<'t> {
        self.get(key).map_or(Scalar::Absent, Node::scalar)
    }

    /// Whether the member is written, if only as null or as an empty list.
    pub fn has(&self, key: &str) -> bool {
        self.map.entries.iter().any(|(k, _)| k == key)
    }

    /// The members that nobody asked for and that are not among those without effect.
    pub fn unread(&self, idle: &[&str]) -> Vec<(&'t str, Origin)> {
        let rest = self
            .map
            .entries
            .iter()
            .zip(&self.taken)
            .filter(|((k, _), taken)| !taken.get() && !idle.contains(&k.as_str()));
        rest.map(|((k, n), _)| (k.as_str(), n.at)).collect()
    }
}
