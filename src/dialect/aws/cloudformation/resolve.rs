//! The template with its constants in place: what `Ref`, `Fn::FindInMap`, `Fn::Sub`, `Fn::Join`, `Fn::Select`, `Fn::Split`, `Fn::Cidr`,
//! `Fn::Length` and `Fn::If` give is written where they stand, as far as the template and the given parameters tell, and what `Fn::ForEach` makes of
//! a constant list in its place. Every other function stays as it is.
//!
//! A parameter that is not given has its default. What depends on a default is noted, because a deployment may give another value. A peer that is a
//! parameter without a default is one of the values that the parameter allows: an `Fn::If` for each.
//!
//! Functions: CloudFormation user guide, "Intrinsic function reference".

use crate::source::json::{Build, Document, Kind, Value};
use ipnet::IpNet;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// A template after its constants were put in.
pub struct Resolved {
    /// What may make resources: `Resources`, and sections that havenlint does not know.
    pub document: Document<'static>,
    /// What depends on the default of a parameter, by its place (first and last byte) in the file: `the default 10.0.0.0/8 of the parameter X`.
    pub defaults: FxHashMap<(usize, usize), String>,
    /// What the conditions are.
    pub conditions: FxHashMap<String, Truth>,
}

/// Whether a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// It is settled.
    Known(bool),
    /// With the defaults of parameters, which the text names.
    Default(bool, String),
    /// It depends on something else.
    Unknown,
}

/// Sections that make no resources themselves: their values count where they are used.
const VALUES: [&str; 9] = [
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Outputs",
    "Globals",
];

/// Functions in one another are followed so deep; texts are made so long.
const MAX_DEPTH: usize = 64;
const MAX_TEXT: usize = 64 * 1024;
/// A parameter with more allowed values than that is not known.
const MAX_CHOICES: usize = 16;
/// Loops are run so often, all together.
const MAX_TURNS: usize = 10_000;
/// So many networks are cut from one at most ("Fn::Cidr").
const MAX_CUT: u128 = 256;

/// Puts the constants of a template in place.
pub fn resolve(template: Value<'_>, given: &BTreeMap<String, String>) -> Resolved {
    let mut r = Resolver {
        template,
        given,
        truths: FxHashMap::default(),
        build: Build::default(),
        defaults: FxHashMap::default(),
        extended: is_extended(template),
        bound: Vec::new(),
        turns: MAX_TURNS,
    };
    let names = |section: &str| -> Vec<String> {
        let members = template.get(section).into_iter().flat_map(|s| s.members());
        members.filter_map(|(k, _)| k.str().map(Cow::into_owned)).collect()
    };
    for name in names("Conditions") {
        r.truth(&name, 0);
    }
    r.template();
    let conditions = r.truths.into_iter().map(|(n, t)| (n, t.unwrap_or(Truth::Unknown))).collect();
    Resolved { document: r.build.finish(), defaults: r.defaults, conditions }
}

// A value that is known before deployment.
#[derive(Debug, Clone)]
enum Constant<'d> {
    Text(String),
    List(Vec<String>),
    // A value of the template as it stands.
    Written(Value<'d>),
    // `AWS::NoValue`.
    Nothing,
}

// A constant, and the defaults that it depends on.
#[derive(Debug, Clone)]
struct Found<'d> {
    value: Constant<'d>,
    default: Option<String>,
}

struct Resolver<'d, 'g> {
    template: Value<'d>,
    given: &'g BTreeMap<String, String>,
    // `None` = being judged.
    truths: FxHashMap<String, Option<Truth>>,
    build: Build,
    defaults: FxHashMap<(usize, usize), String>,
    // The transform that knows loops is on.
    extended: bool,
    // Names of the loops around, and the words that they stand for.
    bound: Vec<(String, String)>,
    // Turns of loops that are left.
    turns: usize,
}

