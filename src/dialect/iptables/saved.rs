//! Rules as `iptables-save` prints them, read in one pass over their bytes.
//!
//! Nearly every line of a dump is of one form: `-A CHAIN`, plain options in the saver's order, a few matches with one option, `-j TARGET`. Such
//! a line goes from bytes to terms here, without words and without a tree. Whatever else a line holds (a `!`, a quote, another
//! option, a value out of range), it is left to the parser behind `syntax`, which knows everything and explains every mistake; both give the
//! same rule, and a test compares them.

use super::context::Context;
use super::record;
use super::values::{self, Address};
use crate::model::{Action, ChainId, Hook, Term};
use crate::packet::dotted::dotted;
use crate::packet::{Field, IntervalSet, Value, proto};

// Lists of `-m multiport` have at most 15 cells; a range takes two (xt_multiport.h, `XT_MULTI_PORTS`).
const MULTI_PORTS: usize = 15;

// A longer comment is refused (xt_comment.h, `XT_MAX_COMMENT_LEN`).
const MAX_COMMENT: usize = 256;

/// Reads `text`, what stands behind `-A CHAIN`, and gives the rule's action; its terms are then in the context. `None` if the line is not of
/// the saver's common form. `chain` finds chains that a rule may jump to.
#[inline]
pub(super) fn read<'f>(
    c: &mut Context<'f>,
    text: &'f [u8],
    chain: impl Fn(&[u8]) -> Option<ChainId>,
) -> Option<Action> {
    // The connection is not known yet in raw, and nat has targets of its own.
    if !matches!(c.table.name, "filter" | "mangle" | "security") {
        return None;
    }
    c.terms.clear();
    c.effects.clear();
    let mut p = Line { text, at: 0 };
    let protocol = plain_options(c, &mut p)?;
    loop {
        if p.skip(b" -j ") {
            return target(c, &mut p, chain);
        }
        if !p.skip(b" -m ") {
            return None;
        }
        if (protocol == proto::TCP && p.skip(b"tcp")) || (protocol == proto::UDP && p.skip(b"udp")) {
            p.at_end_of_word()?;
            ports(c, &mut p)?;
        } else if p.skip(b"conntrack --ctstate ") || p.skip(b"state --state ") {
            states(c, &mut p)?;
        } else if p.skip(b"comment --comment ") {
            p.comment()?;
        } else if (protocol == proto::TCP || protocol == proto::UDP) && p.skip(b"multiport ") {
            let field = if p.skip(b"--dports ") {
                Field::Dport
            } else if p.skip(b"--sports ") {
                Field::Sport
            } else {
                return None;
            };
            port_list(c, &mut p, field)?;
        } else {
            return None;
        }
    }
}

// `-s`, `-d`, `-i`, `-o`, `-p`, each at most once and in this order. Gives the protocol, 0 if there is none.
#[inline]
fn plain_options(c: &mut Context<'_>, p: &mut Line<'_>) -> Option<u8> {
    let mut terms = [None; 4];
    if p.skip(b" -s ") {
        terms[0] = address(c, p, Field::Src)?;
    }
    if p.skip(b" -d ") {
        terms[1] = address(c, p, Field::Dst)?;
    }
    if p.skip(b" -i ") {
        if matches!(c.hook, Some(Hook::Output | Hook::Postrouting)) {
            return None;
        }
        terms[2] = c.known_interface(Field::Iif, p.word()?)?;
    }
    if p.skip(b" -o ") {
        if matches!(c.hook, Some(Hook::Input | Hook::Prerouting)) {
            return None;
        }
        terms[3] = c.known_interface(Field::Oif, p.word()?)?;
    }
    let mut protocol = 0;
    if p.skip(b" -p ") {
        protocol = match () {
            () if p.skip(b"tcp") => proto::TCP,
            () if p.skip(b"udp") => proto::UDP,
            () if !c.v6 && p.skip(b"icmp") => proto::ICMP,
            () if c.v6 && p.skip(b"ipv6-icmp") => proto::ICMPV6,
            () => return None,
        };
        p.at_end_of_word()?;
        let term = c.b.protocol(protocol);
        c.terms.push(term);
    }
    c.terms.extend(terms.into_iter().flatten());
    Some(protocol)
}

