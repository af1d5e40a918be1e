//! `terraform show -json`: of a state, or of a plan, in which values may be known only after apply.
//!
//! A plan holds three trees beside each other: values, which of them are unknown (`after_unknown`), and the expressions of the configuration with
//! what they refer to. They are laid over each other. An attribute that is unknown and that the configuration does not set is absent: it is
//! one that the provider computes. (A `dynamic` block whose `for_each` is unknown until apply looks the same: Terraform leaves such blocks out of
//! the configuration that it writes.)

use super::super::inventory::Unknown;
use super::super::reader::Reader;
use super::kinds::{IDLE, Kind as Known};
use super::state::{is_data, key, node, strange};
use super::tree::{Data, Map, Node, Open};
use super::{Resource, Resources, refs};
use crate::source::Diagnostic;
use crate::source::json::{Kind, Value};
use rustc_hash::FxHashMap;

// Keys of the format (Terraform documentation, "JSON Output Format").
const TOP: &[&str] = &[
    "action_invocations",
    "applicable",
    "applyable",
    "checks",
    "complete",
    "configuration",
    "deferred_action_invocations",
    "errored",
    "format_version",
    "output_changes",
    "planned_values",
    "prior_state",
    "relevant_attributes",
    "resource_changes",
    "resource_drift",
    "terraform_version",
    "timestamp",
    "values",
    "variables",
];
const VALUES: &[&str] = &["root_module", "outputs"];
const MODULE: &[&str] = &["resources", "child_modules", "address"];
const RESOURCE: &[&str] = &[
    "address",
    "mode",
    "type",
    "name",
    "index",
    "provider_name",
    "schema_version",
    "values",
    "sensitive_values",
    "depends_on",
    "tainted",
    "deposed_key",
    "identity",
    "identity_schema_version",
];
const CHANGED: &[&str] = &[
    "action_reason",
    "address",
    "change",
    "deposed",
    "index",
    "mode",
    "module_address",
    "name",
    "previous_address",
    "provider_name",
    "type",
];
const CHANGE: &[&str] = &[
    "actions",
    "after",
    "after_identity",
    "after_sensitive",
    "after_unknown",
    "before",
    "before_identity",
    "before_sensitive",
    "generated_config",
    "importing",
    "replace_paths",
];

fn roots<'d>(document: Value<'d>) -> Option<Value<'d>> {
    document.get("planned_values").or_else(|| document.get("values"))
}

// Every module with its address.
fn modules<'d>(document: Value<'d>) -> Vec<Value<'d>> {
    let mut out: Vec<Value<'_>> = roots(document).and_then(|v| v.get("root_module")).into_iter().collect();
    let mut at = 0;
    while let Some(m) = out.get(at).copied() {
        out.extend(m.get("child_modules").into_iter().flat_map(|l| l.items()));
        at += 1;
    }
    out
}

/// The types of the resources, and whether they are data sources.
pub fn types(document: Value<'_>) -> Vec<(String, bool)> {
    let list = modules(document).into_iter().filter_map(|m| m.get("resources")).flat_map(|l| l.items());
    list.filter_map(|r| Some((r.get("type")?.str()?.into_owned(), is_data(r)))).collect()
}

/// Reads a state or plan.
pub fn resources(reader: &mut Reader<'_>, document: Value<'_>) -> Resources {
    let mut out = Resources::default();
    let file = reader.file;
    strange(reader, document, TOP, "a Terraform plan", &mut out.strays);
    for (name, bad) in [("errored", true), ("complete", false)] {
        if let Some(v) = document.get(name).filter(|v| v.bool() != Some(!bad)) {
            let (text, why) =
                ("the rest of the plan".to_owned(), "it says that it is not complete".to_owned());
            let message = "this plan is not complete: Terraform stopped, or put something off";
            reader.diagnostics.push(Diagnostic::warning(v.origin(file), message));
            out.strays.push(Unknown { text, why, origin: v.origin(file) });
        }
    }
    let changes = changes(reader, document, &mut out);
    let configuration = Configuration::of(document);
    if let Some(values) = roots(document) {
        strange(reader, values, VALUES, "a Terraform plan", &mut out.strays);
        let outputs = values.get("outputs").into_iter().flat_map(|o| o.members());
        out.outputs.extend(outputs.map(|(_, o)| node(o, file)));
    }
    out.outputs.extend(configuration.outputs(file));
    for module in modules(document) {
        strange(reader, module, MODULE, "a module", &mut out.strays);
        let address = module.get("address").and_then(|a| a.str()).unwrap_or_default();
        for r in module.get("resources").into_iter().flat_map(|l| l.items()) {
            let scope = Scope { configuration: &configuration, module: &address, file };
            resource(reader, r, &scope, &changes, &mut out);
        }
    }
    out
}

