//! Blocks to resources: `count`, `for_each`, `dynamic`, and the modules that are called.

use super::super::super::inventory::Unknown;
use super::super::super::reader::Reader;
use super::super::kinds::{IDLE, Kind};
use super::super::tree::{Data, Map, Node, Open};
use super::super::{Resource, Resources, UNREAD_MODULE};
use super::eval::{Eval, merged};
use super::scope::{Call, Children, Instance, Scope, World};
use super::{at, functions, local_source};
use crate::source::{Diagnostic, Origin};
use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Body, Structure};
use std::rc::Rc;

/// Modules that call each other deeper than this are not read.
const MAX_DEPTH: usize = 16;

/// The instances of a block with `count` or `for_each`.
pub enum Copies {
    /// Just one.
    One(Scope),
    /// Nobody knows how many; this scope stands for all.
    Unsure(Scope, Unknown),
    /// One for each key.
    Many(Vec<(Node, Scope)>),
}

/// The instances of a resource or module call.
pub fn copies(eval: &Eval<'_, '_>, block: &Block, scope: &Scope) -> Copies {
    let unsure = |scope: Scope, node: &Node, what: &str| {
        let open = node.unknown().cloned().unwrap_or_default();
        let (text, why) = match node.unknown() {
            Some(_) => (open.text, open.why),
            None => (node.shown(), "it is no number or collection that havenlint expands".to_owned()),
        };
        Copies::Unsure(scope, Unknown { text: format!("{what} = {text}"), why, origin: node.at })
    };
    if let Some(a) = block.body.get_attribute("count") {
        let count = eval.eval(scope, &a.value);
        let Some(n) = count.int().filter(|n| (0..=functions::MAX_ITEMS as i64).contains(n)) else {
            return unsure(scope.with_index(merged("count.index", [&count], count.at)), &count, "count");
        };
        let one = |i: i64| {
            let index = Node::new(Data::Number(i as f64), count.at);
            (index.clone(), scope.with_index(index))
        };
        return Copies::Many((0..n).map(one).collect());
    }
    if let Some(a) = block.body.get_attribute("for_each") {
        let each = eval.eval(scope, &a.value);
        let Some(pairs) = functions::pairs(&each) else {
            let (key, value) = (merged("each.key", [&each], each.at), merged("each.value", [&each], each.at));
            return unsure(scope.with_pair("each", key, value), &each, "for_each");
        };
        // Of a set the key is the value.
        let set = matches!(each.data, Data::List(_));
        let one = |(k, v): (Node, Node)| {
            let key = if set { v.clone() } else { k };
            (key.clone(), scope.with_pair("each", key, v))
        };
        return Copies::Many(pairs.into_iter().map(one).collect());
    }
    Copies::One(scope.clone())
}

/// The instances of a module that is called by a name.
pub fn children<'s>(eval: &Eval<'_, 's>, name: &str) -> Option<Rc<Children<'s>>> {
    let parent = eval.instance;
    if let Some(known) = parent.children.borrow().get(name) {
        return Some(Rc::clone(known));
    }
    let (name, (file, block)) = parent.module.calls.get_key_value(name)?;
    let found = local_source(parent.folder, block)
        .and_then(|folder| eval.world.modules.get_key_value(folder.as_str()))
        .filter(|_| parent.depth() < MAX_DEPTH);
    let children = match found {
        None => Children::Unread,
        Some((folder, module)) => {
            let one = |scope: &Scope, index: &str| {
                let call = Call { parent: Rc::clone(parent), block, file: *file, scope: scope.clone() };
                let prefix = format!("{}module.{name}{index}.", parent.prefix);
                Rc::new(Instance::new(folder, module, prefix, Some(call)))
            };
            match copies(&Eval { file: *file, ..*eval }, block, &Scope::default()) {
                Copies::One(scope) => Children::One(one(&scope, "")),
                Copies::Unsure(scope, _) => Children::Unsure(one(&scope, "")),
                Copies::Many(list) => Children::Many(
                    list.into_iter()
                        .map(|(k, scope)| {
                            let index = format!("[{}]", functions::shown(&k));
                            let instance = one(&scope, &index);
                            (k, instance)
                        })
                        .collect(),
                ),
            }
        }
    };
    let children = Rc::new(children);
    parent.children.borrow_mut().insert(name, Rc::clone(&children));
    Some(children)
}