// The outer option is "not of the common form", the inner one "no condition".
#[inline]
fn address(c: &mut Context<'_>, p: &mut Line<'_>, field: Field) -> Option<Option<Term>> {
    if !c.v6 {
        return match p.network()? {
            (0, u32::MAX) => Some(None),
            (lo, hi) => Some(Some(Term::Range { field, lo, hi })),
        };
    }
    match values::address_v6(p.word()?).ok()? {
        Address::Set(set) if set == c.addresses() => Some(None),
        Address::Set(set) if set.is_empty() => None,
        Address::Set(set) => Some(Some(c.b.field(field, set))),
        _ => None,
    }
}

// `--sport` and `--dport`, as often as they stand there.
#[inline]
fn ports(c: &mut Context<'_>, p: &mut Line<'_>) -> Option<()> {
    loop {
        let field = if p.skip(b" --dport ") {
            Field::Dport
        } else if p.skip(b" --sport ") {
            Field::Sport
        } else {
            return Some(());
        };
        let (lo, hi) = p.range()?;
        p.at_end_of_word()?;
        c.terms.push(Term::Range { field, lo: lo.into(), hi: hi.into() });
    }
}

fn port_list(c: &mut Context<'_>, p: &mut Line<'_>, field: Field) -> Option<()> {
    let mut ranges = [(0, 0); MULTI_PORTS];
    let (mut count, mut cells) = (0, 0);
    loop {
        let (lo, hi) = p.range()?;
        cells += if lo == hi { 1 } else { 2 };
        if cells > MULTI_PORTS {
            return None;
        }
        ranges[count] = (Value::from(lo), Value::from(hi));
        count += 1;
        if !p.skip(b",") {
            break;
        }
    }
    p.at_end_of_word()?;
    c.push_set(field, IntervalSet::from_ranges(ranges[..count].iter().copied()), false);
    Some(())
}

#[inline]
fn states(c: &mut Context<'_>, p: &mut Line<'_>) -> Option<()> {
    let (bits, snat, dnat) = record::state_bits(p.word()?)?;
    if snat || dnat {
        return None;
    }
    let term = c.state_in(bits);
    c.terms.push(term);
    Some(())
}

#[inline]
fn target(c: &Context<'_>, p: &mut Line<'_>, chain: impl Fn(&[u8]) -> Option<ChainId>) -> Option<Action> {
    match &p.text[p.at..] {
        b"ACCEPT" => return Some(Action::Accept),
        b"DROP" => return Some(Action::Drop),
        b"RETURN" => return Some(Action::Return),
        _ => {}
    }
    let action = match p.word()? {
        // With more behind it than the saver prints.
        b"ACCEPT" | b"DROP" | b"RETURN" => return None,
        name => match chain(name) {
            Some(id) => Action::Jump(id),
            None if name == b"REJECT" && c.table.name == "filter" => {
                let usual: &[u8] = if c.v6 {
                    b" --reject-with icmp6-port-unreachable"
                } else {
                    b" --reject-with icmp-port-unreachable"
                };
                p.skip(usual);
                Action::Reject
            }
            None => return None,
        },
    };
    (p.at == p.text.len()).then_some(action)
}

struct Line<'f> {
    text: &'f [u8],
    at: usize,
}

impl<'f> Line<'f> {
    // Whether this stands here; goes behind it.
    #[inline]
    fn skip(&mut self, what: &[u8]) -> bool {
        let here = self.text[self.at..].starts_with(what);
        if here {
            self.at += what.len();
        }
        here
    }

