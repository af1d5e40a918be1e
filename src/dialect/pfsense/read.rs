//! From files to a firewall: reads the document, generates the ruleset, lowers it.

use super::aliases::Aliases;
use super::facts::{AliasFact, Facts};
use super::interfaces::Interfaces;
use super::pf::{Addresses, PfRule, Ruleset, Unknown};
use super::product::Product;
use super::release::Release;
use super::settle::settle;
use super::user::{self, Context, Outcome, Written};
use super::xml::{self, Doubt, Element, Notes};
use super::{lower, opnsense, root_name, system, variant};
use crate::dialect::ReadOptions;
use crate::model::{Builder, Firewall, Ledger, ToldRoutes};
use crate::packet::Family;
use crate::source::{Diagnostic, Origin, SourceFile};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// Reads a configuration. What cannot be read leaves everything undecided.
pub(super) fn firewall(files: &[Arc<SourceFile>], options: &ReadOptions) -> Firewall {
    let dialect = files.first().and_then(|f| root_name(f.bytes())).and_then(variant);
    let dialect = dialect.or(options.variant).unwrap_or("pfsense");
    let mut builder = Builder::new(dialect, files.to_vec(), &Family::ALL);
    let Some(file) = files.first() else { return builder.finish() };
    let outcome = text(file).and_then(|text| {
        let doc = xml::parse(text, file)?;
        let product = product(&doc)?;
        let notes = Notes::of(&doc, product);
        document(Element::root(&doc, &notes), product, options, &mut builder);
        Ok(())
    });
    if let Err(diagnostic) = outcome {
        let origin = diagnostic.origin;
        let refused = vec![(origin, diagnostic.message.clone())];
        let rules = Ruleset { refused, unreadable: true, ..Ruleset::default() };
        builder.diagnose(diagnostic);
        lower::lower(&rules, &mut builder, &Addresses::any(), origin);
        builder.firewall_mut().native = Some(Box::new(Facts { refused: true, ..Facts::default() }));
    }
    builder.finish()
}

fn text(file: &SourceFile) -> Result<&str, Diagnostic> {
    std::str::from_utf8(file.bytes()).map_err(|e| {
        let at = e.valid_up_to();
        Diagnostic::error(Origin::new(0, at, at + 1), "the file is not UTF-8 text from here on")
            .help("export it again under Diagnostics > Backup & Restore; an encrypted backup must be decrypted first")
    })
}

fn product(doc: &roxmltree::Document<'_>) -> Result<Product, Diagnostic> {
    let name = doc.root_element().tag_name().name();
    match variant(name.as_bytes()) {
        Some("pfsense") => Ok(Product::PfSense),
        Some(_) => Ok(Product::OpnSense),
        None => {
            let start = doc.root_element().range().start;
            let tag = Origin::new(0, start, start + name.len() + 1);
            Err(Diagnostic::error(tag, format!("the document is <{name}>, not <pfsense> or <opnsense>"))
                .help("give the config.xml of the firewall"))
        }
    }
}

// Reads a well-formed document of a product.
fn document(root: Element<'_>, product: Product, options: &ReadOptions, builder: &mut Builder) {
    let mut diagnostics = Vec::new();
    let cx = context(root, product, options, &mut diagnostics);
    let mut facts = Facts::default();
    let mut rules = Ruleset::default();
    for twice in xml::duplicates(root) {
        let name = twice.name();
        let why = format!("<{name}> stands twice in one element");
        let then = match product {
            Product::PfSense => "pfSense does not load such a file",
            Product::OpnSense => "which of them OPNsense takes is not certain",
        };
        diagnostics.push(
            Diagnostic::error(twice.origin(), format!("{why}; {then}"))
                .help("remove one of the two, or restore the configuration from a backup"),
        );
        rules.refused.push((twice.origin(), why));
    }
    rules.disabled = root.flagged("system/disablefilter").map(Element::origin);
    rules.refused.extend(cx.aliases.broken());
    let written = written(&cx);
    let mut ledger = generate(&cx, &written, &mut rules, &mut facts, &mut diagnostics);
    not_understood(&cx, &mut rules, &mut ledger, &mut diagnostics);
    for (origin, why) in &rules.refused {
        if !diagnostics.iter().any(|d| d.origin == *origin) {
            diagnostics.push(
                Diagnostic::warning(*origin, format!("pf refuses to load rules made from this: {why}"))
                    .help("the box keeps the rules it loaded before, so nothing about it is certain; correct or disable this element"),
            );
        }
    }
    facts.refused = !rules.refused.is_empty();
    facts.admin_ports = system::admin_ports(root);
    facts.no_anti_lockout = root.flagged("system/webgui/noantilockout").map(Element::origin);
    facts.outside =
        cx.interfaces.real().filter(|i| i.has_gateway() || i.key == "wan").map(|i| i.key.clone()).collect();
    alias_facts(&cx, &mut facts);
    super::reach::dead_forwards(&rules, &mut facts);
    super::shadow::leaks(&rules.rules, &mut facts);
    super::shadow::openings(&rules.rules, &cx, &mut facts);
    let local = cx.interfaces.local();
    let whole = system::place(root, "filter");
    lower::lower(&rules, builder, &super::address::itself(&cx), whole);
    let (interfaces, routes) = super::routes::read(&cx, &mut diagnostics);
    let firewall = builder.firewall_mut();
    firewall.ledger = ledger;
    firewall.local = Some(local);
    firewall.interfaces = interfaces;
    firewall.routes = vec![ToldRoutes { around: None, routes }];
    firewall.rule_names = super::names::rules(root);
    firewall.diagnostics.append(&mut diagnostics);
    firewall.native = Some(Box::new(facts));
}

