//! Expressions to values.

use super::super::tree::{Data, Map, Node, Open};
use super::expand::{Copies, copies};
use super::scope::{Children, Instance, Scope, World};
use super::{at, functions};
use crate::source::Origin;
use hcl_edit::Span;
use hcl_edit::expr::{
    BinaryOp, BinaryOperator, Conditional, Expression, ForExpr, FuncCall, Object, ObjectKey, Traversal,
    TraversalOperator, UnaryOp, UnaryOperator,
};
use hcl_edit::structure::Block;
use hcl_edit::template::{Element, Strip, Template};
use std::rc::Rc;

/// Why an expression has no value: an error that `try` catches.
pub const ERROR: &str = "it does not exist";

/// Evaluates expressions in a file of a module.
#[derive(Clone, Copy)]
pub struct Eval<'e, 's> {
    pub world: &'s World<'s>,
    pub instance: &'e Rc<Instance<'s>>,
    pub file: usize,
}

/// One value that is not known because of others.
pub fn merged<'n>(text: &str, parts: impl IntoIterator<Item = &'n Node>, at: Origin) -> Node {
    let mut out = Open { text: text.to_owned(), ..Open::default() };
    let mut found = Vec::new();
    for part in parts {
        for open in part.opens() {
            out.refs.extend(open.refs.iter().cloned());
            if open.refs.is_empty() {
                out.refs.push(format!("?{}", open.text));
            }
            found.push((open.text.clone(), open.why.clone()));
        }
    }
    if let Some((text, why)) = found.into_iter().next() {
        out.why = why;
        if out.text.is_empty() {
            out.text = text;
        }
    }
    out.refs.sort();
    out.refs.dedup();
    Node::new(Data::Open(out), at)
}

/// Whether two values are equal; `None` if that is not known.
pub fn equal(a: &Node, b: &Node) -> Option<bool> {
    match (&a.data, &b.data) {
        (Data::Open(_), _) | (_, Data::Open(_)) => None,
        (Data::Null, Data::Null) => Some(true),
        (Data::Null, _) | (_, Data::Null) => Some(false),
        (Data::Bool(x), Data::Bool(y)) => Some(x == y),
        (Data::Number(x), Data::Number(y)) => Some(x == y),
        (Data::Text(x), Data::Text(y)) => Some(x == y),
        (Data::List(x), Data::List(y)) => {
            if x.iter().chain(y).any(|n| !n.opens().is_empty()) {
                return None;
            }
            Some(x.len() == y.len() && x.iter().zip(y).all(|(x, y)| equal(x, y) == Some(true)))
        }
        // Types that Terraform may convert first.
        _ => None,
    }
}

impl<'e, 's> Eval<'e, 's> {
    fn origin(&self, e: &impl Span) -> Origin {
        at(self.file, e.span())
    }

    /// The value of an expression.
    pub fn eval(&self, scope: &Scope, e: &Expression) -> Node {
        let origin = self.origin(e);
        if !self.world.step() {
            return Node::open("this value", "the configuration needs too many steps to evaluate", origin);
        }
        stacker::maybe_grow(64 * 1024, 1024 * 1024, || self.inner(scope, e, origin))
    }

    fn inner(&self, scope: &Scope, e: &Expression, origin: Origin) -> Node {
        let data = match e {
            Expression::Null(_) => Data::Null,
            Expression::Bool(b) => Data::Bool(*b.value()),
            Expression::Number(n) => n.value().as_f64().map_or(Data::Null, Data::Number),
            Expression::String(s) => Data::Text(s.value().clone()),
            Expression::Array(list) => Data::List(list.iter().map(|e| self.eval(scope, e)).collect()),
            Expression::Object(object) => return self.object(scope, object, origin),
            Expression::StringTemplate(t) => return self.template(scope, t.iter(), origin),
            Expression::HeredocTemplate(t) => return self.heredoc(scope, &t.template, origin),
            Expression::Parenthesis(p) => return self.eval(scope, p.inner()),
            Expression::Variable(name) => {
                return self.root(scope, name.as_str(), &[], origin).0;
            }
            Expression::Conditional(c) => return self.conditional(scope, c, origin),
            Expression::FuncCall(f) => return self.call(scope, f, origin),
            Expression::Traversal(t) => return self.traversal(scope, t, origin),
            Expression::UnaryOp(u) => return self.unary(scope, u, origin),
            Expression::BinaryOp(b) => return self.binary(scope, b, origin),
            Expression::ForExpr(f) => return self.for_each(scope, f, origin),
        };
        Node::new(data, origin)
    }

