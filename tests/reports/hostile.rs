//! Nothing that somebody writes into a file that is checked (a comment of a rule, a name, a path, a reason) commands whatever shows the
//! report: terminals, logs of build servers, web pages, XML readers. For every format, every text of the report is hostile in turn.

use crate::sample::{render, report};
use havenlint::finding::{Report, UnreadFile};
use havenlint::report::guard::{Spelling, harmless};
use havenlint::report::{FORMATS, Style};
use havenlint::source::SourceFile;
use proptest::prelude::*;
use serde_json::Value;

/// What somebody up to no good would write, and what goes wrong in pieces.
const FRAGMENTS: &[&str] = &[
    "::stop-commands::x",
    "\n::error::x",
    "\r::add-mask::x",
    "\u{2028}::error::x",
    " \u{a0}\u{3000}::error::x",
    ":\u{34f}:warning::x",
    "##[error]x",
    "#\u{fe0f}#[stop-commands]x",
    "##vso[task.setvariable variable=x]y",
    "##teamcity[message text='x']",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{1b}]8;;http://evil.example\u{1b}\\x\u{1b}]8;;\u{1b}\\",
    "\u{9b}31m",
    "\u{202e}dlrow",
    "\u{2066}\u{2067}\u{2069}",
    "\u{200b}\u{ad}\u{feff}\u{e0041}",
    "\0\u{8}\u{b}\u{c}\u{7f}\u{fffe}\u{ffff}",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onload='x",
    "]]><!--",
    "&lt;&#x1b;",
    "<?xml?>",
    "</failure></testcase>",
    "[x](javascript:alert(1))",
    "\\[x](1)",
    "![x](http://evil.example)",
    "](1)",
    "`````",
    "\n```\n# x\n",
    "~~~",
    "| x | y |\n|---|---|",
    "http://evil.example www.evil.example",
    "@everyone #1",
    "**x** __x__ ~~x~~",
    "\n> [!CAUTION]\n> x",
    "%0A::error::x%25",
    "a,b:c=d",
    "=HYPERLINK(\"http://evil.example\")",
    "+1",
    "@SUM(1)",
    "\u{ff1d}1",
    "../../etc/passwd",
    "\\x5c",
    "漢字\u{301}\u{1f600}",
    "",
    " ",
    "-A INPUT -j ACCEPT",
];

fn hostile() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        5 => prop::sample::select(FRAGMENTS).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => prop::sample::select(&[':', '#', '[', '\\', '`', '<', '&', '\n', '\u{1b}', '\u{202e}'][..]).prop_map(String::from),
    ];
    prop::collection::vec(fragment, 1..4).prop_map(|f| f.concat())
}

/// Ways to all texts of a document.
fn texts(value: &Value, way: &str, out: &mut Vec<String>) {
    match value {
        Value::String(_) => out.push(way.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| texts(v, &format!("{way}/{i}"), out));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(k, v)| texts(v, &format!("{way}/{}", k.replace('/', "~1")), out));
        }
        _ => {}
    }
}

/// The sample, with lists of everything that a report can have.
fn full() -> Report {
    let mut it = report();
    it.unread = vec![
        UnreadFile {
            path: "infra/main.tf".into(),
            reason: "Terraform source".into(),
            help: "export the plan".into(),
        },
        UnreadFile { path: "edge/pf.conf".into(), reason: "a pf.conf".into(), help: String::new() },
    ];
    it
}

/// The sample with one text, or each that may be any text, replaced.
fn spoiled(one: Option<usize>, text: &str) -> Option<Report> {
    let plain = full();
    let mut document = serde_json::to_value(&plain).expect("a report serialises");
    let mut ways = Vec::new();
    texts(&document, "", &mut ways);
    let mut changed = false;
    for way in one.map_or(&ways[..], |i| std::slice::from_ref(&ways[i % ways.len()])) {
        let place = document.pointer_mut(way).expect("the way leads there");
        let before = std::mem::replace(place, Value::String(text.to_owned()));
        // Words of a fixed list, digests and packets' parts take no other text.
        match serde_json::from_value::<Report>(document.clone()) {
            Ok(_) => changed = true,
            Err(_) => *document.pointer_mut(way).expect("the way leads there") = before,
        }
    }
    let mut it: Report = serde_json::from_value(document).expect("each change was tried");
    it.rules = plain.rules;
    it.members = plain.members;
    it.sources = plain.sources;
    if one.is_none() {
        // What does not serialise: files with their names and lines, rules, nodes.
        for r in &mut it.rules {
            r.tags.push(text.to_owned());
            for field in [&mut r.id, &mut r.name, &mut r.summary, &mut r.documentation, &mut r.source] {
                *field = text.to_owned();
            }
        }
        for m in &mut it.members {
            for field in [&mut m.name, &mut m.role, &mut m.site] {
                *field = text.to_owned();
            }
            m.firewall = vec![text.to_owned()];
        }
        let lines = format!("{text}\n").repeat(20);
        it.sources.push(SourceFile::new(text, lines));
        changed = true;
    }
    changed.then_some(it)
}