// A loop: the name in it, the words that it stands for, and what is made for each.
struct Loop<'d> {
    name: String,
    words: Vec<String>,
    body: Value<'d>,
}

fn is_extended(template: Value<'_>) -> bool {
    const NAME: &str = "AWS::LanguageExtensions";
    template.get("Transform").is_some_and(|t| t.is(NAME) || t.items().any(|i| i.is(NAME)))
}

/// Name and argument, if an object is a function.
pub fn function<'d>(v: Value<'d>) -> Option<(Cow<'d, str>, Value<'d>)> {
    let mut members = v.members();
    let (key, argument) = members.next()?;
    let name = key.str()?;
    let is = name == "Ref" || name == "Condition" || name.starts_with("Fn::");
    (is && members.next().is_none()).then_some((name, argument))
}

// The first networks of a size, which is told by the bits that are left to hosts.
fn cut(net: IpNet, count: u128, host_bits: u8) -> Option<Vec<String>> {
    let net = net.trunc();
    let length = net.max_prefix_len().checked_sub(host_bits)?;
    let all = net.subnets(length).ok()?;
    let list: Vec<String> = all.take(count.min(MAX_CUT) as usize).map(|n| n.to_string()).collect();
    (list.len() as u128 == count).then_some(list)
}

fn both(a: Option<String>, b: Option<String>) -> Option<String> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => Some(format!("{a} and {b}")),
        (a, b) => a.or(b),
    }
}

