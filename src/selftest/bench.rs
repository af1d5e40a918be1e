//! A network namespace with the ruleset, a wire for each interface, and chains around every hook that note what passes.
//!
//! How a verdict is learnt: a chain at the very first and at the very last place of every hook notes each packet's identification (IPv4) or
//! flow label (IPv6) with its interfaces. Noted first and not last: the ruleset stopped it. The last chains of input and postrouting drop,
//! so that the connection tracker confirms nothing and nothing is answered.
//!
//! How a packet gets its way: its traffic class chooses the routing table, one that makes every destination local and one for each
//! interface. What this box sends comes from raw sockets bound to an interface.

use super::choose::{OWN_V4, OWN_V6};
use super::{Kernel, Setup, wire};
use crate::model::Hook;
use crate::packet::{ConnState, Family, Field, Packet, Path, addr, interface_name, proto};
use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, bind, send, sendto,
    setsockopt, socket, sockopt,
};
use nix::unistd::Pid;
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

// Marks what is sent here: nothing else leaves the namespace.
const PRIORITY: i32 = 0x7a11;
// Traffic class of "for this box"; the n-th interface by which packets leave has 8 + 4n.
const LOCAL_CLASS: u8 = 4;
// Each interface has an address of its own, with its number in a byte.
const MAX_DEVICES: usize = 250;
// Packets that are sent before it is waited for them: the kernel holds 1000 back, and drops those after.
const WINDOW: usize = 400;
const SENTINEL: u32 = 0xffff;
const PATIENCE: Duration = Duration::from_secs(10);
const HOOKS: [Hook; 5] = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];
const PLACES: [&str; 2] = ["first", "last"];

/// The kernel's release, and whether packets of connections that exist can be sent.
pub fn about() -> (String, bool) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    (format!("Linux {}", release.trim()), run("conntrack", &["--version"], b"").is_ok())
}

/// What the kernel does with each packet.
///
/// # Errors
/// A message if the namespace cannot be made or the ruleset not loaded.
pub fn judge(setup: &Setup<'_>, packets: &[Packet]) -> Result<Vec<Kernel>, String> {
    apart(|| {
        let mut bench = Bench::new(setup)?;
        bench.connect(packets)?;
        for (n, packet) in packets.iter().enumerate() {
            bench.send(packet, n as u32 + 1)?;
            if (n + 1) % WINDOW == 0 {
                bench.settle()?;
            }
        }
        bench.settle()?;
        let notes = bench.notes()?;
        Ok(packets.iter().enumerate().map(|(n, p)| verdict(setup, p, n as u32 + 1, &notes)).collect())
    })
}

/// The kernel's own account of a packet; empty where there is none.
pub fn follow(setup: &Setup<'_>, packet: &Packet) -> Vec<String> {
    let followed = apart(|| {
        let mut bench = Bench::new(setup)?;
        bench.connect(std::slice::from_ref(packet))?;
        let family = table(packet.family());
        let chain = if packet.path == Path::Output { "output" } else { "prerouting" };
        run(
            "nft",
            &["insert", "rule", family, "hvbench", &format!("{chain}_first"), "meta", "nftrace", "set", "1"],
            b"",
        )?;
        // `timeout` ends it even if this program is killed meanwhile.
        let mut child = Command::new("timeout")
            .args(["10", "nft", "monitor", "trace"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| e.to_string())?;
        let (to, lines) = channel();
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                BufReader::new(out).lines().map_while(Result::ok).try_for_each(|l| to.send(l))
            });
        }
        let mut account = Vec::new();
        // Sent again until the monitor is there to see it.
        for _ in 0..20 {
            bench.send(packet, 1)?;
            while let Ok(line) = lines.recv_timeout(Duration::from_millis(200)) {
                account.push(line);
            }
            if !account.is_empty() {
                break;
            }
        }
        let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
        let _ = child.wait();
        Ok(account)
    });
    let own = |l: &String| !l.contains(" hvbench ") && l.starts_with("trace id");
    followed.unwrap_or_default().into_iter().filter(own).map(|l| l.trim().to_owned()).collect()
}

