//! The negation of what is not known is not known: over the table of matches, an option behind `!` is as opaque as the option itself.

use super::Iptables;
use super::extensions::{self, Extension, Kind, Only, Opt};
use crate::dialect::{Dialect, ReadOptions};
use crate::model::{Firewall, Term, TermRange};
use crate::source::SourceFile;

// What else a match needs in its rule: before it, and of its own options.
fn needs(name: &str, option: &str) -> (&'static str, &'static str) {
    match name {
        "set" if option != "match-set" => ("", "--match-set x src"),
        "tcp" | "multiport" | "tcpmss" => ("-p tcp", ""),
        "udp" => ("-p udp", ""),
        "udplite" => ("-p udplite", ""),
        "sctp" => ("-p sctp", ""),
        "dccp" => ("-p dccp", ""),
        "icmp" => ("-p icmp", ""),
        "icmp6" | "icmpv6" => ("-p icmpv6", ""),
        "esp" => ("-p esp", ""),
        "ah" => ("-p ah", ""),
        "ipcomp" => ("-p ipcomp", ""),
        "mh" => ("-p 135", ""),
        "ecn" => ("-p tcp", ""),
        "hashlimit" => ("", "--hashlimit-name x --hashlimit-mode srcip"),
        "statistic" => ("", "--mode nth"),
        "string" => ("", "--algo bm"),
        "connbytes" => ("", "--connbytes-mode bytes --connbytes-dir both"),
        "policy" => ("", "--dir in --pol ipsec"),
        "rateest" => ("", "--rateest x --rateest-bps 5kbit"),
        "cluster" => ("", "--cluster-total-nodes 2"),
        "iface" => ("", "--iface eth0"),
        "quota2" => ("", "--name x"),
        _ => ("", ""),
    }
}

// An argument that an option takes.
fn sample(name: &str, option: &Opt) -> &'static str {
    match (name, option.canonical) {
        (_, "tcp-flags") => "SYN,ACK SYN",
        ("set", "match-set") => "x src",
        (_, "chunk-types") => "any INIT",
        (_, "dccp-types") => "REQUEST",
        ("state" | "conntrack", "state" | "ctstate") => "NEW",
        (_, "ctstatus") => "ASSURED",
        ("multiport", _) => "22,80",
        (_, "icmpv6-type" | "icmp-type") => "128",
        (_, "src-range" | "dst-range") => "10.0.0.1-10.0.0.9",
        (_, "mac-source") => "02:00:00:00:00:01",
        (_, "src-type" | "dst-type") => "LOCAL",
        (_, "hashlimit-upto" | "hashlimit-above") => "5/second",
        (_, "probability") => "0.5",
        (_, "pkt-type") => "unicast",
        (_, "dscp-class") => "EF",
        ("policy", "mode") => "tunnel",
        (_, "weekdays") => "Mon",
        (_, "u32") => "0x0=1",
        ("ipv6header", "header") => "frag",
        (_, "cluster-local-node" | "cluster-local-nodemask") => "1",
        (_, "ecn-ip-ect") => "1",
        _ => match option.value {
            Kind::Address | Kind::Masked => "10.0.0.1/32",
            Kind::Protocol => "tcp",
            Kind::Service => "22",
            _ if matches!(option.canonical, "tunnel-src" | "tunnel-dst") => "10.0.0.1/32",
            _ => "5",
        },
    }
}

fn read(extension: &Extension, option: &Opt, not: &str) -> Result<Firewall, String> {
    let v6 = extension.family == Only::V6;
    let (before, own) = needs(extension.name, option.canonical);
    let argument = if option.args == 0 { "" } else { sample(extension.name, option) };
    // The option's argument must be of the family.
    let argument = if v6 { argument.replace("10.0.0.1/32", "::1/128") } else { argument.to_owned() };
    let text = format!(
        "*filter\n-A INPUT {before} -m {} {own} {not}--{} {argument} -j ACCEPT\nCOMMIT\n",
        extension.name, option.name
    );
    let options =
        ReadOptions { variant: Some(if v6 { "ip6tables" } else { "iptables" }), ..Default::default() };
    let f = Iptables.read(&[SourceFile::new("dump", text.clone())], &options);
    if f.ledger.not_understood > 0 { Err(format!("{text}{:?}", f.diagnostics)) } else { Ok(f) }
}

fn opaque(f: &Firewall, range: TermRange) -> bool {
    f.terms(range).iter().any(|t| match t {
        Term::Opaque { .. } | Term::AddressType { .. } => true,
        Term::Any(a) => f.alternatives[a.index()].iter().any(|r| opaque(f, *r)),
        _ => false,
    })
}

#[test]
fn each_option_is_as_opaque_behind_a_not() {
    let (mut compared, mut wrong) = (0, Vec::new());
    for extension in extensions::all().filter(|e| !e.is_target()) {
        for option in extension.options.iter().filter(|o| o.negatable && o.canonical != "limit") {
            let asked = |not| read(extension, option, not).map(|f| opaque(&f, f.chains[0].rules[0].terms));
            match (asked(""), asked("! ")) {
                (Ok(plain), Ok(negated)) if plain == negated => compared += usize::from(plain),
                other => wrong.push(format!("-m {} --{}: {other:?}", extension.name, option.name)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 80, "too few opaque options: {compared}");
}