/// All resources of a module and of those that it calls.
pub fn resources<'s>(reader: &mut Reader<'_>, world: &'s World<'s>, root: &Rc<Instance<'s>>) -> Resources {
    let mut out = Resources::default();
    let mut work = vec![(Rc::clone(root), None::<Unknown>)];
    while let Some((instance, only_if)) = work.pop() {
        out.strays.extend(instance.module.strays.iter().cloned());
        let eval = |file: usize| Eval { world, instance: &instance, file };
        for ((data, kind, name), (file, block)) in &instance.module.resources {
            let word = if *data { "data." } else { "" };
            let address = format!("{}{word}{kind}.{name}", instance.prefix);
            declared(&eval(*file), block, (&address, kind, *data), only_if.as_ref(), &mut out.list);
        }
        for (name, (file, block)) in &instance.module.calls {
            let Some(children) = children(&eval(*file), name) else { continue };
            if let Some(one) = children.all().first() {
                out.strays.extend(undeclared(reader, (*file, block), one.module));
            }
            let unsure = match &*children {
                Children::Unread => {
                    unread(reader, &eval(*file), name, block, &mut out);
                    continue;
                }
                Children::Unsure(_) => Some(Unknown {
                    text: format!("whether there is {}module.{name}", instance.prefix),
                    why: "its count or for_each is not known".to_owned(),
                    origin: at(*file, block.ident.span()),
                }),
                _ => only_if.clone(),
            };
            work.extend(children.all().into_iter().map(|i| (Rc::clone(i), unsure.clone())));
        }
        if instance.call.is_none() {
            let outputs = instance.module.outputs.values();
            out.outputs.extend(outputs.map(|(file, e)| eval(*file).eval(&Scope::default(), e)));
        }
    }
    out
}

/// What a call of a module says to Terraform itself.
const OF_CALLS: [&str; 6] = ["source", "version", "providers", "count", "for_each", "depends_on"];

// Arguments of a call for which the module has no variable: Terraform refuses the configuration.
fn undeclared(
    reader: &mut Reader<'_>,
    (file, block): (usize, &Block),
    module: &super::Module<'_>,
) -> Vec<Unknown> {
    let unknown = |name: &str| !OF_CALLS.contains(&name) && !module.variables.contains_key(name);
    let arguments = block.body.attributes().filter(|a| unknown(a.key.as_str()));
    let mut out = Vec::new();
    for a in arguments {
        let (name, origin) = (a.key.as_str(), at(file, a.key.span()));
        let text = format!("the module has no variable `{name}`");
        reader.diagnostics.push(
            Diagnostic::error(origin, &text).help("Terraform refuses this configuration: correct the name"),
        );
        out.push(Unknown { text, why: "the configuration is not valid".to_owned(), origin });
    }
    out
}

// A module whose files are not there: it may do anything with the groups that it is given, and make others.
fn unread(reader: &mut Reader<'_>, eval: &Eval<'_, '_>, name: &str, block: &Block, out: &mut Resources) {
    let origin = at(eval.file, block.ident.span());
    let address = format!("{}module.{name}", eval.instance.prefix);
    let source = block.body.get_attribute("source").and_then(|a| a.value.as_str()).unwrap_or_default();
    let message = format!("{address} ({source}) is not read: groups and rules that it makes are not judged");
    let help = "give its folder too if it is a local one, or `terraform show -json` of a plan, which holds all modules";
    reader.diagnostics.push(Diagnostic::warning(origin, message).help(help));
    reader.inventory.cut.get_or_insert(origin);
    let scope = match copies(eval, block, &Scope::default()) {
        Copies::One(scope) | Copies::Unsure(scope, _) => vec![scope],
        Copies::Many(list) => list.into_iter().map(|(_, s)| s).collect(),
    };
    let arguments = scope.iter().flat_map(|scope| {
        block.body.attributes().filter(|a| !OF_CALLS.contains(&a.key.as_str())).map(|a| {
            (a.key.as_str().to_owned(), placed(eval.eval(scope, &a.value), at(eval.file, a.value.span())))
        })
    });
    let entries = arguments.collect();
    out.list.push(Resource {
        address: address.clone(),
        kind: UNREAD_MODULE.to_owned(),
        data: false,
        attributes: Node::new(Data::Map(Map { entries, rest: None }), origin),
        whole: true,
        only_if: None,
        place: origin,
    });
}