// Works in a thread that has a network namespace of its own, and so have the programs that it starts.
fn apart<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    let thread = || {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| {
            format!(
                "a network namespace cannot be made ({}): run as root, or as `unshare --user --map-root-user havenlint selftest …`",
                e.desc()
            )
        })?;
        // On one processor packets are received in the order in which they are sent.
        let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap_or_else(|_| CpuSet::new());
        if let Some(n) = (0..CpuSet::count()).find(|n| allowed.is_set(*n).unwrap_or(false)) {
            let mut one = CpuSet::new();
            if one.set(n).is_ok() {
                let _ = sched_setaffinity(Pid::from_raw(0), &one);
            }
        }
        work()
    };
    std::thread::scope(|s| s.spawn(thread).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

// Runs a program; what it prints, or its complaint.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
    let called = || [&[program], arguments].concat().join(" ");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => format!("`{program}` is not there: install {}", package(program)),
            _ => format!("`{}`: {e}", called()),
        })?;
    let stdin = child.stdin.take();
    let done = std::thread::scope(|s| {
        s.spawn(move || stdin.map(|mut to| to.write_all(input)));
        child.wait_with_output()
    });
    let done = done.map_err(|e| format!("`{}`: {e}", called()))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let said = String::from_utf8_lossy(&[done.stderr, done.stdout].concat()).trim().to_owned();
    Err(format!("`{}` ended with {}: {said}", called(), done.status))
}

// The package of a program, as Debian names it.
fn package(program: &str) -> &str {
    match program {
        "nft" => "nftables",
        "ip" => "iproute2",
        "ipset" => "ipset",
        "conntrack" => "conntrack",
        _ => "iptables",
    }
}

fn table(family: Family) -> &'static str {
    if family == Family::V4 { "ip" } else { "ip6" }
}

fn identification(family: Family) -> &'static str {
    if family == Family::V4 { "ip id" } else { "ip6 flowlabel" }
}

// Whether a sysctl of the namespace could be written: not each kernel has each.
fn sysctl(name: &str, value: &str) -> bool {
    fs::write(format!("/proc/sys/net/{name}"), value).is_ok()
}

struct Bench<'a> {
    setup: &'a Setup<'a>,
    // The wire that ends at an interface.
    wires: HashMap<String, OwnedFd>,
    // What sends as this box by an interface.
    raw: HashMap<(String, Family), OwnedFd>,
}

impl<'a> Bench<'a> {
    fn new(setup: &'a Setup<'a>) -> Result<Self, String> {
        if setup.devices.len() > MAX_DEVICES {
            return Err(format!(
                "the ruleset names {} interfaces; no more than {MAX_DEVICES} can be made",
                setup.devices.len()
            ));
        }
        for scope in ["all", "default"] {
            for (key, value) in
                [("rp_filter", "0"), ("accept_local", "1"), ("route_localnet", "1"), ("send_redirects", "0")]
            {
                sysctl(&format!("ipv4/conf/{scope}/{key}"), value);
            }
            for (key, value) in [
                ("accept_dad", "0"),
                ("accept_ra", "0"),
                ("router_solicitations", "0"),
                ("addr_gen_mode", "1"),
            ] {
                sysctl(&format!("ipv6/conf/{scope}/{key}"), value);
            }
        }
        sysctl("ipv6/auto_flowlabels", "0");
        let bench = Self { setup, wires: HashMap::new(), raw: HashMap::new() };
        bench.interfaces()?;
        sysctl("ipv4/ip_forward", "1");
        sysctl("ipv6/conf/all/forwarding", "1");
        for load in setup.loads {
            run(load.program, load.arguments, &load.text).map_err(|e| {
                format!("{} cannot be loaded: {}", load.path, e.replace("/dev/stdin", &load.path))
            })?;
        }
        run("nft", &["-f", "-"], bench.chains().as_bytes())?;
        // Once the tracker is there: its opinion of checksums is no part of the comparison (Linux 6.18 finds fault with correct ones of
        // UDP-Lite), nor is where in its window a TCP packet stands.
        sysctl("netfilter/nf_conntrack_checksum", "0");
        sysctl("netfilter/nf_conntrack_tcp_be_liberal", "1");
        Ok(bench)
    }

