//! Matches on addresses, and limits.

use super::context::{Context, Lowered};
use super::syntax::Test;
use super::values;
use crate::model::{AddressTypes, ConditionKind, Term};
use crate::packet::{Field, IntervalSet, addr, interface_value};

/// `-m iprange`.
pub(super) fn iprange(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    c.needs_option(owner)?;
    for test in c.tests(owner) {
        let (lo, hi) = c.at(test.args[0], values::address_range(c.arg(&test, 0), c.v6))?;
        let field = if test.option.canonical == "src-range" { Field::Src } else { Field::Dst };
        let set = IntervalSet::range(lo, hi).intersect(&c.addresses());
        c.push_set(field, set, test.negated);
    }
    Ok(())
}

/// `-m mac`.
pub(super) fn mac(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    use crate::model::Hook;
    c.needs_option(owner)?;
    for test in c.tests(owner) {
        let Some(mac) = values::hardware_address(c.arg(&test, 0)) else {
            let shown = c.words.shown(test.args[0]);
            return Err(c
                .problem(test.args[0], format!("`{shown}` is no hardware address"))
                .help("six hexadecimal bytes: 02:00:00:00:00:01"));
        };
        if matches!(c.hook, Some(Hook::Output | Hook::Postrouting)) {
            return Err(c.problem(test.word, "packets have no source hardware address in this chain"));
        }
        if test.negated {
            // Only what comes from an Ethernet device has the address (xt_mac.c); lo is none for certain.
            let lo = interface_value("lo").unwrap_or_default();
            c.push_set(Field::Iif, IntervalSet::single(lo), true);
        }
        c.push_set(Field::Mac, IntervalSet::single(mac), test.negated);
    }
    Ok(())
}

/// `-m addrtype`.
pub(super) fn addrtype(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    c.needs_option(owner)?;
    let limit = c.tests(owner).find(|t| t.count == 0);
    for test in c.tests(owner) {
        let field = match test.option.canonical {
            "src-type" => Field::Src,
            "dst-type" => Field::Dst,
            _ => continue,
        };
        let Some((types, other)) = address_types(c.arg(&test, 0)) else {
            let shown = c.words.shown(test.args[0]);
            return Err(c
                .problem(test.args[0], format!("`{shown}` is no list of address types"))
                .help("LOCAL, UNICAST, BROADCAST, MULTICAST, …, joined by commas"));
        };
        if let Some(limit) = limit {
            let list = c.words.shown(test.args[0]).to_ascii_uppercase();
            let text = format!("-m addrtype --{} {list} --{}", test.option.name, limit.option.name);
            c.push_opaque(&text, "depends on the addresses of one interface", test.negated);
            continue;
        }
        if c.v6 {
            address_type_v6(c, &test, field, types, &other)?;
        } else {
            address_type_term(c, field, types, &other, test.negated);
        }
    }
    Ok(())
}

// The types, and the names of those that the model does not tell apart.
fn address_types(text: &[u8]) -> Option<(AddressTypes, Vec<String>)> {
    const OTHER: [&str; 8] =
        ["UNSPEC", "ANYCAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW", "NAT", "XRESOLVE"];
    let mut types = AddressTypes::default();
    let mut other = Vec::new();
    for word in text.split(|b| *b == b',') {
        let word = String::from_utf8_lossy(word).to_ascii_uppercase();
        match word.as_str() {
            "LOCAL" => types = types.with(AddressTypes::LOCAL),
            "UNICAST" => types = types.with(AddressTypes::UNICAST),
            "BROADCAST" => types = types.with(AddressTypes::BROADCAST),
            "MULTICAST" => types = types.with(AddressTypes::MULTICAST),
            w if OTHER.contains(&w) => {
                if !other.contains(&word) {
                    other.push(word);
                }
            }
            _ => return None,
        }
    }
    Some((types, other))
}

// A type that only the box's routing tells, as alternatives: what is certainly of another type (an address of the box, multicast, and what
// the kernel knows by the number alone) is not of this one.
fn routed_type(c: &mut Context<'_>, field: Field, name: &str, negated: bool) -> Vec<Vec<Term>> {
    let option = if field == Field::Src { "src-type" } else { "dst-type" };
    let text = format!("-m addrtype --{option} {name}");
    let opaque = c.b.opaque(&text, "depends on the routing of the box", negated, c.origin);
    let known = AddressTypes::LOCAL.with(AddressTypes::MULTICAST);
    let other = Term::AddressType { field, types: known, negated: !negated };
    let fixed = IntervalSet::from_ranges([
        (addr::v4(0), addr::v4(0)),
        (addr::v4(u32::MAX), addr::v4(u32::MAX)),
        (0, 0),
    ]);
    let outside = c.addresses().minus(&fixed);
    let by_number = c.b.field(field, if negated { fixed } else { outside });
    if negated {
        vec![vec![opaque], vec![other], vec![by_number]]
    } else {
        vec![vec![opaque, other, by_number]]
    }
}

