//! Terraform configurations in HCL: the `.tf` files of a folder are one module.
//!
//! Expressions over constants are evaluated ([`eval`], [`functions`]): variables with their values from `*.tfvars` or their defaults, locals,
//! `count`, `for_each`, `dynamic` blocks, attributes that another resource sets. What depends on something else is unknown, with its place. Modules whose
//! folder is among the files are read with their arguments; others are named, and what they may do to the groups that they are given
//! is unknown.

mod eval;
mod expand;
mod functions;
mod net;
mod scope;

use super::super::inventory::Unknown;
use super::super::reader::Reader;
use super::lower;
use crate::dialect::Role;
use crate::source::{Diagnostic, Origin, SourceFile};
use hcl_edit::Span;
use hcl_edit::expr::{Expression, Object, ObjectKey};
use hcl_edit::structure::{Block, Body, Structure};
use scope::{Instance, World};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Whether a text is a Terraform configuration, and whether it holds rules.
pub fn detect(content: &[u8]) -> Option<Role> {
    let mut role = None;
    for line in content.split(|b| *b == b'\n') {
        let Ok(line) = std::str::from_utf8(line) else { continue };
        let mut words = line.split_whitespace();
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let labelled = second.starts_with('"') && line.trim_end().ends_with(['{', '}']);
        match first {
            "resource" if labelled => {
                let kind = second.trim_matches('"');
                if super::Kind::of(kind, false).is_some_and(super::Kind::has_rules) {
                    return Some(Role::Rules);
                }
                role = role.or(kind.starts_with("aws_").then_some(Role::Companion));
            }
            "variable" | "module" | "provider" | "output" | "data" if labelled => {
                role = role.or(Some(Role::Companion));
            }
            "locals" | "terraform" if second == "{" => role = role.or(Some(Role::Companion)),
            _ => {}
        }
    }
    role
}

/// Whether a file is a configuration or one of values.
pub fn is_configuration(file: &SourceFile) -> bool {
    is_values(&file.path) || detect(file.bytes()).is_some()
}

/// Folders of modules that a file calls, as far as they are local.
pub fn local_modules(file: &SourceFile) -> Vec<String> {
    let text = String::from_utf8_lossy(file.bytes());
    let source = |line: &str| {
        let value = line.trim().strip_prefix("source")?.trim_start().strip_prefix('=')?.trim();
        resolve(&folder(&file.path), value.strip_prefix('"')?.split('"').next()?)
    };
    text.lines().filter_map(source).collect()
}

/// Whether a file is one of values for variables, by its name: such files say nothing of what they are.
pub fn is_values(path: &str) -> bool {
    path.ends_with(".tfvars") || path.ends_with(".tfvars.json")
}

/// Whether Terraform reads a file of values of its own accord.
pub fn is_loaded(path: &str) -> bool {
    Rank::of(path) < Rank::Named
}

/// What a file of values yields to: a later one has the last word (Terraform, "Variable definition precedence").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Plain,
    Json,
    /// In the order of their names.
    Auto(String),
    /// With `-var-file`.
    Named,
}

impl Rank {
    fn of(path: &str) -> Rank {
        match path.rsplit('/').next().unwrap_or(path) {
            "terraform.tfvars" => Rank::Plain,
            "terraform.tfvars.json" => Rank::Json,
            auto if auto.ends_with(".auto.tfvars") || auto.ends_with(".auto.tfvars.json") => {
                Rank::Auto(auto.to_owned())
            }
            _ => Rank::Named,
        }
    }
}

/// A file that was parsed.
struct Source {
    file: usize,
    folder: String,
    content: Content,
}

enum Content {
    Configuration(Body),
    Values(Rank, Body),
    /// The same as JSON.
    Object(Rank, Object),
}

/// The value of a variable, by a file of values.
#[derive(Clone)]
struct Given<'s> {
    rank: Rank,
    file: usize,
    value: &'s Expression,
    // Another file that was named gives one as well.
    disputed: bool,
}

/// A folder of `.tf` files. Everything by name, with the number of the file.
#[derive(Default)]
struct Module<'s> {
    variables: BTreeMap<&'s str, (usize, &'s Block)>,
    locals: BTreeMap<&'s str, (usize, &'s Expression)>,
    /// Resources, and data sources (true), by type and name.
    resources: BTreeMap<(bool, &'s str, &'s str), (usize, &'s Block)>,
    calls: BTreeMap<&'s str, (usize, &'s Block)>,
    outputs: BTreeMap<&'s str, (usize, &'s Expression)>,
    /// Values of variables from `*.tfvars`.
    given: BTreeMap<&'s str, Given<'s>>,
    strays: Vec<Unknown>,
}

