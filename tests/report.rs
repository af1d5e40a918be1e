//! Every output format on one report: what it looks like, and that nothing in a dump can do harm in it.

mod report_sample;

use havenlint::report::{FORMATS, Style};
use report_sample::{render, report};

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