    // The next word, if there is one, no quote is in it, and blanks are spaces.
    #[inline]
    fn word(&mut self) -> Option<&'f [u8]> {
        let rest = &self.text[self.at..];
        let ends = |b: &u8| *b <= b'"' && matches!(b, b' ' | b'\t' | b'"');
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        if length == 0 || rest.get(length).is_some_and(|b| *b != b' ') {
            return None;
        }
        self.at += length;
        Some(&rest[..length])
    }

    #[inline]
    fn at_end_of_word(&self) -> Option<()> {
        self.text.get(self.at).is_none_or(|b| *b == b' ').then_some(())
    }

    // A decimal number of at most so many digits, and how many it has.
    #[inline]
    fn number(&mut self, digits: usize) -> Option<(u32, usize)> {
        let (mut n, start) = (0u32, self.at);
        while let Some(d) = self.text.get(self.at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10)
            && self.at - start < digits
        {
            n = n * 10 + u32::from(d);
            self.at += 1;
        }
        (self.at > start).then_some((n, self.at - start))
    }

    // A word that is an IPv4 address with or without the length of a prefix, as the first and last address.
    #[inline]
    fn network(&mut self) -> Option<(u32, u32)> {
        let (ip, length) = dotted(self.text.get(self.at..)?)?;
        self.at += length;
        let length = match self.skip(b"/") {
            // A leading zero would make it octal.
            true => self.number(2).filter(|(n, digits)| *n <= 32 && (*n > 9 || *digits == 1))?.0,
            false => 32,
        };
        self.at_end_of_word()?;
        let mask = values::prefix_mask(length);
        Some((ip & mask, ip | !mask))
    }

    // A port: decimal, since a leading zero would make it octal.
    #[inline]
    fn port(&mut self) -> Option<u16> {
        let start = self.at;
        let (n, digits) = self.number(5)?;
        let octal = digits > 1 && self.text[start] == b'0';
        if octal { None } else { u16::try_from(n).ok() }
    }

    // `PORT` or `PORT:PORT`, in order.
    #[inline]
    fn range(&mut self) -> Option<(u16, u16)> {
        let lo = self.port()?;
        if !self.skip(b":") {
            return Some((lo, lo));
        }
        let hi = self.port()?;
        (lo <= hi).then_some((lo, hi))
    }

    // Goes behind a comment: a word, or a text in quotes without escapes.
    fn comment(&mut self) -> Option<()> {
        if !self.skip(b"\"") {
            return self.word().filter(|w| w.len() <= MAX_COMMENT).map(drop);
        }
        let rest = &self.text[self.at..];
        let length = memchr::memchr2(b'"', b'\\', rest)?;
        if rest[length] == b'\\' || length > MAX_COMMENT {
            return None;
        }
        self.at += length + 1;
        self.at_end_of_word()
    }
}

#[cfg(test)]
mod tests {
    use crate::dialect::{Dialect, ReadOptions, iptables::Iptables};
    use crate::model::{Firewall, display};
    use crate::source::SourceFile;

    // Words that the common form has, and neighbours of them that it must leave alone.
    const V4: &[&str] = &[
        "10.0.0.1/32",
        "10.0.0.9",
        "192.0.2.0/24",
        "0.0.0.0/0",
        "10.1",
        "10.0.0.1/33",
        "10.0.0.1/255.0.255.0",
        "a.example",
    ];
    const V6: &[&str] =
        &["2001:db8::1/128", "2001:db8::/32", "::/0", "::ffff:10.0.0.1", "2001:db8::/129", "b.example"];
    const IFACES: &[&str] = &["eth0", "eth+", "+", "e\"th0\"", "lo"];
    const PROTOS: &[&str] = &["tcp", "udp", "icmp", "ipv6-icmp", "all", "6", "TCP"];
    const PORTS: &[&str] =
        &["22", "0", "00", "022", "65535", "65536", "1:5", "5:1", "1024:", ":53", "ssh", "22,80"];
    const LISTS: &[&str] = &[
        "1,2,3",
        "22",
        "1:2,3",
        "5:1,4",
        "ssh,80",
        "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
        "80,443,8000:8010",
        "1,",
    ];
    const MATCHES: &[&str] = &[
        "-m tcp --dport {P}",
        "-m tcp --sport {P} --dport {P}",
        "-m tcp ! --dport {P}",
        "-m udp --dport {P}",
        "-m tcp",
        "--dport {P}",
        "-m tcp --dport {P} --dport {P}",
        "-m tcp --tcp-flags SYN,ACK SYN",
        "-m conntrack --ctstate NEW",
        "-m conntrack",
        "-m conntrack --ctstate RELATED,ESTABLISHED",
        "-m conntrack --ctstate NEW,UNTRACKED --ctdir ORIGINAL",
        "-m conntrack --ctstate DNAT",
        "-m state --state INVALID",
        "-m state --state new,bad",
        "-m multiport --dports {L}",
        "-m multiport --sports {L}",
        "-m multiport --ports {L}",
        "-m multiport --dports {L} --sports {L}",
        "-m comment --comment \"a b\"",
        "-m comment --comment word",
        "-m comment --comment \"a \\\" b\"",
        "-m comment --comment \"a\"b",
        "-m limit --limit 5/min",
        "-m nosuch",
    ];
    const TARGETS: &[&str] = &[
        "-j ACCEPT",
        "-j DROP",
        "-j RETURN",
        "-j REJECT",
        "-j REJECT --reject-with icmp-port-unreachable",
        "-j REJECT --reject-with icmp6-port-unreachable",
        "-j REJECT --reject-with tcp-reset",
        "-j own",
        "-g own",
        "-j LOG",
        "-j INPUT",
        "-j nowhere",
        "-j",
        "",
        "-j ACCEPT -s 10.0.0.1",
        "-j REJECTED",
    ];
    const CHAINS: &[&str] = &["INPUT", "FORWARD", "OUTPUT", "own", "unknown", "o\"wn\""];

