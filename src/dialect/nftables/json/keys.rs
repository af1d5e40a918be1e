//! The members that objects have (libnftables-json(5)). One that is not among them means something that is not known here, and so
//! does the whole object.

use super::*;

/// Whether an object of a ruleset has no member beside those that are known; the first other one.
pub(super) fn of_object(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "table" => &["family", "name", "handle", "flags", "comment"],
        "chain" => &[
            "family", "table", "name", "newname", "handle", "type", "hook", "prio", "dev", "policy",
            "comment",
        ],
        "rule" => &["family", "table", "chain", "handle", "index", "expr", "comment"],
        "set" | "map" | "meter" => &[
            "family",
            "table",
            "name",
            "handle",
            "type",
            "map",
            "policy",
            "flags",
            "elem",
            "timeout",
            "gc-interval",
            "size",
            "auto-merge",
            "comment",
            "stmt",
        ],
        "element" => &["family", "table", "name", "handle", "elem"],
        "flowtable" => &["family", "table", "name", "handle", "hook", "prio", "dev", "flags", "counter"],
        "limit" => &[
            "family",
            "table",
            "name",
            "handle",
            "comment",
            "rate",
            "per",
            "burst",
            "rate_unit",
            "burst_unit",
            "unit",
            "inv",
        ],
        "quota" => &[
            "family",
            "table",
            "name",
            "handle",
            "comment",
            "bytes",
            "val",
            "val_unit",
            "used",
            "used_unit",
            "inv",
        ],
        _ => return None,
    })
}

/// Members of a statement; `None`: they are of no consequence.
pub(super) fn of_statement(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "match" => &["op", "left", "right"],
        "vmap" => &["key", "data"],
        "mangle" => &["key", "value"],
        "counter" => &["packets", "bytes", "map", "key", "data"],
        "limit" => &["rate", "rate_unit", "per", "burst", "burst_unit", "inv", "map", "key", "data"],
        "quota" => &["val", "val_unit", "used", "used_unit", "inv", "map", "key", "data"],
        "ct count" => &["val", "inv"],
        "reject" => &["type", "expr"],
        "snat" | "dnat" | "masquerade" | "redirect" => &["addr", "family", "port", "flags", "type_flags"],
        "set" | "map" => &["op", "elem", "data", "set", "map", "stmt"],
        "meter" => &["name", "key", "stmt", "size"],
        "flow" => &["op", "flowtable"],
        "dup" | "fwd" | "tproxy" => &["addr", "family", "port", "dev", "device"],
        "queue" => &["num", "flags"],
        "xt" => &["type", "name"],
        "jump" | "goto" => &["target"],
        _ => return None,
    })
}

/// Members of an expression; `None`: it has none of its own.
pub(super) fn of_expression(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "prefix" => &["addr", "len"],
        "elem" => {
            &["val", "timeout", "expires", "comment", "counter", "limit", "quota", "ct count", "last", "stmt"]
        }
        "map" => &["key", "data"],
        "payload" => &["base", "offset", "len", "protocol", "field", "tunnel"],
        "meta" | "tunnel" => &["key"],
        "ct" => &["key", "family", "dir"],
        "fib" => &["result", "flags"],
        "rt" => &["key", "family"],
        "socket" => &["key", "level"],
        "osf" => &["key", "ttl"],
        "ipsec" => &["dir", "key", "spnum", "family"],
        "exthdr" => &["name", "field", "offset"],
        "tcp option" | "ip option" | "dccp option" => &["name", "field", "base", "type", "offset", "len"],
        "sctp chunk" => &["name", "field"],
        "numgen" => &["mode", "mod", "offset"],
        "jhash" => &["mod", "offset", "expr", "seed"],
        "symhash" => &["mod", "offset"],
        _ => return None,
    })
}

/// Refuses an object with a member that is not among the known ones.
pub(super) fn check(v: Value<'_>, file: usize, known: Option<&[&str]>) -> Parsed<()> {
    let Some(known) = known else { return Ok(()) };
    match v.members().find(|(k, _)| !known.iter().any(|name| k.is(name))) {
        None => Ok(()),
        Some((key, _)) => {
            let name = key.str().unwrap_or_default().into_owned();
            let help = "what it belongs to is not understood: lint the output of `nft list ruleset` instead";
            Err(SyntaxError::new(key.origin(file), format!("the member \"{name}\" is not known")).help(help))
        }
    }
}