// IPv4: the address is of one of the types (xt_addrtype.c, `match_type`).
fn address_type_term(
    c: &mut Context<'_>,
    field: Field,
    types: AddressTypes,
    other: &[String],
    negated: bool,
) {
    let mut ways: Vec<Vec<Term>> = Vec::new();
    if types != AddressTypes::default() {
        ways.push(vec![Term::AddressType { field, types, negated }]);
    }
    for name in other {
        let routed = routed_type(c, field, name, negated);
        if negated {
            let none = c.b.any(routed);
            ways.push(vec![none]);
        } else {
            ways.extend(routed);
        }
    }
    push_ways(c, ways, negated);
}

// One of some alternatives; negated, each of them.
fn push_ways(c: &mut Context<'_>, mut ways: Vec<Vec<Term>>, all: bool) {
    if all || ways.len() == 1 {
        c.terms.extend(ways.drain(..).flatten());
    } else {
        let any = c.b.any(ways);
        c.push(any);
    }
}

// IPv6: of unicast, multicast and unspecified addresses each that is asked for must hold, by the number alone; and one of the types that
// routing tells, if any is asked for (xt_addrtype.c, `match_type6`). The kernel takes no others.
fn address_type_v6(
    c: &mut Context<'_>,
    test: &Test,
    field: Field,
    types: AddressTypes,
    other: &[String],
) -> Lowered<()> {
    const NONE: [&str; 5] = ["BLACKHOLE", "PROHIBIT", "THROW", "NAT", "XRESOLVE"];
    let broadcast = types.has(AddressTypes::BROADCAST).then_some("BROADCAST");
    if let Some(name) = broadcast.or(other.iter().map(String::as_str).find(|n| NONE.contains(n))) {
        return Err(c
            .problem(test.args[0], format!("ip6tables does not tell addresses of type {name}"))
            .help("the kernel refuses the rule"));
    }
    let multicast = IntervalSet::range(0xff_u128 << 120, u128::MAX);
    let unspecified = IntervalSet::single(0u8);
    let mut wanted = c.addresses();
    if types.has(AddressTypes::MULTICAST) {
        wanted = wanted.intersect(&multicast);
    }
    if types.has(AddressTypes::UNICAST) {
        wanted = wanted.minus(&multicast).minus(&unspecified);
    }
    if other.iter().any(|n| n == "UNSPEC") {
        wanted = wanted.intersect(&unspecified);
    }
    let negated = test.negated;
    let set = if negated { c.addresses().minus(&wanted) } else { wanted };
    let by_number = c.b.field(field, set);
    let mut routed: Vec<Vec<Term>> = Vec::new();
    if types.has(AddressTypes::LOCAL) {
        routed.push(vec![Term::AddressType { field, types: AddressTypes::LOCAL, negated }]);
    }
    for name in other.iter().filter(|n| *n != "UNSPEC") {
        let ways = routed_type(c, field, name, negated);
        if negated {
            let none = c.b.any(ways);
            routed.push(vec![none]);
        } else {
            routed.extend(ways);
        }
    }
    match (routed.is_empty(), negated) {
        (true, _) => c.push(by_number),
        (false, false) => {
            c.push(by_number);
            push_ways(c, routed, false);
        }
        (false, true) => {
            let none = routed.into_iter().flatten().collect();
            let any = c.b.any(vec![vec![by_number], none]);
            c.push(any);
        }
    }
    Ok(())
}

// A limit as a condition: `unthrottled` is its truth while nothing is exceeded, `negated` whether the rule wants the opposite.
// `rest` is what the saver adds to the text.
fn rate(c: &mut Context<'_>, owner: usize, rest: &str, unthrottled: bool, negated: bool) {
    let mut text = c.joint_text(owner).replace(" ! ", " ");
    text.push_str(rest);
    let why = "a limit: it holds or not depending on how much came before";
    let id = c.b.condition(&text, why, ConditionKind::Rate { unthrottled }, c.origin);
    c.push(Term::opaque(id, negated));
}

/// `-m limit`.
pub(super) fn limit(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    if let Some(test) = c.command.spec.find(owner, "limit").copied() {
        if test.negated {
            return Err(c
                .problem(test.word, "`--limit` cannot be negated")
                .help("use `-m hashlimit --hashlimit-above`"));
        }
        check_rate(c, &test)?;
    }
    rate(c, owner, "", true, false);
    Ok(())
}

// `5/second` and the like (iptables-extensions(8), limit).
fn check_rate(c: &Context<'_>, test: &Test) -> Lowered<()> {
    let text = c.words.shown(test.args[0]);
    let (number, unit) = text.split_once('/').unwrap_or((&text, "second"));
    let digits = number.trim_end_matches(['b', 'k', 'm']);
    let known = ["second", "minute", "hour", "day"]
        .iter()
        .any(|u| !unit.is_empty() && u.starts_with(&unit.to_ascii_lowercase()));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || !known {
        return Err(c
            .problem(test.args[0], format!("`{text}` is no rate"))
            .help("such as 5/second, 10/minute"));
    }
    Ok(())
}

