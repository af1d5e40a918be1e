//! Every output format on one report: what it looks like, and that nothing in a dump can do harm in it.

use crate::sample::{at, render, report};
use havenlint::finding::{Finding, Report, Severity};
use havenlint::report::{FORMATS, Style};
use havenlint::source::SourceFile;
use serde_json::Value;
use std::sync::Arc;

fn plain(width: usize) -> Style {
    Style { width, ..Style::default() }
}

#[test]
fn human() {
    insta::assert_snapshot!(render("human", &report(), &plain(100)));
}

#[test]
fn human_in_colour() {
    let style = Style { color: true, width: 100, statistics: true, ..Style::default() };
    insta::assert_snapshot!(render("human", &report(), &style).replace('\x1b', "␛"));
}

#[test]
fn human_narrow_and_quiet() {
    insta::assert_snapshot!(render("human", &report(), &Style { quiet: true, ..plain(50) }));
}

#[test]
fn json() {
    insta::assert_snapshot!(render("json", &report(), &plain(0)));
}

#[test]
fn concise() {
    insta::assert_snapshot!(render("concise", &report(), &plain(0)));
}

#[test]
fn github() {
    insta::assert_snapshot!(render("github", &report(), &plain(0)));
}

#[test]
fn sarif() {
    insta::assert_snapshot!(render("sarif", &report(), &Style { category: "nightly".into(), ..plain(0) }));
}

#[test]
fn junit() {
    insta::assert_snapshot!(render(
        "junit",
        &report(),
        &Style { date: Some("2026-03-31".into()), ..plain(0) }
    ));
}

#[test]
fn markdown() {
    insta::assert_snapshot!(render("markdown", &report(), &plain(0)));
}

#[test]
fn html() {
    let page = render("html", &report(), &Style { date: Some("2026-03-31".into()), ..plain(0) });
    insta::with_settings!({filters => vec![(r"(?s)<style>.*</style>", "<style>…</style>")]}, {
        insta::assert_snapshot!(page);
    });
}

