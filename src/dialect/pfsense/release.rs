//! Which release wrote the file, and what that changes.

use super::xml::Element;
use crate::source::Diagnostic;

/// Generations of pfSense's rule generator that differ in what they make of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Release {
    /// Up to 2.4.5.
    V2_4,
    /// 2.5 and 2.6.
    V2_5,
    /// 2.7.
    V2_7,
    /// 2.8, Plus 24.
    V2_8,
    /// 2.9 in development.
    V2_9,
}

impl Release {
    /// The generation of a `<version>`; configuration versions grow with each release (19.1 = 2.4.5, 21.7 = 2.5.2,
    /// 22.2 = 2.6.0, 23.3 = 2.7.2, 23.9 = 2.8.0, 24.5 = 2.9 in development).
    pub fn of(version: &str) -> Option<Self> {
        let (major, minor) = version.trim().split_once('.').unwrap_or((version.trim(), "0"));
        let number = (major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?);
        Some(match number {
            n if n < (20, 0) => Release::V2_4,
            n if n < (22, 5) => Release::V2_5,
            n if n < (23, 5) => Release::V2_7,
            n if n < (24, 3) => Release::V2_8,
            _ => Release::V2_9,
        })
    }

    /// The release of a file. Where it does not say, the newest stable one, with a warning.
    pub fn detect(root: Element<'_>, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let stated = root.at("version");
        let known = stated.and_then(|v| Release::of(&v.text()));
        known.unwrap_or_else(|| {
            if let Some(e) = stated {
                e.odd("the release that wrote the file is not known");
            }
            let place = stated.unwrap_or(root).origin();
            diagnostics.push(
                Diagnostic::warning(
                    place,
                    "the file does not say which release wrote it; it is read as pfSense 2.8 reads it",
                )
                .help("a configuration that pfSense exported has a line such as <version>23.9</version>"),
            );
            Release::V2_8
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, release) in [
            ("19.1", Release::V2_4),
            ("21.7", Release::V2_5),
            ("22.2", Release::V2_5),
            ("23.3", Release::V2_7),
            ("23.9", Release::V2_8),
            ("24.0", Release::V2_8),
            ("24.5", Release::V2_9),
            ("9.10", Release::V2_4),
        ] {
            assert_eq!(Release::of(text), Some(release), "{text}");
        }
        assert_eq!(Release::of("new"), None);
    }
}
