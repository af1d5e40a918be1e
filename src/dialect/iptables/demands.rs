//! What extensions demand of their options: which must stand there, which exclude each other, what their values may be.
//!
//! A rule that breaks a demand cannot be loaded, so no box runs it: it is told, and read as far as it is understood. Only demands are
//! listed that nothing else checks; what decides which packets match is looked at where it is lowered. Facts: the option tables and
//! `x6_fcheck` functions of the extensions of iptables 1.8.9.

use super::context::Context;
use super::syntax::{Problem, Test};
use super::values::{self, Address};

/// A demand of an extension; options by their names without dashes.
pub(super) enum Demand {
    /// At least one of these options.
    OneOf(&'static [&'static str]),
    /// At most one of these options.
    Exclusive(&'static [&'static str]),
    /// The second option only with the first.
    With(&'static str, &'static str),
    /// A number from–to.
    Number(&'static str, u64, u64),
    /// A number, or two of them in order joined by `:`, up to the bound; either may be left out.
    Range(&'static str, u64),
    /// One of these words, in any case.
    Words(&'static str, &'static [&'static str]),
    /// One of these words or their number in the list.
    Level(&'static str, &'static [&'static str]),
    /// At most so many bytes.
    Length(&'static str, usize),
    /// A fraction from 0 to 1.
    Fraction(&'static str),
    /// An address of the dump's family.
    Address(&'static str),
    /// TCP options by name or number, from 2 on (the end and padding are no options).
    TcpOptions(&'static str),
    /// No option twice.
    Once,
}

use Demand::{
    Address as Addr, Exclusive, Fraction, Length, Level, Number, Once, OneOf, Range, TcpOptions, With, Words,
};

const U16: u64 = u16::MAX as u64;
const U32: u64 = u32::MAX as u64;

// syslog(3); both spellings of three of them.
const LEVELS: &[&str] =
    &["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "panic", "error", "warn"];

// By name of the extension, in order.
static DEMANDS: &[(&str, &[Demand])] = &[
    ("AUDIT", &[OneOf(&["type"]), Words("type", &["accept", "drop", "reject"])]),
    ("CHECKSUM", &[OneOf(&["checksum-fill"])]),
    ("CLASSIFY", &[OneOf(&["set-class"])]),
    ("CONNSECMARK", &[OneOf(&["save", "restore"]), Exclusive(&["save", "restore"])]),
    ("CT", &[Number("zone", 0, U16)]),
    ("DNPT", &[OneOf(&["src-pfx"]), OneOf(&["dst-pfx"])]),
    (
        "DSCP",
        &[
            OneOf(&["set-dscp", "set-dscp-class"]),
            Exclusive(&["set-dscp", "set-dscp-class"]),
            Number("set-dscp", 0, 63),
        ],
    ),
    ("ECN", &[OneOf(&["ecn-tcp-remove", "ecn-tcp-cwr", "ecn-tcp-ece", "ecn-ip-ect"])]),
    (
        "HL",
        &[
            OneOf(HL),
            Exclusive(HL),
            Number("hl-set", 0, 255),
            Number("hl-dec", 1, 255),
            Number("hl-inc", 1, 255),
        ],
    ),
    ("HMARK", &[OneOf(&["hmark-mod"])]),
    ("IDLETIMER", &[OneOf(&["timeout"]), OneOf(&["label"])]),
    ("LED", &[OneOf(&["led-trigger-id"])]),
    ("LOG", &[Level("log-level", LEVELS), Length("log-prefix", 30)]),
    (
        "NFLOG",
        &[
            Number("nflog-group", 0, U16),
            Number("nflog-range", 0, U32),
            Number("nflog-size", 0, U32),
            Number("nflog-threshold", 0, U16),
        ],
    ),
    ("NFQUEUE", &[Number("queue-num", 0, U16), Range("queue-balance", U16)]),
    ("SECMARK", &[OneOf(&["selctx"])]),
    ("SNPT", &[OneOf(&["src-pfx"]), OneOf(&["dst-pfx"])]),
    ("TCPMSS", &[OneOf(&["set-mss", "clamp-mss-to-pmtu"])]),
    ("TCPOPTSTRIP", &[TcpOptions("strip-options")]),
    ("TEE", &[OneOf(&["gateway"])]),
    ("TOS", &[OneOf(&["set-tos", "and-tos", "or-tos", "xor-tos"])]),
    ("TPROXY", &[OneOf(&["on-port"]), Addr("on-ip")]),
    (
        "TTL",
        &[
            OneOf(TTL),
            Exclusive(TTL),
            Number("ttl-set", 0, 255),
            Number("ttl-dec", 1, 255),
            Number("ttl-inc", 1, 255),
        ],
    ),
    ("addrtype", &[OneOf(&["src-type", "dst-type"]), Exclusive(&["limit-iface-in", "limit-iface-out"])]),
    ("ah", &[Range("ahspi", U32)]),
    ("cluster", &[OneOf(&["cluster-total-nodes"]), OneOf(&["cluster-local-node", "cluster-local-nodemask"])]),
    ("comment", &[OneOf(&["comment"]), Length("comment", 256)]),
    (
        "connbytes",
        &[
            OneOf(&["connbytes"]),
            OneOf(&["connbytes-mode"]),
            OneOf(&["connbytes-dir"]),
            Range("connbytes", u64::MAX),
            Words("connbytes-mode", &["packets", "bytes", "avgpkt"]),
            Words("connbytes-dir", &["original", "reply", "both"]),
        ],
    ),
    ("connlimit", &[Exclusive(&["connlimit-saddr", "connlimit-daddr"])]),
    ("conntrack", &[Range("ctexpire", U32)]),
    ("cpu", &[Number("cpu", 0, U32)]),
    ("dccp", &[Number("dccp-option", 0, 255)]),
    ("dscp", &[Exclusive(&["dscp", "dscp-class"])]),
    ("esp", &[Range("espspi", U32)]),
    ("frag", &[Exclusive(&["fraglast", "fragmore"])]),
    ("hashlimit", &[OneOf(&["hashlimit-name"])]),
    ("hl", &[OneOf(HL_MATCH), Exclusive(HL_MATCH), Number("hl-eq", 0, 255)]),
    ("icmp", &[Once]),
    ("icmp6", &[Once]),
    ("length", &[Range("length", U16)]),
    ("nfacct", &[OneOf(&["nfacct-name"])]),
    ("osf", &[OneOf(&["genre"]), Number("ttl", 0, 2), Number("log", 0, 2)]),
    ("owner", &[With("gid-owner", "suppl-groups")]),
    (
        "pkttype",
        &[Words("pkt-type", &["unicast", "broadcast", "multicast", "host", "bcast", "mcast", "otherhost"])],
    ),
    ("quota", &[Number("quota", 0, u64::MAX)]),
    ("recent", &[Exclusive(&["set", "rttl"])]),
    (
        "statistic",
        &[
            OneOf(&["mode"]),
            Words("mode", &["random", "nth"]),
            Fraction("probability"),
            With("every", "packet"),
        ],
    ),
    (
        "string",
        &[
            OneOf(&["algo"]),
            OneOf(&["string", "hex-string"]),
            Words("algo", &["bm", "kmp"]),
            Length("string", 128),
        ],
    ),
    ("tcpmss", &[Range("mss", U16)]),
    ("ttl", &[OneOf(TTL_MATCH), Exclusive(TTL_MATCH), Number("ttl-eq", 0, 255)]),
];

const TTL: &[&str] = &["ttl-set", "ttl-dec", "ttl-inc"];
const HL: &[&str] = &["hl-set", "hl-dec", "hl-inc"];
const TTL_MATCH: &[&str] = &["ttl-eq", "ttl-lt", "ttl-gt"];
const HL_MATCH: &[&str] = &["hl-eq", "hl-lt", "hl-gt"];

/// Tells what is wrong with the options of the current rule's extensions.
pub(super) fn check(c: &mut Context<'_>) {
    for owner in 0..c.command.spec.uses.len() {
        let name = c.command.spec.uses[owner].extension.name;
        let Ok(at) = DEMANDS.binary_search_by_key(&name, |d| d.0) else { continue };
        if let Some(p) = DEMANDS[at].1.iter().find_map(|d| broken(c, owner, d)) {
            c.complain(&p);
        }
    }
}

fn broken(c: &Context<'_>, owner: usize, demand: &Demand) -> Option<Box<Problem>> {
    let used = c.command.spec.uses[owner];
    let name = used.extension.name;
    let given = |o: &str| c.command.spec.find(owner, o);
    let dashed = |list: &[&str]| list.iter().map(|o| format!("`--{o}`")).collect::<Vec<_>>().join(" or ");
    // The value of an option, if it is wrong.
    let wrong = |option: &str, right: &dyn Fn(&[u8]) -> bool| -> Option<(&Test, String)> {
        let test = c.command.spec.tests_of(owner).find(|t| t.option.canonical == option && t.count > 0)?;
        let text = c.arg(test, 0);
        (!right(text)).then(|| (test, String::from_utf8_lossy(text).into_owned()))
    };
    let value = |found: Option<(&Test, String)>, option: &str, wanted: &str| {
        found.map(|(t, text)| {
            c.problem(t.args[0], format!("`{text}` is no value of `--{option}`")).help(wanted.to_owned())
        })
    };
    match demand {
        OneOf(list) => list.iter().all(|o| given(o).is_none()).then(|| {
            let what = format!("`{name}` needs {}", dashed(list));
            c.problem(used.word, what).help("iptables refuses the rule without")
        }),
        Exclusive(list) => {
            let mut there = list.iter().filter_map(|o| given(o));
            let (_, second) = (there.next()?, there.next()?);
            let what = format!("`{name}` has only one of {}", dashed(list));
            Some(c.problem(second.word, what).help("iptables refuses the rule"))
        }
        With(first, second) => (given(second).is_some() && given(first).is_none()).then(|| {
            let word = given(second).map_or(used.word, |t| t.word);
            c.problem(word, format!("`--{second}` needs `--{first}`"))
                .help("iptables refuses the rule without")
        }),
        Number(option, lo, hi) => {
            let right = |t: &[u8]| values::bounded(t, *hi).is_ok_and(|n| n >= *lo);
            value(wrong(option, &right), option, &format!("a number from {lo} to {hi}"))
        }
        Range(option, max) => {
            let right = |t: &[u8]| in_order(t, *max);
            value(
                wrong(option, &right),
                option,
                &format!("numbers from 0 to {max}: `N`, `N:`, `:N` or `N:M`"),
            )
        }
        Words(option, list) => {
            let right = |t: &[u8]| list.iter().any(|w| w.as_bytes().eq_ignore_ascii_case(t));
            value(wrong(option, &right), option, &list.join(", "))
        }
        Level(option, list) => {
            let named = |t: &[u8]| list.iter().any(|w| w.as_bytes().eq_ignore_ascii_case(t));
            let right = |t: &[u8]| named(t) || values::bounded(t, 7).is_ok();
            value(wrong(option, &right), option, &format!("a number from 0 to 7, or {}", list.join(", ")))
        }
        Length(option, max) => {
            let (test, _) = wrong(option, &|t| t.len() <= *max)?;
            Some(c.problem(test.args[0], format!("more than {max} bytes")).help("shorten it"))
        }
        Fraction(option) => {
            let right = |t: &[u8]| {
                std::str::from_utf8(t)
                    .ok()
                    .and_then(|t| t.parse::<f64>().ok())
                    .is_some_and(|p| (0.0..=1.0).contains(&p))
            };
            value(wrong(option, &right), option, "a number from 0 to 1")
        }
        Addr(option) => {
            let right = |t: &[u8]| values::address(t, c.v6).is_ok_and(|a| !matches!(a, Address::Host(_)));
            value(wrong(option, &right), option, "an address of the dump's family")
        }
        TcpOptions(option) => {
            let right = |t: &[u8]| {
                t.split(|b| *b == b',').all(|o| {
                    let word = o.first().is_some_and(u8::is_ascii_alphabetic);
                    word || values::bounded(o, 255).is_ok_and(|n| n > 1)
                })
            };
            value(
                wrong(option, &right),
                option,
                "names of TCP options, or numbers from 2 on, joined by commas",
            )
        }
        Once => {
            let tests: Vec<&Test> = c.command.spec.tests_of(owner).collect();
            let again = tests
                .iter()
                .enumerate()
                .find(|(i, t)| tests[..*i].iter().any(|u| u.option.canonical == t.option.canonical))?;
            Some(
                c.problem(again.1.word, format!("`--{}` stands twice", again.1.option.name))
                    .help("write two rules"),
            )
        }
    }
}

fn in_order(text: &[u8], max: u64) -> bool {
    let mut ends = text.splitn(2, |b| *b == b':');
    let lo = ends.next().unwrap_or_default();
    let number = |t: &[u8], missing: u64| {
        if t.is_empty() { Some(missing) } else { values::bounded(t, max).ok() }
    };
    match ends.next() {
        None => values::bounded(lo, max).is_ok(),
        Some(hi) => match (number(lo, 0), number(hi, max)) {
            (Some(lo), Some(hi)) => lo <= hi,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::extensions;
    use super::*;

    #[test]
    fn demands_are_in_order_and_name_options_that_exist() {
        for pair in DEMANDS.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} stands before {}", pair[0].0, pair[1].0);
        }
        for (name, demands) in DEMANDS {
            let e =
                extensions::all().find(|e| e.name == *name).unwrap_or_else(|| panic!("no extension {name}"));
            for d in *demands {
                let options: Vec<&str> = match d {
                    OneOf(l) | Exclusive(l) => l.to_vec(),
                    With(a, b) => vec![a, b],
                    Number(o, ..) | Range(o, _) | Words(o, _) | Level(o, _) | Length(o, _) => vec![o],
                    Fraction(o) | Addr(o) | TcpOptions(o) => vec![o],
                    Once => Vec::new(),
                };
                for o in options {
                    assert!(e.options.iter().any(|x| x.canonical == o), "{name} has no --{o}");
                }
            }
        }
    }

    #[test]
    fn ranges_are_in_order() {
        for good in ["1", "1:2", ":2", "1:", "0x10:0x20", ":"] {
            assert!(in_order(good.as_bytes(), 65535), "{good}");
        }
        for bad in ["2:1", "-1", "65536", "1:65536", "a", "1:2:3"] {
            assert!(!in_order(bad.as_bytes(), 65535), "{bad}");
        }
    }
}
