//! From a requirement as written to a requirement as meant: names are looked up, defaults filled in.

use super::format::{
    EndEntry, ExampleEntry, PortEntry, RequirementEntry, ServicesEntry, SourceEntry, WhenEntry,
};
use super::{
    Breach, Catalogue, EVERYWHERE, End, Example, INTERNET, Kind, Place, Requirement, Service, Services, Side,
    When,
};
use crate::packet::{Field, IntervalSet, Value, proto};
use crate::source::document::{advice, origin};
use crate::source::{Diagnostic, Severity};
use std::ops::Range;
use toml::Spanned;

/// Turns entries into requirements; what is wrong with them is collected.
pub struct Lowering<'a> {
    /// Roles, sets, parameters and so on, complete.
    pub catalogue: &'a Catalogue,
    /// The document that the file cites.
    pub source: Option<&'a SourceEntry>,
    /// What is wrong.
    pub found: &'a mut Vec<Diagnostic>,
}

/// Ports written as a number or as a range; `None` = something else.
pub fn port_range(entry: &PortEntry) -> Option<IntervalSet> {
    match entry {
        PortEntry::Number(n) => Some(IntervalSet::single(*n)),
        PortEntry::Text(text) => {
            let (lo, hi) = text.split_once('-').unwrap_or((text, text));
            let (lo, hi): (u16, u16) = (lo.trim().parse().ok()?, hi.trim().parse().ok()?);
            (lo <= hi).then(|| IntervalSet::range(lo, hi))
        }
    }
}

/// A name in PascalCase for an id: `WebHttps` for `WEB-HTTPS`.
fn name_of(id: &str) -> String {
    let word = |w: &str| {
        let mut chars = w.chars();
        chars.next().map(|first| first.to_string() + &chars.as_str().to_lowercase()).unwrap_or_default()
    };
    id.split('-').map(word).collect()
}