// `after_unknown` of every resource.
fn changes<'d>(
    reader: &mut Reader<'_>,
    document: Value<'d>,
    out: &mut Resources,
) -> FxHashMap<String, Value<'d>> {
    let mut unknown = FxHashMap::default();
    for changed in document.get("resource_changes").into_iter().flat_map(|l| l.items()) {
        let kind = changed.get("type").and_then(|t| t.str());
        // Older fixtures and tools leave the type out; the address holds it.
        let address = changed.get("address").and_then(|a| a.str()).unwrap_or_default().into_owned();
        let from_address = refs::split(&address).and_then(|(a, _)| {
            let list = refs::parts(&a).into_iter().map(str::to_owned).collect::<Vec<_>>();
            list.len().checked_sub(2).map(|n| list[n].clone())
        });
        let named = kind.map(|k| k.into_owned()).or(from_address).unwrap_or_default();
        if address.is_empty() || Known::of(&named, is_data(changed)).is_some() {
            strange(reader, changed, CHANGED, "a change of a resource", &mut out.strays);
            if let Some(change) = changed.get("change") {
                strange(reader, change, CHANGE, "a change", &mut out.strays);
            }
        }
        if let Some(u) = changed.get("change").and_then(|c| c.get("after_unknown")) {
            unknown.insert(address, u);
        }
    }
    unknown
}

fn resource(
    reader: &mut Reader<'_>,
    r: Value<'_>,
    scope: &Scope<'_, '_>,
    changes: &FxHashMap<String, Value<'_>>,
    out: &mut Resources,
) {
    let text = |key| r.get(key).and_then(|v| v.str()).map(|s| s.into_owned());
    let data = is_data(r);
    let (Some(address), Some(kind)) = (text("address"), text("type")) else {
        let origin = r.origin(reader.file);
        let message = "a resource without address or type".to_owned();
        reader.diagnostics.push(Diagnostic::error(origin, &message));
        out.strays.push(Unknown { text: message, why: "nothing tells what it is".to_owned(), origin });
        return;
    };
    let known = Known::of(&kind, data);
    let before = out.strays.len();
    if known.is_some() {
        strange(reader, r, RESOURCE, "a resource", &mut out.strays);
        if !data && r.get("mode").is_some_and(|m| !m.is("managed")) {
            let why = "its mode is neither managed nor data".to_owned();
            out.strays.push(Unknown { text: address.clone(), why, origin: r.origin(reader.file) });
        }
    }
    let Some(values) = r.get("values").filter(|v| v.kind() == Kind::Object) else {
        if known.is_some() && out.strays.len() == before {
            let why = "its values are missing".to_owned();
            out.strays.push(Unknown { text: address, why, origin: r.origin(reader.file) });
        }
        return;
    };
    let config = scope.configuration.expressions(&address).filter(|c| {
        // Of a version that knows more attributes, nothing may be taken as left out.
        known.is_none_or(|k| c.members().all(|(name, _)| plausible(k, &key(name))))
    });
    let unknown = changes.get(&address).copied();
    let mut attributes = scope.merged(values, unknown, config);
    if let Some(config) = config {
        missing(&mut attributes, config, scope);
    }
    let of_place = reader.place(values, &["name", "id"]);
    out.list.push(Resource {
        kind,
        data,
        whole: config.is_some(),
        only_if: reader.unreliable(values).or_else(|| unknown.and_then(|u| reader.unreliable(u))),
        attributes,
        place: of_place,
        address,
    });
}

// Attributes that the provider never computes: if one is unknown, the configuration sets it, wherever that is written.
const GIVEN: &[&str] = &[
    "cidr_block",
    "cidr_blocks",
    "cidr_ipv4",
    "cidr_ipv6",
    "egress_rule_ids",
    "from_port",
    "ip_protocol",
    "ipv6_cidr_blocks",
    "network_acl_id",
    "prefix_list_id",
    "prefix_list_ids",
    "protocol",
    "referenced_security_group_id",
    "security_group_id",
    "self",
    "to_port",
    "type",
];

// Attributes of the kinds that are read.
fn plausible(kind: Known, name: &str) -> bool {
    const READ: &[&str] = &[
        "action",
        "cidr",
        "cidr_block",
        "cidr_blocks",
        "cidr_ipv4",
        "cidr_ipv6",
        "egress",
        "entry",
        "from_port",
        "icmp_code",
        "icmp_type",
        "ingress",
        "ip_protocol",
        "ipv4_prefixes",
        "ipv6_addresses",
        "ipv6_cidr_block",
        "ipv6_cidr_blocks",
        "ipv6_prefixes",
        "max_entries",
        "network_acl_id",
        "network_interface_id",
        "prefix_list_id",
        "prefix_list_ids",
        "private_ip",
        "private_ips",
        "protocol",
        "public_ip",
        "referenced_security_group_id",
        "rule_action",
        "rule_no",
        "rule_number",
        "secondary_private_ips",
        "security_group_id",
        "security_groups",
        "self",
        "source_security_group_id",
        "subnet_id",
        "subnet_ids",
        "to_port",
        "type",
        "vpc_security_group_ids",
    ];
    READ.contains(&name) || IDLE.contains(&name) || kind.idle().contains(&name)
}

