//! Reading JSON, places, and what was read.

use super::*;
use proptest::prelude::*;

fn problems(text: &str) -> Vec<(String, usize)> {
    let d = Document::parse(text.as_bytes());
    d.problems().iter().map(|p| (p.message.clone(), p.span.start)).collect()
}

#[test]
fn values_know_their_places() {
    let text = " {\"a\": [1, -2.5e3, true, null], \"b\\u00e9\\ud83d\\ude00\\n\": \"x\\\"y\"}\n";
    let d = Document::parse(text.as_bytes());
    assert!(d.problems().is_empty(), "{:?}", d.problems());
    let root = d.root().unwrap();
    let items: Vec<_> = root.get("a").unwrap().items().map(|v| (v.kind(), v.raw().into_owned())).collect();
    assert_eq!(
        items,
        [
            (Kind::Number, "1".to_owned()),
            (Kind::Number, "-2.5e3".to_owned()),
            (Kind::Bool, "true".to_owned()),
            (Kind::Null, "null".to_owned())
        ]
    );
    assert_eq!(root.get("bé😀\n").unwrap().str().unwrap(), "x\"y");
    assert_eq!(&text[root.get("a").unwrap().span()], "[1, -2.5e3, true, null]");
    assert_eq!(&text[root.span()], text.trim());
    assert!(!root.is_cut());
    assert_eq!(root.get("a").unwrap().items().next().unwrap().int(), Some(1));
    assert_eq!(root.get("absent").map(|v| v.kind()), None);
}

#[test]
fn problems_have_a_place_and_the_rest_is_read() {
    for (text, message, at, read) in [
        ("", "the file is empty", 0, 0),
        ("[1,2", "the file ends inside the list that begins on line 1", 4, 2),
        ("[1,2,]", "a `,` before a closing bracket", 4, 2),
        ("[1 2]", "a `,` is missing before this", 3, 2),
        ("[1, NaN, 3]", "`NaN` is no JSON value", 4, 3),
        ("[1, 007, 3]", "`007` is no JSON value", 4, 3),
        ("[1, 1., 3]", "`1.` is no JSON value", 4, 3),
        ("[1, 2] x", "there is text behind the end of the JSON value", 7, 2),
        ("[1, \"abc", "a string begins here and does not end", 4, 1),
        ("[1, 2}", "`}` closes nothing that is open here", 5, 2),
        ("[\"\\x\", 2]", "an escape that JSON does not have", 2, 2),
    ] {
        let d = Document::parse(text.as_bytes());
        let first = d.problems().first().unwrap_or_else(|| panic!("{text}"));
        assert_eq!((first.message.as_str(), first.span.start), (message, at), "{text}");
        assert_eq!(d.root().map_or(0, |r| r.items().count()), read, "{text}");
    }
}

#[test]
fn a_cut_object_holds_what_was_read() {
    for text in [
        "{\"a\": 1, \"b\": {\"c\": 2",
        "{\"a\": 1, \"b\": {\"c\": 2, \"d\"",
        "{\"a\": 1, \"b\": {\"c\": 2, \"d\":",
    ] {
        let d = Document::parse(text.as_bytes());
        let root = d.root().unwrap();
        assert!(root.is_cut(), "{text}");
        assert_eq!(root.get("a").unwrap().int(), Some(1));
        assert_eq!(root.get("b").unwrap().get("c").unwrap().int(), Some(2));
        assert_eq!(d.problems().len(), 1, "{text}");
    }
}

#[test]
fn keys_that_stand_twice_are_reported() {
    assert_eq!(
        problems("{\"a\":1,\"\\u0061\":2,\"b\":{\"a\":1}}"),
        [("the key \"\\u0061\" appears twice in this object".to_owned(), 7)]
    );
    let many: Vec<String> = (0..60).map(|i| format!("\"k{}\":{i}", i % 59)).collect();
    let text = format!("{{{}}}", many.join(","));
    assert_eq!(problems(&text).len(), 1);
    assert_eq!(Document::parse(text.as_bytes()).root().unwrap().get("k0").unwrap().int(), Some(59));
}

#[test]
fn depth_is_bounded() {
    let deep = "[".repeat(1_000_000);
    let d = Document::parse(deep.as_bytes());
    assert_eq!(d.problems()[0].message, "JSON nested deeper than 512 levels is not read");
    assert_eq!(d.problems()[0].span.start, MAX_DEPTH);
    let fine = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert!(problems(&fine).is_empty());
}

#[test]
fn pages_one_after_the_other() {
    let d = Document::parse_stream(b"{\"a\":1}\n{\"a\":2} ");
    assert!(d.problems().is_empty());
    assert_eq!(d.roots().map(|r| r.get("a").unwrap().int().unwrap()).collect::<Vec<_>>(), [1, 2]);
    let none = Document::parse_stream(b" ");
    assert_eq!(none.problems().len(), 1);
    assert!(none.root().is_none());
}

