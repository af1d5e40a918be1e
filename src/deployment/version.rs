//! Version requirements: `>=0.1`, `>=0.1, <2`.

/// Whether a requirement allows a version; `None` if it is no requirement.
pub fn allows(requirement: &str, version: &str) -> Option<bool> {
    let version = parse(version)?;
    let mut all = true;
    for part in requirement.split(',') {
        let part = part.trim();
        let operator = part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ' ');
        let text = part[operator.len()..].trim();
        let wanted = parse(text)?;
        let given = text.split('.').count();
        // What the requirement leaves out does not count: 0.1.7 is `=0.1`.
        let cut = |v: [u64; 3]| [v[0], if given > 1 { v[1] } else { 0 }, if given > 2 { v[2] } else { 0 }];
        all &= match operator {
            ">=" => version >= wanted,
            ">" => cut(version) > wanted,
            "<" => version < wanted,
            "<=" => cut(version) <= wanted,
            "=" | "==" => cut(version) == wanted,
            // As Cargo reads it: nothing that may break.
            "" | "^" => {
                let first = wanted.iter().position(|n| *n != 0).unwrap_or(0);
                version >= wanted && version[..=first] == wanted[..=first]
            }
            _ => return None,
        };
    }
    Some(all)
}

fn parse(text: &str) -> Option<[u64; 3]> {
    let mut out = [0; 3];
    let plain = text.split(['-', '+']).next()?;
    for (i, part) in plain.split('.').enumerate() {
        *out.get_mut(i)? = part.parse().ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::allows;

    #[test]
    fn requirements() {
        for (requirement, version, expected) in [
            (">=0.1", "0.1.0", Some(true)),
            (">=0.2", "0.1.9", Some(false)),
            (">=0.1, <2", "1.9.9", Some(true)),
            (">=0.1, <2", "2.0.0", Some(false)),
            ("=0.1", "0.1.7", Some(true)),
            (">0.1", "0.1.7", Some(false)),
            ("<=0.1", "0.1.7", Some(true)),
            ("0.1", "0.1.7", Some(true)),
            ("0.1", "0.2.0", Some(false)),
            ("^1.2", "1.9.0", Some(true)),
            ("", "0.1.0", None),
            ("latest", "0.1.0", None),
            (">=", "0.1.0", None),
            ("~>1", "0.1.0", None),
        ] {
            assert_eq!(allows(requirement, version), expected, "{requirement} {version}");
        }
    }
}