#[test]
fn nothing_from_a_dump_becomes_markup_or_is_fetched() {
    for format in ["html", "junit"] {
        let page = render(format, &report(), &plain(0));
        assert!(!page.contains("<script") && !page.contains("<fixed>"), "{format}");
    }
    let page = render("html", &report(), &plain(0));
    for outside in ["src=", "@import", "url(", "href=\"http", "onload", "<link", "<iframe"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let parsed =
        roxmltree::Document::parse(&render("junit", &report(), &plain(0))).map(|d| d.descendants().count());
    assert!(parsed.is_ok_and(|n| n > 20));
}

#[test]
fn no_format_lets_a_dump_command_a_terminal() {
    for (format, _) in FORMATS {
        let text = render(format, &report(), &plain(80));
        let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(bad, None, "{format} lets {bad:?} through");
    }
}

#[test]
fn equal_reports_give_equal_bytes() {
    for (format, _) in FORMATS {
        assert_eq!(render(format, &report(), &plain(80)), render(format, &report(), &plain(80)), "{format}");
    }
}

/// A report of findings in one file, each made from the first of the sample by a place.
fn findings_in(file: Arc<SourceFile>, places: impl IntoIterator<Item = (usize, usize)>) -> Report {
    let mut it = report();
    let first =
        Finding { related: vec![], path: vec![], witness: None, details: vec![], ..it.findings[0].clone() };
    it.findings = places
        .into_iter()
        .map(|(start, end)| Finding { location: file.locate(start, end), ..first.clone() })
        .collect();
    it.problems = vec![];
    it.waived = vec![];
    it.unread = vec![];
    it.sources = vec![file];
    it.summary = havenlint::finding::Summary::of(&it.requirements, &it.findings);
    it
}

#[test]
fn code_scanning_gets_no_more_than_it_takes_and_says_so() {
    let file = SourceFile::new("many.rules", "-A INPUT -j ACCEPT\n".repeat(25_100));
    let mut many = findings_in(file, (0..25_100).map(|i| (i * 19, i * 19 + 18)));
    for f in &mut many.findings[..25_050] {
        f.level = Severity::Note;
    }
    let sarif: Value = serde_json::from_str(&render("sarif", &many, &Style::default())).unwrap();
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 25_000);
    assert!(results[..50].iter().all(|r| r["level"] == "error"), "the worst come first");
    assert_eq!(results[50]["level"], "note");
    let last = &results[24_999];
    assert_eq!(last["ruleId"], "HL-REPORT-CUT");
    assert!(last["message"]["text"].as_str().unwrap().starts_with("101 more alerts"), "{last}");
    let note = run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"].as_str().unwrap();
    assert!(note.starts_with("101 of 25100 alerts"), "{note}");
    assert_eq!(
        results[49]["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap().split(':').count(),
        2
    );
}

#[test]
fn findings_of_one_rule_on_one_line_are_one_alert_that_tells_all() {
    let mut it = report();
    let mut other = it.findings[1].clone();
    other.message = "cms-1 cannot reach srn-west on tcp/20082".into();
    it.findings.insert(2, other);
    let sarif: Value = serde_json::from_str(&render("sarif", &it, &Style::default())).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let texts: Vec<_> = results.iter().filter(|r| r["ruleId"] == "SH4-SRN-CLUSTER").collect();
    assert_eq!(texts.len(), 1);
    let text = texts[0]["message"]["text"].as_str().unwrap();
    assert!(text.contains("srn-east cannot reach") && text.contains("cms-1 cannot reach"), "{text}");
    assert!(text.contains("[line 12](1)") && text.contains("[line 12](2)"), "{text}");
    assert_eq!(texts[0]["relatedLocations"][1]["id"], 2);
}

/// JSON without line ends is one line; miette alone panics on places beyond column 65 535 in it.
#[test]
fn a_place_far_out_in_a_minified_line_is_shown_in_a_window() {
    let rule = r#"{"IpProtocol":"-1","CidrIp":"0.0.0.0/0"},"#;
    let line = rule.repeat(3_000);
    let file = SourceFile::new("min.json", line);
    let text =
        render("human", &findings_in(file, [(rule.len() * 2_500, rule.len() * 2_501 - 1)]), &plain(80));
    assert!(text.contains("[min.json:1:102501]"), "{text}");
    assert!(text.contains(r#"{"IpProtocol":"-1","CidrIp":"0.0.0.0/0"}"#));
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
}

#[test]
fn snippets_of_a_large_dump_cost_nothing() {
    let file = SourceFile::new("big.rules", "-A INPUT -s 10.0.0.1/32 -j ACCEPT\n".repeat(600_000));
    let end = file.bytes().len();
    let it = findings_in(file, (0..12).map(|i| (end - 34 * (i + 1), end - 34 * i - 1)));
    // Scanning the file from its first byte for each snippet takes seconds in this build; other work on the machine only ever adds.
    let times = std::array::from_fn::<_, 3, _>(|_| {
        let begun = std::time::Instant::now();
        let text = render("human", &it, &plain(100));
        assert!(text.contains("600000 │ "), "{text}");
        begun.elapsed()
    });
    assert!(times.iter().any(|time| time.as_millis() < 500), "{times:?}");
}

#[test]
fn the_same_of_many_lines_is_one_cause() {
    let file = SourceFile::new("many.rules", "-A INPUT -j ACCEPT\n".repeat(200));
    let many = findings_in(file, (0..200).map(|i| (i * 19, i * 19 + 18)));
    let text = render("human", &many, &plain(100));
    assert_eq!(text.matches("╭─[").count(), 1, "{text}");
    assert!(text.contains("same at   line 2, line 3,") && text.contains("and 191 more places"), "{text}");
    assert!(text.contains("200 errors (1 cause)"), "{text}");
    let json: Value = serde_json::from_str(&render("json", &many, &plain(0))).unwrap();
    assert_eq!(json["causes"][0]["findings"].as_array().unwrap().len(), 200);
}

#[test]
fn findings_of_one_rule_are_grouped() {
    let file = SourceFile::new(
        "many.rules",
        (0..200).map(|i| format!("-A INPUT -s 10.0.0.{i:03} -j ACCEPT\n")).collect::<String>(),
    );
    let text = render("human", &findings_in(file, (0..200).map(|i| (i * 33, i * 33 + 32))), &plain(100));
    assert_eq!(text.matches("╭─[").count(), 3, "three in full");
    assert!(text.contains("error[HL-ANY-ANY]: 197 more findings of this kind in many.rules"), "{text}");
    assert!(text.contains("… 177 more findings of HL-ANY-ANY; --format concise lists all"), "{text}");
}

#[test]
fn what_one_line_decides_is_one_cause() {
    let mut it = report();
    let other = |f: &Finding, rule: &str, port: &str| Finding {
        rule: rule.to_owned().into(),
        message: f.message.replace("tcp/20082", port).into(),
        ..f.clone()
    };
    let policy = it.findings.iter().position(|f| f.rule == "SH4-SRN-CLUSTER").unwrap();
    let (a, b) = (
        other(&it.findings[policy], "SH4-SRN-SSH", "tcp/22"),
        other(&it.findings[policy], "SH4-SRN-HTTP", "tcp/80"),
    );
    it.findings.splice(policy + 1..policy + 1, [a, b]);
    it.summary = havenlint::finding::Summary::of(&it.requirements, &it.findings);
    let causes: Value =
        serde_json::from_str::<Value>(&render("json", &it, &plain(0))).unwrap()["causes"].clone();
    let rules = serde_json::json!(["SH4-SRN-CLUSTER", "SH4-SRN-SSH", "SH4-SRN-HTTP"]);
    let own: Vec<_> = causes.as_array().unwrap().iter().filter(|c| c["rules"] == rules).collect();
    assert_eq!(own.len(), 1, "{causes}");
    let all: usize = causes.as_array().unwrap().iter().map(|c| c["findings"].as_array().unwrap().len()).sum();
    assert_eq!(all, it.findings.len(), "each finding is in one cause");
    let text = render("human", &it, &plain(100));
    assert!(text.starts_with("1 of 4 requirements violated, 1 undecided"), "{text}");
    assert!(text.contains("4 errors (2 causes)"), "{text}");
    assert_eq!(text.matches("decides: no rule admits the packet").count(), 1, "{text}");
    for said in ["error[SH4-SRN-SSH]: srn-east cannot reach srn-west on tcp/22", "tcp/80", "tcp/20082"] {
        assert!(text.contains(said), "{said}\n{text}");
    }
}

#[test]
fn errors_come_before_what_is_undecided_and_advice_comes_last() {
    let mut it = report();
    it.findings.reverse();
    havenlint::finding::worst_first(&mut it.findings);
    let order: Vec<_> = it.findings.iter().map(|f| f.rank().name()).collect();
    assert_eq!(order, ["error", "error", "undecided", "note"]);
}

#[test]
fn annotations_are_no_more_than_github_shows() {
    let file = SourceFile::new(
        "many.rules",
        (0..40).map(|i| format!("-A INPUT -s 10.0.0.{i:03} -j ACCEPT\n")).collect::<String>(),
    );
    let mut many = findings_in(file, (0..40).map(|i| (i * 33, i * 33 + 32)));
    for f in &mut many.findings[25..] {
        f.level = Severity::Note;
    }
    let text = render("github", &many, &plain(0));
    let of = |word: &str| text.lines().filter(|l| l.starts_with(&format!("::{word} "))).count();
    assert_eq!((of("error"), of("warning"), of("notice")), (10, 0, 10), "{text}");
    assert!(text.contains("16 more errors: GitHub shows 10 annotations of a kind"), "{text}");
    assert!(text.contains("7 more notes"), "{text}");
    assert!(
        text.lines().last().unwrap().contains("40 errors")
            || text.lines().last().unwrap().contains("requirements"),
        "{text}"
    );
}

#[test]
fn gitlab() {
    insta::assert_snapshot!(render("gitlab", &report(), &plain(0)));
}

#[test]
fn rdjson() {
    insta::assert_snapshot!(render("rdjson", &report(), &plain(0)));
}

#[test]
fn checkstyle() {
    let text = render("checkstyle", &report(), &plain(0));
    assert!(roxmltree::Document::parse(&text).is_ok());
    insta::assert_snapshot!(text);
}

#[test]
fn csv() {
    insta::assert_snapshot!(render("csv", &report(), &plain(0)));
}

#[test]
fn gitlab_tells_issues_apart() {
    let file = SourceFile::new("many.rules", "-A INPUT -j ACCEPT\n".repeat(50));
    let many = findings_in(file, (0..50).map(|i| (i * 19, i * 19 + 18)));
    let issues: Value = serde_json::from_str(&render("gitlab", &many, &plain(0))).unwrap();
    let prints: std::collections::BTreeSet<_> =
        issues.as_array().unwrap().iter().map(|i| i["fingerprint"].as_str().unwrap()).collect();
    assert_eq!(prints.len(), 50);
}

#[test]
fn places_at_the_edges_of_a_file_are_shown() {
    let texts: [(&[u8], usize, usize); 7] = [
        (b"", 0, 0),
        (b"a", 1, 1),
        (b"a\n", 2, 2),
        (b"\n\n", 1, 1),
        (b"\r\n", 0, 2),
        (b"\xc3\xbc\xff", 0, 99),
        ("\u{301}\u{200d}".as_bytes(), 0, 4),
    ];
    for (text, start, end) in texts {
        for width in [1, 40, 400] {
            let file = SourceFile::new("edge", text);
            render("human", &findings_in(file, [(start, end)]), &plain(width));
        }
    }
}

#[test]
fn a_report_without_its_files_still_shows_the_deciding_text() {
    let mut it = report();
    it.sources.clear();
    let text = render("human", &it, &plain(100));
    assert!(text.contains(":INPUT DROP [0:0]") && text.contains("nearly: admits cms-1 only"), "{text}");
    for (format, _) in FORMATS {
        render(format, &it, &plain(100));
    }
}

#[test]
fn the_sample_places_what_it_says() {
    let it = report();
    assert_eq!(at(&it.sources[0], "--dprot"), it.problems[0].location);
}

/// A fleet: many nodes at many sites, each with rows and findings.
fn fleet(nodes: usize) -> Report {
    let mut it = report();
    let row = it.requirements[2].clone();
    let site = |i: usize| format!("site-{:02}", i % 40);
    it.members = (0..nodes)
        .map(|i| havenlint::finding::Member {
            name: format!("srn-{i:04}"),
            role: "srn".into(),
            site: site(i),
            addresses: vec![format!("10.{}.{}.1", i / 250, i % 250)],
            ..Default::default()
        })
        .collect();
    it.requirements = it
        .members
        .iter()
        .flat_map(|m| {
            let row = &row;
            (0..20).map(move |k| havenlint::finding::Requirement {
                id: format!("SH4-R{k:02}"),
                subject: m.name.clone(),
                flow: havenlint::finding::Flow { to: m.addresses.clone(), ..row.flow.clone() },
                ..row.clone()
            })
        })
        .collect();
    let f = it.findings.iter().find(|f| f.rule == "SH4-SRN-CLUSTER").unwrap().clone();
    let member = |i: usize| it.members[i % nodes].name.clone();
    it.findings = (0..nodes * 3)
        .map(|i| {
            let mut f = Finding {
                subject: member(i).into(),
                message: format!("{i} cannot reach {}", member(i)).into(),
                ..f.clone()
            };
            f.location.path = format!("hosts/{}.rules", f.subject).into();
            f.location.line = 3 + (i / nodes) as u32;
            f
        })
        .collect();
    it.summary = havenlint::finding::Summary::of(&it.requirements, &it.findings);
    it
}

#[test]
fn a_page_about_a_fleet_stays_small_and_a_folder_has_all() {
    let it = fleet(1_000);
    let page = render("html", &it, &plain(0));
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(page.contains("more cause") && page.contains("see --format html=FOLDER/"));
    let mut files = std::collections::BTreeMap::new();
    havenlint::report::html::write_folder(&it, &plain(0), &mut |name, write| {
        let mut out = Vec::new();
        write(&mut out)?;
        files.insert(name.to_owned(), String::from_utf8(out).unwrap());
        Ok(())
    })
    .unwrap();
    assert!(files.values().all(|f| f.len() < 2_000_000), "{:?}", files.values().map(String::len).max());
    assert_eq!(files.keys().filter(|k| k.starts_with("node-")).count(), 1_000);
    // Every finding is told on some page of causes, every row on its node's.
    let causes: usize = files
        .iter()
        .filter(|(k, _)| !k.starts_with("node-"))
        .map(|(_, t)| t.matches("<article class=\"cause").count())
        .sum();
    assert_eq!(causes, 3_000 + it.problems.len());
    let rows: usize = files
        .iter()
        .filter(|(k, _)| k.starts_with("node-"))
        .map(|(_, t)| t.matches("<tr><td>").count())
        .sum();
    assert_eq!(rows, 20_000);
    // Links lead to pages and places that exist.
    for (name, text) in &files {
        for link in text.split("href=\"").skip(1).map(|t| t.split('"').next().unwrap()).take(300) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                text
            } else {
                files.get(file).unwrap_or_else(|| panic!("{name}: {link}"))
            };
            assert!(anchor.is_empty() || target.contains(&format!("id=\"{anchor}\"")), "{name}: {link}");
        }
    }
}
