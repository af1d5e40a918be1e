//! Matches on the transport header: ports, TCP flags, ICMP types.

use super::context::{Context, Lowered};
use super::syntax::Test;
use super::{icmp_names, values};
use crate::model::{ConditionKind, Term};
use crate::packet::{Family, Field, IntervalSet, flags, proto};

const HEADER: &str = "this header field is not modelled";

/// `-m tcp`.
pub(super) fn tcp(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    transport(c, owner, proto::TCP)
}

/// `-m udp`.
pub(super) fn udp(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    transport(c, owner, proto::UDP)
}

/// `-m udplite`.
pub(super) fn udplite(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    transport(c, owner, proto::UDPLITE)
}

/// `-m sctp`.
pub(super) fn sctp(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    transport(c, owner, proto::SCTP)
}

/// `-m dccp`.
pub(super) fn dccp(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    transport(c, owner, proto::DCCP)
}

fn transport(c: &mut Context<'_>, owner: usize, p: u8) -> Lowered<()> {
    requires(c, owner, &[p])?;
    let both = if p == proto::TCP || p == proto::UDP { both_ports_negated(c, owner) } else { None };
    if let Some(ports) = both {
        push_both_negated(c, ports);
    }
    for i in 0..c.command.spec.tests.len() {
        let test = c.command.spec.tests[i];
        if test.owner != owner {
            continue;
        }
        match test.option.canonical {
            "dport" | "sport" if both.is_some() => {}
            "dport" => port_test(c, Field::Dport, &test)?,
            "sport" => port_test(c, Field::Sport, &test)?,
            "tcp-flags" => tcp_flags(c, &test)?,
            "syn" => {
                let mask = flags::SYN | flags::RST | flags::ACK | flags::FIN;
                c.push_set(Field::TcpFlags, flags::masked(mask, flags::SYN), test.negated);
            }
            _ => c.opaque_test(&test, ConditionKind::Pure, HEADER),
        }
    }
    Ok(())
}

// Source and destination port where one match negates both, and both are single ports: iptables-nft 1.8.9 then compares the two
// at once (`add_nft_tcpudp`), leaving out port 0.
fn both_ports_negated(c: &Context<'_>, owner: usize) -> Option<[u16; 2]> {
    let port = |name: &str| {
        let mut tests =
            c.command.spec.tests.iter().filter(|t| t.owner == owner && t.option.canonical == name);
        match (tests.next(), tests.next()) {
            (Some(t), None) if t.negated => match values::ports(c.arg(t, 0)) {
                Ok((lo, hi)) if lo == hi && lo != 0 => Some(lo),
                _ => None,
            },
            _ => None,
        }
    };
    Some([port("sport")?, port("dport")?])
}

// Neither port, as legacy iptables and the manual say; with iptables-nft 1.8.9 it suffices that one of them differs.
fn push_both_negated(c: &mut Context<'_>, ports: [u16; 2]) {
    let mut differs = |field: Field, port: u16| {
        let others = field.complement(&IntervalSet::single(port));
        c.b.field(field, others)
    };
    let (sport, dport) = (differs(Field::Sport, ports[0]), differs(Field::Dport, ports[1]));
    let nft = c.backend();
    let ways = vec![vec![sport, dport], vec![nft, sport], vec![nft, dport]];
    let term = c.b.any(ways);
    c.push(term);
}

// The kernel refuses these matches without their protocol (`.proto` of each `xt_match`).
fn requires(c: &mut Context<'_>, owner: usize, wanted: &[u8]) -> Lowered<()> {
    let given = c.command.spec.proto;
    if let Some(p) = given
        && !p.negated
        && values::protocol(c.words.text(p.value)).is_some_and(|n| wanted.contains(&n))
    {
        return Ok(());
    }
    let used = c.command.spec.uses[owner];
    let names: Vec<String> = wanted.iter().map(|p| format!("`-p {}`", proto::name(*p))).collect();
    Err(c.problem(
        used.word,
        format!("`{}` needs {} in the same rule", used.extension.name, names.join(" or ")),
    ))
}

#[inline]
fn port_test(c: &mut Context<'_>, field: Field, test: &Test) -> Lowered<()> {
    let (lo, hi) = c.at(test.args[0], values::ports(c.arg(test, 0)))?;
    if lo > hi {
        reversed(c, test);
    }
    if !test.negated {
        c.push(Term::Range { field, lo: lo.into(), hi: hi.into() });
    } else if (lo, hi) == (0, u16::MAX) {
        c.push_backend();
    } else {
        c.push_set(field, IntervalSet::range(lo, hi), true);
    }
    Ok(())
}

