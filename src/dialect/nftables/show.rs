//! Canonical words: what text and JSON of one ruleset must name alike.

use super::datatype::number;
use super::syntax::*;

/// An expression in canonical words; values stay as written.
pub(super) fn expr(e: &Expr<'_>) -> String {
    match &e.kind {
        ExprKind::Word(w) | ExprKind::Quoted(w) => match number(w) {
            Some(n) => n.to_string(),
            None => w.clone().into_owned(),
        },
        ExprKind::Selector(s) => s.text.clone().into_owned(),
        ExprKind::Prefix(v, n) => format!("{}/{n}", expr(v)),
        ExprKind::Range(a, b) => format!("{}-{}", expr(a), expr(b)),
        ExprKind::Masked(a, b) => format!("{} / {}", expr(a), expr(b)),
        ExprKind::Concat(parts) => join(parts, " . "),
        ExprKind::List(parts) => join(parts, ","),
        ExprKind::Set(elements) => {
            let mut parts: Vec<_> = elements.iter().map(element).collect();
            parts.sort_unstable();
            parts.dedup();
            format!("{{ {} }}", parts.join(", "))
        }
        ExprKind::Named(name) => format!("@{name}"),
        ExprKind::Map(key, map) => format!("{} map {}", expr(key), expr(map)),
        ExprKind::Bits(op, a, b) => format!("({} {} {})", expr(a), op.sign(), expr(b)),
        ExprKind::Rest => "*".to_owned(),
    }
}

fn join(parts: &[Expr<'_>], with: &str) -> String {
    parts.iter().map(expr).collect::<Vec<_>>().join(with)
}

fn element(e: &Element<'_>) -> String {
    match &e.value {
        Some(MapValue::Expr(v)) => format!("{} : {}", expr(&e.key), expr(v)),
        _ => expr(&e.key),
    }
}

/// What a rule compares, in canonical words.
pub(super) fn compared(rule: &Rule<'_>) -> String {
    let part = |s: &Statement<'_>| match s {
        Statement::Match { left, op, right } => Some(format!("{} {} {}", expr(left), op.sign(), expr(right))),
        Statement::VerdictMap { key, map } => Some(format!("{} vmap {}", expr(key), expr(map))),
        Statement::Lookup(e) => Some(expr(e)),
        _ => None,
    };
    rule.statements.iter().filter_map(part).collect::<Vec<_>>().join(", ")
}

/// Bytes in a unit; `Some(None)` for packets; `None` if it is no unit.
pub(super) fn unit(word: &str) -> Option<Option<u128>> {
    match word {
        "packets" | "packet" => Some(None),
        "bytes" => Some(Some(1)),
        "kbytes" => Some(Some(1024)),
        "mbytes" => Some(Some(1024 * 1024)),
        _ => None,
    }
}

/// A number and, for bytes, how many bytes the unit has.
pub(super) type Amount = (u128, Option<u128>);

/// `limit rate …` in canonical words. Without a burst it is 5 packets, or none for bytes (nft(8), "Limit statement").
pub(super) fn limit<'a>(over: bool, rate: Amount, per: &str, burst: Option<Amount>) -> Stateful<'a> {
    let word = if over { "over " } else { "" };
    let text = match rate {
        (n, None) => {
            let burst = burst.map_or(5, |b| b.0);
            format!("limit rate {word}{n}/{per} burst {burst} packets")
        }
        (n, Some(unit)) => {
            let bytes = n.saturating_mul(unit);
            let burst = burst.map_or(0, |b| b.0.saturating_mul(b.1.unwrap_or(1)));
            format!("limit rate {word}{bytes} bytes/{per} burst {burst} bytes")
        }
    };
    Stateful::Limit { text, over }
}

/// `quota …` in canonical words.
pub(super) fn quota<'a>(over: bool, amount: Amount) -> Stateful<'a> {
    let bytes = amount.0.saturating_mul(amount.1.unwrap_or(1));
    Stateful::Quota { text: format!("quota {}{bytes} bytes", if over { "over " } else { "" }) }
}

/// `ct count …` in canonical words.
pub(super) fn count<'a>(over: bool, count: &str) -> Stateful<'a> {
    let text = format!("ct count {}{count}", if over { "over " } else { "" });
    // A connection counts itself: nothing stays below a limit of 0 (`nft_connlimit_do_eval` in net/netfilter/nft_connlimit.c).
    if count.bytes().all(|b| b == b'0') { Stateful::Quota { text } } else { Stateful::Limit { text, over } }
}

/// `add @set { key }`.
pub(super) fn update<'a>(op: &str, set: &str, key: Expr<'a>, guards: Vec<Stateful<'a>>) -> Statement<'a> {
    let text = format!("{op} @{set} {{ {} }}", expr(&key));
    Statement::Update { text, key, removes: op == "delete", guards }
}

/// `flow add @table`: goes on only with packets that can be offloaded.
pub(super) fn flow<'a>(table: &str) -> Statement<'a> {
    Statement::Opaque {
        text: format!("flow add @{table}"),
        why: "it goes on only with packets whose connection can be offloaded",
        shared: true,
    }
}

/// `dup` goes on; `tproxy` goes on if a socket takes the packet; `fwd` takes the packet away.
pub(super) fn copy_or_forward<'a>(word: &str) -> Statement<'a> {
    match word {
        "dup" => Statement::Inert,
        "tproxy" => Statement::Transparent,
        _ => Statement::Unknown { text: "fwd".to_owned(), why: "it sends the packet out of another device" },
    }
}

/// `synproxy` answers for the server.
pub(super) fn synproxy<'a>() -> Statement<'a> {
    Statement::Unknown {
        text: "synproxy".to_owned(),
        why: "the kernel itself answers the handshake before it lets the connection through",
    }
}

/// `xt match "name"`: a rule of iptables-nft, whose arguments nft does not print.
pub(super) fn extension<'a>(kind: &str, name: &str) -> Statement<'a> {
    let text = format!("xt {kind} \"{name}\"");
    let why =
        "nft does not print what iptables rules compare: lint the output of iptables-save of the same host";
    match kind {
        "match" => Statement::Opaque { text, why, shared: false },
        _ => Statement::Unknown { text, why },
    }
}
