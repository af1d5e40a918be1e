//! What a document is, and who reads it.

use super::inventory::{Form, Unknown};
use super::item::Item;
use super::reader::Reader;
use super::value::{id_in, is_key, member, short, string, text};
use super::{cloudformation, known, terraform};
use crate::dialect::Role;
use crate::source::json::{Build, Document, Kind, NoEffect, Value};
use crate::source::{Diagnostic, Origin};
use std::ops::Range;

/// How lists and wrappers (`{region: {SecurityGroups: …}}`) are nested in a document, at most.
const MAX_NESTING: usize = 4;

/// What form a document has.
pub fn form_of(v: Value<'_>) -> Form {
    match () {
        () if terraform::is_terraform(v) => Form::Terraform,
        () if cloudformation::is_relevant(v) => Form::CloudFormation,
        () => Form::Api,
    }
}

/// What part a document plays, by its outermost keys.
pub fn role_of(v: Value<'_>) -> Option<Role> {
    nested_role(v, MAX_NESTING)
}

fn nested_role(v: Value<'_>, depth: usize) -> Option<Role> {
    if v.kind() == Kind::Array && depth > 0 {
        // An item may be broken: the first that is recognised tells.
        return v.items().take(8).find_map(|i| nested_role(i, depth - 1));
    }
    if terraform::is_terraform(v) {
        return terraform::is_relevant(v).then_some(Role::Rules);
    }
    if cloudformation::is_relevant(v) {
        return Some(Role::Rules);
    }
    match Item::of(v) {
        Some(Item::Group | Item::Rule | Item::Acl) => return Some(Role::Rules),
        Some(Item::Config) => {
            let kind = text(v, "resourcetype").unwrap_or_default();
            let rules = kind.ends_with("::SecurityGroup") || kind.ends_with("::NetworkAcl");
            return Some(if rules { Role::Rules } else { Role::Companion });
        }
        Some(_) => return Some(Role::Companion),
        None => {}
    }
    let mut role = None;
    for (key, value) in v.members() {
        match answer_role(key, value) {
            Some(Role::Rules) => return Some(Role::Rules),
            Some(found) => role = Some(found),
            // A wrapper: whatever its key is called.
            None if depth > 0 && matches!(value.kind(), Kind::Array | Kind::Object) => {
                match nested_role(value, depth - 1) {
                    Some(Role::Rules) => return Some(Role::Rules),
                    other => role = role.or(other),
                }
            }
            None => {}
        }
    }
    role
}

// The role of a list of an answer.
fn answer_role(key: Value<'_>, value: Value<'_>) -> Option<Role> {
    // The key must be the API's, and the list, unless it is empty, hold what the API puts there; one key of an item may be broken.
    let list = |name: &str, inside: &[&str]| {
        let holds = |i: Value<'_>| i.is_cut() || inside.iter().any(|k| member(i, k).is_some());
        is_key(key, name)
            && (value.is_null()
                || value.kind() == Kind::Array
                    && (value.items().next().is_none() || value.items().take(8).any(holds)))
    };
    let rules = list("securitygroups", &["groupid", "ippermissions", "ippermissionsegress"])
        || list("securitygrouprules", &["securitygroupruleid", "groupid", "isegress"])
        || list("networkacls", &["networkaclid", "entries", "isdefault"]);
    if rules {
        return Some(Role::Rules);
    }
    let companion =
        list("networkinterfaces", &["networkinterfaceid", "privateipaddress", "privateipaddresses"])
            || list("reservations", &["instances", "reservationid"])
            || list("instances", &["instanceid"])
            || list("subnets", &["subnetid", "cidrblock"])
            || list("routetables", &["routetableid", "routes"])
            || list("vpcs", &["vpcid", "cidrblock"])
            || list("prefixlists", &["prefixlistid", "prefixlistname", "maxentries"])
            || is_key(key, "entries") && value.items().take(8).any(|i| member(i, "cidr").is_some())
            || key.bytes().starts_with(b"\"pl-") && member(value, "entries").is_some();
    companion.then_some(Role::Companion)
}