fn reversed(c: &mut Context<'_>, test: &Test) {
    let p = c
        .problem(test.args[0], "the range of ports is reversed")
        .help("iptables refuses it; the rule is read as one that no packet matches");
    c.complain(&p);
}

fn flag_bits(text: &[u8]) -> Option<u8> {
    text.split(|b| *b == b',').try_fold(0, |bits, word| {
        let word = word.to_ascii_uppercase();
        let bit = match word.as_slice() {
            b"ALL" => 0x3f,
            b"NONE" => 0,
            w => 1 << flags::NAMES[..6].iter().position(|n| n.as_bytes() == w)?,
        };
        Some(bits | bit)
    })
}

fn tcp_flags(c: &mut Context<'_>, test: &Test) -> Lowered<()> {
    let mut bits = [0; 2];
    for (n, b) in bits.iter_mut().enumerate() {
        *b = flag_bits(c.arg(test, n)).ok_or_else(|| {
            let shown = c.words.shown(test.args[n]);
            c.problem(test.args[n], format!("`{shown}` is no list of TCP flags"))
                .help("SYN, ACK, FIN, RST, URG, PSH, ALL, NONE, joined by commas")
        })?;
    }
    let [mask, value] = bits;
    if mask == 0 && value == 0 && test.negated {
        c.push_backend();
    } else {
        c.push_set(Field::TcpFlags, flags::masked(mask, value), test.negated);
    }
    Ok(())
}

/// `-m multiport`.
pub(super) fn multiport(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    requires(c, owner, &[proto::TCP, proto::UDP, proto::UDPLITE, proto::SCTP, proto::DCCP])?;
    c.needs_option(owner)?;
    let mut tests = c.tests(owner);
    let (Some(test), second) = (tests.next(), tests.next()) else {
        return Ok(());
    };
    if let Some(second) = second {
        return Err(c
            .problem(second.word, "`-m multiport` has one list")
            .help("write `-m multiport` a second time before the second list"));
    }
    let list = c.at(test.args[0], values::port_list(c.arg(&test, 0)))?;
    let cells: usize = list.iter().map(|(lo, hi)| if lo == hi { 1 } else { 2 }).sum();
    if cells > 15 {
        return Err(c
            .problem(test.args[0], "more than 15 ports in one list")
            .help("a range counts as two; split the list over two rules"));
    }
    if list.iter().any(|(lo, hi)| lo > hi) {
        reversed(c, &test);
    }
    let set = IntervalSet::from_ranges(list.into_iter().map(|(lo, hi)| (lo.into(), hi.into())));
    match test.option.canonical {
        "dports" => c.push_set(Field::Dport, set, test.negated),
        "sports" => c.push_set(Field::Sport, set, test.negated),
        _ if test.negated => {
            c.push_set(Field::Sport, set.clone(), true);
            c.push_set(Field::Dport, set, true);
        }
        _ => {
            let ways = [Field::Sport, Field::Dport].map(|f| vec![c.b.field(f, set.clone())]).to_vec();
            let any = c.b.any(ways);
            c.push(any);
        }
    }
    Ok(())
}

/// `-m icmp`.
pub(super) fn icmp(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    requires(c, owner, &[proto::ICMP])?;
    icmp_types(c, owner, icmp_names::ICMP)
}

/// `-m icmp6`.
pub(super) fn icmp6(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    requires(c, owner, &[proto::ICMPV6])?;
    icmp_types(c, owner, icmp_names::ICMPV6)
}

fn icmp_types(c: &mut Context<'_>, owner: usize, names: &[icmp_names::Name]) -> Lowered<()> {
    for test in c.tests(owner) {
        let Some((lo, hi)) = icmp_names::parse(c.arg(&test, 0), names) else {
            let shown = c.words.shown(test.args[0]);
            let near = super::syntax::nearest(&shown, names.iter().map(|n| n.0));
            let p = c.problem(test.args[0], format!("`{shown}` is no ICMP type"));
            return Err(match near {
                Some(n) => p.help(format!("did you mean `{n}`?")),
                None => p.help("a name, a number from 0 to 255, or TYPE/CODE"),
            });
        };
        // Type 255 is "any" in ICMP (ip_tables.c, `icmp_type_code_match`), and negated nothing.
        let any = lo >> 8 == 255 && !c.v6;
        let set = if any { Field::Icmp.all() } else { IntervalSet::range(lo, hi) };
        c.push_set(Field::Icmp, set, test.negated);
    }
    Ok(())
}

// Matches that need their protocol and look at fields of its header that the model does not have.
fn header_of(c: &mut Context<'_>, owner: usize, p: u8) -> Lowered<()> {
    requires(c, owner, &[p])?;
    for test in c.tests(owner) {
        header_test(c, &test);
    }
    Ok(())
}