// What the configuration sets and the plan holds nowhere is not known.
fn missing(attributes: &mut Node, config: Value<'_>, scope: &Scope<'_, '_>) {
    let at = attributes.at;
    let Data::Map(map) = &mut attributes.data else { return };
    for (k, expression) in config.members() {
        let name = key(k);
        if map.get(&name).is_none() {
            let open = scope.open(&name, Some(expression));
            map.entries.push((name, Node::new(Data::Open(open), at)));
        }
    }
}

/// Where values are laid over expressions.
struct Scope<'c, 'd> {
    configuration: &'c Configuration<'d>,
    // Address of the module, with indices.
    module: &'c str,
    file: usize,
}

impl Scope<'_, '_> {
    fn open(&self, name: &str, expression: Option<Value<'_>>) -> Open {
        Open {
            text: format!("{name} of this resource"),
            why: "it is known only after apply".to_owned(),
            refs: expression.map(|e| self.configuration.resolved(self.module, e)).unwrap_or_default(),
            many: true,
        }
    }

    fn merged(&self, values: Value<'_>, unknown: Option<Value<'_>>, config: Option<Value<'_>>) -> Node {
        let mut out = Map::default();
        let at = values.origin(self.file);
        let expression = |name: &str| config.and_then(|c| c.get(name));
        for (k, v) in values.members() {
            let name = key(k);
            let u = unknown.and_then(|u| u.get(&name));
            let computed = config.is_some() && !GIVEN.contains(&name.as_str());
            let node = self.over(&name, v, u, expression(&name), computed);
            out.entries.extend(node.map(|n| (name, n)));
        }
        for (k, u) in unknown.into_iter().flat_map(|u| u.members()) {
            let name = key(k);
            let set = expression(&name);
            let computed = config.is_some() && set.is_none() && !GIVEN.contains(&name.as_str());
            if values.get(&name).is_none() && holds_true(u) && !computed {
                out.entries.push((name.clone(), Node::new(Data::Open(self.open(&name, set)), at)));
            }
        }
        Node::new(Data::Map(out), at)
    }

    // A value with what is unknown of it; `None` = absent.
    fn over(
        &self,
        name: &str,
        v: Value<'_>,
        unknown: Option<Value<'_>>,
        expression: Option<Value<'_>>,
        computed: bool,
    ) -> Option<Node> {
        let Some(u) = unknown.filter(|u| holds_true(*u)) else { return Some(node(v, self.file)) };
        let at = v.origin(self.file);
        let open = || Node::new(Data::Open(self.open(name, expression)), at);
        Some(match (v.kind(), u.kind()) {
            (Kind::Array, Kind::Array) => {
                // Blocks have an expression each, in another order than the set has; an attribute has one for all.
                let mut rest = u.items();
                let mut items: Vec<Node> = Vec::new();
                for item in v.items() {
                    let one = rest.next();
                    items.extend(self.over(name, item, one, expression, computed));
                }
                items.extend(rest.filter(|u| holds_true(*u)).map(|_| open()));
                Node::new(Data::List(items), at)
            }
            (Kind::Object, Kind::Object) => {
                let mut map = Map::default();
                for (k, m) in v.members() {
                    let inner = self.over(&key(k), m, u.get(&key(k)), expression, computed);
                    map.entries.extend(inner.map(|n| (key(k), n)));
                }
                for (k, m) in u.members().filter(|(k, m)| v.get(&key(*k)).is_none() && holds_true(*m)) {
                    let node = Node::new(Data::Open(self.open(&key(k), expression)), m.origin(self.file));
                    map.entries.push((key(k), node));
                }
                Node::new(Data::Map(map), at)
            }
            _ if computed && expression.is_none() && v.is_null() => return None,
            _ => open(),
        })
    }
}

// Whether something of a value is known only after apply. What is neither true nor false counts as unknown.
fn holds_true(start: Value<'_>) -> bool {
    let mut work = vec![start];
    while let Some(v) = work.pop() {
        match v.kind() {
            Kind::Array => work.extend(v.items()),
            Kind::Object => work.extend(v.members().map(|(_, v)| v)),
            _ if v.bool() != Some(false) => return true,
            _ => {}
        }
    }
    false
}

/// The configuration in a plan.
struct Configuration<'d> {
    // Modules by address without indices: the module, and how its parent calls it.
    modules: FxHashMap<String, (Value<'d>, Option<Value<'d>>)>,
    resources: FxHashMap<String, Value<'d>>,
}

