//! Which rules were selected.

/// Whether a rule is among those selected (ids or their beginnings; none = all) and not among those ignored.
pub fn chosen(select: &[String], ignore: &[String], rule: &str) -> bool {
    let hit = |list: &[String]| list.iter().any(|p| rule == p || rule.starts_with(p.as_str()));
    (select.is_empty() || hit(select)) && !hit(ignore)
}
