//! `-m set`: sets of addresses and ports, from `ipset save` files beside the dump.

use super::lower::{Context, Lowered};
use crate::model::ConditionKind;

/// The sets that companions hold.
#[derive(Debug, Default)]
pub(super) struct Sets {}

/// `-m set`.
pub(super) fn matches(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    c.needs_option(owner)?;
    c.joint(
        owner,
        ConditionKind::Pure,
        "the set is not known: put the output of `ipset save` beside the dump",
    )
}

impl Sets {
    /// The sets of companion files.
    pub(super) fn read(_companions: &[std::sync::Arc<crate::source::SourceFile>], _dump: &[u8]) -> Self {
        Self {}
    }
}

/// Whether a file is the output of `ipset save`.
pub(super) fn is_save(content: &[u8]) -> bool {
    let head = &content[..content.len().min(4096)];
    let first = super::lexer::Lines::new(head)
        .map(|l| head[l.start..l.end].trim_ascii())
        .find(|l| !l.is_empty() && !l.starts_with(b"#"));
    let Some(line) = first else { return false };
    let words: Vec<&[u8]> = line.split(|b| b.is_ascii_whitespace()).filter(|w| !w.is_empty()).collect();
    let kind = |w: &[u8]| [&b"hash:"[..], b"bitmap:", b"list:set"].iter().any(|k| w.starts_with(k));
    matches!(words.as_slice(), [b"create" | b"-N", _, k, ..] if kind(k))
}