// A range of everything is no condition.
fn header_test(c: &mut Context<'_>, test: &Test) {
    let all = test.count == 1 && matches!(c.arg(test, 0), b"0:4294967295" | b":" | b"0:" | b":4294967295");
    if test.negated || !all {
        c.opaque_test(test, ConditionKind::Pure, HEADER);
    }
}

/// `-m esp`.
pub(super) fn esp(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    header_of(c, owner, 50)
}

/// `-m ah`; in IPv6 the header is one of the extension headers.
pub(super) fn ah(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    if c.family == Some(Family::V4) {
        return header_of(c, owner, 51);
    }
    c.push_opaque("-m ah", HEADER, false);
    for test in c.tests(owner) {
        header_test(c, &test);
    }
    Ok(())
}

/// `-m ipcomp`.
pub(super) fn ipcomp(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    header_of(c, owner, 108)
}

/// `-m mh`.
pub(super) fn mh(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    header_of(c, owner, 135)
}

/// `-m ecn`: the TCP bits are flags of the model, the IP bits are not.
pub(super) fn ecn(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    c.needs_option(owner)?;
    for test in c.tests(owner) {
        let bit = match test.option.canonical {
            "ecn-tcp-cwr" => flags::CWR,
            "ecn-tcp-ece" => flags::ECE,
            _ => {
                c.opaque_test(&test, ConditionKind::Pure, HEADER);
                continue;
            }
        };
        requires(c, owner, &[proto::TCP])?;
        c.push_set(Field::TcpFlags, flags::masked(bit, bit), test.negated);
    }
    Ok(())
}

/// `-m dscp`: a class is a name of a value (RFC 2474, RFC 2597, RFC 3246).
pub(super) fn dscp(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    c.needs_option(owner)?;
    for test in c.tests(owner) {
        let value = if test.option.canonical == "dscp-class" {
            let shown = c.words.shown(test.args[0]);
            dscp_class(&shown.to_ascii_uppercase())
                .ok_or_else(|| c.problem(test.args[0], format!("`{shown}` is no DiffServ class")))?
        } else {
            c.at(test.args[0], values::bounded(c.arg(&test, 0), 63))?
        };
        c.push_opaque_of(owner, &format!("-m dscp --dscp {value:#04x}"), HEADER, test.negated);
    }
    Ok(())
}

fn dscp_class(name: &str) -> Option<u64> {
    let digit = |i: usize| name.as_bytes().get(i).filter(|d| d.is_ascii_digit()).map(|d| u64::from(d - b'0'));
    match name {
        "BE" => Some(0),
        "EF" => Some(0x2e),
        _ if name.len() == 3 && name.starts_with("CS") => digit(2).filter(|n| *n < 8).map(|n| n << 3),
        _ if name.len() == 4 && name.starts_with("AF") => {
            let (class, drop) = (digit(2)?, digit(3)?);
            ((1..=4).contains(&class) && (1..=3).contains(&drop)).then_some(class << 3 | drop << 1)
        }
        _ => None,
    }
}

/// `-m tos`: `VALUE[/MASK]` or a name.
pub(super) fn tos(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    c.needs_option(owner)?;
    for test in c.tests(owner) {
        let shown = c.words.shown(test.args[0]);
        let named = match shown.to_ascii_lowercase().as_str() {
            "minimize-delay" => Some(0x10),
            "maximize-throughput" => Some(0x08),
            "maximize-reliability" => Some(0x04),
            "minimize-cost" => Some(0x02),
            "normal-service" => Some(0),
            _ => None,
        };
        let (value, mask) = match named {
            Some(v) => (v, 0x3f),
            None => {
                let (v, m) = c.at(test.args[0], values::mark(c.arg(&test, 0)))?;
                (v, m.unwrap_or(0xff))
            }
        };
        if value > 0xff || mask > 0xff {
            return Err(c.problem(test.args[0], "more than 8 bits"));
        }
        c.push_opaque_of(owner, &format!("-m tos --tos {value:#04x}/{mask:#04x}"), HEADER, test.negated);
    }
    Ok(())
}

/// `-m rt`, `-m srh`, `-m hbh`, `-m dst`: fail where the header is absent, negated too (ip6t_rt.c, `rt_mt6`).
///
/// Packets of the model are ordinary ones, without extension headers, as they are whole datagrams: a rule that discards what has one
/// concerns none of them. A rule that does anything else with it stays a condition, so that nothing it lets in is overlooked.
pub(super) fn extension_header(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    let target = c.command.spec.target.map(|t| c.words.text(t.word));
    if matches!(target, Some(b"DROP" | b"REJECT")) {
        c.outside();
        return Ok(());
    }
    c.joint(owner, ConditionKind::Pure, HEADER)
}