pub fn styles() -> [Style; 3] {
    [
        Style::default(),
        Style { width: 44, statistics: true, ..Style::default() },
        Style { width: 100, color: true, links: true, statistics: true, ..Style::default() },
    ]
}

/// A text without the colours and links that reports use themselves.
fn uncoloured(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        out += &rest[..at];
        rest = &rest[at..];
        let color = rest.strip_prefix("\u{1b}[").and_then(|t| t.split_once('m'));
        let link = rest.strip_prefix("\u{1b}]8;;").and_then(|t| t.split_once("\u{1b}\\"));
        rest = match (color, link) {
            (Some((codes, after)), _) if codes.bytes().all(|b| b.is_ascii_digit() || b == b';') => after,
            (_, Some((url, after))) if url.is_empty() || url.starts_with("https://github.com/havenlint/") => {
                after
            }
            _ => {
                out.push('\u{1b}');
                &rest[1..]
            }
        };
    }
    out + rest
}

/// What a format must not let out, whatever it is given.
pub fn faults(format: &str, style: &Style, text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let shown = if style.color && format == "human" { uncoloured(text) } else { text.to_owned() };
    let bad = |c: char| {
        let invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2061}'..='\u{206f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}');
        let called = format == "markdown" && c == '\u{2060}';
        (c.is_control() && c != '\n')
            || (invisible && c != '\u{fffe}' && c != '\u{ffff}')
            || (c == '\u{2060}' && !called)
    };
    out.extend(shown.chars().find(|c| bad(*c)).map(|c| format!("lets {c:?} out")));
    for line in shown.lines() {
        // As a runner reads it: characters without width do not count.
        let seen: String = line
            .chars()
            .filter(|c| !matches!(c, '\u{34f}' | '\u{fe00}'..='\u{fe0f}' | '\u{300}'..='\u{36f}'))
            .collect();
        let begins = seen.trim_start().starts_with("::");
        if format == "github" {
            let own = ["error", "warning", "notice"].iter().any(|w| {
                let rest = line.strip_prefix(&format!("::{w} "));
                rest.and_then(|r| r.split_once("::"))
                    .is_some_and(|(p, _)| !p.contains(':') && p.contains("title="))
            });
            if !own {
                out.push(format!("is no annotation: {line:?}"));
            }
        } else if begins {
            out.push(format!("begins a command: {line:?}"));
        }
        for word in ["##[", "##vso[", "##teamcity["] {
            if seen.contains(word) {
                out.push(format!("has {word}: {line:?}"));
            }
        }
    }
    match format {
        "junit" | "checkstyle" => {
            if let Err(e) = roxmltree::Document::parse(text) {
                out.push(format!("is no XML: {e}"));
            }
        }
        "html" => out.extend(foreign_markup(text)),
        "json" | "sarif" | "gitlab" | "rdjson" => {
            if let Err(e) = serde_json::from_str::<Value>(text) {
                out.push(format!("is no JSON: {e}"));
            }
        }
        "markdown" => out.extend(foreign_markdown(text)),
        "csv" => out.extend(formulas(text)),
        _ => {}
    }
    out
}

/// Cells that a spreadsheet would compute.
fn formulas(table: &str) -> Vec<String> {
    let mut out = Vec::new();
    for row in csv::ReaderBuilder::new().has_headers(false).from_reader(table.as_bytes()).records() {
        match row {
            Ok(row) => {
                let begins =
                    |c: &&str| c.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
                out.extend(row.iter().filter(begins).map(|c| format!("is a formula: {c}")));
            }
            Err(e) => out.push(format!("is no CSV: {e}")),
        }
    }
    out
}