fn declared(
    eval: &Eval<'_, '_>,
    block: &Block,
    (address, kind, data): (&str, &str, bool),
    only_if: Option<&Unknown>,
    out: &mut Vec<Resource>,
) {
    let mut push = |scope: &Scope, address: String, unsure: Option<Unknown>| {
        let mut attributes = content(eval, scope, &block.body, at(eval.file, block.span()));
        // How many groups or lists there are changes nothing in what each of them holds.
        let alike = matches!(Kind::of(kind, data), Some(Kind::Group | Kind::PrefixList));
        let mut only_if = only_if.cloned().or(unsure).filter(|_| !alike);
        ignored(eval, block, kind, &mut attributes, &mut only_if);
        out.push(Resource {
            address,
            kind: kind.to_owned(),
            data,
            attributes,
            whole: true,
            only_if,
            place: head(eval.file, block),
        });
    };
    match copies(eval, block, &Scope::default()) {
        Copies::One(scope) => push(&scope, address.to_owned(), None),
        Copies::Unsure(scope, why) => push(&scope, address.to_owned(), Some(why)),
        Copies::Many(list) => {
            for (key, scope) in list {
                push(&scope, format!("{address}[{}]", functions::shown(&key)), None);
            }
        }
    }
}

// The first line of a block: type and labels.
fn head(file: usize, block: &Block) -> Origin {
    let start = block.ident.span().map_or(0, |s| s.start);
    let last = block.labels.last().and_then(|l| l.span()).or(block.ident.span());
    Origin::new(file, start, last.map_or(start, |s| s.end))
}

// Arguments and blocks of a body; blocks of one type are a list.
fn content(eval: &Eval<'_, '_>, scope: &Scope, body: &Body, origin: Origin) -> Node {
    const META: &[&str] =
        &["count", "for_each", "provider", "depends_on", "lifecycle", "provisioner", "connection"];
    let mut map = Map::default();
    let mut add = |name: &str, item: Node| {
        let found = map.entries.iter_mut().find(|(k, n)| k == name && matches!(n.data, Data::List(_)));
        match found {
            Some((_, Node { data: Data::List(list), .. })) => list.push(item),
            _ => {
                let at = item.at;
                map.entries.push((name.to_owned(), Node::new(Data::List(vec![item]), at)));
            }
        }
    };
    let mut arguments = Vec::new();
    for structure in body {
        match structure {
            Structure::Attribute(a) if !META.contains(&a.key.as_str()) => {
                let value = placed(eval.eval(scope, &a.value), at(eval.file, a.value.span()));
                arguments.push((a.key.as_str().to_owned(), value));
            }
            Structure::Block(b) if b.ident.as_str() == "dynamic" => {
                for (name, item) in dynamic(eval, scope, b) {
                    add(&name, item);
                }
            }
            Structure::Block(b) if !META.contains(&b.ident.as_str()) => {
                add(b.ident.as_str(), content(eval, scope, &b.body, at(eval.file, b.span())));
            }
            _ => {}
        }
    }
    map.entries.splice(0..0, arguments);
    Node::new(Data::Map(map), origin)
}

