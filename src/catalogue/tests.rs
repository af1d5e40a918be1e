//! The built-in catalogues against what they were made from, and resolving.

use super::*;
use std::path::Path;

fn shown(c: &Catalogue) -> Vec<String> {
    let place = |d: &Diagnostic| crate::source::locate(&c.files, d.origin);
    c.diagnostics
        .iter()
        .map(|d| {
            let l = place(d);
            format!("{}:{}:{} {} ({})", l.path, l.line, l.column, d.message, d.help)
        })
        .collect()
}

#[test]
fn built_in_catalogues_are_sound() {
    for (name, _) in BUILT_IN {
        let c = open(name, Path::new("."));
        assert_eq!(shown(&c), [""; 0]);
        assert_eq!(c.id, *name);
    }
}