/// Tags and attributes of a page that the page's own template does not have.
fn foreign_markup(page: &str) -> Vec<String> {
    let tags = "!DOCTYPE html head meta title style body header section h1 h2 h3 h4 p dl dt dd div span table tr th td a code pre mark br svg rect text g path main nav article strong ul ol li thead tbody details summary";
    let attributes = "charset lang name content http-equiv class id href title x y width height rx viewBox role aria-label text-anchor d fill html tabindex scope colspan";
    let mut out = Vec::new();
    let body = page.split("</style>").nth(1).unwrap_or_default();
    for piece in body.split('<').skip(1) {
        let Some((tag, _)) = piece.split_once('>') else {
            out.push(format!("a tag without end: {piece:?}"));
            continue;
        };
        let mut words = tag.trim_start_matches('/').trim_end_matches('/').splitn(2, ' ');
        let name = words.next().unwrap_or_default();
        if !tags.split(' ').any(|t| t == name) {
            out.push(format!("has <{tag}>"));
        }
        let mut rest = words.next().unwrap_or_default();
        while let Some((attribute, value)) = rest.split_once("=\"") {
            let name = attribute.trim();
            if !attributes.split(' ').any(|a| a == name) {
                out.push(format!("has the attribute {name} in <{tag}>"));
            }
            let (value, after) = value.split_once('"').unwrap_or((value, ""));
            if name == "href" && !value.starts_with('#') {
                out.push(format!("links to {value}"));
            }
            rest = after;
        }
    }
    out
}

/// What stands in a page of Markdown that a reader of GitHub's takes for more than text.
fn foreign_markdown(page: &str) -> Vec<String> {
    use pulldown_cmark::{Event, Options, Parser, Tag};
    let mut out = Vec::new();
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_GFM
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_TASKLISTS;
    let mut in_code = false;
    for event in Parser::new_ext(page, options) {
        match event {
            Event::Html(h) | Event::InlineHtml(h) => {
                let own = ["<details><summary>", "</summary>", "</details>"];
                let left = own.iter().fold(h.to_string(), |t, o| t.replace(o, ""));
                if left.contains('<') {
                    out.push(format!("has HTML: {h}"));
                }
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                out.push(format!("links to {dest_url}"))
            }
            Event::Start(Tag::Emphasis | Tag::Strikethrough | Tag::FootnoteDefinition(_)) => {
                out.push("formats a file's text".into())
            }
            Event::Start(Tag::Heading { level, .. }) if (level as u8) < 2 => {
                out.push("has a heading that is not its own".into())
            }
            Event::FootnoteReference(_) | Event::TaskListMarker(_) | Event::Rule | Event::Code(_) => {
                out.push("formats a file's text".into())
            }
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(pulldown_cmark::TagEnd::CodeBlock) => in_code = false,
            Event::Text(t)
                if !in_code && t.match_indices('@').any(|(i, _)| !t[i + 1..].starts_with('\u{2060}')) =>
            {
                out.push(format!("calls people: {t}"));
            }
            _ => {}
        }
    }
    out
}