/// `-m hashlimit`.
pub(super) fn hashlimit(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    let test = c.tests(owner).find(|t| matches!(t.option.canonical, "hashlimit-upto" | "hashlimit-above"));
    let Some(test) = test else {
        return Err(c
            .problem(c.command.spec.uses[owner].word, "`-m hashlimit` needs a rate")
            .help("such as `--hashlimit-upto 5/second`"));
    };
    check_rate(c, &test)?;
    rate(c, owner, "", test.option.canonical == "hashlimit-upto", test.negated);
    Ok(())
}

/// `-m connlimit`.
pub(super) fn connlimit(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    let test = c.tests(owner).find(|t| matches!(t.option.canonical, "connlimit-upto" | "connlimit-above"));
    let Some(test) = test else {
        return Err(c
            .problem(c.command.spec.uses[owner].word, "`-m connlimit` needs a number")
            .help("such as `--connlimit-above 10`"));
    };
    let count = c.at(test.args[0], values::bounded(c.arg(&test, 0), u32::MAX.into()))?;
    let mut rest = String::new();

    if c.tests(owner).all(|t| !t.option.canonical.ends_with("addr")) {
        rest.push_str(" --connlimit-saddr");
    }
    if count == 0 {
        // A connection counts itself: nothing stays below this limit (`connlimit_mt` in net/netfilter/xt_connlimit.c).
        let text = c.joint_text(owner).replace(" ! ", " ") + &rest;
        let why = "every connection that is counted is above a limit of 0";
        let id = c.b.condition(&text, why, ConditionKind::Volatile, c.origin);
        c.push(Term::opaque(id, test.negated));
        return Ok(());
    }
    rate(c, owner, &rest, test.option.canonical == "connlimit-upto", test.negated);
    Ok(())
}

/// `-m recent`: `--set` always holds; with a hit count it is a limit, without one a list that rules keep.
pub(super) fn recent(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    let mut commands =
        c.tests(owner).filter(|t| matches!(t.option.canonical, "set" | "rcheck" | "update" | "remove"));
    let (first, second) = (commands.next(), commands.next());
    let (Some(test), None) = (first, second) else {
        return Err(c.problem(
            c.command.spec.uses[owner].word,
            "`-m recent` needs one of --set, --rcheck, --update and --remove",
        ));
    };
    if test.option.canonical == "set" {
        if test.negated {
            c.never();
        }
        return Ok(());
    }
    let mut rest = String::new();

    if c.command.spec.find(owner, "rdest").is_none() && c.command.spec.find(owner, "rsource").is_none() {
        rest.push_str(" --rsource");
    }
    if c.command.spec.find(owner, "hitcount").is_some() {
        rate(c, owner, &rest, false, test.negated);
        return Ok(());
    }
    let text = c.joint_text(owner).replace(" ! ", " ") + &rest;

    let why = "depends on a list of addresses that rules keep";
    let id = c.b.condition(&text, why, ConditionKind::Volatile, c.origin);
    c.push(Term::opaque(id, test.negated));
    Ok(())
}

/// `-m time`.
pub(super) fn time(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    c.joint(owner, ConditionKind::Pure, "depends on the time of day")
}

/// `-m rpfilter`: spoofed sources fail it, and what fails it is a matter of routing.
pub(super) fn rpfilter(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    let invert = c.command.spec.find(owner, "invert").is_some();
    let mut text = "-m rpfilter".to_owned();
    for test in c.tests(owner).filter(|t| t.option.canonical != "invert") {
        text.push_str(" --");
        text.push_str(test.option.canonical);
    }
    c.push_opaque_of(owner, &text, "depends on the routing of the box", invert);
    Ok(())
}

/// `-m cluster`: a node's number is a mask with one bit.
pub(super) fn cluster(c: &mut Context<'_>, owner: usize) -> Lowered<()> {
    let mut text = "-m cluster".to_owned();
    let (mut negated, mut nodes, mut total) = (false, None, None);
    for test in c.tests(owner) {
        let n = c.at(test.args[0], values::bounded(c.arg(&test, 0), u32::MAX.into()))?;
        match test.option.canonical {
            "cluster-local-node" if (1..=32).contains(&n) => {
                (nodes, negated) = (Some(1u64 << (n - 1)), test.negated);
            }
            "cluster-local-nodemask" => (nodes, negated) = (Some(n), test.negated),
            "cluster-local-node" => return Err(c.problem(test.args[0], "nodes count from 1 to 32")),
            "cluster-total-nodes" => total = Some((n, test.args[0])),
            _ => text.push_str(&format!(" --cluster-hash-seed {n:#x}")),
        }
    }
    let used = c.command.spec.uses[owner].word;
    let (Some(nodes), Some((total, word))) = (nodes, total) else {
        return Err(c.problem(used, "`-m cluster` needs the number of nodes and the local one"));
    };
    if total > 32 || nodes >> total != 0 {
        return Err(c.problem(word, "the local node is none of these"));
    }
    text.push_str(&format!(" --cluster-total-nodes {total} --cluster-local-nodemask {nodes:#x}"));
    c.push_opaque(&text, "depends on a hash of the connection", negated);
    Ok(())
}
