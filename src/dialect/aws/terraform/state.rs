//! State files of version 4: every attribute of every resource, with ids.

use super::super::inventory::Unknown;
use super::super::reader::Reader;
use super::tree::{Data, Map, Node};
use super::{Resource, Resources};
use crate::source::Diagnostic;
use crate::source::json::{Kind, Value};

// Keys of the format (terraform, `internal/states/statefile`).
const TOP: &[&str] = &[
    "version",
    "terraform_version",
    "serial",
    "lineage",
    "outputs",
    "resources",
    "check_results",
    "encryption",
];
const RESOURCE: &[&str] = &["module", "mode", "type", "name", "each", "provider", "instances"];
const INSTANCE: &[&str] = &[
    "index_key",
    "status",
    "schema_version",
    "attributes",
    "sensitive_attributes",
    "private",
    "dependencies",
    "depends_on",
    "create_before_destroy",
    "identity",
    "identity_schema_version",
];

/// The types of the resources, and whether they are data sources.
pub fn types<'d>(document: Value<'d>) -> impl Iterator<Item = (String, bool)> + use<'d> {
    let list = document.get("resources").into_iter().flat_map(|l| l.items());
    list.filter_map(|r| Some((r.get("type")?.str()?.into_owned(), is_data(r))))
}

/// Whether it is a state of an older version with groups in it.
pub fn is_old(document: Value<'_>) -> bool {
    let modules = document.get("modules").into_iter().flat_map(|l| l.items());
    modules.filter_map(|m| m.get("resources")).flat_map(|r| r.members()).any(|(key, _)| {
        key.str().is_some_and(|k| k.contains("aws_security_group") || k.contains("aws_network_acl"))
    })
}

pub(super) fn is_data(resource: Value<'_>) -> bool {
    resource.get("mode").is_some_and(|m| m.is("data"))
}

/// A value of a document, with nothing unknown.
pub fn node(v: Value<'_>, file: usize) -> Node {
    let data = match v.kind() {
        Kind::Null => Data::Null,
        Kind::Bool => Data::Bool(v.bool() == Some(true)),
        Kind::Number => v.raw().parse().map_or(Data::Null, Data::Number),
        Kind::String => Data::Text(v.str().map(|s| s.into_owned()).unwrap_or_default()),
        Kind::Array => Data::List(v.items().map(|i| node(i, file)).collect()),
        Kind::Object => {
            let entries = v.members().map(|(k, m)| (key(k), node(m, file))).collect();
            Data::Map(Map { entries, rest: None })
        }
        Kind::Invalid => return Node::open("a value", "it is no JSON value", v.origin(file)),
    };
    Node::new(data, v.origin(file))
}

pub(super) fn key(k: Value<'_>) -> String {
    k.str().map(|s| s.into_owned()).unwrap_or_default()
}

/// Names the members of an object that are no keys of the format.
pub(super) fn strange(
    reader: &mut Reader<'_>,
    object: Value<'_>,
    known: &[&str],
    what: &str,
    strays: &mut Vec<Unknown>,
) {
    for (k, v) in object.members() {
        let name = key(k);
        if known.contains(&name.as_str()) {
            continue;
        }
        let origin = v.origin(reader.file);
        let message = format!("`{name}` is no key of {what} that havenlint knows");
        reader
            .diagnostics
            .push(Diagnostic::warning(origin, &message).help("what it may change is undecided"));
        strays.push(Unknown { text: format!("`{name}`"), why: message, origin });
    }
    strays.extend(unreliable_itself(reader, object));
}

// Why the members of an object cannot be relied on, whatever is in them.
fn unreliable_itself(reader: &Reader<'_>, object: Value<'_>) -> Option<Unknown> {
    let twice = |k: &Value<'_>| reader.duplicates.binary_search_by_key(&k.span().start, |d| d.start).is_ok();
    if object.is_cut() || object.members().any(|(k, _)| twice(&k)) {
        return reader.unreliable(object);
    }
    None
}

/// Reads a state.
pub fn resources(reader: &mut Reader<'_>, document: Value<'_>) -> Resources {
    let mut out = Resources::default();
    let file = reader.file;
    if document.get("version").and_then(|v| v.int()) != Some(4) {
        let at = document.get("version").unwrap_or(document).origin(file);
        let message = "a Terraform state that is not of version 4";
        reader.diagnostics.push(Diagnostic::error(at, message).help(
            "write it anew with `terraform refresh` of version 0.12 or later, or give `terraform show -json`",
        ));
        out.strays.push(Unknown { text: "this state".to_owned(), why: message.to_owned(), origin: at });
    }
    strange(reader, document, TOP, "a Terraform state", &mut out.strays);
    let outputs = document.get("outputs").into_iter().flat_map(|o| o.members());
    out.outputs.extend(outputs.map(|(_, o)| node(o, file)));
    for r in document.get("resources").into_iter().flat_map(|l| l.items()) {
        resource(reader, r, &mut out);
    }
    out
}

fn resource(reader: &mut Reader<'_>, r: Value<'_>, out: &mut Resources) {
    let text = |key| r.get(key).and_then(|v| v.str()).map(|s| s.into_owned());
    let (Some(kind), Some(name)) = (text("type"), text("name")) else {
        let origin = r.origin(reader.file);
        let message = "a resource without type or name".to_owned();
        reader.diagnostics.push(Diagnostic::error(origin, &message));
        out.strays.push(Unknown { text: message, why: "nothing tells what it is".to_owned(), origin });
        return;
    };
    let data = is_data(r);
    let read = super::kinds::Kind::of(&kind, data).is_some();
    if read {
        strange(reader, r, RESOURCE, "a resource", &mut out.strays);
    }
    if !data && r.get("mode").is_some_and(|m| !m.is("managed")) {
        let origin = r.origin(reader.file);
        let why = "its mode is neither managed nor data".to_owned();
        out.strays.push(Unknown { text: format!("{kind}.{name}"), why, origin });
    }
    let prefix = text("module").map(|m| format!("{m}.")).unwrap_or_default();
    let prefix = if data { format!("{prefix}data.") } else { prefix };
    for instance in r.get("instances").into_iter().flat_map(|l| l.items()) {
        if instance.get("deposed").is_some() {
            // What is left of one that was replaced; it exists until the next apply.
            let origin = instance.origin(reader.file);
            if read {
                let why = "it is deposed: replaced, and still there".to_owned();
                out.strays.push(Unknown { text: format!("{kind}.{name}"), why, origin });
            }
            continue;
        }
        if read {
            strange(reader, instance, INSTANCE, "an instance of a resource", &mut out.strays);
        }
        let Some(values) = instance.get("attributes").filter(|a| a.kind() == Kind::Object) else {
            if read {
                let origin = instance.origin(reader.file);
                let why = "its attributes are missing".to_owned();
                out.strays.push(Unknown { text: format!("{kind}.{name}"), why, origin });
            }
            continue;
        };
        let index = instance.get("index_key").map(|i| format!("[{}]", i.raw())).unwrap_or_default();
        out.list.push(Resource {
            address: format!("{prefix}{kind}.{name}{index}"),
            kind: kind.clone(),
            data,
            attributes: node(values, reader.file),
            whole: false,
            only_if: reader.unreliable(values),
            place: reader.place(values, &["name", "id"]),
        });
    }
}
