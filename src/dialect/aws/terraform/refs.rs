//! References from one resource to another, as addresses.

/// The parts of a reference between the dots, brackets and quotes kept whole: `module.a["x.y"].aws_subnet.b[0].id` → `module`, `a["x.y"]`, ….
pub fn parts(reference: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut depth, mut quoted, mut start) = (0usize, false, 0);
    for (at, c) in reference.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            '.' if !quoted && depth == 0 => {
                out.push(&reference[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(&reference[start..]);
    out
}

/// Splits a reference into the address of the resource and the attribute; `None` if it is to no resource.
pub fn split(reference: &str) -> Option<(String, String)> {
    let parts = parts(reference);
    let mut at = 0;
    while parts.get(at) == Some(&"module") {
        at += 2;
    }
    if parts.get(at) == Some(&"data") {
        at += 1;
    }
    let name = at + 1;
    let known = parts.len() > name && parts[at].contains('_');
    known.then(|| (parts[..=name].join("."), parts[name + 1..].join(".")))
}

/// An address without its indices.
pub fn without_indices(address: &str) -> String {
    let mut out = String::with_capacity(address.len());
    let (mut depth, mut quoted) = (0usize, false);
    for c in address.chars() {
        match c {
            '"' if depth > 0 => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        let split = |r: &str| split(r).map(|(a, b)| format!("{a} / {b}")).unwrap_or_default();
        assert_eq!(split("aws_security_group.web.id"), "aws_security_group.web / id");
        assert_eq!(split("module.a[\"x.y\"].aws_subnet.b[0].id"), "module.a[\"x.y\"].aws_subnet.b[0] / id");
        assert_eq!(split("data.aws_vpc.main.cidr_block"), "data.aws_vpc.main / cidr_block");
        assert_eq!(split("aws_eks_cluster.m.vpc_config[0].id"), "aws_eks_cluster.m / vpc_config[0].id");
        assert_eq!((split("?var.x"), split("path.module"), split("module.a")), Default::default());
        assert_eq!(without_indices("module.a[\"x]y\"].aws_subnet.b[0]"), "module.a.aws_subnet.b");
    }
}