fn check(it: &Report) -> Result<(), TestCaseError> {
    for style in styles() {
        for (format, _) in FORMATS {
            let text = render(format, it, &style);
            let faults = faults(format, &style, &text);
            prop_assert!(faults.is_empty(), "{format}: {}\n{text}", faults.join("\n"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_hostile_text_harms_nobody(which in 0..10_000_usize, text in hostile()) {
        if let Some(it) = spoiled(Some(which), &text) {
            check(&it)?;
        }
    }

    #[test]
    fn nothing_but_hostile_texts_harms_nobody(text in hostile()) {
        check(&spoiled(None, &text).expect("many texts are free"))?;
    }
}

#[test]
fn each_known_trick_harms_nobody() {
    for text in FRAGMENTS {
        check(&spoiled(None, text).expect("many texts are free")).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    }
}

/// The texts that a file's author decides are really replaced: the test above would pass if none were.
#[test]
fn the_hostile_text_reaches_every_format() {
    let it = spoiled(None, "HOSTILE").expect("many texts are free");
    for (format, _) in FORMATS {
        let n = render(format, &it, &Style::default()).matches("HOSTILE").count();
        // One line a finding, and not all that is known about it.
        let least = if format == &"checkstyle" { 15 } else { 20 };
        assert!(n > least, "{format}: {n}");
    }
    let mut ways = Vec::new();
    texts(&serde_json::to_value(full()).expect("a report serialises"), "", &mut ways);
    let free = (0..ways.len()).filter(|i| spoiled(Some(*i), "HOSTILE").is_some()).count();
    assert!(free > 120, "{free} of {}", ways.len());
}

/// The judge above finds fault with what is wrong.
#[test]
fn the_judge_is_alive() {
    let style = Style::default();
    for (format, text) in [
        ("human", "a\u{1b}[2Jb"),
        ("human", "  ::error::x"),
        ("concise", "x ##[error]y"),
        ("github", "::error file=a::b"),
        ("junit", "<a><b></a>"),
        ("html", "<style></style><script>"),
        ("html", "<style></style><p onload=\"x\">"),
        ("markdown", "[x](http://evil.example)"),
        ("markdown", "<b>x</b>"),
        ("markdown", "@all"),
        ("json", "{"),
        ("csv", "a,=1+1\n"),
    ] {
        assert!(!faults(format, &style, text).is_empty(), "{format}: {text:?}");
    }
    assert_eq!(harmless("::x", Spelling::Text, false), "\u{2236}:x");
}

/// What a dump's author writes, in a file whose name is hostile, too.
const DUMP: &str = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A INPUT -s 10.0.0.1/32 -m comment --comment \"##[error]x ::stop-commands::y \u{1b}[2J\u{202e}\" -j ACCEPT\n\
    -A INPUT -s 10.0.0.1/32 -m comment --comment \"##[error]x ::stop-commands::y \u{1b}[2J\u{202e}\" -j ACCEPT\n\
    ::stop-commands::x\n-A INPUT -s 10.0.0.1/32 -j ##[x]\nCOMMIT\n";

#[cfg(unix)]
#[test]
fn no_command_lets_a_name_or_a_line_do_harm() {
    let names = [
        "::stop-commands::x.rules",
        "e\u{1b}[2J\u{202e}.rules",
        "nl\n::error::x.rules",
        "a\\b.rules",
        "##[error]x.rules",
    ];
    let dir = tempfile::tempdir().expect("a folder");
    for name in names {
        std::fs::write(dir.path().join(name), DUMP).expect("a file");
    }
    let run = |args: &[&str]| {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_havenlint"))
            .args(args)
            .env("NO_COLOR", "1")
            .current_dir(dir.path())
            .output()
            .expect("the program runs");
        let [printed, said] = [out.stdout, out.stderr].map(|b| String::from_utf8(b).expect("text"));
        let format = args.iter().find(|a| FORMATS.iter().any(|(f, _)| f == *a)).copied().unwrap_or("human");
        for (format, text) in [(format, &printed), ("concise", &said)] {
            let faults = faults(format, &Style::default(), text);
            assert!(faults.is_empty(), "{args:?}: {}\n{text}", faults.join("\n"));
        }
        printed + &said
    };
    for (format, _) in FORMATS {
        let text = run(&["check", ".", "--no-config", "--format", format]);
        assert!(text.len() > 500 && !text.contains("a/b.rules"), "{format}: {text}");
    }
    for name in names {
        for format in ["human", "json"] {
            let packet = ["--packet", "input tcp 10.0.0.1:1 > 10.0.0.2:2", "--format", format];
            let text = run(&[&["trace"][..], &packet, &["--", name]].concat());
            // One line of JSON for each packet.
            assert!(text.contains("accept") || text.contains("undecided"), "{text}");
            run(&["query", "--from", "10.0.0.0/8", "--proto", "tcp", "--format", format, "--", name]);
            run(&["diff", "--format", format, "--", name, names[0]]);
        }
    }
    assert!(run(&["fix", ".", "--no-config"]).contains("HL-DUPLICATE"));
    run(&["init", "."]);
    run(&["explain", "\u{1b}[2J\n::error::x"]);
    run(&["check", "\u{1b}[2J\n::error::x"]);
    run(&["check", ".", "--format", "\u{1b}[2J\n::error::x"]);
    run(&["merge", "\u{1b}[2J\n::error::x"]);
}
