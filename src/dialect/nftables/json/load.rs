//! From the list of objects to a [`Ruleset`].

use super::*;
use crate::dialect::nftables::load::priority_of;
use crate::dialect::nftables::ruleset::{Base, Devices, Flowtable, Ruleset, Source, TableFamily, TypeSpec};
use crate::source::Diagnostic;
use crate::source::json::{Document, Kind};

struct Loader<'d> {
    ruleset: Ruleset<'d>,
    snippets: Snippets,
    diagnostics: Vec<Diagnostic>,
}

/// Reads the document of file number 0. The place is that of the first object that could not be read: what stands there may change everything.
pub(in crate::dialect::nftables) fn load<'d>(
    document: &'d Document<'d>,
) -> (Ruleset<'d>, Snippets, Vec<Diagnostic>, Option<Origin>) {
    let mut l = Loader {
        ruleset: Ruleset::default(),
        snippets: Snippets::default(),
        diagnostics: document.problems().iter().map(|p| p.diagnostic(0)).collect(),
    };
    let mut lost = l.diagnostics.first().map(|d| d.origin);
    let list = document.root().and_then(|r| r.get("nftables"));
    match list {
        Some(list) if list.kind() == Kind::Array => {
            for item in list.items() {
                if let Err(e) = l.item(item) {
                    lost.get_or_insert(e.at);
                    l.diagnostics.push(e.diagnostic());
                }
            }
        }
        _ => {
            let at = document.root().map_or_else(Origin::default, |r| r.origin(0));
            let e = SyntaxError::new(at, "the list \"nftables\" is missing");
            lost.get_or_insert(at);
            l.diagnostics.push(e.help("this is not the output of `nft -j list ruleset`").diagnostic());
        }
    }
    (l.ruleset, l.snippets, l.diagnostics, lost)
}

fn wrong(v: Value<'_>, message: impl Into<String>) -> SyntaxError {
    SyntaxError::new(v.origin(0), message)
}

fn text(v: Value<'_>, key: &str) -> Parsed<String> {
    let member = v.get(key).ok_or_else(|| wrong(v, format!("the member \"{key}\" is missing")))?;
    match member.str() {
        Some(s) => Ok(s.into_owned()),
        None => Err(wrong(member, "a string is expected here")),
    }
}

/// A string, or a list of strings, that holds only words that are known.
fn known_words(v: Option<Value<'_>>, known: &[&str]) -> Parsed<()> {
    let Some(v) = v else { return Ok(()) };
    let list = if v.kind() == Kind::Array { v.items().collect() } else { vec![v] };
    match list.into_iter().find(|w| !known.iter().any(|k| w.is(k))) {
        None => Ok(()),
        Some(word) => Err(wrong(word, format!("`{}` is not known here", word.raw()))
            .help(format!("known are {}", known.join(", ")))),
    }
}

/// Whether a string, or a list of strings, holds a word.
fn has(v: Option<Value<'_>>, word: &str) -> bool {
    v.is_some_and(|v| v.is(word) || v.items().any(|i| i.is(word)))
}

impl<'d> Loader<'d> {
    fn item(&mut self, item: Value<'d>) -> Parsed<()> {
        let Some((key, v)) = item.members().next() else {
            return Err(wrong(item, "an object such as {\"table\": …} is expected here"));
        };
        match &*key.str().unwrap_or_default() {
            "metainfo" => Ok(()),
            "add" | "create" => self.item(v),
            "insert" => match v.get("rule") {
                Some(rule) => self.rule(rule, true),
                None => Err(wrong(v, "only rules are inserted")),
            },
            "flush" => self.flush(v),
            "delete" | "destroy" | "replace" | "rename" | "reset" | "list" => {
                Err(wrong(key, "commands that change a ruleset by handles are not followed")
                    .help("lint the output of `nft -j list ruleset`"))
            }
            other => self.object(other, v),
        }
    }

    fn flush(&mut self, v: Value<'d>) -> Parsed<()> {
        match v.get("ruleset") {
            Some(r) => {
                let family = r.get("family").and_then(|f| f.str()).and_then(|f| TableFamily::named(&f));
                self.ruleset.flush(family);
                Ok(())
            }
            None => Err(wrong(v, "only a whole ruleset is flushed")),
        }
    }

