//! Terraform: state files (version 4), `terraform show -json` of states and plans, and the configuration itself (HCL).
//!
//! All three become [`Resource`]s with an attribute [`tree`], and one lowering reads those. A group is known by its id; where it has none yet,
//! by its address (`module.net.aws_security_group.web`). What is known only after apply is unknown, unless it follows from a reference to a
//! resource of the same files. What the configuration leaves out is absent: Terraform removes the egress rule that the API gives a fresh
//! group (provider documentation, `aws_security_group`), so a group without egress blocks lets nothing out.

mod attach;
pub mod hcl;
mod kinds;
mod lower;
mod network;
mod plan;
mod refs;
mod rules;
mod state;
mod tree;

use super::inventory::Unknown;
use super::reader::Reader;
use crate::source::Origin;
use crate::source::json::Value;
use kinds::Kind;
use tree::Node;

/// What stands for the type of a resource where a module is not read: its attributes are the arguments of the call.
const UNREAD_MODULE: &str = "module";

/// An instance of a resource or data source.
#[derive(Debug)]
struct Resource {
    /// Its address: `module.net.aws_subnet.a["x"]`.
    address: String,
    /// Its type.
    kind: String,
    /// It is looked up, not made.
    data: bool,
    /// Its attributes: a map.
    attributes: Node,
    /// What is not written is absent. Otherwise it may be missing.
    whole: bool,
    /// It exists, and is as written, only if this holds.
    only_if: Option<Unknown>,
    /// Where people look for it.
    place: Origin,
}

impl Resource {
    fn known(&self) -> Option<Kind> {
        Kind::of(&self.kind, self.data)
    }
}

/// All resources of one state, plan or module, and what of it was not understood.
#[derive(Debug, Default)]
struct Resources {
    list: Vec<Resource>,
    /// Parts that were not understood and may hold anything.
    strays: Vec<Unknown>,
    /// Values that leave the module: what refers to a group there may be attached elsewhere.
    outputs: Vec<Node>,
}

/// Whether a document is Terraform's.
pub fn is_terraform(v: Value<'_>) -> bool {
    let has = |key| v.get(key).is_some();
    (has("terraform_version") && (has("resources") || has("serial") || has("modules")))
        || (has("format_version") && (has("values") || has("planned_values")))
}

/// Whether a document holds resources that the dialect reads.
pub fn is_relevant(v: Value<'_>) -> bool {
    let relevant = |kind: &str, data| Kind::of(kind, data).is_some_and(Kind::has_rules);
    match v.get("resources") {
        Some(_) => state::types(v).any(|(kind, data)| relevant(&kind, data)),
        None if v.get("modules").is_some() => state::is_old(v),
        None => plan::types(v).iter().any(|(kind, data)| relevant(kind, *data)),
    }
}

/// Reads a state or plan.
pub fn read(reader: &mut Reader<'_>, document: Value<'_>) {
    let resources = if document.get("resources").is_some() || document.get("serial").is_some() {
        state::resources(reader, document)
    } else {
        reader.inventory.plan |= document.get("planned_values").is_some();
        plan::resources(reader, document)
    };
    lower::lower(reader, &resources);
}
