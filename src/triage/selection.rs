//! Which rules were selected, and which ignored.

use crate::finding::RuleDoc;

/// The rules that a run reports: those selected (none = all), without those ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    // Ids or beginnings of ids, in capitals; aliases are replaced by what they stand for.
    select: Vec<String>,
    ignore: Vec<String>,
    // One of the patterns names no rule: nothing is known to be selected, and everything is reported.
    broken: bool,
}

impl Selection {
    /// From what the user wrote: ids, beginnings of ids, or aliases (`aliases`: an alias and its rule), in any case.
    ///
    /// A pattern that names no rule is an error, and then nothing is left out: a report that looks clean because of a typing
    /// error would be worse than a long one. The errors are a message and what to do.
    pub fn new(
        select: &[String],
        ignore: &[String],
        rules: &[RuleDoc],
        aliases: &[(String, String)],
    ) -> (Self, Vec<(String, String)>) {
        let mut errors = Vec::new();
        let mut resolve = |option: &str, patterns: &[String]| -> Vec<String> {
            patterns
                .iter()
                .filter_map(|p| match rule(p, rules, aliases) {
                    Ok(id) => Some(id),
                    Err(help) => {
                        errors.push((format!("--{option} {p}: no rule has this id or begins with it"), help));
                        None
                    }
                })
                .collect()
        };
        let (select, ignore) = (resolve("select", select), resolve("ignore", ignore));
        (Self { select, ignore, broken: !errors.is_empty() }, errors)
    }

    /// Some rules were asked for by name.
    pub fn is_explicit(&self) -> bool {
        !self.select.is_empty()
    }

    /// A pattern names no rule, so that nobody knows what was meant.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether findings of a rule are reported.
    pub fn takes(&self, rule: &str) -> bool {
        let hit = |list: &[String]| list.iter().any(|p| rule.starts_with(p.as_str()));
        self.broken || (self.select.is_empty() || hit(&self.select)) && !hit(&self.ignore)
    }
}

// The id, or the beginning of ids, that a pattern stands for; otherwise what to write instead.
fn rule(pattern: &str, rules: &[RuleDoc], aliases: &[(String, String)]) -> Result<String, String> {
    let wanted = pattern.trim().to_uppercase();
    if !wanted.is_empty() && rules.iter().any(|r| r.id.starts_with(&wanted)) {
        return Ok(wanted);
    }
    if let Some((_, id)) = aliases.iter().find(|(alias, _)| *alias == wanted) {
        return Ok(id.clone());
    }
    Err(advice(&wanted, rules.iter().map(|r| r.id.as_str()).chain(aliases.iter().map(|(a, _)| a.as_str()))))
}

/// What to write instead of an id that no rule has.
pub fn advice<'k>(wanted: &str, known: impl Iterator<Item = &'k str>) -> String {
    let near = known
        .map(|id| (strsim::damerau_levenshtein(id, wanted), id))
        .min()
        .filter(|(distance, _)| *distance <= 1 + wanted.len() / 4);
    match near {
        Some((_, id)) => format!("did you mean `{id}`? `havenlint rules` lists them all"),
        None => "`havenlint rules` lists all rules".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;
    use crate::lint::registry::CHECKS;
    use std::path::Path;

    fn selection(select: &[&str], ignore: &[&str]) -> (Selection, Vec<(String, String)>) {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let catalogue = catalogue::open("safehaven-4", Path::new("."));
        let rules: Vec<RuleDoc> =
            catalogue.docs().into_iter().chain(CHECKS.iter().map(|c| c.doc())).collect();
        Selection::new(&owned(select), &owned(ignore), &rules, &catalogue.aliases())
    }

    #[test]
    fn ids_beginnings_aliases_in_any_case() {
        let (s, errors) = selection(&["hl-aws-", "SH4-GUI-CMS"], &["HL-AWS-WIDE-CIDR"]);
        assert_eq!(errors, []);
        assert!(s.takes("HL-AWS-COVERED") && s.takes("SH4-CMS-GUI"));
        assert!(!s.takes("HL-AWS-WIDE-CIDR") && !s.takes("HL-DUPLICATE"));
    }

    #[test]
    fn what_names_nothing_is_an_error_and_hides_nothing() {
        let (s, errors) = selection(&["HL-DUPLICAT3"], &["SH9"]);
        assert_eq!(errors[0].0, "--select HL-DUPLICAT3: no rule has this id or begins with it");
        assert!(errors[0].1.starts_with("did you mean `HL-DUPLICATE`?"), "{}", errors[0].1);
        assert_eq!(errors[1].0, "--ignore SH9: no rule has this id or begins with it");
        assert!(s.takes("HL-DUPLICATE") && s.takes("SH4-CMS-GUI"));
        assert!(!selection(&[""], &[]).1.is_empty());
    }
}