// A `dynamic` block: one block for each item.
fn dynamic(eval: &Eval<'_, '_>, scope: &Scope, block: &Block) -> Vec<(String, Node)> {
    let origin = at(eval.file, block.span());
    let Some(name) = block.labels.first().map(|l| l.as_str().to_owned()) else { return Vec::new() };
    let inner = block.body.get_blocks("content").next();
    let each = block.body.get_attribute("for_each").map(|a| eval.eval(scope, &a.value));
    let (Some(inner), Some(each)) = (inner, each) else {
        return vec![(name, Node::open("a dynamic block", "it lacks for_each or content", origin))];
    };
    let iterator = block.body.get_attribute("iterator").map(|a| &a.value);
    let iterator = match iterator {
        Some(Expression::Variable(v)) => v.as_str().to_owned(),
        _ => name.clone(),
    };
    let Some(pairs) = functions::pairs(&each) else {
        let mut node = merged("a dynamic block", [&each], at(eval.file, block.ident.span()));
        if let Data::Open(open) = &mut node.data {
            open.many = true;
        }
        return vec![(name, node)];
    };
    let set = matches!(each.data, Data::List(_));
    let one = |(key, value): (Node, Node)| {
        let key = if set { value.clone() } else { key };
        let scope = scope.with_pair(&iterator, key, value);
        (name.clone(), content(eval, &scope, &inner.body, at(eval.file, inner.span())))
    };
    pairs.into_iter().map(one).collect()
}

// A value stands where it is used: a place of elsewhere (a variable's default) would point at another rule.
fn placed(mut node: Node, origin: Origin) -> Node {
    let inside = node.at.file == origin.file && node.at.start >= origin.start && node.at.end <= origin.end;
    if !inside {
        node.at = origin;
    }
    match &mut node.data {
        Data::List(list) => {
            *list = std::mem::take(list).into_iter().map(|n| placed(n, origin)).collect();
        }
        Data::Map(map) => {
            map.entries =
                std::mem::take(&mut map.entries).into_iter().map(|(k, n)| (k, placed(n, origin))).collect();
        }
        _ => {}
    }
    node
}

// What `lifecycle { ignore_changes }` lets others change.
fn ignored(
    eval: &Eval<'_, '_>,
    block: &Block,
    kind: &str,
    attributes: &mut Node,
    only_if: &mut Option<Unknown>,
) {
    let Some(known) = Kind::of(kind, false).filter(|k| k.has_rules() || *k == Kind::PrefixList) else {
        return;
    };
    let lists = block.body.get_blocks("lifecycle").filter_map(|b| b.body.get_attribute("ignore_changes"));
    for list in lists {
        let names: Vec<String> = match &list.value {
            Expression::Array(a) => a.iter().map(|e| e.to_string().trim().to_owned()).collect(),
            other => vec![other.to_string().trim().to_owned()],
        };
        let origin = at(eval.file, list.value.span());
        let why = "the configuration lets others change it (ignore_changes)".to_owned();
        for name in names.iter().map(|n| n.trim_matches('"')).filter(|n| !IDLE.contains(n)) {
            let parts: &[&str] = match (known, name) {
                (Kind::Group | Kind::Acl, "all") => &["ingress", "egress"],
                (Kind::Group | Kind::Acl, "ingress") => &["ingress"],
                (Kind::Group | Kind::Acl, "egress") => &["egress"],
                _ if known.idle().contains(&name) => continue,
                _ => {
                    only_if.get_or_insert_with(|| Unknown {
                        text: format!("{name} is as written"),
                        why: why.clone(),
                        origin,
                    });
                    continue;
                }
            };
            let Data::Map(map) = &mut attributes.data else { continue };
            for part in parts {
                let open = Open { text: format!("changes of {part}"), why: why.clone(), ..Open::default() };
                let node = Node::new(Data::Open(Open { many: true, ..open }), origin);
                match map.entries.iter_mut().find(|(k, _)| k == part) {
                    Some((_, Node { data: Data::List(l), .. })) => l.push(node),
                    Some(_) => {}
                    None => map.entries.push(((*part).to_owned(), Node::new(Data::List(vec![node]), origin))),
                }
            }
        }
    }
}
