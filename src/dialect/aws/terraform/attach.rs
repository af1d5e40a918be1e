//! Who uses the groups: every resource that refers to one, whatever its type.

use super::super::inventory::Attachment;
use super::kinds::Kind;
use super::lower::Lower;
use super::tree::{Fields, Node};
use super::{Resource, Resources};
use rustc_hash::FxHashSet;

impl Lower<'_, '_> {
    /// Notes for each group the resources that refer to it. A reference from a rule or from another group attaches nothing.
    pub fn attach(&mut self, resources: &Resources) {
        for r in &resources.list {
            if r.known() == Some(Kind::Attachment)
                && let Some(fields) = Fields::of(&r.attributes)
            {
                self.attachment(r, &fields);
            }
        }
        let groups: FxHashSet<String> = self.groups.iter().cloned().collect();
        let users = resources.list.iter().filter(|r| uses(r)).map(|r| (&r.attributes, r.address.as_str()));
        let placed = std::mem::take(&mut self.placed);
        let users = users.filter(|(_, address)| !placed.contains(*address));
        let outputs = resources.outputs.iter().map(|o| (o, "an output"));
        for (node, by) in users.chain(outputs) {
            self.users(node, by, &groups);
        }
    }

    fn users(&mut self, node: &Node, by: &str, groups: &FxHashSet<String>) {
        let mut used: Vec<String> =
            node.texts().into_iter().filter(|t| groups.contains(*t)).map(str::to_owned).collect();
        for open in node.opens().into_iter().filter(|o| !o.refs.is_empty()) {
            used.extend(self.targets(open, Kind::Group).own);
        }
        used.sort();
        used.dedup();
        let attachment = |group| Attachment { group, by: by.to_owned(), origin: node.at };
        self.reader.inventory.attached.extend(used.into_iter().map(attachment));
    }
}

// Whether a reference to a group means that its interfaces carry it.
fn uses(r: &Resource) -> bool {
    match r.known() {
        None => !r.data && !r.kind.contains("security_group"),
        Some(Kind::Interface | Kind::Instance | Kind::Attachment) => true,
        Some(_) => false,
    }
}