    // Interfaces, wires, addresses, routes.
    fn interfaces(&self) -> Result<(), String> {
        let names = &self.setup.devices;
        let mut lines = vec!["link set lo up".to_owned()];
        for (n, name) in names.iter().enumerate() {
            lines.push(format!("link add {name} type veth peer name hvwire{n}"));
            lines.push(format!("link set {name} address {} arp off up", mac_text(n)));
            lines.push(format!("link set hvwire{n} arp off up"));
            // What a masquerading rule takes.
            lines.push(format!("addr add {}{}.1/32 dev {name}", OWN_V4.trim_end_matches("0.0/15"), n + 1));
        }
        run("ip", &["-batch", "-"], (lines.join("\n") + "\n").as_bytes())?;
        let six = fs::exists("/proc/sys/net/ipv6").unwrap_or(false);
        for (flag, family) in [("-4", Family::V4), ("-6", Family::V6)] {
            if family == Family::V6 && !six {
                continue;
            }
            let mut lines = vec!["route add local default dev lo table 1000".to_owned()];
            for (n, name) in names.iter().map(String::as_str).chain(["lo"]).enumerate() {
                // What lo brings is for the box's own addresses, which the table `local` has. Without a rule for lo here: looking for the
                // way back to a source asks the same rules, with lo as input interface.
                let table = 1001 + n;
                if name == "lo" {
                    // Of IPv6 any other route to lo rejects.
                    lines.push(format!("route add local default dev lo table {table}"));
                } else {
                    lines.push(format!("rule add pref 10 iif {name} tos {LOCAL_CLASS:#x} lookup 1000"));
                    lines.push(format!("route add default dev {name} table {table}"));
                }
                lines.push(format!("rule add pref 30 oif {name} lookup {table}"));
                if let Some(class) = self.class(name) {
                    let rule = |w| format!("rule add pref 20 iif {w} tos {class:#x} lookup {table}");
                    lines.extend(names.iter().map(rule));
                }
                if name != "lo" && family == Family::V6 {
                    lines.push(format!(
                        "addr add {}{:x}/128 dev {name} nodad",
                        OWN_V6.trim_end_matches("/48"),
                        n + 1
                    ));
                }
            }
            let own = self.setup.own.iter().filter(|a| a.contains(':') == (family == Family::V6));
            lines.extend(own.map(|a| format!("route replace local {a} dev lo table local")));
            lines.push("rule add pref 100 lookup local".to_owned());
            lines.push("rule del pref 0".to_owned());
            lines.extend(names.first().map(|first| format!("route add default dev {first}")));
            let back = self.setup.back.iter().filter(|(source, _)| addr::family(**source) == family);
            lines.extend(back.map(|(source, d)| format!("route add {} dev {d}", addr::addr(*source))));
            run("ip", &[flag, "-batch", "-"], (lines.join("\n") + "\n").as_bytes())?;
        }
        Ok(())
    }

    // The chains that note packets.
    fn chains(&self) -> String {
        let mut out = String::new();
        for family in Family::ALL {
            out += &format!("table {} hvbench {{\n", table(family));
            let key = format!("{} . meta iif . meta oif", identification(family));
            for hook in HOOKS {
                for (place, priority) in PLACES.into_iter().zip([-2_147_483_647, 2_147_483_646]) {
                    let name = format!("{}_{place}", hook.name());
                    out += &format!(" set n_{name} {{ typeof {key}; size 65535; flags dynamic; }}\n");
                    out += &format!(
                        " chain {name} {{ type filter hook {} priority {priority}; policy accept;\n",
                        hook.name()
                    );
                    if name == "output_first" {
                        out += &format!("  meta priority != {PRIORITY:#x} drop\n");
                    }
                    out += &format!("  add @n_{name} {{ {key} }}\n");
                    if name == "input_last" || name == "postrouting_last" {
                        out += "  drop\n";
                    }
                    out += " }\n";
                }
            }
            out += "}\n";
        }
        if self.setup.at_devices {
            let devices = self.setup.devices.join("\", \"");
            out += "table netdev hvbench {\n";
            for (place, priority) in PLACES.into_iter().zip([-2_147_483_647, 2_147_483_646]) {
                let mut add = String::new();
                for family in Family::ALL {
                    let (key, name) =
                        (identification(family), format!("n_ingress_{place}_{}", family.number()));
                    out += &format!(
                        " set {name} {{ typeof {key} . meta iif . meta oif; size 65535; flags dynamic; }}\n"
                    );
                    add += &format!("  add @{name} {{ {key} . meta iif . meta oif }}\n");
                }
                out += &format!(
                    " chain ingress_{place} {{ type filter hook ingress devices = {{ \"lo\", \"{devices}\" }} priority {priority}; policy accept;\n{add} }}\n"
                );
            }
            out += "}\n";
        }
        out
    }

