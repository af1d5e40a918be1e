//! Which items of security standards a rule gives evidence for: `rules/controls.toml`, which is data.

use crate::finding::Control;
use serde::Deserialize;
use std::sync::LazyLock;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    control: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    framework: String,
    id: String,
    title: String,
    /// Ids, or beginnings of ids with `*` after them.
    rules: Vec<String>,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    // A file that is wrong is found by the test below.
    toml::from_str::<File>(include_str!("../../rules/controls.toml")).map(|f| f.control).unwrap_or_default()
});

/// The items that a rule gives evidence for, in the order of the file.
pub fn controls(rule: &str) -> Vec<Control> {
    let of = |e: &&Entry| e.rules.iter().any(|pattern| names(pattern, rule));
    let control =
        |e: &Entry| Control { framework: e.framework.clone(), id: e.id.clone(), title: e.title.clone() };
    ENTRIES.iter().filter(of).map(control).collect()
}

/// Every id or beginning of ids that the file names.
pub fn patterns() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().flat_map(|e| &e.rules).map(String::as_str)
}

/// Whether a pattern of the file means a rule.
pub fn names(pattern: &str, rule: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == rule, |begin| rule.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read() {
        toml::from_str::<File>(include_str!("../../rules/controls.toml")).unwrap();
        let of =
            |rule| controls(rule).iter().map(|c| format!("{} {}", c.framework, c.id)).collect::<Vec<_>>();
        assert_eq!(
            of("HL-AWS-ACL-INTERNET"),
            ["PCI DSS 4.0.1 1.4.2", "NIST SP 800-53 SC-7", "CIS AWS 3.0.0 5.1", "CWE CWE-284"]
        );
        assert_eq!(of("HL-AWS"), Vec::<String>::new());
    }
}
