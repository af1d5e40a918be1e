//! Types of ICMP in a rule.

use super::aliases::Fault;
use crate::packet::{Family, IntervalSet};

/// The types of a comma list, as values of the field; `None` = any.
pub(super) fn icmp_types(list: &str, family: Family) -> Result<Option<IntervalSet>, Fault> {
    let mut out = IntervalSet::EMPTY;
    for word in list.split(',').map(str::trim).filter(|w| !w.is_empty()) {
        if word == "any" {
            return Ok(None);
        }
        let table = if family == Family::V4 { ICMP4 } else { ICMP6 };
        let named = table.iter().find(|(n, _)| *n == word).map(|(_, t)| *t);
        let Some(t) = named.or_else(|| word.parse().ok()) else {
            return Err(Fault::Refused(format!("`{word}` is no ICMP type of IPv{}", family.number())));
        };
        out = out.union(&IntervalSet::range(u16::from(t) << 8, u16::from(t) << 8 | 0xff));
    }
    Ok(Some(out).filter(|o| !o.is_empty()))
}

/// Names of ICMP types that pfctl knows (`pfctl_parser.c`).
#[rustfmt::skip]
const ICMP4: &[(&str, u8)] = &[
    ("echorep", 0), ("unreach", 3), ("squench", 4), ("redir", 5), ("althost", 6), ("echoreq", 8),
    ("routeradv", 9), ("routersol", 10), ("timex", 11), ("paramprob", 12), ("timereq", 13),
    ("timerep", 14), ("inforeq", 15), ("inforep", 16), ("maskreq", 17), ("maskrep", 18), ("trace", 30),
    ("dataconv", 31), ("mobredir", 32), ("ipv6-where", 33), ("ipv6-here", 34), ("mobregreq", 35),
    ("mobregrep", 36), ("skip", 39), ("photuris", 40),
];
/// The same for ICMPv6.
#[rustfmt::skip]
const ICMP6: &[(&str, u8)] = &[
    ("unreach", 1), ("toobig", 2), ("timex", 3), ("paramprob", 4), ("echoreq", 128), ("echorep", 129),
    ("groupqry", 130), ("listqry", 130), ("grouprep", 131), ("listenrep", 131), ("groupterm", 132),
    ("listendone", 132), ("routersol", 133), ("routeradv", 134), ("neighbrsol", 135),
    ("neighbradv", 136), ("redir", 137), ("routrrenum", 138), ("wrureq", 139), ("wrurep", 140),
    ("fqdnreq", 139), ("fqdnrep", 140), ("niqry", 139), ("nirep", 140), ("mtraceresp", 200),
    ("mtrace", 201),
];
