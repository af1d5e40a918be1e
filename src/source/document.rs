//! TOML files of our own formats: read with places, checked against the format's JSON schema.
//!
//! The schema is generated from the types that the file is read into, so there is one description of a format. Checking against
//! it first gives every mistake of a file in one run, each at its place, where reading alone would stop at the first.

use super::{Diagnostic, Origin, SourceFile};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The JSON schema (draft 2020-12) of a format.
pub fn schema<T: JsonSchema>() -> Json {
    schemars::schema_for!(T).to_value()
}

/// Reads a file of format `T`. On any error there is no value; all errors are told, in the file's order.
pub fn read<T: DeserializeOwned + JsonSchema>(file: &SourceFile) -> (Option<T>, Vec<Diagnostic>) {
    read_with(file, |_| ())
}

/// As [`read`], of a file that is known to fit the schema: it is part of the program, and a test holds it against the schema.
pub fn read_known<T: DeserializeOwned + JsonSchema>(file: &SourceFile) -> (Option<T>, Vec<Diagnostic>) {
    read_if(file, |_| (), true)
}

/// As [`read`], after a change of the table: what is written in one way and read in another.
pub fn read_with<T: DeserializeOwned + JsonSchema>(
    file: &SourceFile,
    change: impl FnOnce(&mut DeTable<'_>),
) -> (Option<T>, Vec<Diagnostic>) {
    read_if(file, change, false)
}

fn read_if<T: DeserializeOwned + JsonSchema>(
    file: &SourceFile,
    change: impl FnOnce(&mut DeTable<'_>),
    known: bool,
) -> (Option<T>, Vec<Diagnostic>) {
    let text = match std::str::from_utf8(file.bytes()) {
        Ok(text) => text,
        Err(e) => {
            let at = Origin::new(0, e.valid_up_to(), e.valid_up_to() + 1);
            return (
                None,
                vec![Diagnostic::error(at, "this byte is not UTF-8").help("save the file as UTF-8")],
            );
        }
    };
    let (mut table, errors) = DeTable::parse_recoverable(text);
    change(table.get_mut());
    let mut diagnostics: Vec<_> = errors.iter().map(problem).collect();
    if diagnostics.is_empty() && !known {
        let root = schema::<T>();
        let mut checker = Checker { defs: root.get("$defs").and_then(Json::as_object), found: Vec::new() };
        checker.table(&root, table.get_ref(), table.span(), "the file");
        diagnostics = checker.found;
    }
    let mut value = None;
    if diagnostics.is_empty() {
        match T::deserialize(toml::Deserializer::from(table)) {
            Ok(v) => value = Some(v),
            Err(e) => diagnostics.push(problem(&e)),
        }
    }
    diagnostics.sort_by_key(|d| d.origin);
    (value, diagnostics)
}

fn problem(e: &toml::de::Error) -> Diagnostic {
    let span = e.span().unwrap_or(0..0);
    Diagnostic::error(origin(span), e.message().trim_end_matches('.').replace('\n', ", "))
}

/// A range of the file as an origin.
pub fn origin(span: Range<usize>) -> Origin {
    Origin::new(0, span.start, span.end)
}

/// The candidate that a mistyped word most likely means.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let distance = |c: &str| strsim::damerau_levenshtein(&lower, &c.to_lowercase());
    let best = candidates.into_iter().map(|c| (distance(c), c)).min()?;
    (best.0 <= word.chars().count().div_ceil(3)).then_some(best.1)
}

/// What to do about an unknown word: "did you mean", or what there is to choose from.
pub fn advice<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(c) = closest(word, candidates.clone()) {
        return format!("did you mean `{c}`?");
    }
    let all: Vec<_> = candidates.into_iter().map(|c| format!("`{c}`")).collect();
    match all.len() {
        0 => String::new(),
        1 => format!("use {}", all[0]),
        2..=24 => format!("use one of {}", all.join(", ")),
        n => format!("there are {n}, such as {}", all[..12].join(", ")),
    }
}

struct Checker<'s> {
    defs: Option<&'s Map<String, Json>>,
    found: Vec<Diagnostic>,
}

impl<'s> Checker<'s> {
    fn error(&mut self, span: Range<usize>, message: String, help: String) {
        self.found.push(Diagnostic::error(origin(span), message).help(help));
    }