/// Reads all configurations among the files: their numbers and contents.
pub fn read(reader: &mut Reader<'_>, files: &[(usize, &SourceFile)]) {
    let mut sources = Vec::new();
    let mut broken = Vec::new();
    for (file, content) in files {
        match parse(*file, content) {
            Ok(source) => sources.push(source),
            Err(d) => {
                broken.push((folder(&content.path), d.message.clone(), d.origin));
                reader.diagnostics.push(d);
            }
        }
    }
    let mut modules: BTreeMap<&str, Module<'_>> = BTreeMap::new();
    for source in &sources {
        let module = modules.entry(&source.folder).or_default();
        module.read(reader, source);
    }
    named_elsewhere(reader, &mut modules);
    for (folder, why, origin) in &broken {
        let unknown = Unknown { text: "what this file holds".to_owned(), why: why.clone(), origin: *origin };
        modules.entry(folder).or_default().strays.push(unknown);
    }
    let world = World::new(modules);
    let called: BTreeSet<String> = world
        .modules
        .iter()
        .flat_map(|(folder, m)| m.calls.values().filter_map(|(_, call)| local_source(folder, call)))
        .collect();
    for (folder, module) in &world.modules {
        if called.contains(*folder) {
            continue;
        }
        reader.inventory.variables |= !module.variables.is_empty();
        let root = Rc::new(Instance::root(folder, module));
        let resources = expand::resources(reader, &world, &root);
        lower::lower(reader, &resources);
    }
}

fn folder(path: &str) -> String {
    path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned())
}

fn parse(file: usize, content: &SourceFile) -> Result<Source, Diagnostic> {
    let bytes = content.bytes();
    let skip = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let text = std::str::from_utf8(&bytes[skip..]).map_err(|e| {
        let at = skip + e.valid_up_to();
        Diagnostic::error(Origin::new(file, at, at + 1), "this is no UTF-8 text, as Terraform needs it")
            .help("save the file as UTF-8; nothing of it was read")
    })?;
    // The parser knows places from the beginning of what it is given: a byte order mark becomes blanks.
    let text = if skip == 0 { text.to_owned() } else { format!("   {text}") };
    let wrong = |e: hcl_edit::parser::Error| {
        let at = e.location().offset().min(text.len());
        let message = format!("this is no valid HCL: {}", e.message().replace('\n', "; "));
        Diagnostic::error(Origin::new(file, at, (at + 1).min(text.len())), message)
            .help("correct it (`terraform validate` shows more); nothing of this file was read")
    };
    let rank = is_values(&content.path).then(|| Rank::of(&content.path));
    let parsed = match rank {
        // JSON is a constant of HCL.
        Some(rank) if content.path.ends_with(".json") => match text.trim().parse().map_err(wrong)? {
            Expression::Object(object) => Content::Object(rank, object),
            _ => {
                return Err(Diagnostic::error(
                    Origin::new(file, 0, text.len()),
                    "these are no values of variables",
                )
                .help("a JSON file of values is an object: { \"name\": value }"));
            }
        },
        Some(rank) => Content::Values(rank, text.parse().map_err(wrong)?),
        None => Content::Configuration(text.parse().map_err(wrong)?),
    };
    Ok(Source { file, folder: folder(&content.path), content: parsed })
}

// Files of values that were named and stand in a folder without a configuration are for every configuration that declares the variable, as with
// `-var-file`.
fn named_elsewhere(reader: &mut Reader<'_>, modules: &mut BTreeMap<&str, Module<'_>>) {
    let apart = |m: &Module<'_>| m.variables.is_empty() && m.resources.is_empty() && m.calls.is_empty();
    let named: Vec<_> = modules
        .values()
        .filter(|m| apart(m))
        .flat_map(|m| m.given.iter().filter(|(_, g)| g.rank == Rank::Named))
        .map(|(name, g)| (*name, g.clone()))
        .collect();
    for module in modules.values_mut() {
        for (name, given) in &named {
            if module.variables.contains_key(name) {
                module.give(reader, name, given.clone());
            }
        }
    }
}

impl<'s> Module<'s> {
    fn read(&mut self, reader: &mut Reader<'_>, source: &'s Source) {
        let file = source.file;
        match &source.content {
            Content::Configuration(body) => {
                for structure in body {
                    match structure {
                        Structure::Block(b) => self.block(reader, file, b),
                        Structure::Attribute(a) => {
                            self.stray(reader, "an argument outside of a block", at(file, a.span()));
                        }
                    }
                }
            }
            Content::Values(rank, body) => {
                for structure in body {
                    match structure {
                        Structure::Attribute(a) => {
                            let given = Given { rank: rank.clone(), file, value: &a.value, disputed: false };
                            self.give(reader, a.key.as_str(), given);
                        }
                        Structure::Block(b) => {
                            self.stray(reader, "a block in a file of values", at(file, b.span()));
                        }
                    }
                }
            }
            Content::Object(rank, object) => {
                for (key, value) in object.iter() {
                    let given = Given { rank: rank.clone(), file, value: value.expr(), disputed: false };
                    match key {
                        ObjectKey::Ident(name) => self.give(reader, name.as_str(), given),
                        ObjectKey::Expression(Expression::String(name)) => {
                            self.give(reader, name.as_str(), given);
                        }
                        ObjectKey::Expression(other) => {
                            self.stray(reader, "the name of this value", at(file, other.span()));
                        }
                    }
                }
            }
        }
    }

