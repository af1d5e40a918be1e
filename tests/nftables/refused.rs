//! What nft refuses is an error here. Where nft is at hand it is asked as well.

use super::around::{errors, read};
use std::io::Write;
use std::process::{Command, Stdio};

// What nft says, where it can be asked.
fn nft_refuses(text: &str) -> Option<bool> {
    let mut child = Command::new("unshare")
        .args(["-n", "nft", "-c", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(text.as_bytes()).ok()?;
    let out = child.wait_with_output().ok()?;
    let told = String::from_utf8_lossy(&out.stderr);
    match () {
        () if out.status.success() => Some(false),
        () if told.contains("Error:") => Some(true),
        () => None,
    }
}

fn named(declaration: &str) -> String {
    format!(
        "table inet t {{\n {declaration}\n chain c {{\n type filter hook input priority 0; policy drop;\n tcp dport 22 accept\n }}\n}}\n"
    )
}

fn ruled(rule: &str) -> String {
    format!(
        "table inet t {{\n chain c {{\n type filter hook input priority 0; policy drop;\n {rule}\n }}\n}}\n"
    )
}

#[test]
fn elements_that_conflict() {
    let set = |kind: &str, flags: &str, elements: &str| {
        named(&format!("set a {{\n type {kind}\n {flags}\n elements = {{ {elements} }}\n }}"))
    };
    let map = |kind: &str, flags: &str, elements: &str| {
        named(&format!("map a {{\n type {kind}\n {flags}\n elements = {{ {elements} }}\n }}"))
    };
    let rows = [
        (true, set("ipv4_addr", "flags interval", "192.168.1.0/24, 192.168.1.50")),
        (true, set("ipv4_addr", "flags interval", "10.0.0.0-10.0.0.9, 10.0.0.5-10.0.0.20")),
        (true, set("ipv6_addr", "flags interval", "2001:db8::/32, 2001:db8::7")),
        (true, set("inet_service", "flags interval", "1-100, 50")),
        (true, set("ifname", "flags interval", "\"eth*\", \"eth0\"")),
        (true, set("ipv4_addr . inet_service", "flags interval", "10.0.0.0/24 . 22, 10.0.0.5 . 22")),
        (true, map("ipv4_addr : verdict", "flags interval", "10.0.0.0/24 : accept, 10.0.0.5 : drop")),
        (true, map("ipv4_addr : verdict", "", "10.0.0.5 : accept, 10.0.0.5 : drop")),
        (true, set("ipv4_addr", "", "10.0.0.0/24")),
        (true, set("ipv4_addr", "", "10.0.0.1-10.0.0.5")),
        (true, set("ipv4_addr . inet_service", "", "10.0.0.0/24 . 22")),
        (true, ruled("ip saddr vmap { 10.0.0.0/24 : accept, 10.0.0.5 : drop }")),
        (true, ruled("ip saddr vmap { 10.0.0.5 : accept, 10.0.0.5 : drop }")),
        (true, ruled("tcp dport vmap { 1-100 : accept, 50 : drop }")),
        (true, ruled("ip saddr . tcp dport { 10.0.0.0/24 . 22, 10.0.0.5 . 22 } accept")),
        // Of concatenations the kernel looks at the ends of the new element only.
        (
            true,
            set("ipv4_addr . inet_service", "flags interval", "10.0.0.128-10.0.1.5 . 22, 10.0.0.0/24 . 22"),
        ),
        (false, set("ipv4_addr . inet_service", "flags interval", "10.0.0.5 . 22, 10.0.0.0/24 . 22")),
        (false, set("ipv4_addr . inet_service", "flags interval", "10.0.0.0/24 . 22, 10.0.0.5 . 20-30")),
        (false, ruled("ip saddr . ip daddr { 10.0.0.5 . 10.1.0.0/24, 10.0.0.0/28 . 10.1.0.1 } accept")),
        (true, ruled("ip saddr . tcp dport vmap { 10.0.0.0/24 . 22 : accept, 10.0.0.5 . 22-25 : drop }")),
        (false, ruled("ip saddr . tcp dport vmap { 10.0.0.0/24 . 22 : accept, 10.0.0.5 . 20-25 : drop }")),
        (false, set("ipv4_addr", "flags interval", "10.0.0.0/24, 10.0.0.0/24")),
        (false, set("ipv4_addr", "flags interval", "10.0.0.0/24, 10.0.0.0-10.0.0.255")),
        (false, set("ipv4_addr", "flags interval", "10.0.0.0-10.0.0.9, 10.0.0.10-10.0.0.20")),
        (false, set("ipv4_addr", "flags interval; auto-merge", "10.0.0.0/24, 10.0.0.5")),
        (false, set("ipv4_addr", "", "10.0.0.1, 10.0.0.1")),
        (false, map("ipv4_addr : verdict", "", "10.0.0.5 : accept, 10.0.0.5 : accept")),
        (false, ruled("ip saddr { 10.0.0.0/24, 10.0.0.5 } accept")),
        (false, ruled("ip saddr vmap { 10.0.0.5 : accept, 10.0.0.5 : accept }")),
        (false, ruled("iifname { \"eth*\", \"eth0\" } accept")),
    ];
    for (refused, text) in rows {
        assert_eq!(!errors(&read("t.nft", &text)).is_empty(), refused, "{text}");
        if let Some(nft) = nft_refuses(&text) {
            assert_eq!(nft, refused, "nft itself: {text}");
        }
    }
}

#[test]
fn the_place_of_a_conflict_is_told() {
    let text = named(
        "set a {\n type ipv4_addr\n flags interval\n elements = { 192.168.1.0/24,\n 192.168.1.50 }\n }",
    );
    assert_eq!(
        errors(&read("t.nft", &text)),
        ["6: this element conflicts with another one of `a`: the two overlap"]
    );
}

#[test]
fn a_byte_order_mark_is_named_and_what_is_behind_it_is_read() {
    let text = format!("\u{feff}{}", ruled("udp dport 53 drop"));
    let firewall = read("f.nft", &text);
    assert_eq!(errors(&firewall), ["1: the file begins with a byte order mark"]);
    assert!(firewall.chains.iter().any(|c| !c.rules.is_empty()));
    assert!(nft_refuses(&text).unwrap_or(true));
}