    fn object(&self, scope: &Scope, object: &Object, origin: Origin) -> Node {
        let mut map = Map::default();
        for (key, value) in object.iter() {
            let name = match key {
                ObjectKey::Ident(i) => i.as_str().to_owned(),
                ObjectKey::Expression(Expression::Variable(v)) => v.as_str().to_owned(),
                ObjectKey::Expression(e) => {
                    let key = self.eval(scope, e);
                    match functions::text(&key) {
                        Some(t) => t,
                        None => return merged("the key of an object", [&key], origin),
                    }
                }
            };
            map.entries.push((name, self.eval(scope, value.expr())));
        }
        Node::new(Data::Map(map), origin)
    }

    fn heredoc(&self, scope: &Scope, template: &Template, origin: Origin) -> Node {
        // Its indentation is part of the text; only texts that nothing is taken from need be exact.
        let node = self.template(scope, template.iter(), origin);
        match node.data {
            Data::Text(_) | Data::Open(_) => node,
            _ => Node::open("a text", "havenlint does not evaluate this kind of text", origin),
        }
    }

    fn template<'t>(&self, scope: &Scope, parts: impl Iterator<Item = &'t Element>, origin: Origin) -> Node {
        let parts: Vec<&Element> = parts.collect();
        if let [Element::Interpolation(i)] = parts.as_slice() {
            // The value itself, whatever its type.
            return self.eval(scope, &i.expr);
        }
        let mut out = String::new();
        let mut open: Vec<Node> = Vec::new();
        for part in parts {
            match part {
                Element::Literal(text) => out.push_str(text.value()),
                Element::Interpolation(i) if i.strip == Strip::None => {
                    let value = self.eval(scope, &i.expr);
                    match functions::text(&value) {
                        Some(t) => out.push_str(&t),
                        None => open.push(value),
                    }
                }
                _ => {
                    open.push(Node::open("a template", "havenlint does not evaluate its directives", origin))
                }
            }
        }
        if open.is_empty() { Node::new(Data::Text(out), origin) } else { merged("", &open, origin) }
    }

    fn conditional(&self, scope: &Scope, c: &Conditional, origin: Origin) -> Node {
        let condition = self.eval(scope, &c.cond_expr);
        match condition.bool() {
            Some(true) => return self.eval(scope, &c.true_expr),
            Some(false) => return self.eval(scope, &c.false_expr),
            None => {}
        }
        let (a, b) = (self.eval(scope, &c.true_expr), self.eval(scope, &c.false_expr));
        if equal(&a, &b) == Some(true) {
            return a;
        }
        let text = condition.unknown().map(|o| o.text.clone()).unwrap_or_default();
        let mut node = merged(&format!("a value that depends on {text}"), [&condition, &a, &b], origin);
        if let Data::Open(open) = &mut node.data {
            // Which groups it can be follows from its branches.
            open.refs = [&a, &b].into_iter().flat_map(|n| n.opens()).flat_map(|o| o.refs.clone()).collect();
        }
        node
    }

    fn call(&self, scope: &Scope, f: &FuncCall, origin: Origin) -> Node {
        let mut args: Vec<Node> = f.args.iter().map(|a| self.eval(scope, a)).collect();
        if f.args.expand_final() {
            match args.pop() {
                Some(Node { data: Data::List(list), .. }) => args.extend(list),
                Some(other) => return merged("the arguments of a function", [&other], origin),
                None => {}
            }
        }
        if !f.name.namespace.is_empty() {
            return Node::open("a function of a provider", "havenlint does not evaluate it", origin);
        }
        functions::call(f.name.name.as_str(), args, origin)
    }

    fn unary(&self, scope: &Scope, u: &UnaryOp, origin: Origin) -> Node {
        let value = self.eval(scope, &u.expr);
        let data = match (*u.operator.value(), &value.data) {
            (UnaryOperator::Neg, Data::Number(n)) => Data::Number(-n),
            (UnaryOperator::Not, _) if value.bool().is_some() => Data::Bool(value.bool() == Some(false)),
            _ => return merged("", [&value], origin),
        };
        Node::new(data, origin)
    }

    fn binary(&self, scope: &Scope, b: &BinaryOp, origin: Origin) -> Node {
        use BinaryOperator as Op;
        let (x, y) = (self.eval(scope, &b.lhs_expr), self.eval(scope, &b.rhs_expr));
        let operator = *b.operator.value();
        let numbers = functions::number(&x).zip(functions::number(&y));
        let data = match (operator, numbers) {
            (Op::And, _) => match (x.bool(), y.bool()) {
                (Some(false), _) | (_, Some(false)) => Some(Data::Bool(false)),
                (Some(true), Some(true)) => Some(Data::Bool(true)),
                _ => None,
            },
            (Op::Or, _) => match (x.bool(), y.bool()) {
                (Some(true), _) | (_, Some(true)) => Some(Data::Bool(true)),
                (Some(false), Some(false)) => Some(Data::Bool(false)),
                _ => None,
            },
            (Op::Eq, _) => equal(&x, &y).map(Data::Bool),
            (Op::NotEq, _) => equal(&x, &y).map(|e| Data::Bool(!e)),
            (_, None) => None,
            (Op::Less, Some((x, y))) => Some(Data::Bool(x < y)),
            (Op::LessEq, Some((x, y))) => Some(Data::Bool(x <= y)),
            (Op::Greater, Some((x, y))) => Some(Data::Bool(x > y)),
            (Op::GreaterEq, Some((x, y))) => Some(Data::Bool(x >= y)),
            (Op::Plus, Some((x, y))) => Some(Data::Number(x + y)),
            (Op::Minus, Some((x, y))) => Some(Data::Number(x - y)),
            (Op::Mul, Some((x, y))) => Some(Data::Number(x * y)),
            (Op::Div, Some((x, y))) => (y != 0.0).then(|| Data::Number(x / y)),
            (Op::Mod, Some((x, y))) => (y != 0.0).then(|| Data::Number(x % y)),
        };
        data.map_or_else(|| merged("", [&x, &y], origin), |d| Node::new(d, origin))
    }

    fn for_each(&self, scope: &Scope, f: &ForExpr, origin: Origin) -> Node {
        let collection = self.eval(scope, &f.intro.collection_expr);
        let Some(pairs) = functions::pairs(&collection) else {
            let value = f.intro.value_var.as_str();
            let mut inner = scope.with(value, merged(value, [&collection], origin));
            if let Some(key) = &f.intro.key_var {
                inner = inner.with(key.as_str(), merged(key.as_str(), [&collection], origin));
            }
            // What its items refer to is worth knowing, if not how many there are.
            let item = self.eval(&inner, &f.value_expr);
            return merged("", [&collection, &item], origin);
        };
        let mut list = Vec::new();
        let mut map = Map::default();
        for (key, value) in pairs {
            let mut inner = scope.clone();
            if let Some(name) = &f.intro.key_var {
                inner = inner.with(name.as_str(), key);
            }
            inner = inner.with(f.intro.value_var.as_str(), value);
            if let Some(cond) = &f.cond {
                let holds = self.eval(&inner, &cond.expr);
                match holds.bool() {
                    Some(true) => {}
                    Some(false) => continue,
                    None => return merged("", [&holds], origin),
                }
            }
            let item = self.eval(&inner, &f.value_expr);
            let Some(key) = &f.key_expr else {
                list.push(item);
                continue;
            };
            let key = self.eval(&inner, key);
            let Some(name) = functions::text(&key) else {
                return merged("the key of an object", [&key], origin);
            };
            match map.entries.iter_mut().find(|(k, _)| f.grouping && *k == name) {
                Some((_, Node { data: Data::List(l), .. })) => l.push(item),
                _ if f.grouping => map.entries.push((name, Node::new(Data::List(vec![item]), origin))),
                _ => map.entries.push((name, item)),
            }
        }
        let data = if f.key_expr.is_some() { Data::Map(map) } else { Data::List(list) };
        Node::new(data, origin)
    }

    fn traversal(&self, scope: &Scope, t: &Traversal, origin: Origin) -> Node {
        let operators: Vec<&TraversalOperator> = t.operators.iter().map(|o| o.value()).collect();
        let (start, used) = match &t.expr {
            Expression::Variable(name) => self.root(scope, name.as_str(), &operators, origin),
            other => (self.eval(scope, other), 0),
        };
        self.follow(scope, start, &operators[used..], origin)
    }

    fn follow(
        &self,
        scope: &Scope,
        mut node: Node,
        operators: &[&TraversalOperator],
        origin: Origin,
    ) -> Node {
        for (i, operator) in operators.iter().enumerate() {
            let index = match operator {
                TraversalOperator::GetAttr(name) => {
                    node = attribute(node, name.as_str(), origin);
                    continue;
                }
                TraversalOperator::LegacyIndex(n) => Node::new(Data::Number(*n.value() as f64), origin),
                TraversalOperator::Index(e) => self.eval(scope, e),
                TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                    let items = match node.data {
                        Data::List(list) => list,
                        Data::Null => Vec::new(),
                        Data::Open(_) => return many(self.follow(scope, node, &operators[i + 1..], origin)),
                        _ => vec![node],
                    };
                    let rest = &operators[i + 1..];
                    let list = items.into_iter().map(|n| self.follow(scope, n, rest, origin)).collect();
                    return Node::new(Data::List(list), origin);
                }
            };
            node = functions::index(&node, &index, origin);
        }
        node
    }

    // The value of a name with the operators that belong to it, and how many these are.
    fn root(
        &self,
        scope: &Scope,
        name: &str,
        operators: &[&TraversalOperator],
        origin: Origin,
    ) -> (Node, usize) {
        if let Some(value) = scope.get(name) {
            return (value.clone(), 0);
        }
        let word = |n: usize| match operators.get(n) {
            Some(TraversalOperator::GetAttr(i)) => Some(i.as_str()),
            _ => None,
        };
        match (name, word(0), word(1)) {
            ("var", Some(v), _) => (self.variable(v, origin), 1),
            ("local", Some(l), _) => (self.local(l, origin), 1),
            ("module", Some(m), output) => self.module(m, output, operators.len(), origin),
            ("data", Some(kind), Some(n)) => (self.resource(true, kind, n, origin), 2),
            ("path" | "terraform" | "self" | "each" | "count", part, _) => {
                let text = format!("{name}.{}", part.unwrap_or_default());
                (
                    Node::open(text, "it is known only when Terraform runs", origin),
                    usize::from(part.is_some()),
                )
            }
            (kind, Some(n), _) => (self.resource(false, kind, n, origin), 1),
            _ => (Node::open(name, ERROR, origin), 0),
        }
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str, origin: Origin) -> Node {
        let instance = self.instance;
        let text = format!("{}var.{name}", instance.prefix);
        instance.once(format!("var.{name}"), origin, || {
            let Some((file, block)) = instance.module.variables.get(name) else {
                return Node::open(text.clone(), "the module declares no such variable", origin);
            };
            let own = Eval { file: *file, ..*self };
            let given = match &instance.call {
                Some(call) => call.block.body.get_attribute(name).map(|a| {
                    let parent = Eval { instance: &call.parent, file: call.file, ..*self };
                    parent.eval(&call.scope, &a.value)
                }),
                None => instance.module.given.get(name).map(|g| {
                    Eval { file: g.file, ..*self }.eval(&Scope::default(), g.value)
                }),
            };
            let nullable = block.body.get_attribute("nullable").and_then(|a| a.value.as_bool()) != Some(false);
            let given = given.filter(|g| nullable || g.data != Data::Null);
            let default = || block.body.get_attribute("default").map(|a| own.eval(&Scope::default(), &a.value));
            let Some(value) = given.or_else(default) else {
                let why = "the variable has no default, and no file of values (terraform.tfvars, *.auto.tfvars, or one that is named) sets it";
                return Node::open(text.clone(), why, origin);
            };
            match block.body.get_attribute("type") {
                Some(t) => own.typed(value, &t.value),
                None => value,
            }
        })
    }

    // A value with the defaults of optional attributes that its type gives.
    fn typed(&self, mut node: Node, kind: &Expression) -> Node {
        let Expression::FuncCall(f) = kind else { return node };
        let Some(inner) = f.args.iter().next() else { return node };
        match (f.name.name.as_str(), &mut node.data, inner) {
            ("list" | "set" | "tuple", Data::List(items), inner) => {
                let typed = std::mem::take(items).into_iter().map(|n| self.typed(n, inner)).collect();
                *items = typed;
            }
            ("map", Data::Map(map), inner) => {
                let entries = std::mem::take(&mut map.entries);
                map.entries = entries.into_iter().map(|(k, n)| (k, self.typed(n, inner))).collect();
            }
            ("object", Data::Map(map), Expression::Object(shape)) => {
                for (key, value) in shape.iter() {
                    let name = match key {
                        ObjectKey::Ident(i) => i.as_str(),
                        ObjectKey::Expression(Expression::Variable(v)) => v.as_str(),
                        ObjectKey::Expression(_) => continue,
                    };
                    self.optional(map, name, value.expr(), node.at);
                }
            }
            _ => {}
        }
        node
    }

    fn optional(&self, map: &mut Map, name: &str, kind: &Expression, origin: Origin) {
        let optional = match kind {
            Expression::FuncCall(f) if f.name.name.as_str() == "optional" => Some(&f.args),
            _ => None,
        };
        let inner = optional.and_then(|a| a.iter().next()).unwrap_or(kind);
        let default = optional.and_then(|a| a.iter().nth(1));
        let at = map.entries.iter().position(|(k, _)| k == name);
        let value = match at.map(|i| map.entries.remove(i).1) {
            Some(n) if n.data != Data::Null || default.is_none() => n,
            None if optional.is_none() => return,
            _ => default.map_or_else(|| Node::new(Data::Null, origin), |d| self.eval(&Scope::default(), d)),
        };
        map.entries.push((name.to_owned(), self.typed(value, inner)));
    }

    fn local(&self, name: &str, origin: Origin) -> Node {
        let instance = self.instance;
        instance.once(format!("local.{name}"), origin, || match instance.module.locals.get(name) {
            Some((file, e)) => Eval { file: *file, ..*self }.eval(&Scope::default(), e),
            None => Node::open(format!("local.{name}"), "the module declares no such local", origin),
        })
    }

    fn output(&self, instance: &Rc<Instance<'s>>, name: &str, origin: Origin) -> Node {
        instance.once(format!("output.{name}"), origin, || match instance.module.outputs.get(name) {
            Some((file, e)) => Eval { instance, file: *file, ..*self }.eval(&Scope::default(), e),
            None => Node::open(format!("{}{name}", instance.prefix), "the module has no such output", origin),
        })
    }

    fn module(&self, name: &str, output: Option<&str>, operators: usize, origin: Origin) -> (Node, usize) {
        let lost = |why: &str| Node::open(format!("module.{name}"), why, origin);
        let outputs = |i: &Rc<Instance<'s>>| {
            let entries =
                i.module.outputs.keys().map(|o| ((*o).to_owned(), self.output(i, o, origin))).collect();
            Node::new(Data::Map(Map { entries, rest: None }), origin)
        };
        let Some(children) = super::expand::children(self, name) else {
            return (lost("the configuration calls no such module"), 1);
        };
        let node = match (&*children, output) {
            (Children::Unread, _) => lost("its files are not read"),
            (Children::Unsure(_), _) => lost("how many of it there are is not known"),
            (Children::One(i), Some(o)) if operators > 1 => return (self.output(i, o, origin), 2),
            (Children::One(i), _) => outputs(i),
            (Children::Many(list), _) => {
                collection(list.iter().map(|(k, i)| (k.clone(), outputs(i))).collect(), origin)
            }
        };
        (node, 1)
    }

    // A resource as a value: what the configuration sets, the rest known only after apply.
    fn resource(&self, data: bool, kind: &str, name: &str, origin: Origin) -> Node {
        let instance = self.instance;
        let word = if data { "data." } else { "" };
        let address = format!("{}{word}{kind}.{name}", instance.prefix);
        let found = instance.module.resources.get_key_value(&(data, kind, name));
        let Some((_, (file, block))) = found else { return Node::open(address, ERROR, origin) };
        instance.once(format!("{word}{kind}.{name}"), origin, || {
            let own = Eval { file: *file, ..*self };
            let one = |scope: &Scope, address: String| own.settings(scope, block, address, origin);
            match copies(&own, block, &Scope::default()) {
                Copies::One(scope) => one(&scope, address.clone()),
                Copies::Unsure(_, why) => {
                    let open =
                        Open { text: address.clone(), why: why.why, refs: vec![address.clone()], many: true };
                    Node::new(Data::Open(open), origin)
                }
                Copies::Many(list) => {
                    let nodes = list.into_iter().map(|(key, scope)| {
                        let address = format!("{address}[{}]", functions::shown(&key));
                        (key, one(&scope, address))
                    });
                    collection(nodes.collect(), origin)
                }
            }
        })
    }

    fn settings(&self, scope: &Scope, block: &Block, address: String, origin: Origin) -> Node {
        let meta = ["count", "for_each", "provider", "depends_on"];
        let set = block.body.attributes().filter(|a| !meta.contains(&a.key.as_str()));
        let entries = set.map(|a| (a.key.as_str().to_owned(), self.eval(scope, &a.value))).collect();
        Node::new(Data::Map(Map { entries, rest: Some(address) }), origin)
    }
}

