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
    let begun = std::time::Instant::now();
    let text = render("human", &it, &plain(100));
    assert!(text.contains("600000 │ "), "{text}");
    // Scanning the file from its first byte for each snippet takes seconds in this build.
    assert!(begun.elapsed().as_millis() < 500, "{:?}", begun.elapsed());
}

#[test]
fn equal_findings_are_grouped() {
    let file = SourceFile::new("many.rules", "-A INPUT -j ACCEPT\n".repeat(200));
    let text = render("human", &findings_in(file, (0..200).map(|i| (i * 19, i * 19 + 18))), &plain(100));
    assert_eq!(text.matches("╭─[").count(), 3, "three in full");
    assert!(text.contains("error[HL-ANY-ANY]: 197 more findings of this kind in many.rules"), "{text}");
    assert!(text.contains("… 177 more findings of HL-ANY-ANY; --format concise lists all"), "{text}");
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