fn context<'a>(
    root: Element<'a>,
    product: Product,
    options: &'a ReadOptions,
    diagnostics: &mut Vec<Diagnostic>,
) -> Context<'a> {
    let interfaces = Interfaces::read(root, product);
    // Servers are named by their interface.
    for servers in ["dhcpd", "dhcpdv6"].iter().filter_map(|s| root.at(s)) {
        let known = |e: &Element<'_>| interfaces.is_described(&e.name().to_ascii_lowercase());
        servers.elements().filter(known).for_each(|e| {
            e.taken();
        });
    }
    let schedules = root.at("schedules").into_iter().flat_map(|s| s.list("schedule"));
    Context {
        root,
        product,
        release: match product {
            Product::PfSense => Release::detect(root, diagnostics),
            Product::OpnSense => Release::V2_9,
        },
        interfaces,
        ipv6: ipv6(root, product),
        aliases: match product {
            Product::PfSense => Aliases::read(root, &options.names),
            Product::OpnSense => opnsense::aliases(root, &options.names),
        },
        gateways: gateways(root),
        schedules: schedules.map(|s| (s.word("name"), s)).collect(),
        options,
    }
}

// Families of gateways by name; a group is of the family of its members.
fn gateways(root: Element<'_>) -> FxHashMap<String, Family> {
    let family = |e: Element<'_>| match e.choice("ipprotocol", &["inet", "inet6"]).as_str() {
        "inet" => Some(Family::V4),
        "inet6" => Some(Family::V6),
        _ => None,
    };
    let stores = [root.at("gateways"), root.at("OPNsense/Gateways")];
    let items = stores.into_iter().flatten().flat_map(|s| s.list("gateway_item"));
    let in_force = items.filter(|e| !e.flag("disabled"));
    let mut out: FxHashMap<String, Family> =
        in_force.filter_map(|e| Some((e.word("name"), family(e)?))).collect();
    for group in stores[0].into_iter().flat_map(|s| s.list("gateway_group")) {
        let first = group
            .list("item")
            .map(Element::text)
            .find_map(|i| i.split('|').next().and_then(|name| out.get(name)).copied());
        if let Some(family) = first {
            out.insert(group.word("name"), family);
        }
    }
    out
}

// Whether IPv6 is allowed. OPNsense moved the switch and turned it around: a file without either switch does not tell.
fn ipv6(root: Element<'_>, product: Product) -> Option<bool> {
    let allowed = root.flag("system/ipv6allow");
    match product {
        Product::PfSense => Some(allowed),
        Product::OpnSense => match root.at("OPNsense/Interfaces/settings") {
            Some(settings) => Some(!settings.flag("disableipv6")),
            None => allowed.then_some(true),
        },
    }
}

// What nobody understood: told, counted, and left open in the rules.
fn not_understood(cx: &Context<'_>, rules: &mut Ruleset, ledger: &mut Ledger, out: &mut Vec<Diagnostic>) {
    for d in &rules.translation_doubts {
        out.push(doubt(d, "translations are not certain"));
    }
    let mut aliases: Vec<_> = cx.aliases.by_name.values().flat_map(|a| &a.doubts).collect();
    aliases.sort_by_key(|d| d.origin);
    out.extend(aliases.iter().map(|d| doubt(d, "what the alias holds is not certain")));
    // A rule for Ethernet frames may stop packets before any other rule is asked.
    let frames = cx.root.at("ethernet").into_iter().flat_map(|f| f.list("rule"));
    for e in frames {
        if !e.flag("disabled") {
            let what = "a rule for Ethernet frames is not read".to_owned();
            rules.doubts.push(Doubt { origin: e.origin(), what });
        }
        e.settle();
    }
    rules.doubts.extend(settle(cx.root));
    out.extend(rules.doubts.iter().map(|d| doubt(d, "nothing about this firewall is certain")));
    ledger.not_understood += (rules.translation_doubts.len() + aliases.len() + rules.doubts.len()) as u64;
}

fn doubt(d: &Doubt, consequence: &str) -> Diagnostic {
    Diagnostic::warning(d.origin, format!("{}, so {consequence}", d.what))
        .help("if it has no say in what becomes of packets, report it so that it is ignored; if it has, verify the rule in the web interface")
}

