//! Terraform's functions over constants (Terraform documentation, "Built-in Functions").
//!
//! A function of something unknown is unknown; those that only put lists together keep what is known of them.

use super::super::tree::{Data, Map, Node};
use super::eval::{ERROR, equal, merged};
use super::net;
use crate::source::Origin;

/// Lists longer than this are not made.
pub const MAX_ITEMS: usize = 4096;

/// A text as `${…}` would put it into a template; `None` if it is none, or not known.
pub fn text(node: &Node) -> Option<String> {
    match &node.data {
        Data::Text(t) => Some(t.clone()),
        Data::Bool(b) => Some(b.to_string()),
        Data::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

/// A number, also one in quotes.
pub fn number(node: &Node) -> Option<f64> {
    match &node.data {
        Data::Number(n) => Some(*n),
        Data::Text(t) => t.trim().parse().ok(),
        _ => None,
    }
}

/// A key as it stands in an address: `0`, `"a"`.
pub fn shown(key: &Node) -> String {
    match &key.data {
        Data::Number(n) => n.to_string(),
        _ => format!("\"{}\"", text(key).unwrap_or_default()),
    }
}

/// Key and value of every item; `None` if they are not all known.
pub fn pairs(node: &Node) -> Option<Vec<(Node, Node)>> {
    match &node.data {
        Data::List(list) if whole(list) => {
            let key = |i: usize, n: &Node| Node::new(Data::Number(i as f64), n.at);
            Some(list.iter().enumerate().map(|(i, n)| (key(i, n), n.clone())).collect())
        }
        Data::Map(map) if map.rest.is_none() => {
            let key = |k: &String, n: &Node| Node::new(Data::Text(k.clone()), n.at);
            Some(map.entries.iter().map(|(k, n)| (key(k, n), n.clone())).collect())
        }
        Data::Null => Some(Vec::new()),
        _ => None,
    }
}

// Whether how many items there are is known.
fn whole(list: &[Node]) -> bool {
    list.iter().all(|n| n.unknown().is_none_or(|o| !o.many))
}

/// An item of a list or map.
pub fn index(node: &Node, key: &Node, at: Origin) -> Node {
    match (&node.data, key.int(), text(key)) {
        (Data::Open(open), ..) => {
            let mut open = open.clone();
            if key.unknown().is_none() {
                open.text = format!("{}[{}]", open.text, shown(key));
                open.refs.iter_mut().for_each(|r| *r = format!("{r}[{}]", shown(key)));
            }
            open.many = false;
            Node::new(Data::Open(open), at)
        }
        (_, None, None) => merged("", [node, key], at),
        (Data::List(list), Some(i), _) if whole(list) => {
            match usize::try_from(i).ok().and_then(|i| list.get(i)) {
                Some(n) => n.clone(),
                None => Node::open(format!("item {i} of a list"), ERROR, at),
            }
        }
        (Data::List(_), ..) => merged("", [node], at),
        (_, _, Some(name)) => super::eval::attribute(node.clone(), &name, at),
        _ => Node::open("an item", ERROR, at),
    }
}

/// The value of a function.
pub fn call(name: &str, args: Vec<Node>, at: Origin) -> Node {
    if let Some(data) = lists(name, &args, at) {
        return match data {
            Data::List(l) if l.len() > MAX_ITEMS => Node::open("a list", "it has too many items", at),
            data => Node::new(data, at),
        };
    }
    if args.iter().any(|a| !a.opens().is_empty()) {
        let what = args.iter().flat_map(|a| a.opens()).map(|o| o.text.clone()).next().unwrap_or_default();
        return merged(&format!("{name}({what})"), &args, at);
    }
    match plain(name, &args, at) {
        Some(data) => Node::new(data, at),
        None => Node::open(format!("{name}(…)"), "havenlint does not evaluate this call", at),
    }
}

fn open(parts: &[Node], at: Origin) -> Data {
    merged("", parts, at).data
}

// A list that is not known stands in another for any number of items.
fn spread(node: &Node) -> Vec<Node> {
    match &node.data {
        Data::List(list) => list.clone(),
        Data::Null => Vec::new(),
        Data::Open(o) => {
            let mut o = o.clone();
            o.many = true;
            vec![Node::new(Data::Open(o), node.at)]
        }
        _ => vec![node.clone()],
    }
}

fn distinct(list: Vec<Node>) -> Vec<Node> {
    let mut out: Vec<Node> = Vec::new();
    for n in list {
        if !out.iter().any(|o| equal(o, &n) == Some(true)) {
            out.push(n);
        }
    }
    out
}

fn flatten(list: &[Node], out: &mut Vec<Node>) {
    for n in list {
        match &n.data {
            Data::List(inner) => flatten(inner, out),
            _ => out.push(n.clone()),
        }
    }
}

// Functions that may be given something unknown. `None` = not one of them.
fn lists(name: &str, args: &[Node], at: Origin) -> Option<Data> {
    let data = match (name, args) {
        ("concat" | "setunion", _) => {
            let list = args.iter().flat_map(spread).collect();
            Data::List(if name == "setunion" { distinct(list) } else { list })
        }
        ("flatten", [one]) => match &one.data {
            Data::List(list) => {
                let mut out = Vec::new();
                flatten(list, &mut out);
                // An item that is not known may be a list.
                let any = |n: Node| if n.unknown().is_some() { spread(&n).remove(0) } else { n };
                Data::List(out.into_iter().map(any).collect())
            }
            _ => open(args, at),
        },
        ("toset" | "distinct", [one]) => match &one.data {
            Data::List(list) => Data::List(distinct(list.clone())),
            other => other.clone(),
        },
        ("tolist" | "sensitive" | "nonsensitive" | "ephemeralasnull" | "tomap", [one]) => one.data.clone(),
        ("compact", [one]) => match &one.data {
            Data::List(list) => Data::List(
                list.iter().filter(|n| n.data != Data::Null && n.text() != Some("")).cloned().collect(),
            ),
            _ => open(args, at),
        },
        ("coalesce", _) => choose(args, at, |n| n.data != Data::Null && n.text() != Some("")),
        ("coalescelist", _) => choose(args, at, |n| n.items().is_some_and(|l| !l.is_empty())),
        ("try", _) => match args.iter().find(|n| n.unknown().is_none_or(|o| o.why != ERROR)) {
            Some(n) => n.data.clone(),
            None => open(args, at),
        },
        ("can", [one]) => match one.unknown() {
            Some(o) if o.why == ERROR => Data::Bool(false),
            Some(_) => open(args, at),
            None => Data::Bool(true),
        },
        ("lookup", [map, key, rest @ ..]) => match (&map.data, text(key)) {
            (Data::Map(m), Some(k)) => match (m.get(&k), rest, &m.rest) {
                (Some(n), ..) => n.data.clone(),
                (None, [default], None) => default.data.clone(),
                _ => open(&[Node::open("lookup", ERROR, at)], at),
            },
            _ => open(args, at),
        },
        ("length", [one]) => match &one.data {
            Data::List(list) if whole(list) => Data::Number(list.len() as f64),
            Data::Map(m) if m.rest.is_none() => Data::Number(m.entries.len() as f64),
            Data::Text(t) => Data::Number(t.chars().count() as f64),
            _ => open(args, at),
        },
        ("one", [one]) => match &one.data {
            Data::List(list) if list.is_empty() => Data::Null,
            Data::List(list) if list.len() == 1 && whole(list) => list[0].data.clone(),
            _ => open(args, at),
        },
        ("element", [list, key]) => match (&list.data, key.int()) {
            (Data::List(l), Some(i)) if whole(l) && !l.is_empty() => {
                l[i.rem_euclid(l.len() as i64) as usize].data.clone()
            }
            _ => open(args, at),
        },
        ("keys" | "values", [map]) => match &map.data {
            Data::Map(m) if m.rest.is_none() => {
                let mut entries: Vec<&(String, Node)> = m.entries.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                let item = |(k, n): &(String, Node)| match name {
                    "keys" => Node::new(Data::Text(k.clone()), n.at),
                    _ => n.clone(),
                };
                Data::List(entries.into_iter().map(item).collect())
            }
            _ => open(args, at),
        },
        ("merge", _) => {
            let mut out = Map::default();
            for a in args {
                match &a.data {
                    Data::Map(m) if m.rest.is_none() => {
                        for (k, n) in &m.entries {
                            out.entries.retain(|(o, _)| o != k);
                            out.entries.push((k.clone(), n.clone()));
                        }
                    }
                    Data::Null => {}
                    _ => return Some(open(args, at)),
                }
            }
            Data::Map(out)
        }
        ("zipmap", [keys, values]) => match (&keys.data, &values.data) {
            (Data::List(k), Data::List(v)) if k.len() == v.len() && whole(v) => {
                let entries: Option<Vec<_>> =
                    k.iter().zip(v).map(|(k, v)| Some((text(k)?, v.clone()))).collect();
                entries.map_or_else(|| open(args, at), |entries| Data::Map(Map { entries, rest: None }))
            }
            _ => open(args, at),
        },
        ("reverse", [one]) => match &one.data {
            Data::List(l) => Data::List(l.iter().rev().cloned().collect()),
            _ => open(args, at),
        },
        ("slice", [list, from, to]) => match (&list.data, from.int(), to.int()) {
            (Data::List(l), Some(a), Some(b)) if whole(l) && 0 <= a && a <= b && b as usize <= l.len() => {
                Data::List(l[a as usize..b as usize].to_vec())
            }
            _ => open(args, at),
        },
        ("contains", [list, wanted]) => match &list.data {
            Data::List(l) if l.iter().any(|n| equal(n, wanted) == Some(true)) => Data::Bool(true),
            Data::List(l) if l.iter().all(|n| equal(n, wanted) == Some(false)) => Data::Bool(false),
            _ => open(args, at),
        },
        _ => return None,
    };
    Some(data)
}

// The first argument that will do; not known as soon as one before it is not.
fn choose(args: &[Node], at: Origin, fits: impl Fn(&Node) -> bool) -> Data {
    for a in args {
        if a.unknown().is_some() {
            return open(args, at);
        }
        if fits(a) {
            return a.data.clone();
        }
    }
    open(&[Node::open("coalesce", ERROR, at)], at)
}

// Functions of constants. `None` = not evaluated, or not with these arguments.
fn plain(name: &str, args: &[Node], at: Origin) -> Option<Data> {
    let texts: Vec<String> = args.iter().filter_map(text).collect();
    let all = texts.len() == args.len();
    let word = |t: String| Some(Data::Text(t));
    let list = |items: Vec<String>| {
        Some(Data::List(items.into_iter().map(|t| Node::new(Data::Text(t), at)).collect()))
    };
    match (name, args) {
        ("tostring", [one]) => match one.data {
            Data::Null => Some(Data::Null),
            _ => text(one).map(Data::Text),
        },
        ("tonumber", [one]) => match one.data {
            Data::Null => Some(Data::Null),
            _ => number(one).map(Data::Number),
        },
        ("tobool", [one]) => match one.data {
            Data::Null => Some(Data::Null),
            _ => one.bool().map(Data::Bool),
        },
        ("lower", [_]) if all => word(texts[0].to_lowercase()),
        ("upper", [_]) if all => word(texts[0].to_uppercase()),
        ("trimspace", [_]) if all => word(texts[0].trim().to_owned()),
        ("trimprefix", [_, _]) if all => {
            word(texts[0].strip_prefix(&texts[1]).unwrap_or(&texts[0]).to_owned())
        }
        ("trimsuffix", [_, _]) if all => {
            word(texts[0].strip_suffix(&texts[1]).unwrap_or(&texts[0]).to_owned())
        }
        ("trim", [_, _]) if all => word(texts[0].trim_matches(|c| texts[1].contains(c)).to_owned()),
        ("startswith", [_, _]) if all => Some(Data::Bool(texts[0].starts_with(&texts[1]))),
        ("endswith", [_, _]) if all => Some(Data::Bool(texts[0].ends_with(&texts[1]))),
        ("strcontains", [_, _]) if all => Some(Data::Bool(texts[0].contains(&texts[1]))),
        // A pattern between slashes is a regular expression.
        ("replace", [_, _, _]) if all && !texts[1].starts_with('/') => {
            word(texts[0].replace(&texts[1], &texts[2]))
        }
        ("split", [_, _]) if all => list(texts[1].split(texts[0].as_str()).map(str::to_owned).collect()),
        ("join", [separator, lists @ ..]) => {
            let items: Option<Vec<String>> =
                lists.iter().flat_map(|l| l.items().unwrap_or_default()).map(text).collect();
            word(items?.join(&text(separator)?))
        }
        ("format", [pattern, rest @ ..]) => word(format(&text(pattern)?, rest)?),
        ("formatlist", [pattern, one]) => {
            let items: Option<Vec<String>> =
                one.items()?.iter().map(|n| format(&text(pattern)?, std::slice::from_ref(n))).collect();
            list(items?)
        }
        ("sort", [one]) => {
            let items: Option<Vec<String>> = one.items()?.iter().map(text).collect();
            let mut items = items?;
            items.sort();
            list(items)
        }
        ("range", _) => range(args, at),
        ("min" | "max" | "sum", _) => {
            let items = match args {
                [one] if one.items().is_some() => one.items().unwrap_or_default(),
                _ => args,
            };
            let numbers: Option<Vec<f64>> = items.iter().map(number).collect();
            let numbers = numbers?;
            let value = match name {
                "min" => numbers.iter().copied().reduce(f64::min)?,
                "max" => numbers.iter().copied().reduce(f64::max)?,
                _ => numbers.iter().sum(),
            };
            Some(Data::Number(value))
        }
        ("abs", [one]) => number(one).map(|n| Data::Number(n.abs())),
        ("floor", [one]) => number(one).map(|n| Data::Number(n.floor())),
        ("ceil", [one]) => number(one).map(|n| Data::Number(n.ceil())),
        ("pow", [a, b]) => Some(Data::Number(number(a)?.powf(number(b)?))),
        ("index", [one, wanted]) => {
            let at = one.items()?.iter().position(|n| equal(n, wanted) == Some(true))?;
            Some(Data::Number(at as f64))
        }
        ("setintersection" | "setsubtract", [a, rest @ ..]) => {
            let inside =
                |n: &Node, l: &Node| l.items().unwrap_or_default().iter().any(|o| equal(o, n) == Some(true));
            let keep = name == "setintersection";
            let out = a.items()?.iter().filter(|n| rest.iter().all(|l| inside(n, l) == keep)).cloned();
            Some(Data::List(out.collect()))
        }
        ("setproduct", _) => product(args, at),
        ("cidrsubnet", [prefix, bits, number]) => {
            net::subnet(&text(prefix)?, bits.int()?, number.int()?).map(Data::Text)
        }
        ("cidrsubnets", [prefix, bits @ ..]) => {
            let bits: Option<Vec<i64>> = bits.iter().map(Node::int).collect();
            list(net::subnets(&text(prefix)?, &bits?)?)
        }
        ("cidrhost", [prefix, number]) => net::host(&text(prefix)?, number.int()?).map(Data::Text),
        ("cidrnetmask", [prefix]) => net::mask(&text(prefix)?).map(Data::Text),
        _ => None,
    }
}

// `format` with `%s`, `%d`, `%v`, `%q` and `%%`, without widths.
fn format(pattern: &str, args: &[Node]) -> Option<String> {
    let mut out = String::new();
    let mut chars = pattern.chars();
    let mut rest = args.iter();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next()? {
            '%' => out.push('%'),
            's' | 'v' => out.push_str(&text(rest.next()?)?),
            'd' => out.push_str(&rest.next()?.int()?.to_string()),
            'q' => out.push_str(&format!("\"{}\"", text(rest.next()?)?)),
            _ => return None,
        }
    }
    rest.next().is_none().then_some(out)
}

fn range(args: &[Node], at: Origin) -> Option<Data> {
    let numbers: Option<Vec<i64>> = args.iter().map(Node::int).collect();
    let (from, to, step) = match numbers?.as_slice() {
        [to] => (0, *to, 1),
        [from, to] => (*from, *to, if to < from { -1 } else { 1 }),
        [from, to, step] => (*from, *to, *step),
        _ => return None,
    };
    let mut out = Vec::new();
    let mut n = from;
    while step != 0 && if step > 0 { n < to } else { n > to } {
        if out.len() > MAX_ITEMS {
            return None;
        }
        out.push(Node::new(Data::Number(n as f64), at));
        n = n.checked_add(step)?;
    }
    (step != 0).then_some(Data::List(out))
}

fn product(args: &[Node], at: Origin) -> Option<Data> {
    let mut out: Vec<Vec<Node>> = vec![Vec::new()];
    for a in args {
        let items = a.items()?;
        if out.len().saturating_mul(items.len()) > MAX_ITEMS {
            return None;
        }
        let with = |start: &Vec<Node>| {
            items.iter().map(|i| [start.as_slice(), std::slice::from_ref(i)].concat()).collect::<Vec<_>>()
        };
        out = out.iter().flat_map(with).collect();
    }
    Some(Data::List(out.into_iter().map(|l| Node::new(Data::List(l), at)).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::scope::{Instance, Scope, World};
    use super::super::{Module, eval::Eval};
    use super::*;
    use hcl_edit::expr::Expression;
    use std::collections::BTreeMap;
    use std::rc::Rc;

    // A value in the syntax of the language, `?` where it is not known.
    fn shown(node: &Node) -> String {
        match &node.data {
            Data::Text(t) => format!("{t:?}"),
            Data::List(l) => format!("[{}]", l.iter().map(shown).collect::<Vec<_>>().join(", ")),
            Data::Map(m) => {
                let all: Vec<_> = m.entries.iter().map(|(k, n)| format!("{k} = {}", shown(n))).collect();
                format!("{{{}}}", all.join(", "))
            }
            Data::Null => "null".to_owned(),
            Data::Open(_) => "?".to_owned(),
            _ => text(node).unwrap_or_default(),
        }
    }

    fn value(text: &str) -> String {
        let e: Expression = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        let world = World::new(BTreeMap::new());
        let module = Module::default();
        let instance = Rc::new(Instance::root("", &module));
        shown(&Eval { world: &world, instance: &instance, file: 0 }.eval(&Scope::default(), &e))
    }

    // Expected values: the examples of Terraform's documentation of each function, and what follows from its text.
    #[test]
    fn functions_give_what_terraform_gives() {
        for (text, expected) in [
            ("concat([\"a\"], [], [\"b\"])", "[\"a\", \"b\"]"),
            ("concat([\"a\"], var.x)", "[\"a\", ?]"),
            ("flatten([[\"a\", [\"b\"]], [], [\"c\"]])", "[\"a\", \"b\", \"c\"]"),
            ("toset([\"a\", \"b\", \"a\"])", "[\"a\", \"b\"]"),
            ("compact([\"a\", \"\", null, \"b\"])", "[\"a\", \"b\"]"),
            ("coalesce(null, \"\", \"b\")", "\"b\""),
            ("coalesce(var.x, \"b\")", "?"),
            ("try({a = 1}.b, \"none\")", "\"none\""),
            ("try(var.x, \"none\")", "?"),
            ("lookup({a = \"1\"}, \"b\", \"2\")", "\"2\""),
            ("length([1, 2, 3]) + length({a = 1})", "4"),
            ("length(concat([1], var.x))", "?"),
            ("element([\"a\", \"b\", \"c\"], 4)", "\"b\""),
            ("keys({b = 1, a = 2})", "[\"a\", \"b\"]"),
            ("values({b = 1, a = 2})", "[2, 1]"),
            ("merge({a = 1, b = 2}, {b = 3})", "{a = 1, b = 3}"),
            ("contains([\"a\"], \"a\") && !contains([\"a\"], \"b\")", "true"),
            ("join(\"-\", [\"a\", \"b\"])", "\"a-b\""),
            ("split(\",\", \"a,b\")", "[\"a\", \"b\"]"),
            ("format(\"%s/%d\", \"10.0.0.0\", 8)", "\"10.0.0.0/8\""),
            ("formatlist(\"%s/32\", [\"192.0.2.1\", \"192.0.2.2\"])", "[\"192.0.2.1/32\", \"192.0.2.2/32\"]"),
            ("range(3)", "[0, 1, 2]"),
            ("range(1, 8, 2)", "[1, 3, 5, 7]"),
            ("slice([\"a\", \"b\", \"c\"], 1, 2)", "[\"b\"]"),
            ("zipmap([\"a\", \"b\"], [1, 2])", "{a = 1, b = 2}"),
            ("setproduct([\"a\", \"b\"], [1])", "[[\"a\", 1], [\"b\", 1]]"),
            ("setsubtract([\"a\", \"b\"], [\"b\"])", "[\"a\"]"),
            ("max(5, 12, 9)", "12"),
            ("cidrsubnet(\"172.16.0.0/12\", 4, 2)", "\"172.18.0.0/16\""),
            ("cidrsubnet(\"10.1.2.0/24\", 4, 15)", "\"10.1.2.240/28\""),
            ("cidrsubnet(\"fd00:fd12:3456:7890::/56\", 16, 162)", "\"fd00:fd12:3456:7800:a200::/72\""),
            ("cidrsubnet(\"10.1.2.0/24\", 4, 16)", "?"),
            (
                "cidrsubnets(\"10.1.0.0/16\", 4, 4, 8, 4)",
                "[\"10.1.0.0/20\", \"10.1.16.0/20\", \"10.1.32.0/24\", \"10.1.48.0/20\"]",
            ),
            ("cidrhost(\"10.12.112.0/20\", 16)", "\"10.12.112.16\""),
            ("cidrhost(\"10.12.112.0/20\", -1)", "\"10.12.127.255\""),
            ("cidrnetmask(\"172.16.0.0/12\")", "\"255.240.0.0\""),
            ("[for s in [\"a\", \"b\"] : upper(s) if s != \"b\"]", "[\"A\"]"),
            ("{for i, s in [\"a\", \"b\"] : s => i}", "{a = 0, b = 1}"),
            ("{for s in [\"x1\", \"y1\"] : substr(s, 0, 1) => s...}", "?"),
            ("{for s in [\"x\", \"x\"] : s => 1...}", "{x = [1, 1]}"),
            ("[for s in var.x : s]", "?"),
            ("\"${\"a\"}-${1 + 1}\"", "\"a-2\""),
            ("\"${[\"a\"]}\"", "[\"a\"]"),
            ("\"x${var.x}\"", "?"),
            ("true ? \"a\" : var.x", "\"a\""),
            ("var.x ? \"a\" : \"a\"", "\"a\""),
            ("var.x ? \"a\" : \"b\"", "?"),
            ("var.x || true", "true"),
            ("1 == \"1\"", "?"),
            ("[{a = \"x\"}, {a = \"y\"}][*].a", "[\"x\", \"y\"]"),
            ("[\"a\", \"b\"][1]", "\"b\""),
            ("{a = {b = 3}}.a[\"b\"]", "3"),
            ("file(\"rules.json\")", "?"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }
}
