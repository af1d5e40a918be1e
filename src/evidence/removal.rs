//! What to take away.

use crate::dialect::by_name;
use crate::finding::{Fix, Lines, Purpose};
use crate::model::{Chain, Firewall};
use crate::source::Text;

/// The edit that takes a rule of a chain away; `None` where it does not stand alone on its lines.
pub fn removal(firewall: &Firewall, chain: &Chain, rule: usize, purpose: Purpose) -> Option<Box<Fix>> {
    let origin = chain.rules.get(rule)?.origin;
    // One line can be several rules.
    let beside = [rule.checked_sub(1), rule.checked_add(1)];
    if beside.into_iter().flatten().filter_map(|n| chain.rules.get(n)).any(|r| r.origin == origin) {
        return None;
    }
    let lines = by_name(firewall.dialect)?.0.lines(firewall, origin)?;
    let description = match lines.first == lines.last {
        true => format!("delete line {}", lines.first),
        false => format!("delete lines {} to {}", lines.first, lines.last),
    };
    Some(Box::new(Fix {
        description,
        path: Text::name_of(firewall.files.get(lines.file)?),
        after_line: lines.first - 1,
        delete: vec![Lines { from_line: lines.first, to_line: lines.last }],
        purpose,
        ..Fix::default()
    }))
}