// Generates all rules; counts how well those that somebody wrote were understood.
fn generate(
    cx: &Context<'_>,
    written: &[Written],
    rules: &mut Ruleset,
    facts: &mut Facts,
    diagnostics: &mut Vec<Diagnostic>,
) -> Ledger {
    let mut ledger = Ledger::default();
    // OPNsense orders groups by a number of their own.
    let class = |w: &Written| {
        let group = w.interfaces.first().and_then(|k| cx.interfaces.get(k)).filter(|i| i.group);
        match group {
            _ if w.floating => (0, 0),
            Some(g) => (1, g.sequence),
            None => (2, 0),
        }
    };
    rules.rules = system::before(cx);
    let mut ordered: Vec<&Written> = written.iter().collect();
    ordered.sort_by_key(|w| class(w));
    let in_order = ordered.clone();
    let first = rules.rules.len();
    let mut early = Vec::new();
    let mut told: FxHashSet<Origin> = FxHashSet::default();
    for w in ordered {
        let outcome = user::generate(w, cx);
        count(&outcome, &mut ledger);
        if !w.disabled && told.insert(w.origin) {
            diagnostics.extend(w.doubts.iter().map(|d| doubt(d, "what this rule does is not certain")));
        }
        rules.tags_open |= !outcome.early.is_empty();
        early.extend(outcome.early);
        facts.quirks.extend(outcome.quirks);
        rules.refused.extend(outcome.refused.into_iter().map(|why| (w.origin, why)));
        rules.rules.extend(outcome.rules);
    }
    // A rule that is not understood may be one that comes before all others.
    rules.rules.splice(first..first, early);
    rules.rules.extend(system::after(cx));
    rules.refused.extend(system::broken_anti_lockout(cx));
    super::nat::generate(cx, rules, facts);
    super::reach::gaps(&in_order, &rules.rules, cx, facts);
    facts.quirks.sort_by_key(|q| (q.origin, q.kind));
    ledger
}

// Rules that somebody wrote, in the order of their stores.
fn written(cx: &Context<'_>) -> Vec<Written> {
    let legacy = cx.root.at("filter").into_iter().flat_map(|f| f.list("rule"));
    match cx.product {
        Product::PfSense => legacy.filter_map(|e| Written::pfsense(e, cx.release)).collect(),
        Product::OpnSense => opnsense::rules(cx.root, legacy),
    }
}

fn count(outcome: &Outcome, ledger: &mut Ledger) {
    if !outcome.refused.is_empty() || !outcome.early.is_empty() {
        ledger.not_understood += 1;
    } else if outcome.rules.iter().all(is_exact) {
        ledger.exact += 1;
    } else {
        ledger.approximated += 1;
    }
}

fn is_exact(r: &PfRule) -> bool {
    let ports = [&r.sport, &r.dport].into_iter().flatten().all(|p| p.unknown.is_empty());
    let scope = r.family.map(Family::all);
    let there = |u: &Unknown| match (&u.within, &scope) {
        (Some(within), Some(scope)) => within.intersects(scope),
        _ => true,
    };
    let ends = [&r.src, &r.dst]
        .into_iter()
        .all(|a| !a.unknown.iter().any(there) && a.names.is_empty() && a.needs.is_empty());
    ports && ends && r.conditions.is_empty() && !r.limited && r.gateway.is_none()
}

// An alias of more ranges than this is not proposed for a rule.
const MAX_NAMED: usize = 64;

fn alias_facts(cx: &Context<'_>, facts: &mut Facts) {
    let mut used: FxHashSet<String> = FxHashSet::default();
    // Any element outside the aliases may name one; a word that equals the name counts as a use.
    // (OPNsense keeps its aliases in <OPNsense><Firewall><Alias>.)
    let skipped = |e: &Element<'_>| {
        ["aliases", "rrddata", "descr", "description", "revision", "alias"].iter().any(|n| e.is(n))
    };
    for e in cx.root.elements().filter(|e| !skipped(e)) {
        let mut stack = vec![e];
        while let Some(e) = stack.pop() {
            let before = stack.len();
            stack.extend(e.elements().filter(|e| !skipped(e)));
            if stack.len() == before {
                let text = e.text();
                for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
                    if cx.aliases.has(word) && !used.contains(word) {
                        used.extend(cx.aliases.reach(word).into_iter().map(str::to_owned));
                    }
                }
            }
        }
    }
    for (name, alias) in &cx.aliases.by_name {
        facts.aliases.push(AliasFact {
            name: name.clone(),
            origin: alias.origin,
            unused: !used.contains(name),
            empty: alias.members.is_empty() && !alias.is_filled_elsewhere(),
            addresses: cx.aliases.known(name).filter(|s| s.ranges().len() <= MAX_NAMED),
        });
    }
    facts.aliases.sort_by_key(|a| a.origin);
}
