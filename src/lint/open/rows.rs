//! What is open, as the report lists it.

use super::Cause;
use super::facing::Facing;
use super::groups::Group;
use crate::analysis::evaluate::Because;
use crate::finding::{Open, Reason};
use crate::lint::registry::Subject;
use crate::packet::{Path, addr};
use crate::source::Origin;

/// The rows of a box, at its first firewall.
pub fn rows(subject: &Subject<'_>) -> Vec<Open> {
    let open = subject.open();
    let of_cause = |c: &Cause| c.groups.iter().map(|g| row(subject, c, g)).collect::<Vec<_>>();
    let mut out: Vec<Open> = open.causes.iter().flat_map(of_cause).collect();
    if let Some(first) = open.untold.first() {
        let rules = open.untold.len();
        let more =
            if rules == 1 { "one more rule opens".to_owned() } else { format!("{rules} more rules open") };
        out.push(Open {
            subject: subject.name.to_owned(),
            state: "open".to_owned(),
            facing: "unknown".to_owned(),
            reaches: format!("what {more}, in part or as a whole"),
            place: "not listed".to_owned(),
            decided_by: subject.beside[first.firewall].locate(first.origin),
            ..Open::default()
        });
    }
    if open.exhausted {
        let because = Reason {
            text: "too many cases to decide".to_owned(),
            why: "only a few services were asked about".to_owned(),
            location: subject.firewall.locate(Origin::default()),
        };
        out.push(Open {
            subject: subject.name.to_owned(),
            state: "undecided".to_owned(),
            reaches: "more than is listed here".to_owned(),
            decided_by: because.location.clone(),
            because: vec![because],
            ..Open::default()
        });
    }
    out
}

fn row(subject: &Subject<'_>, cause: &Cause, group: &Group) -> Open {
    let o = &group.opening;
    let family = o.family();
    let at = cause.location(subject);
    let alone = subject.name == subject.firewall.path() && !at.path.is_empty();
    let reason = |b: &Because| Reason {
        text: b.text.clone(),
        why: b.why.clone(),
        location: subject.beside[b.firewall].locate(b.origin),
    };
    Open {
        subject: if alone { at.path.to_string() } else { subject.name.to_owned() },
        state: if cause.is_certain() { "open" } else { "undecided" }.to_owned(),
        family: family.number(),
        from: o.from(),
        facing: match o.facing {
            Facing::Internet => "internet",
            Facing::Inside => "inside",
            Facing::Unknown | Facing::Named => "unknown",
        }
        .to_owned(),
        interfaces: o.interfaces(),
        forwarded: o.path == Path::Forward || o.inner.is_some(),
        to: o.to(),
        reaches: group.reach.words(family),
        inner: o.inner.as_ref().map(|i| addr::display(&i.to)).unwrap_or_default(),
        published: if o.inner.is_some() { o.outer_ports() } else { Vec::new() },
        services: group.reach.services(),
        place: o.place().trim_start_matches([' ', ',']).to_owned(),
        decided_by: at,
        because: cause.because.iter().map(reason).collect(),
    }
}
