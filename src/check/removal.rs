//! What to take away.

use super::registry::Subject;
use crate::dialect::by_name;
use crate::finding::{Fix, Lines, Purpose};
use crate::model::Firewall;
use crate::source::Origin;

/// The edit that takes a rule away whose loss changes no verdict; `None` where it does not stand alone on its lines.
pub(super) fn superfluous(subject: &Subject<'_>, rule: Origin) -> Option<Fix> {
    removal(subject.firewall, rule, Purpose::default())
}

/// The edit that takes a rule away; `None` where it does not stand alone on its lines.
pub(super) fn removal(firewall: &Firewall, rule: Origin, purpose: Purpose) -> Option<Fix> {
    let lines = by_name(firewall.dialect)?.0.lines(firewall, rule)?;
    let description = match lines.first == lines.last {
        true => format!("delete line {}", lines.first),
        false => format!("delete lines {} to {}", lines.first, lines.last),
    };
    Some(Fix {
        description,
        path: firewall.files.get(lines.file)?.path.clone(),
        after_line: lines.first - 1,
        delete: vec![Lines { from_line: lines.first, to_line: lines.last }],
        purpose,
        ..Fix::default()
    })
}
