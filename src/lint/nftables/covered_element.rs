//! One element of a set covers another.
//!
//! ## What it does
//! Reports elements whose values are all in one other element of the same list: an address in a prefix of the list, a port
//! in a range, a row of a concatenation, the same element again. Once per set. Elements that come from variables are left
//! out, and so are maps and elements that only several others together cover. An element that expires covers nothing.
//! Concatenations are compared in lists of up to 512 rows.
//!
//! ## Why is this bad?
//! Someone removes the element and believes that the address is blocked, or no longer blocked. Nothing changes.
//!
//! ## Example
//! ```text
//! set blocked {
//!     type ipv4_addr
//!     flags interval
//!     auto-merge
//!     elements = { 198.51.100.0/24, 198.51.100.7 }
//! }
//! ```
//!
//! ## Use instead
//! Keep the one that is meant:
//! ```text
//!     elements = { 198.51.100.0/24 }
//! ```

use crate::dialect::nftables::element::without;
use crate::dialect::nftables::facts::Facts;
use crate::finding::{Finding, Fix, Lines, Severity};
use crate::lint::registry::{Check, Run, Subject};
use crate::source::{Origin, Text};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-NFT-COVERED-ELEMENT",
    name: "NftCoveredElement",
    summary: "another element of the set covers this one",
    level: Severity::Note,
    security_severity: None,
    source: include_str!("covered_element.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(facts) = Facts::of(subject.firewall) else { return };
    for covered in &facts.covered {
        let Some((element, by)) = covered.elements.first() else { continue };
        let set = covered.set.as_ref().map_or_else(|| "this set".to_owned(), |name| format!("set {name}"));
        let more = match covered.count - 1 {
            0 => String::new(),
            1 => ", and so is 1 other element".to_owned(),
            n => format!(", and so are {n} other elements"),
        };
        let (one, other) = (written(subject, *element), written(subject, *by));
        let message = if one == other {
            format!("{one} appears twice in {set}{more}")
        } else {
            format!("{one} is already covered by {other} in {set}{more}")
        };
        let mut f = CHECK.finding(subject, *element, message, "adds nothing");
        f.related.push(subject.related(*by, "covers it"));
        f.related.extend(
            covered.elements[1..]
                .iter()
                .map(|(e, _)| subject.related(*e, "covered by another element as well")),
        );
        f.fix = fix(subject, *element).map(Box::new);
        findings.push(f);
    }
}

// The lines without the element.
fn fix(subject: &Subject<'_>, at: Origin) -> Option<Fix> {
    let file =
        subject.firewall.files.get(at.file as usize).filter(|_| subject.firewall.dialect == "nftables")?;
    let (first, last, text) = without(file, at)?;
    let delete = vec![Lines { from_line: first, to_line: last }];
    let description = match (text.is_empty(), first == last) {
        (true, _) => format!("delete line {first}"),
        (false, true) => format!("in place of line {first}"),
        (false, false) => format!("in place of lines {first} to {last}"),
    };
    let path = Text::name_of(file);
    Some(Fix { description, path, after_line: first - 1, text, delete, ..Fix::default() })
}

// An element as it stands in the file, a long one cut.
fn written(subject: &Subject<'_>, at: Origin) -> String {
    let file = subject.firewall.files.get(at.file as usize);
    let bytes = file.and_then(|f| f.bytes().get(at.start as usize..at.end as usize)).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(60).collect()
}