impl Reader<'_> {
    /// Reads a document: Terraform's, CloudFormation's, or one of the API: an answer, a list of answers or items, or a single item.
    pub fn document(&mut self, v: Value<'_>) {
        if v.is_cut() {
            let origin = v.origin(self.file);
            self.inventory.cut.get_or_insert(origin);
        }
        self.nested(v, MAX_NESTING);
        self.doubt_leftovers(v, known::ANSWER);
    }

    fn nested(&mut self, v: Value<'_>, depth: usize) {
        if terraform::is_terraform(v) {
            terraform::read(self, v);
            return v.settle();
        }
        if cloudformation::is_relevant(v) {
            return cloudformation::read(self, v);
        }
        match v.kind() {
            Kind::Array if depth > 0 => v.items().for_each(|i| self.nested(i, depth - 1)),
            Kind::Object if !self.item(v) => self.answer(v, depth),
            _ => {}
        }
    }

    // An object that is an item itself.
    fn item(&mut self, v: Value<'_>) -> bool {
        match Item::of(v) {
            Some(Item::Group) => self.group(v),
            Some(Item::Rule) => self.rule(v, true),
            Some(Item::Interface) => self.interface(v),
            Some(Item::Instance) => self.instance(v),
            Some(Item::Acl) => self.acl(v),
            Some(Item::Subnet) => self.subnet(v),
            Some(Item::RouteTable) => self.route_table(v),
            Some(Item::Vpc) => self.vpc(v),
            Some(Item::PrefixList) => self.prefix_list(v, None),
            Some(Item::Config) => self.config(v),
            None => return false,
        }
        true
    }

    fn answer(&mut self, v: Value<'_>, depth: usize) {
        let partial = member(v, "return").is_some();
        for (key, value) in v.members() {
            let is = |name| is_key(key, name);
            match () {
                () if is("securitygroups") => self.each(value, "SecurityGroups", Self::group),
                () if is("securitygrouprules") => {
                    self.each(value, "SecurityGroupRules", |r, v| r.rule(v, !partial));
                }
                () if is("networkinterfaces") => self.each(value, "NetworkInterfaces", Self::interface),
                () if is("instances") => self.each(value, "Instances", Self::instance),
                () if is("reservations") => self.each(value, "Reservations", Self::reservation),
                () if is("networkacls") => self.each(value, "NetworkAcls", Self::acl),
                () if is("subnets") => self.each(value, "Subnets", Self::subnet),
                () if is("routetables") => self.each(value, "RouteTables", Self::route_table),
                () if is("vpcs") => self.each(value, "Vpcs", Self::vpc),
                () if is("prefixlists") => self.each(value, "PrefixLists", |r, v| r.prefix_list(v, None)),
                () if is("entries") => self.prefix_list(v, id_in(self.path)),
                () if is("nexttoken") || is("nextmarker") => {
                    if !value.is_null() && value.str().is_none_or(|t| !t.is_empty()) {
                        self.goes_on(value);
                    }
                }
                // Notes that a wrapper puts beside an answer hold no rules; a list or an object may.
                () if !matches!(value.kind(), Kind::Array | Kind::Object) => self.noted(v, key, value),
                () => self.wrapped(key, value, depth),
            }
        }
    }

    // A string, number or truth value beside lists: that a list goes on in another answer is told so too.
    fn noted(&mut self, answer: Value<'_>, key: Value<'_>, value: Value<'_>) {
        let page = value.kind() == Kind::String
            && answer.members().any(|(k, m)| answer_role(k, m).is_some())
            && NoEffect::of(known::NOTES, |name| is_key(key, name)).is_none();
        if page {
            let text = format!("`{}` beside the list", short(&key.str().unwrap_or_default()));
            let why = "it may say that the list goes on in another answer".to_owned();
            let origin = Origin::new(self.file, key.span().start, value.span().end);
            self.inventory.may_be_cut.get_or_insert(Unknown { text, why, origin });
        }
        value.settle();
    }

    // What stands under a key that is not the API's: a wrapper around an answer or items, such as a region; otherwise nothing is read.
    fn wrapped(&mut self, key: Value<'_>, value: Value<'_>, depth: usize) {
        if let Some(id) = key.str().filter(|k| k.starts_with("pl-")) {
            return self.prefix_list(value, Some(id.into_owned()));
        }
        if depth == 0 || !matches!(value.kind(), Kind::Array | Kind::Object) {
            return;
        }
        let holder = is_key(key, "configurationitems") || is_key(key, "rows");
        if holder || nested_role(value, depth - 1).is_some() {
            self.nested(value, depth - 1);
        }
    }

    fn reservation(&mut self, v: Value<'_>) {
        match member(v, "instances") {
            Some(list) => self.each(list, "Instances", Self::instance),
            None => self.nameless(v, "a reservation without Instances"),
        }
        v.settle();
    }

    // An item of AWS Config.
    fn config(&mut self, v: Value<'_>) {
        let status = string(v, "configurationitemstatus").unwrap_or_default();
        match status.as_str() {
            // The resource does not exist any more; what is written of it is how it was.
            "ResourceDeleted" | "ResourceDeletedNotRecorded" => return v.settle(),
            "" | "OK" | "ResourceDiscovered" | "ResourceNotRecorded" => {}
            _ => self.nameless(v, "an item of AWS Config with a status that havenlint does not know"),
        }
        let kind = text(v, "resourcetype").unwrap_or_default();
        let Some(inner) = member(v, "configuration") else { return };
        // The history of a resource holds it as JSON inside a string.
        let unpacked = inner.str().and_then(|text| unpack(&text, inner.span()));
        let read = match unpacked.as_ref().and_then(|d| d.root()) {
            _ if known::CONFIG_OTHERS.contains(&kind.as_ref()) => true,
            Some(root) => self.item(root),
            None => inner.kind() == Kind::Object && self.item(inner),
        };
        if read {
            inner.settle();
        } else if inner.kind() != Kind::Object {
            let message = format!("`configuration` is {}, an object is expected", inner.kind().words());
            self.diagnostics.push(
                Diagnostic::error(inner.origin(self.file), message).help(
                    "an item of AWS Config holds the resource as an object, or as JSON inside a string",
                ),
            );
        }
        self.doubt_leftovers(v, known::CONFIG);
    }
}

// The object that stands as JSON in a string at a place, all of it at that place.
fn unpack(text: &str, place: Range<usize>) -> Option<Document<'static>> {
    let inner = Document::parse(text.as_bytes());
    let root = inner.root().filter(|r| r.kind() == Kind::Object && inner.problems().is_empty())?;
    let mut build = Build::default();
    copy(&mut build, root, &place);
    Some(build.finish()).filter(|d| d.problems().is_empty())
}

fn copy(build: &mut Build, v: Value<'_>, place: &Range<usize>) {
    let opened = match v.kind() {
        Kind::Object => build.object(place.clone()),
        Kind::Array => build.array(place.clone()),
        Kind::String => return build.string(&v.str().unwrap_or_default(), place.clone()),
        _ => return build.plain(&v.raw(), place.clone()),
    };
    if opened.is_err() {
        return build.plain("?", place.clone());
    }
    v.items().for_each(|i| copy(build, i, place));
    for (key, member) in v.members() {
        build.key(&key.str().unwrap_or_default(), place.clone());
        copy(build, member, place);
    }
    build.close(place.end);
}