    fn table_of(&mut self, v: Value<'d>, key: &str) -> Parsed<usize> {
        let family = text(v, "family")?;
        let family =
            TableFamily::named(&family).ok_or_else(|| wrong(v, format!("`{family}` is no family")))?;
        Ok(self.ruleset.table_index(family, &text(v, key)?, v.origin(0)))
    }

    fn object(&mut self, kind: &str, v: Value<'d>) -> Parsed<()> {
        keys::check(v, 0, keys::of_object(kind))?;
        match kind {
            "table" => {
                let t = self.table_of(v, "name")?;
                known_words(v.get("flags"), &["dormant", "owner", "persist"])?;
                self.ruleset.tables[t].dormant |= has(v.get("flags"), "dormant");
                Ok(())
            }
            "chain" => self.chain(v),
            "rule" => self.rule(v, false),
            "set" | "map" | "meter" => self.set(v, kind == "map"),
            "element" => {
                let t = self.table_of(v, "table")?;
                let name = text(v, "name")?;
                let table = &mut self.ruleset.tables[t];
                let Some(s) = table.set(&name) else {
                    return Err(wrong(v, format!("there is no set `{name}` here")));
                };
                if let Some(elem) = v.get("elem") {
                    table.sets[s].changes.push((true, Source::Json(elem, 0)));
                }
                Ok(())
            }
            "limit" | "quota" => {
                let t = self.table_of(v, "table")?;
                let over = v.get("inv").and_then(|i| i.bool()) == Some(true);
                self.ruleset.tables[t].declare_object(kind, &text(v, "name")?, over);
                Ok(())
            }
            "flowtable" => {
                let t = self.table_of(v, "table")?;
                let priority = v.get("prio").and_then(|p| p.int()).and_then(|p| i32::try_from(p).ok());
                let (name, devices) = (text(v, "name")?, devices(v.get("dev")));
                let at = v.origin(0);
                self.ruleset.tables[t].declare_flowtable(Flowtable { name, at, priority, devices });
                Ok(())
            }
            "counter" | "ct helper" | "ct timeout" | "ct expectation" | "secmark" | "synproxy" | "tunnel" => {
                self.table_of(v, "table").map(|_| ())
            }
            other => Err(wrong(v, format!("`{other}` is not known"))),
        }
    }

    fn chain(&mut self, v: Value<'d>) -> Parsed<()> {
        let t = self.table_of(v, "table")?;
        let family = self.ruleset.tables[t].family;
        let table = self.ruleset.tables[t].name.clone();
        let (_, c) = self.ruleset.chain(family, &table, &text(v, "name")?, v.origin(0));
        let Some(hook) = v.get("hook") else {
            return Ok(());
        };
        let prio = v.get("prio").ok_or_else(|| wrong(v, "the member \"prio\" is missing"))?;
        let written = prio.str().unwrap_or_else(|| prio.raw());
        let priority = priority_of(&written, family)
            .ok_or_else(|| wrong(prio, format!("`{written}` is no priority")))?;
        let kind = text(v, "type")?;
        known_words(v.get("type"), &["filter", "nat", "route"])?;
        known_words(v.get("policy"), &["accept", "drop"])?;
        let base =
            Base { kind, hook: hook.str().unwrap_or_default().into_owned(), priority, at: v.origin(0) };
        let chain = &mut self.ruleset.tables[t].chains[c];
        chain.base = Some(base);
        chain.devices.add(devices(v.get("dev")));
        if let Some(policy) = v.get("policy") {
            chain.policies.push((policy.is("drop"), policy.origin(0)));
        }
        Ok(())
    }

    fn rule(&mut self, v: Value<'d>, first: bool) -> Parsed<()> {
        let t = self.table_of(v, "table")?;
        let chain = text(v, "chain")?;
        let expr = v.get("expr").ok_or_else(|| wrong(v, "the member \"expr\" is missing"))?;
        self.named(t, &expr.raw());
        for s in expr.items() {
            if s.kind() == Kind::String {
                self.snippets.add(s, 0);
                self.changed_in_text(t, &s.str().unwrap_or_default());
            }
            self.changed(t, s);
        }
        let table = &mut self.ruleset.tables[t];
        let Some(c) = table.chain(&chain) else {
            return Err(wrong(v, format!("there is no chain `{chain}` here")));
        };
        let rules = &mut table.chains[c].rules;
        let at = if first { 0 } else { rules.len() };
        rules.insert(at, Source::Json(expr, 0));
        let comment = v.get("comment").and_then(|c| c.str());
        if let Some(comment) = comment.filter(|c| c.contains("havenlint:")) {
            self.ruleset.comments.push((expr.origin(0), comment.into_owned()));
        }
        Ok(())
    }