fn many(mut node: Node) -> Node {
    if let Data::Open(open) = &mut node.data {
        open.many = true;
    }
    node
}

// Instances as a list (by number) or a map (by key).
fn collection(list: Vec<(Node, Node)>, origin: Origin) -> Node {
    let numbered = list.iter().all(|(k, _)| matches!(k.data, Data::Number(_)));
    let data = if numbered {
        Data::List(list.into_iter().map(|(_, n)| n).collect())
    } else {
        let entries = list.into_iter().map(|(k, n)| (functions::text(&k).unwrap_or_default(), n)).collect();
        Data::Map(Map { entries, rest: None })
    };
    Node::new(data, origin)
}

/// A member of a value.
pub fn attribute(node: Node, name: &str, origin: Origin) -> Node {
    match node.data {
        Data::Map(map) => match (map.get(name), &map.rest) {
            (Some(found), _) => found.clone(),
            (None, Some(address)) => {
                let reference = format!("{address}.{name}");
                let open = Open {
                    text: reference.clone(),
                    why: "it is known only after apply".to_owned(),
                    refs: vec![reference],
                    many: false,
                };
                Node::new(Data::Open(open), origin)
            }
            (None, None) => Node::open(name, ERROR, origin),
        },
        Data::Open(mut open) => {
            open.text = format!("{}.{name}", open.text);
            open.refs.iter_mut().for_each(|r| *r = format!("{r}.{name}"));
            Node::new(Data::Open(open), origin)
        }
        _ => Node::open(name, ERROR, origin),
    }
}