fn same(ours: Value<'_>, theirs: &serde_json::Value) -> bool {
    match theirs {
        serde_json::Value::Null => ours.is_null(),
        serde_json::Value::Bool(b) => ours.bool() == Some(*b),
        serde_json::Value::Number(n) => n.as_i64().is_none() || ours.int() == n.as_i64(),
        serde_json::Value::String(s) => ours.str().as_deref() == Some(s),
        serde_json::Value::Array(a) => {
            ours.items().count() == a.len() && ours.items().zip(a).all(|(x, y)| same(x, y))
        }
        serde_json::Value::Object(o) => o.iter().all(|(k, v)| ours.get(k).is_some_and(|x| same(x, v))),
    }
}

proptest! {
    // serde_json is the reference: what it reads, we read alike; what it refuses has a problem.
    #[test]
    fn agrees_with_another_reader(text in r#"[\[\]{},:"a1\\ntrue0.e -]{0,40}"#) {
        let d = Document::parse(text.as_bytes());
        let _ = d.roots().count();
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(v) => {
                let only_duplicates = d.problems().len() == d.duplicates().len();
                prop_assert!(only_duplicates, "{:?}", d.problems());
                prop_assert!(same(d.root().unwrap(), &v));
            }
            // Control characters in strings and numbers too large to hold are the only liberties taken.
            Err(e) => prop_assert!(!d.problems().is_empty() || e.to_string().contains("out of range")),
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let d = Document::parse_stream(&bytes);
        for v in d.roots() {
            let _ = (v.members().count(), v.items().count(), v.str(), v.raw());
        }
    }
}

fn unread(d: &Document<'_>) -> Vec<String> {
    let known = |keys: &[Value<'_>], _: Value<'_>| keys.last().is_some_and(|k| k.is("Description"));
    let root = d.root().unwrap();
    root.unread(0, known).into_iter().map(|u| format!("{}={}", u.path, u.value)).collect()
}

#[test]
fn what_nobody_read_is_found() {
    let text =
        r#"{"a": {"x": 1, "y": "two", "z": [true, 5]}, "b": {"c": null, "d": {}}, "Description": "t"}"#;
    let d = Document::parse(text.as_bytes());
    assert_eq!(unread(&d), [format!("={}", text)], "nothing was read of the whole");
    d.forget();
    let a = d.root().unwrap().get("a").unwrap();
    assert_eq!(a.get("x").unwrap().int(), Some(1));
    assert_eq!(a.get("y").unwrap().int(), None, "a word where a number is expected is not read");
    assert_eq!(a.get("z").unwrap().items().filter_map(|i| i.bool()).count(), 1);
    assert_eq!(d.root().unwrap().get("b").unwrap().members().count(), 2);
    assert_eq!(unread(&d), ["a.y=\"two\"", "a.z=5", "b.d={}"]);
    assert_eq!(unread(&d), [""; 0], "each is reported once");
    d.forget();
    d.root().unwrap().get("b").unwrap().members().for_each(|(_, v)| v.settle());
    assert_eq!(unread(&d), ["a={\"x\": 1, \"y\": \"two\", \"z\": [true, 5]}"]);
}

#[test]
fn a_place_of_what_was_not_read_begins_at_its_key() {
    let text = r#"{"a": [{"key": 5}]}"#;
    let d = Document::parse(text.as_bytes());
    d.root().unwrap().get("a").unwrap().items().for_each(|i| assert_eq!(i.members().count(), 1));
    let found = d.root().unwrap().unread(3, |_, _| false);
    let at = found[0].origin;
    assert_eq!((at.file, &text[at.start as usize..at.end as usize]), (3, "\"key\": 5"));
    assert_eq!(found[0].path, "a.key");
}

#[test]
fn a_tree_of_another_language() {
    // a: [x"y, 5]   # as YAML may write it
    let mut b = Build::default();
    b.object(0..1).unwrap();
    b.key("a", 0..1);
    b.array(3..4).unwrap();
    b.string("x\"y", 4..7);
    b.plain("5", 9..10);
    b.close(11);
    b.key("a", 20..21);
    b.plain("0x10", 23..27);
    let d = b.finish();
    let root = d.root().unwrap();
    assert_eq!(root.raw(), r#"{"a":["x\"y",5],"a":0x10}"#);
    assert!(root.is_cut() && root.span() == (0..27));
    assert_eq!((d.duplicates().first(), d.problems().len()), (Some(&(20..21)), 1));
    assert_eq!(root.get("a").unwrap().kind(), Kind::Invalid);
    let (_, list) = root.members().next().unwrap();
    assert_eq!(list.span(), 3..11);
    let items: Vec<_> = list.items().collect();
    assert_eq!((items[0].str().unwrap(), items[0].span()), ("x\"y".into(), 4..7));
    assert_eq!((items[1].int(), items[1].origin(7)), (Some(5), Origin::new(7, 9, 10)));
    let mut deep = Build::default();
    assert_eq!((0..=MAX_DEPTH).filter(|_| deep.array(0..1).is_ok()).count(), MAX_DEPTH);
    assert_eq!((deep.finish().problems().len(), Build::default().finish().roots().count()), (1, 0));
}