    // Notes the sets that a rule names: `"@name"`, also within strings of nft text; and meters by their name.
    fn named(&mut self, t: usize, text: &str) {
        let table = &mut self.ruleset.tables[t];
        for (i, _) in text.match_indices('@') {
            let rest = &text[i + 1..];
            let end = rest.find(|c: char| !(c.is_alphanumeric() || "_./-".contains(c))).unwrap_or(rest.len());
            if !table.named.contains(&rest[..end]) {
                table.named.insert(rest[..end].to_owned());
            }
        }
    }

    // Notes a set that a statement changes, and a meter, which makes the set that it fills.
    fn changed(&mut self, t: usize, statement: Value<'d>) {
        if let Some(name) = statement.get("meter").and_then(|m| m.get("name")).and_then(|n| n.str()) {
            self.ruleset.tables[t].named.insert(name.into_owned());
        }
        for (key, name) in [("set", "set"), ("map", "map")] {
            let Some(update) = statement.get(key) else { continue };
            let removes = update.get("op").is_some_and(|o| o.is("delete"));
            if let Some(name) = update.get(name).and_then(|n| n.str()) {
                let name = name.trim_start_matches('@').to_owned();
                *self.ruleset.tables[t].changed.entry(name).or_default() |= removes;
            }
        }
    }

    fn changed_in_text(&mut self, t: usize, text: &str) {
        let mut verb = None;
        for word in text.split_whitespace() {
            if let (Some(removes), Some(name)) = (verb, word.strip_prefix('@')) {
                *self.ruleset.tables[t].changed.entry(name.to_owned()).or_default() |= removes;
            }
            verb = match word {
                "add" | "update" => Some(false),
                "delete" => Some(true),
                _ => None,
            };
        }
    }

    fn set(&mut self, v: Value<'d>, is_map: bool) -> Parsed<()> {
        let t = self.table_of(v, "table")?;
        known_words(v.get("flags"), &["constant", "interval", "timeout", "dynamic"])?;
        let set = self.ruleset.tables[t].declare_set(&text(v, "name")?, is_map, v.origin(0));
        set.merges = v.get("auto-merge").is_some_and(|m| m.bool() == Some(true));
        set.key = v.get("type").map(type_spec);
        set.value = v.get("map").map(type_spec);
        let flags = v.get("flags");
        set.interval = has(flags, "interval");
        set.constant = has(flags, "constant");
        set.dynamic = has(flags, "dynamic");
        set.timeouts = has(flags, "timeout");
        set.expires = v.get("timeout").is_some();
        if let Some(elem) = v.get("elem") {
            set.changes.push((true, Source::Json(elem, 0)));
        }
        Ok(())
    }
}

// `"eth0"`, `["eth0", "eth1"]`. nft 1.0.6 leaves the devices of chains out of its JSON: without the member they are not known.
fn devices(v: Option<Value<'_>>) -> Devices {
    let Some(v) = v else { return Devices { unknown: true, ..Devices::default() } };
    let names: Vec<String> = match v.str() {
        Some(name) => vec![name.into_owned()],
        None => v.items().filter_map(|i| i.str()).map(|s| s.into_owned()).collect(),
    };
    let told = if v.kind() == Kind::Array { v.items().count() } else { 1 };
    Devices { unknown: names.len() != told, names }
}

// `"ipv4_addr"`, `["ipv4_addr", "inet_service"]`, `{"typeof": …}`.
fn type_spec(v: Value<'_>) -> TypeSpec<'_> {
    if let Some(like) = v.get("typeof") {
        return TypeSpec::Like(Source::Json(like, 0));
    }
    match v.str() {
        Some(name) => TypeSpec::Names(vec![name.into_owned()]),
        None => TypeSpec::Names(v.items().filter_map(|i| i.str()).map(|s| s.into_owned()).collect()),
    }
}