impl<'d> Resolver<'d, '_> {
    fn template(&mut self) {
        let span = self.template.span();
        if self.build.object(span.clone()).is_err() {
            return;
        }
        for (key, section) in self.template.members() {
            let name = key.str().unwrap_or_default();
            if VALUES.contains(&name.as_ref()) {
                continue;
            }
            self.build.key(&name, key.span());
            if name == "Resources" && section.kind() == Kind::Object {
                self.resources(section);
            } else {
                self.write(section);
            }
        }
        self.end(self.template);
    }

    fn end(&mut self, v: Value<'d>) {
        if v.is_cut() { self.build.cut() } else { self.build.close(v.span().end) }
    }

    fn resources(&mut self, section: Value<'d>) {
        if self.build.object(section.span()).is_err() {
            return;
        }
        self.each_resource(section);
        self.end(section);
    }

    fn each_resource(&mut self, section: Value<'d>) {
        for (id, resource) in section.members() {
            let name = self.replaced(&id.str().unwrap_or_default());
            if let Some(each) = self.turns(&name, resource) {
                self.run(each, |r, body| r.each_resource(body));
                continue;
            }
            let condition = resource.get("Condition").and_then(|c| c.str()).map(|c| self.truth(&c, 0));
            if condition == Some(Truth::Known(false)) {
                continue;
            }
            self.build.key(&name, id.span());
            if resource.kind() != Kind::Object || self.build.object(resource.span()).is_err() {
                self.write(resource);
                continue;
            }
            for (key, value) in resource.members() {
                let settled = key.is("Condition") && condition == Some(Truth::Known(true));
                if !settled {
                    self.build.key(&key.str().unwrap_or_default(), key.span());
                    self.write(value);
                }
            }
            self.end(resource);
        }
    }

    // A loop over a constant list; `None` if it is none, or cannot be run.
    fn turns(&mut self, key: &str, v: Value<'d>) -> Option<Loop<'d>> {
        if !self.extended || !key.starts_with("Fn::ForEach::") {
            return None;
        }
        let [name, list, body] = v.items().collect::<Vec<_>>().try_into().ok()?;
        let (words, default) = self.list(list, 0)?;
        // With another value of a parameter other resources are made.
        let settled = default.is_none() && body.kind() == Kind::Object && words.len() <= self.turns;
        let name = name.str()?.into_owned();
        settled.then_some(Loop { name, words, body })
    }

    fn run(&mut self, each: Loop<'d>, turn: impl Fn(&mut Self, Value<'d>)) {
        for word in each.words {
            self.turns = self.turns.saturating_sub(1);
            self.bound.push((each.name.clone(), word));
            turn(self, each.body);
            self.bound.pop();
        }
    }

    // A text with the words of the loops around in it: `${Name}`, and `&{Name}` for its letters and digits.
    fn replaced(&self, text: &str) -> String {
        self.bound.iter().rev().fold(text.to_owned(), |text, (name, word)| {
            let plain: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
            text.replace(&format!("${{{name}}}"), word).replace(&format!("&{{{name}}}"), &plain)
        })
    }

    fn write(&mut self, v: Value<'d>) {
        let span = v.span();
        match v.kind() {
            Kind::String => {
                let text = self.replaced(&v.str().unwrap_or_default());
                return self.build.string(&text, span);
            }
            Kind::Array => {
                if self.build.array(span.clone()).is_err() {
                    return self.build.plain("?", span);
                }
                v.items().for_each(|i| {
                    if !self.is_nothing(i) {
                        self.write(i);
                    }
                });
                return self.end(v);
            }
            Kind::Object => {}
            _ => return self.build.plain(&v.raw(), span),
        }
        if function(v).is_some_and(|(name, _)| name != "Condition")
            && let Some(found) = self.constant(v, 0)
        {
            return self.emit(found, v);
        }
        if self.build.object(span.clone()).is_err() {
            return self.build.plain("?", span);
        }
        self.each_member(v);
        self.end(v);
    }

    fn each_member(&mut self, v: Value<'d>) {
        // Arguments of functions keep their positions, "nothing" too.
        let arguments = function(v).is_some();
        for (key, value) in v.members() {
            let name = self.replaced(&key.str().unwrap_or_default());
            if let Some(each) = self.turns(&name, value) {
                self.run(each, |r, body| r.each_member(body));
            } else if arguments && value.kind() == Kind::Array {
                self.build.key(&name, key.span());
                if self.build.array(value.span()).is_ok() {
                    value.items().for_each(|i| self.write(i));
                    self.end(value);
                } else {
                    self.build.plain("?", value.span());
                }
            } else if !self.is_nothing(value) {
                self.build.key(&name, key.span());
                match self.allowed(&name, value) {
                    Some((parameter, values)) => self.choice(&parameter, &values, value.span()),
                    None => self.write(value),
                }
            }
        }
    }

    // A peer that is a parameter without a value: its name, and the values that it may have.
    fn allowed(&self, key: &str, v: Value<'d>) -> Option<(String, Vec<String>)> {
        const PEERS: [&str; 4] = ["CidrIp", "CidrIpv6", "SourcePrefixListId", "DestinationPrefixListId"];
        let (function, argument) = function(v).filter(|_| PEERS.contains(&key))?;
        let name = argument.str().filter(|_| function == "Ref")?;
        let declared = self.template.get("Parameters")?.get(&name)?;
        let open = !self.given.contains_key(name.as_ref()) && declared.get("Default").is_none();
        let plain = declared.get("Type").is_none_or(|t| t.is("String"));
        let values: Option<Vec<String>> =
            declared.get("AllowedValues")?.items().map(|i| i.scalar().map(Cow::into_owned)).collect();
        let values = values.filter(|l| open && plain && (1..=MAX_CHOICES).contains(&l.len()))?;
        Some((name.into_owned(), values))
    }

    // One of several values: `Fn::If`s in one another.
    fn choice(&mut self, parameter: &str, values: &[String], span: Range<usize>) {
        let mut open = 0;
        for value in values {
            if self.build.object(span.clone()).is_err() {
                break;
            }
            self.build.key("Fn::If", span.clone());
            open += 1;
            if self.build.array(span.clone()).is_err() {
                break;
            }
            open += 1;
            self.build.string(&format!("{parameter} is {value}"), span.clone());
            self.build.string(value, span.clone());
        }
        if open == 2 * values.len() {
            self.nothing(span.clone());
        } else {
            self.build.plain("?", span.clone());
        }
        (0..open).for_each(|_| self.build.close(span.end));
    }

    fn nothing(&mut self, span: Range<usize>) {
        if self.build.object(span.clone()).is_ok() {
            self.build.key("Ref", span.clone());
            self.build.string("AWS::NoValue", span.clone());
            self.build.close(span.end);
        } else {
            self.build.plain("?", span);
        }
    }

    fn is_nothing(&mut self, v: Value<'d>) -> bool {
        function(v).is_some() && matches!(self.constant(v, 0), Some(Found { value: Constant::Nothing, .. }))
    }

    fn emit(&mut self, found: Found<'d>, at: Value<'d>) {
        let span = at.span();
        if let Some(text) = found.default {
            self.defaults.insert((span.start, span.end), text);
        }
        match found.value {
            Constant::Text(t) => self.build.string(&t, span),
            Constant::List(list) => {
                if self.build.array(span.clone()).is_ok() {
                    list.iter().for_each(|t| self.build.string(t, span.clone()));
                    self.build.close(span.end);
                } else {
                    self.build.plain("?", span);
                }
            }
            Constant::Written(v) => self.write(v),
            Constant::Nothing => self.nothing(span),
        }
    }

    fn text(&mut self, v: Value<'d>, depth: usize) -> Option<(String, Option<String>)> {
        let found = self.constant(v, depth)?;
        let text = match found.value {
            Constant::Text(t) => t,
            Constant::Written(v) => self.replaced(&v.scalar()?),
            _ => return None,
        };
        Some((text, found.default))
    }

    fn list(&mut self, v: Value<'d>, depth: usize) -> Option<(Vec<String>, Option<String>)> {
        let found = self.constant(v, depth)?;
        match found.value {
            Constant::List(l) => Some((l, found.default)),
            Constant::Written(v) if v.kind() == Kind::Array => {
                let (list, inner) = self.list(v, depth + 1)?;
                Some((list, both(found.default, inner)))
            }
            _ => None,
        }
    }

    // What a value is, if that is settled before deployment.
    fn constant(&mut self, v: Value<'d>, depth: usize) -> Option<Found<'d>> {
        if depth > MAX_DEPTH {
            return None;
        }
        let plain = |value| Some(Found { value, default: None });
        match v.kind() {
            Kind::String | Kind::Number | Kind::Bool => plain(Constant::Text(self.replaced(&v.scalar()?))),
            Kind::Array => {
                let (mut list, mut default) = (Vec::new(), None);
                for item in v.items() {
                    if self.is_nothing(item) {
                        continue;
                    }
                    let (text, d) = self.text(item, depth + 1)?;
                    default = both(default, d);
                    list.push(text);
                }
                Some(Found { value: Constant::List(list), default })
            }
            Kind::Object => {
                let (name, argument) = function(v)?;
                self.call(&name, argument, depth + 1)
            }
            _ => None,
        }
    }

    fn call(&mut self, name: &str, argument: Value<'d>, depth: usize) -> Option<Found<'d>> {
        let arguments: Vec<Value<'d>> = argument.items().collect();
        match (name, arguments.as_slice()) {
            ("Ref", _) => self.parameter(&argument.str()?),
            ("Fn::If", [condition, yes, no]) => {
                let Truth::Known(holds) = self.truth(&condition.str()?, depth) else { return None };
                let branch = if holds { *yes } else { *no };
                if self.is_nothing(branch) {
                    return Some(Found { value: Constant::Nothing, default: None });
                }
                Some(Found { value: Constant::Written(branch), default: None })
            }
            ("Fn::FindInMap", [map, first, second, rest @ ..]) => {
                let (map, d1) = self.text(*map, depth)?;
                let (first, d2) = self.text(*first, depth)?;
                let (second, d3) = self.text(*second, depth)?;
                let found =
                    self.template.get("Mappings")?.get(&map)?.get(&first).and_then(|m| m.get(&second));
                // A value for "otherwise" comes with the transform.
                let otherwise = rest.first().filter(|_| self.extended).and_then(|r| r.get("DefaultValue"));
                let found =
                    if rest.is_empty() { found? } else { found.filter(|_| self.extended).or(otherwise)? };
                Some(Found { value: Constant::Written(found), default: both(d1, both(d2, d3)) })
            }
            ("Fn::Sub", [text, variables]) => self.substitute(&text.str()?, Some(*variables), depth),
            ("Fn::Sub", _) => self.substitute(&argument.str()?, None, depth),
            ("Fn::Join", [by, list]) => {
                let (by, d1) = self.text(*by, depth)?;
                let (list, d2) = self.list(*list, depth)?;
                let long = list.iter().map(|t| t.len() + by.len()).sum::<usize>() > MAX_TEXT;
                (!long).then(|| Found { value: Constant::Text(list.join(&by)), default: both(d1, d2) })
            }
            ("Fn::Select", [index, list]) => {
                let (index, d1) = self.text(*index, depth)?;
                let (list, d2) = self.list(*list, depth)?;
                let text = list.get(index.parse::<usize>().ok()?)?.clone();
                Some(Found { value: Constant::Text(text), default: both(d1, d2) })
            }
            ("Fn::Split", [by, text]) => {
                let (by, d1) = self.text(*by, depth)?;
                let (text, d2) = self.text(*text, depth)?;
                let list = if by.is_empty() {
                    return None;
                } else {
                    text.split(by.as_str()).map(str::to_owned).collect()
                };
                Some(Found { value: Constant::List(list), default: both(d1, d2) })
            }
            ("Fn::Cidr", [net, count, rest @ ..]) => {
                let (net, d1) = self.text(*net, depth)?;
                let (count, d2) = self.text(*count, depth)?;
                let (bits, d3) = match rest {
                    [bits] => self.text(*bits, depth)?,
                    _ => return None,
                };
                let list = cut(net.parse().ok()?, count.parse().ok()?, bits.parse().ok()?)?;
                Some(Found { value: Constant::List(list), default: both(d1, both(d2, d3)) })
            }
            ("Fn::Length", _) if self.extended => {
                let (list, default) = self.list(argument, depth)?;
                Some(Found { value: Constant::Text(list.len().to_string()), default })
            }
            _ => None,
        }
    }

    fn parameter(&mut self, name: &str) -> Option<Found<'d>> {
        if let Some((_, word)) = self.bound.iter().rev().find(|(n, _)| n == name) {
            return Some(Found { value: Constant::Text(word.clone()), default: None });
        }
        if name == "AWS::NoValue" {
            return Some(Found { value: Constant::Nothing, default: None });
        }
        let declared = self.template.get("Parameters")?.get(name)?;
        let kind = declared.get("Type").and_then(|t| t.str()).unwrap_or_default().into_owned();
        let given = self.given.get(name).cloned();
        // The default of such a parameter is the name under which its value is kept.
        if given.is_none() && kind.starts_with("AWS::SSM::") {
            return None;
        }
        let default = match &given {
            Some(_) => None,
            None => Some(declared.get("Default")?.scalar()?.into_owned()),
        };
        let note = default.as_ref().map(|d| format!("the default {d} of the parameter {name}"));
        let text = given.or(default)?;
        let value = if kind == "CommaDelimitedList" || kind.starts_with("List<") {
            Constant::List(text.split(',').map(|t| t.trim().to_owned()).collect())
        } else {
            Constant::Text(text)
        };
        Some(Found { value, default: note })
    }

    // `${Name}` and `${!Literal}` in a text.
    fn substitute(&mut self, text: &str, variables: Option<Value<'d>>, depth: usize) -> Option<Found<'d>> {
        let mut own: FxHashMap<String, Option<(String, Option<String>)>> = FxHashMap::default();
        for (key, value) in variables.into_iter().flat_map(|v| v.members()) {
            let value = self.text(value, depth);
            own.insert(key.str()?.into_owned(), value);
        }
        let (mut out, mut default, mut rest) = (String::new(), None, text);
        while let Some(at) = rest.find("${") {
            out.push_str(&rest[..at]);
            let inner = &rest[at + 2..];
            let end = inner.find('}')?;
            let name = inner[..end].trim();
            match name.strip_prefix('!') {
                Some(literal) => out.push_str(&format!("${{{literal}}}")),
                None => {
                    let (value, d) = match own.get(name) {
                        Some(value) => value.clone()?,
                        None => match self.parameter(name)? {
                            Found { value: Constant::Text(t), default } => (t, default),
                            _ => return None,
                        },
                    };
                    default = both(default, d);
                    out.push_str(&value);
                }
            }
            rest = &inner[end + 1..];
            if out.len() > MAX_TEXT {
                return None;
            }
        }
        out.push_str(rest);
        Some(Found { value: Constant::Text(out), default })
    }

    fn truth(&mut self, name: &str, depth: usize) -> Truth {
        match self.truths.get(name) {
            Some(Some(known)) => return known.clone(),
            // It depends on itself.
            Some(None) => return Truth::Unknown,
            None => {}
        }
        let Some(condition) = self.template.get("Conditions").and_then(|c| c.get(name)) else {
            return Truth::Unknown;
        };
        self.truths.insert(name.to_owned(), None);
        let truth = self.judge(condition, depth + 1);
        self.truths.insert(name.to_owned(), Some(truth.clone()));
        truth
    }

    fn judge(&mut self, v: Value<'d>, depth: usize) -> Truth {
        let Some((name, argument)) = function(v).filter(|_| depth < MAX_DEPTH) else { return Truth::Unknown };
        let arguments: Vec<Value<'d>> = argument.items().collect();
        match (name.as_ref(), arguments.as_slice()) {
            ("Condition", _) => argument.str().map_or(Truth::Unknown, |n| self.truth(&n, depth)),
            ("Fn::Equals", [a, b]) => match (self.text(*a, depth), self.text(*b, depth)) {
                (Some((a, d1)), Some((b, d2))) => match both(d1, d2) {
                    None => Truth::Known(a == b),
                    Some(default) => Truth::Default(a == b, default),
                },
                _ => Truth::Unknown,
            },
            ("Fn::Not", [a]) => match self.judge(*a, depth + 1) {
                Truth::Known(holds) => Truth::Known(!holds),
                Truth::Default(holds, d) => Truth::Default(!holds, d),
                Truth::Unknown => Truth::Unknown,
            },
            ("Fn::And", all) if !all.is_empty() => self.every(all, true, depth),
            ("Fn::Or", all) if !all.is_empty() => self.every(all, false, depth),
            _ => Truth::Unknown,
        }
    }

    // Whether every one is `wanted`; the opposite of that if one certainly is not.
    fn every(&mut self, all: &[Value<'d>], wanted: bool, depth: usize) -> Truth {
        let truths: Vec<Truth> = all.iter().map(|v| self.judge(*v, depth + 1)).collect();
        if truths.contains(&Truth::Known(!wanted)) {
            return Truth::Known(!wanted);
        }
        if truths.contains(&Truth::Unknown) {
            return Truth::Unknown;
        }
        let (mut result, mut default) = (wanted, None);
        for t in truths {
            if let Truth::Default(holds, d) = t {
                default = both(default, Some(d));
                if holds != wanted {
                    result = !wanted;
                }
            }
        }
        match default {
            None => Truth::Known(result),
            Some(d) => Truth::Default(result, d),
        }
    }
}