    struct Choice(u64);

    impl Choice {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % n
        }

        // Mostly one of the first: the common ones.
        fn of<'a>(&mut self, from: &[&'a str]) -> &'a str {
            let n = if self.below(3) > 0 { from.len().min(3) } else { from.len() };
            from[self.below(n)]
        }

        fn rule(&mut self, v6: bool) -> String {
            let mut line = format!("-A {}", self.of(CHAINS));
            let addresses = if v6 { V6 } else { V4 };
            for (option, values) in
                [("-s", addresses), ("-d", addresses), ("-i", IFACES), ("-o", IFACES), ("-p", PROTOS)]
            {
                let odds = if option == "-p" { 5 } else { 2 };
                if self.below(6) < odds {
                    let not = if self.below(12) == 0 { "! " } else { "" };
                    line += &format!(" {not}{option} {}", self.of(values));
                }
            }
            for _ in 0..self.below(3) {
                let text = MATCHES[self.below(MATCHES.len())];
                let text = text.replace("{P}", self.of(PORTS)).replace("{L}", self.of(LISTS));
                line += &format!(" {text}");
            }
            line += &format!(" {}", self.of(TARGETS));
            if self.below(20) == 0 { line.replace(" -m", "\t-m") } else { line }
        }
    }

    fn read(text: String, v6: bool) -> Firewall {
        let options =
            ReadOptions { variant: Some(if v6 { "ip6tables" } else { "iptables" }), ..Default::default() };
        Iptables.read(&[SourceFile::new("dump", text)], &options)
    }

    fn told(f: &Firewall) -> (Vec<Vec<String>>, String) {
        let rules = |c: &crate::model::Chain| c.rules.iter().map(|r| display::rule(f, r)).collect();
        let problems: Vec<&str> = f.diagnostics.iter().map(|d| d.message.as_str()).collect();
        (f.chains.iter().map(rules).collect(), format!("{:?} {problems:?}", f.ledger))
    }

    #[test]
    fn the_short_way_and_the_long_one_give_the_same_rules() {
        let mut choice = Choice(7);
        let mut exact = 0;
        for n in 0..1500 {
            let v6 = n % 3 == 0;
            let table = ["filter", "filter", "mangle", "raw", "nat", "security"][choice.below(6)];
            let rules: Vec<String> = (0..6).map(|_| choice.rule(v6)).collect();
            // A blank at the end of a line means nothing, and the saver never prints one: such a line goes the long way.
            let file = |end: &str| {
                let head = "-A FORWARD -i eth0 -j RETURN \n-A FORWARD -o eth0 -j RETURN \n";
                format!("*{table}\n:own - [0:0]\n{head}{}{end}\nCOMMIT\n", rules.join(&format!("{end}\n")))
            };
            let (short, long) = (read(file(""), v6), read(file(" "), v6));
            assert_eq!(told(&short), told(&long), "{}", file(""));
            exact += short.ledger.exact;
        }
        assert!(exact > 1000, "too few rules are of the common form: {exact}");
    }

    #[test]
    fn a_rule_of_the_common_form_has_its_place() {
        let line =
            "-A INPUT -s 192.0.2.1/32 -p tcp -m tcp --dport 22 -m comment --comment \"for \u{e9}\" -j ACCEPT";
        let f = read(format!("*filter\n[3:180] {line}\nCOMMIT\n"), false);
        let rule = &f.chains[0].rules[0];
        let start = "*filter\n[3:180] ".len();
        assert_eq!((rule.origin.start as usize, rule.origin.end as usize), (start, start + line.len()));
    }
}
