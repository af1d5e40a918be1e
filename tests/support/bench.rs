//! The bench: a worker process in a network namespace of its own (see `tests/kernel/worker.py`).

use havenlint::packet::{ConnState, Family, Field, Packet, Path, addr, interface_name};
use havenlint::selftest::wire;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Interfaces of the namespace beside `lo`, with their addresses.
pub const INTERFACES: [(&str, &[&str]); 5] = [
    ("eth0", &["10.20.30.1/24", "2001:db8:1:2::1/64"]),
    ("eth1", &["192.0.2.1/25", "2001:db8:a::1/64"]),
    ("eth10", &["198.51.100.1/32", "2001:db8:b::1/128"]),
    ("br-lan", &["172.16.0.1/16", "fd00::1/64"]),
    ("wan", &["203.0.113.1/28", "2001:db8:c::1/64"]),
];

/// More of the box's own addresses.
pub const LOCALS: [&str; 2] = ["10.20.30.77/32", "2001:db8:1:2::77/128"];

/// A fixed answer of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kernel {
    /// Reached the end of its way.
    Accept,
    /// Seen by the first chain of a hook, not by the last one.
    Drop,
    /// The kernel discarded it between the hooks, or sent it elsewhere: no verdict.
    Nothing(String),
}

/// A running worker.
pub struct Bench {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    // Packets go on to the device that they leave by.
    egress: bool,
}

/// A tool and what it is to load.
pub type Load<'a> = (&'a str, &'a str);