impl Lowering<'_> {
    fn error(&mut self, span: Range<usize>, message: String, help: impl Into<String>) {
        self.found.push(Diagnostic::error(origin(span), message).help(help));
    }

    // Reports the word unless it is one of the names.
    fn known<'n>(
        &mut self,
        word: &Spanned<String>,
        what: &str,
        names: impl IntoIterator<Item = &'n str> + Clone,
    ) {
        if !names.clone().into_iter().any(|n| n == word.get_ref()) {
            let help = advice(word.get_ref(), names);
            self.error(word.span(), format!("{what} `{}`", word.get_ref()), help);
        }
    }

    /// One requirement; `span` is its place.
    pub fn requirement(&mut self, entry: RequirementEntry, span: Range<usize>) -> Requirement {
        let id = entry.id.get_ref().clone();
        let before = self.found.len();
        if !id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-') {
            let help = "write capitals, digits and hyphens, such as EX1-WEB-HTTPS";
            self.error(entry.id.span(), format!("`{id}` is not an id"), help);
        }
        let name = match &entry.name {
            Some(name) => self.name(name),
            None => name_of(&id),
        };
        let at = origin(entry.id.span());
        let kind = entry.kind;
        if kind.wants_passage() && (entry.breach != Breach::default() || entry.except_wanted) {
            let message = format!("`breach` and `except-wanted` do not apply to a {} flow", kind.name());
            self.error(
                entry.id.span(),
                message,
                "they are for forbidden flows and flows that are advised against",
            );
        }
        for (key, list) in [("from", &entry.from), ("to", &entry.to)] {
            if list.is_empty() {
                self.error(
                    entry.id.span(),
                    format!("`{key}` of `{id}` is empty: nobody would be asked"),
                    format!("write {key} = [{{ role = \"…\" }}], or remove the requirement"),
                );
            }
        }
        let from = self.ends(&entry.from);
        let to = self.ends(&entry.to);
        let services = self.services(&entry, &to, span);
        let named = |p: &Spanned<PortEntry>| match p.get_ref() {
            PortEntry::Text(name) if self.catalogue.parameters.contains_key(name) => Some(name.clone()),
            _ => None,
        };
        let parameters = entry.ports.iter().filter_map(named).collect();
        let reference = match self.source {
            Some(s) if entry.section.is_empty() => s.cite.clone(),
            Some(s) => format!("{}, {}", s.cite, entry.section),
            None => entry.section,
        };
        let default_level = match kind {
            Kind::Required | Kind::Forbidden => Severity::Error,
            Kind::Recommended | Kind::AdvisedAgainst => Severity::Note,
        };
        let when = self.when(&entry.when);
        let protocols = entry.protocols.clone();
        let open = kind.wants_passage() && entry.ports.is_empty() && entry.services.is_none();
        let examples = entry.examples.into_iter().map(|e| self.example(e)).collect();
        // Of a requirement with mistakes that would be told of what follows from them.
        let carries =
            |p: &&Spanned<String>| proto::parse(p.get_ref()).is_some_and(|n| proto::WITH_PORTS.contains(&n));
        if self.found.len() == before
            && open
            && let Some(p) = protocols.iter().find(carries)
        {
            let message =
                format!("`{id}` names no ports of {}: every port would have to be open", p.get_ref());
            self.error(p.span(), message, "add `ports`; if all of them are meant, `ports = [\"0-65535\"]`");
        }
        Requirement {
            id,
            name,
            summary: entry.summary.unwrap_or_else(|| entry.title.clone()),
            title: entry.title,
            rationale: entry.rationale.trim().to_owned(),
            reference,
            reference_url: self.source.map(|s| s.url.clone()).unwrap_or_default(),
            kind,
            level: entry.level.unwrap_or(default_level),
            security_severity: entry.security_severity,
            tags: entry.tags,
            aliases: entry.aliases.into_iter().map(Spanned::into_inner).collect(),
            from,
            to,
            subject: entry.subject.unwrap_or(Side::To),
            services,
            parameters,
            tls: entry.tls,
            when,
            breach: entry.breach,
            except_wanted: entry.except_wanted,
            examples,
            origin: at,
        }
    }

    fn name(&mut self, name: &Spanned<String>) -> String {
        let text = name.get_ref();
        if !text.starts_with(|c: char| c.is_ascii_uppercase())
            || !text.chars().all(|c| c.is_ascii_alphanumeric())
        {
            let help = "write the words together, each with a capital, such as WebServerHttps";
            self.error(name.span(), format!("`{text}` is not in PascalCase"), help);
        }
        text.clone()
    }

    fn ends(&mut self, entries: &[Spanned<EndEntry>]) -> Vec<End> {
        entries.iter().filter_map(|e| self.end(e.get_ref(), e.span())).collect()
    }

    fn end(&mut self, entry: &EndEntry, span: Range<usize>) -> Option<End> {
        let help = "give one of `role`, `host` and `set`";
        match (&entry.role, &entry.host, &entry.set) {
            (Some(role), None, None) => {
                self.known(role, "unknown role", self.catalogue.roles.keys().map(String::as_str));
                if let (Some(network), Some(r)) = (&entry.network, self.catalogue.roles.get(role.get_ref())) {
                    let what = format!("role `{}` has no network", role.get_ref());
                    self.known(network, &what, r.networks.iter().map(|n| n.name.as_str()));
                }
                let network = entry.network.as_ref().map(|n| n.get_ref().clone());
                Some(End::Role { role: role.get_ref().clone(), network, place: entry.place })
            }
            (None, host, set) if entry.network.is_some() || entry.place != Place::default() => {
                let what = host.as_ref().or(set.as_ref()).map_or("nothing", |s| s.get_ref());
                self.error(
                    span,
                    format!("`network` and `place` do not apply to `{what}`"),
                    "they belong to a `role`",
                );
                None
            }
            (None, Some(host), None) => {
                let name = host.get_ref().to_lowercase();
                let plain = name.strip_prefix("*.").unwrap_or(&name);
                let fits = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == '_';
                if plain.is_empty() || !plain.chars().all(fits) {
                    let help = "write api.example.net, or *.example.net for all names under it";
                    self.error(host.span(), format!("`{name}` is not a host name"), help);
                }
                Some(End::Host(name))
            }
            (None, None, Some(set)) => {
                let names = self.catalogue.sets.keys().map(String::as_str).chain([INTERNET, EVERYWHERE]);
                self.known(set, "unknown address set", names);
                Some(End::Set(set.get_ref().clone()))
            }
            (None, None, None) => {
                self.error(span, "this end of a flow is empty".to_owned(), help);
                None
            }
            _ => {
                self.error(span, "this end of a flow names more than one thing".to_owned(), help);
                None
            }
        }
    }

    fn services(&mut self, entry: &RequirementEntry, to: &[End], span: Range<usize>) -> Services {
        if let Some(services) = &entry.services {
            let ServicesEntry::OfDestination = services.get_ref();
            if let Some(p) = entry.protocols.first() {
                self.error(
                    p.span(),
                    "`services` and `protocols` exclude each other".to_owned(),
                    "keep one of them",
                );
            }
            if !to.iter().all(|e| matches!(e, End::Role { .. })) {
                let message = "`services` needs roles as destination".to_owned();
                self.error(services.span(), message, "name roles in `to`, or give `protocols` and `ports`");
            }
            return Services::OfDestination;
        }
        let mut ports = IntervalSet::EMPTY;
        for p in &entry.ports {
            ports = ports.union(&self.port(p));
        }
        if entry.protocols.is_empty() {
            self.error(
                span,
                format!("`{}` has no protocol", entry.id.get_ref()),
                "add `protocols = [\"tcp\"]`",
            );
        }
        let mut out = Vec::new();
        for p in &entry.protocols {
            let name = p.get_ref();
            let number = if name == "any" && entry.protocols.len() == 1 { None } else { proto::parse(name) };
            if number.is_none() && name != "any" {
                let names = ["tcp", "udp", "icmp", "icmpv6", "sctp", "esp", "gre", "any"];
                self.error(p.span(), format!("unknown protocol `{name}`"), advice(name, names));
            } else if number.is_none() && entry.protocols.len() > 1 {
                self.error(p.span(), "`any` stands for every protocol".to_owned(), "leave out the others");
            }
            let has_ports = number.is_some_and(|n| proto::WITH_PORTS.contains(&n));
            if let (false, Some(port)) = (has_ports, entry.ports.first()) {
                self.error(port.span(), format!("protocol {name} has no ports"), "leave out `ports`");
            }
            let ports = if entry.ports.is_empty() { Field::Dport.all() } else { ports.clone() };
            out.push(Service { protocol: number, ports });
        }
        Services::These(out)
    }

    fn port(&mut self, entry: &Spanned<PortEntry>) -> IntervalSet {
        if let Some(set) = port_range(entry.get_ref()) {
            return set;
        }
        let PortEntry::Text(name) = entry.get_ref() else { return IntervalSet::EMPTY };
        if let Some(p) = self.catalogue.parameters.get(name) {
            return p.ports.clone();
        }
        let help = if name.starts_with(|c: char| c.is_ascii_digit()) {
            "ports are 0 to 65535; write the lower end of a range first".to_owned()
        } else {
            advice(name, self.catalogue.parameters.keys().map(String::as_str))
        };
        self.error(entry.span(), format!("`{name}` is not a port, a range of ports, or a parameter"), help);
        IntervalSet::EMPTY
    }

    fn when(&mut self, entry: &WhenEntry) -> When {
        let catalogue = self.catalogue;
        for phase in &entry.phase {
            self.known(phase, "unknown phase", catalogue.phases.iter().map(|p| p.name.as_str()));
        }
        for t in entry.site_type.iter().chain(&entry.site_exists) {
            self.known(t, "unknown site type", catalogue.site_types.keys().map(String::as_str));
        }
        let words = |list: &[Spanned<String>]| list.iter().map(|w| w.get_ref().clone()).collect();
        When {
            phases: words(&entry.phase),
            site_types: words(&entry.site_type),
            site_exists: words(&entry.site_exists),
        }
    }

    fn example(&mut self, entry: Spanned<ExampleEntry>) -> Example {
        let at = origin(entry.span());
        let entry = entry.into_inner();
        let catalogue = self.catalogue;
        self.known(&entry.role, "unknown role", catalogue.roles.keys().map(String::as_str));
        if let Some(phase) = &entry.phase {
            self.known(phase, "unknown phase", catalogue.phases.iter().map(|p| p.name.as_str()));
        }
        if let Some(t) = &entry.site_type {
            self.known(t, "unknown site type", catalogue.site_types.keys().map(String::as_str));
        }
        Example {
            title: entry.title,
            dialect: entry.dialect,
            role: entry.role.into_inner(),
            phase: entry.phase.map(Spanned::into_inner),
            site_type: entry.site_type.map(Spanned::into_inner),
            sets: entry.sets.into_iter().map(|(name, list)| (name, list.join(","))).collect(),
            file: entry.file,
            expect: entry.expect,
            origin: at,
        }
    }
}

/// Ports as people write them: `22,80-443`; `any` for all of them.
pub fn port_text(ports: &IntervalSet) -> String {
    if *ports == Field::Dport.all() {
        return "any".to_owned();
    }
    let one = |(lo, hi): &(Value, Value)| if lo == hi { lo.to_string() } else { format!("{lo}-{hi}") };
    ports.ranges().iter().map(one).collect::<Vec<_>>().join(",")
}