    // Enters the connections that packets belong to into the tracker.
    fn connect(&self, packets: &[Packet]) -> Result<(), String> {
        let mut lines = String::new();
        for p in packets.iter().filter(|p| p.state() == ConnState::Established) {
            let address = |f| addr::addr(p.get(f).unwrap_or(0));
            let port = |f| p.get(f).unwrap_or(0);
            let ends = format!("-s {} -d {}", address(Field::Src), address(Field::Dst));
            let ports = format!("--sport {} --dport {}", port(Field::Sport), port(Field::Dport));
            let what = match p.proto() {
                proto::TCP => format!("-p tcp {ports} --state ESTABLISHED"),
                _ => format!("-p udp {ports}"),
            };
            lines += &format!("-I {what} {ends} --timeout 600 --status SEEN_REPLY,ASSURED\n");
        }
        if !lines.is_empty() {
            run("conntrack", &["-R", "-"], lines.as_bytes())?;
        }
        Ok(())
    }

    fn send(&mut self, packet: &Packet, id: u32) -> Result<(), String> {
        let name = |f| interface_name(packet.get(f).unwrap_or(0));
        if packet.path == Path::Output {
            let to = addr::addr(packet.get(Field::Dst).unwrap_or(0));
            let bytes = wire::ip_packet(packet, id, 0);
            let fd = self.raw(&name(Field::Oif), packet.family())?.as_raw_fd();
            // A drop at output is refused; the notes tell.
            let _ = match to {
                std::net::IpAddr::V4(a) => {
                    sendto(fd, &bytes, &SockaddrIn::from(SocketAddrV4::new(a, 0)), MsgFlags::empty())
                }
                std::net::IpAddr::V6(a) => {
                    sendto(fd, &bytes, &SockaddrIn6::from(SocketAddrV6::new(a, 0, 0, 0)), MsgFlags::empty())
                }
            };
            return Ok(());
        }
        let iif = name(Field::Iif);
        let class = match packet.path {
            Path::Input => LOCAL_CLASS,
            _ => self.class(&name(Field::Oif)).unwrap_or(0),
        };
        let to = if iif == "lo" { 0 } else { mac(self.number(&iif)) };
        let frame = wire::frame(packet, id, class, to);
        let fd = self.wire(&iif)?.as_raw_fd();
        send(fd, &frame, MsgFlags::empty())
            .map_err(|e| format!("a packet cannot be sent to {iif}: {}", e.desc()))?;
        Ok(())
    }

    // The traffic class of what leaves by an interface.
    fn class(&self, name: &str) -> Option<u8> {
        let n = self.setup.leaving.iter().position(|o| interface_name(*o) == name)?;
        Some(8 + 4 * n as u8)
    }

    fn number(&self, name: &str) -> usize {
        self.setup.devices.iter().position(|d| d == name).unwrap_or(0)
    }