    // The value that has the last word. In which order files are named with `-var-file` is not told.
    fn give(&mut self, reader: &mut Reader<'_>, name: &'s str, mut given: Given<'s>) {
        if let Some(before) = self.given.get(name) {
            if before.rank > given.rank {
                return;
            }
            given.disputed |= before.rank == Rank::Named && before.file != given.file;
        }
        if given.disputed {
            let place = at(given.file, given.value.span());
            self.stray(reader, "a variable that two of the named files set", place);
        }
        self.given.insert(name, given);
    }

    fn block(&mut self, reader: &mut Reader<'_>, file: usize, b: &'s Block) {
        let labels: Vec<&str> = b.labels.iter().map(|l| l.as_str()).collect();
        let before = match (b.ident.as_str(), labels.as_slice()) {
            ("resource", [kind, name]) => self.resources.insert((false, kind, name), (file, b)).is_some(),
            ("data", [kind, name]) => self.resources.insert((true, kind, name), (file, b)).is_some(),
            ("variable", [name]) => self.variables.insert(name, (file, b)).is_some(),
            ("module", [name]) => self.calls.insert(name, (file, b)).is_some(),
            ("output", [name]) => {
                let value = b.body.get_attribute("value");
                value.is_some_and(|a| self.outputs.insert(name, (file, &a.value)).is_some())
            }
            ("locals", []) => {
                let twice = |a: &&'s hcl_edit::structure::Attribute| {
                    self.locals.insert(a.key.as_str(), (file, &a.value)).is_some()
                };
                b.body.attributes().filter(twice).count() > 0
            }
            // What they do has no say in rules: where providers are, what moved, what is asserted.
            (
                "terraform" | "provider" | "moved" | "removed" | "import" | "check" | "ephemeral" | "action",
                _,
            ) => false,
            (kind, _) => {
                let what = format!("a block `{kind}`, which havenlint does not know");
                self.stray(reader, &what, at(file, b.span()));
                false
            }
        };
        if before {
            self.stray(reader, "a name that this module declares twice", at(file, b.ident.span()));
        }
    }

    fn stray(&mut self, reader: &mut Reader<'_>, what: &str, origin: Origin) {
        reader.diagnostics.push(
            Diagnostic::warning(origin, format!("{what} is not understood"))
                .help("what it may change is undecided"),
        );
        self.strays.push(Unknown { text: what.to_owned(), why: "it is not understood".to_owned(), origin });
    }
}

fn at(file: usize, span: Option<std::ops::Range<usize>>) -> Origin {
    span.map_or(Origin::new(file, 0, 0), |s| Origin::new(file, s.start, s.end))
}

/// The folder that a call of a module names, if it is a local one.
fn local_source(folder: &str, call: &Block) -> Option<String> {
    resolve(folder, call.body.get_attribute("source")?.value.as_str()?)
}

// A path from a folder.
fn resolve(folder: &str, source: &str) -> Option<String> {
    if !source.starts_with("./") && !source.starts_with("../") {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in source.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                // Above the folder that was given: the names of its parents are not known.
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    let start = if folder.starts_with('/') { "/" } else { "" };
    Some(format!("{start}{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_known_by_their_blocks() {
        assert_eq!(detect(b"resource \"aws_security_group\" \"a\" {\n}\n"), Some(Role::Rules));
        assert_eq!(detect(b"variable \"office\" {\n  default = \"x\"\n}\n"), Some(Role::Companion));
        assert_eq!(detect(b"locals {\n}\n"), Some(Role::Companion));
        for other in [
            "table inet filter {\n}\n",
            "*filter\n-A INPUT -j DROP\n",
            "server {\n}\n",
            "a = 1\n",
            "data x\n",
        ] {
            assert_eq!(detect(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn local_modules_are_folders() {
        let call = |source: &str| {
            let body: Body = format!("module \"m\" {{\n  source = \"{source}\"\n}}\n").parse().unwrap();
            body.blocks().next().unwrap().clone()
        };
        assert_eq!(local_source("env/prod", &call("../../modules/net")).as_deref(), Some("modules/net"));
        assert_eq!(local_source("", &call("./net")).as_deref(), Some("net"));
        assert_eq!(local_source("/srv/tf", &call("./net/")).as_deref(), Some("/srv/tf/net"));
        assert_eq!(local_source("a", &call("../../x")), None);
        assert_eq!(local_source("a", &call("terraform-aws-modules/vpc/aws")), None);
    }
}