impl Bench {
    /// Starts one; the reason if that is not possible here.
    pub fn start() -> Result<Self, String> {
        for (tool, argument) in
            [("unshare", "--version"), ("python3", "--version"), ("ip", "-V"), ("nft", "--version")]
        {
            let found = Command::new(tool).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !found.is_ok_and(|s| s.success()) {
                return Err(format!("`{tool}` is not there"));
            }
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kernel/worker.py");
        let mut child = Command::new("unshare")
            .args(["-n", "python3", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("unshare: {e}"))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the worker has no pipes".to_owned());
        };
        let mut bench = Bench { child, to, from: BufReader::new(from), egress: false };
        let interfaces: serde_json::Map<String, Value> =
            INTERFACES.iter().map(|(n, a)| ((*n).to_owned(), json!(a))).collect();
        bench.ask(&json!({"op": "setup", "interfaces": interfaces, "locals": LOCALS}))?;
        Ok(bench)
    }

    fn ask(&mut self, request: &Value) -> Result<Value, String> {
        writeln!(self.to, "{request}")
            .and_then(|()| self.to.flush())
            .map_err(|e| format!("the worker is gone: {e}"))?;
        let mut line = String::new();
        self.from.read_line(&mut line).map_err(|e| format!("the worker is gone: {e}"))?;
        let answer: Value = serde_json::from_str(&line).map_err(|_| {
            "no network namespace (root is needed), or the worker failed: see above".to_owned()
        })?;
        match answer["fatal"].as_str() {
            Some(e) => Err(e.to_owned()),
            None => Ok(answer),
        }
    }

    /// Replaces the ruleset; what the tool says if it refuses.
    pub fn load(&mut self, loads: &[Load]) -> Result<(), String> {
        let loads: Vec<_> = loads.iter().map(|(tool, text)| json!({"tool": tool, "text": text})).collect();
        let answer = self.ask(&json!({"op": "load", "loads": loads})).expect("the bench works");
        self.egress = loads_egress(&loads);
        self.ask(&json!({"op": "egress", "on": self.egress})).expect("the bench works");
        match answer["ok"].as_bool() {
            Some(true) => Ok(()),
            _ => Err(answer["error"].to_string()),
        }
    }

    /// The ruleset as a tool writes it, with the packets and bytes that each rule has counted.
    pub fn save(&mut self, tool: &str) -> String {
        let answer = self.ask(&json!({"op": "save", "tool": tool})).expect("the bench works");
        answer["text"].as_str().unwrap_or_default().to_owned()
    }

    /// What the kernel does with each packet. Established and related packets belong to connections that are entered for
    /// them; a packet of the same connection in another state (or direction) has no verdict.
    pub fn judge(&mut self, packets: &[Packet]) -> Vec<Kernel> {
        assert!(packets.len() < 0xfff0, "identifications are 16 bits");
        let mut connections: HashMap<String, Value> = HashMap::new();
        for p in packets {
            if let Some(c) = connection(p) {
                connections.entry(either_way(&flow(p))).or_insert(c);
            }
        }
        let belongs = |p: &Packet| match connections.get(&either_way(&flow(p))) {
            Some(c) => connection(p).as_ref() == Some(c),
            None => true,
        };
        let packets_out: Vec<_> = packets.iter().enumerate().filter(|(_, p)| belongs(p)).collect();
        let wire: Vec<_> = packets_out.iter().map(|(n, p)| send(p, *n as u32 + 1)).collect();
        let connections: Vec<&Value> = connections.values().collect();
        let request = json!({"op": "send", "packets": wire, "connections": connections});
        let notes = notes(&self.ask(&request).expect("the bench works")["seen"]);
        let one = |(n, p)| {
            if belongs(p) {
                verdict(p, n as u64 + 1, &notes, self.egress)
            } else {
                Kernel::Nothing("its connection has another state".to_owned())
            }
        };
        packets.iter().enumerate().map(one).collect()
    }
}

fn loads_egress(loads: &[Value]) -> bool {
    loads.iter().any(|l| l["text"].as_str().is_some_and(|t| t.contains("hook egress")))
}

// What identifies a packet's connection in its direction.
fn flow(packet: &Packet) -> [u128; 5] {
    let value = |f| packet.get(f).unwrap_or(0);
    [packet.proto().into(), value(Field::Src), value(Field::Sport), value(Field::Dst), value(Field::Dport)]
}

fn either_way(flow: &[u128; 5]) -> String {
    let mut ends = [(flow[1], flow[2]), (flow[3], flow[4])];
    ends.sort_unstable();
    format!("{} {ends:?}", flow[0])
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Notes = HashMap<String, HashMap<u64, HashSet<(String, String)>>>;

fn notes(seen: &Value) -> Notes {
    let mut out = Notes::new();
    for (place, list) in seen.as_object().into_iter().flatten() {
        let at = out.entry(place.clone()).or_default();
        for note in list.as_array().into_iter().flatten() {
            let text = |i: usize| note[i].as_str().unwrap_or("?").to_owned();
            at.entry(note[0].as_u64().unwrap_or(0)).or_default().insert((text(1), text(2)));
        }
    }
    out
}

fn verdict(packet: &Packet, id: u64, notes: &Notes, egress: bool) -> Kernel {
    let digit = packet.family().number();
    let name = |f| interface_name(packet.get(f).unwrap_or(0));
    let (iif, oif) = (name(Field::Iif), name(Field::Oif));
    let none = String::new;
    let in_ = |hook| (hook, iif.clone(), none());
    let out = |hook| (hook, none(), oif.clone());
    let mut way = match packet.path {
        Path::Input => vec![in_("ing"), in_("pre"), in_("in")],
        Path::Output => vec![out("out"), out("post")],
        _ => vec![
            in_("ing"),
            in_("pre"),
            ("fwd", iif.clone(), oif.clone()),
            ("post", iif.clone(), oif.clone()),
        ],
    };
    if egress && packet.path != Path::Input {
        way.push(out("egr"));
    }
    for (hook, iif, oif) in &way {
        for (place, missing) in [("first", None), ("last", Some(Kernel::Drop))] {
            let key = format!("{digit} {hook} {place}");
            match notes.get(&key).and_then(|n| n.get(&id)) {
                None => return missing.unwrap_or_else(|| Kernel::Nothing(format!("never came to {hook}"))),
                Some(seen) if seen.len() == 1 && seen.contains(&(iif.clone(), oif.clone())) => {}
                Some(seen) => return Kernel::Nothing(format!("other interfaces at {hook}: {seen:?}")),
            }
        }
    }
    Kernel::Accept
}

fn send(packet: &Packet, id: u32) -> Value {
    let name = |f| interface_name(packet.get(f).unwrap_or(0));
    let number = |name: &str| INTERFACES.iter().position(|(n, _)| *n == name).unwrap_or(0);
    let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let iif = name(Field::Iif);
    let to = if iif == "lo" { 0 } else { 0x0200_0000_0001 + number(&iif) as u64 };
    match packet.path {
        Path::Output => json!({
            "out": name(Field::Oif),
            "mark": packet.mark,
            "to": addr::addr(packet.get(Field::Dst).unwrap_or(0)).to_string(),
            "packet": hex(wire::ip_packet(packet, id, 0)),
        }),
        Path::Input => json!({"in": iif, "frame": hex(wire::frame(packet, id, 4, to))}),
        _ => {
            let class = 8 + 4 * number(&name(Field::Oif)) as u8;
            json!({"in": iif, "frame": hex(wire::frame(packet, id, class, to))})
        }
    }
}

/// The connection that makes the packet established or related.
fn connection(packet: &Packet) -> Option<Value> {
    let related = match packet.state() {
        ConnState::Established => false,
        ConnState::Related => true,
        _ => return None,
    };
    let address = |f| addr::addr(packet.get(f).unwrap_or(0)).to_string();
    let mut out = json!({
        "src": address(Field::Src),
        "dst": address(Field::Dst),
        "proto": packet.proto(),
        "related": related,
    });
    match packet.get(Field::Icmp) {
        Some(_) => out["id"] = json!(wire::ECHO_ID),
        None => {
            out["sport"] = json!(packet.get(Field::Sport).unwrap_or(0) as u16);
            out["dport"] = json!(packet.get(Field::Dport).unwrap_or(0) as u16);
        }
    }
    if related {
        let (a, b) = match packet.family() {
            Family::V4 => ("10.99.99.1", "10.99.99.2"),
            Family::V6 => ("fd99::1", "fd99::2"),
        };
        out["master"] = json!({"src": a, "dst": b, "proto": 17, "sport": 9, "dport": 9});
    }
    Some(out)
}