    fn follow(&self, mut schema: &'s Json) -> &'s Json {
        // References in generated schemas do not form cycles without a property between; the bound is for hand-made ones.
        for _ in 0..16 {
            let name = schema.get("$ref").and_then(Json::as_str).and_then(|r| r.strip_prefix("#/$defs/"));
            match name.and_then(|n| self.defs?.get(n)) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    fn table(&mut self, schema: &'s Json, table: &DeTable<'_>, span: Range<usize>, what: &str) {
        let schema = self.follow(schema);
        let none = Map::new();
        let properties = schema.get("properties").and_then(Json::as_object);
        let others = schema.get("additionalProperties");
        for (key, value) in table {
            let name = key.get_ref();
            match (properties.and_then(|p| p.get(&**name)), others) {
                (Some(s), _) => self.value(s, value, name),
                (None, Some(Json::Bool(false))) => {
                    let known = properties.unwrap_or(&none).keys().map(String::as_str);
                    let help = advice(name, known);
                    self.error(key.span(), format!("{what} has no key `{name}`"), help);
                }
                (None, Some(s)) => self.value(s, value, name),
                (None, None) => {}
            }
        }
        for name in
            schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
        {
            if !table.contains_key(name) {
                let help = properties
                    .and_then(|p| p.get(name)?.get("description")?.as_str())
                    .map(|d| format!("`{name}`: {}", first_sentence(d)))
                    .unwrap_or_default();
                self.error(span.clone(), format!("{what} lacks the key `{name}`"), help);
            }
        }
    }

    fn value(&mut self, schema: &'s Json, value: &Spanned<DeValue<'_>>, key: &str) {
        let schema = self.follow(schema);
        let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array);
        if let Some(options) = alternatives {
            self.one_of(options, value, key);
            return;
        }
        let found = type_name(value.get_ref());
        let wanted = types(schema);
        let fits = wanted.is_empty()
            || wanted.contains(&found)
            || (found == "integer" && wanted.contains(&"number"));
        if !fits {
            let wanted: Vec<_> = wanted.into_iter().filter(|t| *t != "null").map(words).collect();
            let message = format!("`{key}` must be {}, not {}", wanted.join(" or "), words(found));
            self.error(value.span(), message, example_of(schema));
            return;
        }
        match value.get_ref() {
            DeValue::Table(t) => self.table(schema, t, value.span(), &format!("`{key}`")),
            DeValue::Array(items) => {
                if let Some(s) = schema.get("items") {
                    items.iter().for_each(|item| self.value(s, item, key));
                }
            }
            DeValue::String(s) => self.choice(schema, s, value.span(), key),
            DeValue::Integer(n) => {
                let n = i128::from_str_radix(n.as_str(), n.radix()).ok();
                self.bounds(schema, n.map(|n| n as f64), value.span(), key);
            }
            DeValue::Float(n) => self.bounds(schema, n.as_str().parse().ok(), value.span(), key),
            DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
    }

    // Reports the problems of the alternative that has the value's type.
    fn one_of(&mut self, options: &'s [Json], value: &Spanned<DeValue<'_>>, key: &str) {
        let mut flat = Vec::new();
        self.flatten(options, &mut flat, 0);
        let found = type_name(value.get_ref());
        let fitting: Vec<_> = flat.iter().copied().filter(|o| types(o).contains(&found)).collect();
        match (value.get_ref(), fitting.as_slice()) {
            (_, []) => {
                let mut wanted: Vec<_> =
                    flat.iter().flat_map(|o| types(o)).filter(|t| *t != "null").map(words).collect();
                wanted.dedup();
                let message = format!("`{key}` must be {}, not {}", wanted.join(" or "), words(found));
                self.error(value.span(), message, String::new());
            }
            (DeValue::String(s), options) => {
                let words: Vec<&str> = options.iter().flat_map(|o| constants(o)).collect();
                let free = options.iter().any(|o| constants(o).next().is_none());
                if !free && !words.contains(&&**s) {
                    let help = advice(s, words.iter().copied());
                    self.error(value.span(), format!("`{key}` cannot be `{s}`"), help);
                }
            }
            (_, [first, ..]) => self.value(first, value, key),
        }
    }

    fn flatten(&self, options: &'s [Json], out: &mut Vec<&'s Json>, depth: usize) {
        for option in options {
            let option = self.follow(option);
            let inner = option.get("anyOf").or_else(|| option.get("oneOf")).and_then(Json::as_array);
            match inner {
                Some(inner) if depth < 8 => self.flatten(inner, out, depth + 1),
                _ => out.push(option),
            }
        }
    }

    fn choice(&mut self, schema: &Json, text: &str, span: Range<usize>, key: &str) {
        let words: Vec<_> = constants(schema).collect();
        if !words.is_empty() && !words.contains(&text) {
            self.error(
                span.clone(),
                format!("`{key}` cannot be `{text}`"),
                advice(text, words.iter().copied()),
            );
        }
        if schema.get("minLength").and_then(Json::as_u64).is_some_and(|n| (text.chars().count() as u64) < n) {
            self.error(span, format!("`{key}` is empty"), example_of(schema));
        }
    }

    fn bounds(&mut self, schema: &Json, number: Option<f64>, span: Range<usize>, key: &str) {
        let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
        let (lo, hi) = (bound("minimum"), bound("maximum"));
        let inside = number.is_some_and(|n| lo.is_none_or(|b| n >= b) && hi.is_none_or(|b| n <= b));
        if !inside {
            let help = match (lo, hi) {
                (Some(a), Some(b)) if a == b => format!("use {a}"),
                (Some(a), Some(b)) => format!("use {a} to {b}"),
                (Some(a), None) => format!("the minimum is {a}"),
                (None, Some(b)) => format!("the maximum is {b}"),
                (None, None) => String::new(),
            };
            self.error(span, format!("`{key}` is out of range"), help);
        }
    }
}

fn constants(schema: &Json) -> impl Iterator<Item = &str> {
    let listed = schema.get("enum").and_then(Json::as_array).into_iter().flatten();
    listed.chain(schema.get("const")).filter_map(Json::as_str)
}

fn first_sentence(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    flat.split(". ").next().unwrap_or("").trim_end_matches('.').to_owned()
}

fn example_of(schema: &Json) -> String {
    let example = schema.get("examples").and_then(|e| e.get(0));
    example.map(|e| format!("for example `{e}`")).unwrap_or_default()
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(t)) => vec![t],
        Some(Json::Array(list)) => list.iter().filter_map(Json::as_str).collect(),
        _ if schema.get("properties").is_some() => vec!["object"],
        _ if schema.get("const").or_else(|| schema.get("enum")).is_some() => vec!["string"],
        _ => Vec::new(),
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        // A date is written without quotes in TOML and is a string with a format to a JSON schema.
        DeValue::String(_) | DeValue::Datetime(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    }
}

fn words(type_name: &str) -> &str {
    match type_name {
        "string" => "a string",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "a boolean",
        "array" => "a list",
        "object" => "a table",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Garden {
        /// What it is called. On the gate.
        name: String,
        #[serde(default)]
        beds: Vec<Bed>,
        fence: Option<Fence>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Bed {
        #[schemars(range(max = 90))]
        length: u8,
    }

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Fence {
        Wood,
        /// Of wire.
        BarbedWire,
    }

    fn problems(text: &str) -> Vec<String> {
        let file = SourceFile::new("garden.toml", text);
        let (value, found) = read::<Garden>(&file);
        assert_eq!(value.is_none(), !found.is_empty());
        let shown = |d: &Diagnostic| {
            let l = file.locate(d.origin.start as usize, d.origin.end as usize);
            format!("{}:{} {} ({})", l.line, l.column, d.message, d.help)
        };
        found.iter().map(shown).collect()
    }

    #[test]
    fn reads_what_fits() {
        let file = SourceFile::new("g", "name = 'x'\nfence = 'barbed-wire'\n[[beds]]\nlength = 3");
        let (garden, found) = read::<Garden>(&file);
        assert_eq!(found, []);
        let garden = garden.unwrap();
        assert_eq!((&*garden.name, garden.fence), ("x", Some(Fence::BarbedWire)));
        assert_eq!(garden.beds[0].length, 3);
    }

    #[test]
    fn every_mistake_is_told_at_its_place() {
        let text = "fense = 'wood'\nfence = 'barbed-wier'\n[[beds]]\nlength = 91\n[[beds]]\nlength = 'long'\nwidth = 2\n";
        assert_eq!(
            problems(text),
            [
                "1:1 the file lacks the key `name` (`name`: What it is called)",
                "1:1 the file has no key `fense` (did you mean `fence`?)",
                "2:9 `fence` cannot be `barbed-wier` (did you mean `barbed-wire`?)",
                "4:10 `length` is out of range (use 0 to 90)",
                "6:10 `length` must be an integer, not a string ()",
                "7:1 `beds` has no key `width` (use `length`)",
            ]
        );
    }

    #[test]
    fn broken_syntax_has_a_place() {
        let found = problems("name = 'x\nbeds = [");
        assert!(found[0].starts_with("1:"), "{found:?}");
        let bytes = SourceFile::new("b", b"name = '\xff'".to_vec());
        assert_eq!(read::<Garden>(&bytes).1[0].origin, Origin::new(0, 8, 9));
    }
}