    fn wire(&mut self, name: &str) -> Result<&OwnedFd, String> {
        if !self.wires.contains_key(name) {
            let end = if name == "lo" { name.to_owned() } else { format!("hvwire{}", self.number(name)) };
            let fail = |e: nix::Error| format!("no socket for {name}: {}", e.desc());
            // Bound without a protocol: it only sends.
            let fd =
                socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).map_err(fail)?;
            let link = getifaddrs().map_err(fail)?.find_map(|i| {
                let address = i.address.filter(|_| i.interface_name == end)?;
                address.as_link_addr().copied()
            });
            let link = link.ok_or_else(|| format!("the interface {end} is not there"))?;
            bind(fd.as_raw_fd(), &link).map_err(fail)?;
            self.wires.insert(name.to_owned(), fd);
        }
        self.wires.get(name).ok_or_else(String::new)
    }

    fn raw(&mut self, name: &str, family: Family) -> Result<&OwnedFd, String> {
        let key = (name.to_owned(), family);
        if !self.raw.contains_key(&key) {
            let domain = if family == Family::V4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
            // Of this protocol the packet comes with its header (raw(7)).
            let fd = socket(domain, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)
                .and_then(|fd| {
                    setsockopt(&fd, sockopt::BindToDevice, &name.into())?;
                    setsockopt(&fd, sockopt::Priority, &PRIORITY)?;
                    setsockopt(&fd, sockopt::Broadcast, &true)?;
                    Ok(fd)
                })
                .map_err(|e| format!("no socket for {name}: {}", e.desc()))?;
            self.raw.insert(key.clone(), fd);
        }
        self.raw.get(&key).ok_or_else(String::new)
    }

    // Waits until all packets have gone their ways: until one that is sent after them has come.
    fn settle(&mut self) -> Result<(), String> {
        let text = "input lo udp 127.0.0.1:1 > 127.0.0.1:1";
        let sentinel: Packet = text.parse().map_err(|e| format!("{text}: {e}"))?;
        let frame = wire::frame(&sentinel, SENTINEL, LOCAL_CLASS, 0);
        let fd = self.wire("lo")?.as_raw_fd();
        send(fd, &frame, MsgFlags::empty()).map_err(|e| e.desc().to_owned())?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let list = run("nft", &["-j", "list", "set", "ip", "hvbench", "n_prerouting_first"], b"")?;
            if elements(&list).iter().any(|(_, note)| note.0 == SENTINEL) {
                return Ok(());
            }
        }
        Err("what was sent over lo did not arrive within 10 seconds".to_owned())
    }

    // What was noted, by family and set.
    fn notes(&self) -> Result<Notes, String> {
        let mut out = Notes::new();
        for family in Family::ALL {
            let list = run("nft", &["-j", "list", "table", table(family), "hvbench"], b"")?;
            for (set, (id, iif, oif)) in elements(&list) {
                out.entry((family, set, id)).or_default().insert((iif, oif));
            }
        }
        if self.setup.at_devices {
            let list = run("nft", &["-j", "list", "table", "netdev", "hvbench"], b"")?;
            for (set, (id, iif, oif)) in elements(&list) {
                let family = if set.ends_with('4') { Family::V4 } else { Family::V6 };
                let set = set.trim_end_matches(['_', '4', '6']).to_owned();
                out.entry((family, set, id)).or_default().insert((iif, oif));
            }
        }
        Ok(out)
    }
}

// The interfaces with which a packet was noted, by family, set and identification.
type Notes = BTreeMap<(Family, String, u32), HashSet<(String, String)>>;

// The elements of the sets that `nft -j` lists.
fn elements(list: &[u8]) -> Vec<(String, (u32, String, String))> {
    let list: Json = serde_json::from_slice(list).unwrap_or_default();
    let mut out = Vec::new();
    for set in list["nftables"].as_array().into_iter().flatten().filter_map(|o| o.get("set")) {
        let name = set["name"].as_str().unwrap_or_default();
        for element in set["elem"].as_array().into_iter().flatten() {
            let element = element.get("elem").map_or(element, |e| &e["val"]);
            let part = |n: usize| &element["concat"][n];
            // "0" is no interface.
            let interface = |n: usize| part(n).as_str().filter(|i| *i != "0").unwrap_or_default().to_owned();
            if let Some(id) = part(0).as_u64() {
                out.push((name.to_owned(), (id as u32, interface(1), interface(2))));
            }
        }
    }
    out
}

fn verdict(setup: &Setup<'_>, packet: &Packet, id: u32, notes: &Notes) -> Kernel {
    let name = |f| interface_name(packet.get(f).unwrap_or(0));
    for hook in Hook::on(packet.path)
        .iter()
        .filter(|h| HOOKS.contains(h) || **h == Hook::DeviceIngress && setup.at_devices)
    {
        let (sees_iif, sees_oif) = hook.sees(packet.path);
        let here = (
            if sees_iif { name(Field::Iif) } else { String::new() },
            if sees_oif { name(Field::Oif) } else { String::new() },
        );
        for place in PLACES {
            let seen = notes.get(&(packet.family(), format!("n_{}_{place}", hook.name()), id));
            match seen {
                None if place == "first" => return Kernel::Nothing,
                None => return Kernel::Drop(*hook),
                Some(seen) if seen.len() == 1 && seen.contains(&here) => {}
                Some(_) => return Kernel::Nothing,
            }
        }
    }
    Kernel::Accept
}

fn mac(n: usize) -> u64 {
    0x0200_0000_0001 + n as u64
}

fn mac_text(n: usize) -> String {
    crate::packet::mac_text(mac(n).into())
}