// How often a variable may be the value of another.
const MAX_HOPS: usize = 32;

impl<'d> Configuration<'d> {
    fn of(document: Value<'d>) -> Self {
        let mut out = Self { modules: FxHashMap::default(), resources: FxHashMap::default() };
        let root = document.get("configuration").and_then(|c| c.get("root_module"));
        let mut work: Vec<_> = root.into_iter().map(|m| (String::new(), m, None)).collect();
        while let Some((path, module, call)) = work.pop() {
            let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
            for (name, call) in module.get("module_calls").into_iter().flat_map(|c| c.members()) {
                if let Some(m) = call.get("module") {
                    work.push((format!("{prefix}module.{}", key(name)), m, Some(call)));
                }
            }
            for r in module.get("resources").into_iter().flat_map(|l| l.items()) {
                if let Some(a) = r.get("address").and_then(|a| a.str()) {
                    out.resources.insert(format!("{prefix}{a}"), r);
                }
            }
            out.modules.insert(path, (module, call));
        }
        out
    }

    fn expressions(&self, address: &str) -> Option<Value<'d>> {
        self.resources.get(&refs::without_indices(address))?.get("expressions")
    }

    // What the outputs of the root refer to.
    fn outputs(&self, file: usize) -> Vec<Node> {
        let Some((root, _)) = self.modules.get("") else { return Vec::new() };
        let outputs = root.get("outputs").into_iter().flat_map(|o| o.members());
        let open = |o: Value<'_>| Open { refs: self.resolved("", o), ..Open::default() };
        outputs.map(|(_, o)| Node::new(Data::Open(open(o)), o.origin(file))).collect()
    }

    // The resources that an expression refers to, from the root.
    fn resolved(&self, module: &str, expression: Value<'_>) -> Vec<String> {
        let mut out = Vec::new();
        let mut work: Vec<(String, String, usize)> =
            leaves(expression).into_iter().map(|r| (module.to_owned(), r, 0)).collect();
        while let Some((module, reference, hops)) = work.pop() {
            if hops == MAX_HOPS {
                out.push(format!("?{reference}"));
                continue;
            }
            match self.step(&module, &reference) {
                Step::Resource(r) => out.push(r),
                Step::Nothing => {}
                Step::Lost => out.push(format!("?{reference}")),
                Step::Further(module, list) => {
                    work.extend(list.into_iter().map(|r| (module.clone(), r, hops + 1)))
                }
            }
        }
        out.sort();
        out.dedup();
        out
    }

    fn step(&self, module: &str, reference: &str) -> Step {
        let parts = refs::parts(reference);
        let within = |r: &str| if module.is_empty() { r.to_owned() } else { format!("{module}.{r}") };
        let plain = refs::without_indices(module);
        match parts.as_slice() {
            ["var", name, ..] => {
                let call = self.modules.get(&plain).and_then(|(_, call)| *call);
                let name = refs::without_indices(name);
                let Some(e) = call.and_then(|c| c.get("expressions")).and_then(|e| e.get(&name)) else {
                    return Step::Lost;
                };
                let all = refs::parts(module);
                let parent = all[..all.len().saturating_sub(2)].join(".");
                Step::Further(parent, leaves(e))
            }
            ["module", name, output, ..] => {
                let child = within(&format!("module.{name}"));
                let found = self.modules.get(&refs::without_indices(&child)).map(|(m, _)| *m);
                let output = refs::without_indices(output);
                match found.and_then(|m| m.get("outputs")).and_then(|o| o.get(&output)) {
                    Some(o) => Step::Further(child, leaves(o)),
                    None => Step::Lost,
                }
            }
            ["count" | "path" | "terraform", ..] | ["each", "key"] => Step::Nothing,
            _ if refs::split(reference).is_some() => Step::Resource(within(reference)),
            _ => Step::Lost,
        }
    }
}

enum Step {
    Resource(String),
    Nothing,
    Lost,
    Further(String, Vec<String>),
}

// The references of an expression, of several that go on from each other the longest.
fn leaves(expression: Value<'_>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut work = vec![expression];
    while let Some(v) = work.pop() {
        if let Some(list) = v.get("references").filter(|l| l.kind() == Kind::Array) {
            for r in list.items().filter_map(|r| r.str().map(|s| s.into_owned())) {
                let goes_on = |o: &String| {
                    o.strip_prefix(&r).is_some_and(|rest| rest.starts_with(['.', '[']) || rest.is_empty())
                };
                if !out.iter().any(goes_on) {
                    out.push(r);
                }
            }
        } else {
            work.extend(v.items());
            work.extend(v.members().map(|(_, v)| v));
        }
    }
    out
}
