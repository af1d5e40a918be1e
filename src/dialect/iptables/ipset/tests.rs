use super::*;
use crate::packet::Field;

fn read(text: &str) -> Sets {
    Sets::read(&[SourceFile::new("sets", text)], b"")
}

fn parts(sets: &Sets, name: &str) -> Vec<Vec<Part>> {
    sets.by_name[name].elements().map(|e| e.parts.to_vec()).collect()
}

#[test]
fn what_ipset_prints_is_read() {
    let sets = read(
        "create a hash:ip family inet hashsize 1024 maxelem 65536 timeout 300 bucketsize 12 initval 0xe604e53a\n\
         add a 10.0.0.2 timeout 0\nadd a 10.0.0.1 timeout 299\n\
         create b hash:net,port family inet6 comment\nadd b 2001:db8::/32,tcp:80 comment \"hi there\"\n\
         create d bitmap:port range 0-1024\nadd d 22\n\
         create f hash:ip,port,net family inet\nadd f 10.0.0.1,icmp:echo-request,10.0.0.0/8\n\
         add f 10.0.0.1,gre:0,10.0.0.0/8\ncreate e list:set size 8\nadd e a\n",
    );
    assert_eq!(sets.diagnostics, []);
    let a = &sets.by_name["a"];
    assert!(a.grows);
    assert_eq!(a.elements().map(|e| e.traits.passing).collect::<Vec<_>>(), [false, true]);
    assert_eq!(parts(&sets, "b")[0][1], Part::Port(6, Some((80, 80))));
    assert_eq!(parts(&sets, "d"), [[Part::Port(0, Some((22, 22)))]]);
    assert_eq!(parts(&sets, "f")[0][1], Part::Port(1, Some((0x800, 0x800))));
    assert_eq!(parts(&sets, "f")[1][1], Part::Port(47, None));
    assert_eq!(sets.by_name["e"].members, ["a"]);
    assert_eq!(
        (sets.family("a"), sets.family("b"), sets.family("d")),
        (Some(Family::V4), Some(Family::V6), None)
    );
}

// The elements of a set after a script, as addresses; `?` if they are not known.
fn held(sets: &Sets, name: &str) -> Option<Vec<String>> {
    let set = sets.get(name)?;
    if set.unknown.is_some() {
        return Some(vec!["?".to_owned()]);
    }
    let flags = vec![true; set.dimensions.len()];
    let m = lookup(sets, name, &flags, None);
    assert_eq!(m.doubtful, None, "{name}");
    let of = |p: &Product| p.iter().find(|f| f.0 == Field::Src).map(|f| crate::packet::addr::display(&f.1));
    Some(m.certain.iter().filter_map(of).flatten().collect())
}

// Few elements are looked through one by one, more by an index.
#[test]
fn elements_are_found_however_many_there_are() {
    for n in [1, FEW - 1, FEW, FEW + 1, 3 * FEW] {
        let mut script = "create a hash:ip\n".to_owned();
        (0..n).for_each(|i| script += &format!("add a 10.0.0.{i}\n"));
        for i in 0..n {
            let again = read(&format!("{script}add a 10.0.0.{i}\n"));
            assert_eq!(again.diagnostics.len(), 1, "{i} of {n}");
            let without = read(&format!("{script}del a 10.0.0.{i}\n"));
            assert_eq!((without.diagnostics.len(), parts(&without, "a").len()), (0, n - 1), "{i} of {n}");
            let back = read(&format!("{script}del a 10.0.0.{i}\nadd a 10.0.0.{i}\nadd a 10.0.1.0\n"));
            assert_eq!((back.diagnostics.len(), parts(&back, "a").len()), (0, n + 1), "{i} of {n}");
        }
    }
}

// What ipset 7.17 does with each script was measured in a network namespace.
#[test]
fn scripts_are_carried_out_in_order() {
    for (script, name, expected) in [
        (
            "create a hash:ip\ncreate b hash:ip\nadd a 10.0.0.1\nadd b 10.0.0.2\nswap a b\n",
            "a",
            Some("10.0.0.2"),
        ),
        (
            "create a hash:ip -exist\ncreate n hash:ip\nflush a\nadd n 10.0.0.1\nswap a n\ndestroy n\n",
            "a",
            Some("10.0.0.1"),
        ),
        ("create a hash:ip\nadd a 10.0.0.1\nflush\nadd a 10.0.0.2\n", "a", Some("10.0.0.2")),
        ("create a hash:ip\nadd a 10.0.0.1\nadd a 10.0.0.2\ndel a 10.0.0.1\n", "a", Some("10.0.0.2")),
        ("create a hash:ip\nadd a 10.0.0.2\ndel a 10.0.0.1 -exist\n", "a", Some("10.0.0.2")),
        ("create a hash:ip\nadd a 10.0.0.1\nrename a z\n", "a", None),
        ("create a hash:ip\nadd a 10.0.0.1\nrename a z\n", "z", Some("10.0.0.1")),
        ("create a hash:ip\nadd a 10.0.0.1\ndestroy a\n", "a", None),
        (
            "destroy -exist a\ncreate a hash:ip\n-! add a 10.0.0.1\nadd a 10.0.0.1 -exist\n",
            "a",
            Some("10.0.0.1"),
        ),
        ("create a hash:ip\nadd a 10.0.0.1\nquit\nadd a 10.0.0.2\n", "a", Some("10.0.0.1")),
        ("-N a iphash\n-A a 10.0.0.1\n", "a", Some("10.0.0.1")),
        ("n a hash:ip\na a 10.0.0.1\na a 10.0.0.2\nd a 10.0.0.2\n", "a", Some("10.0.0.1")),
        ("create a hash:ip\nadd a 10.0.0.1\ntest a 10.0.0.1\n", "a", Some("10.0.0.1")),
        ("create a hash:ip\nadd a 10.0.0.1\ntest a 10.0.0.2\nadd a 10.0.0.3\n", "a", Some("?")),
        ("create a hash:net\nadd a 10.0.0.1-10.0.0.9\n", "a", Some("10.0.0.1-10.0.0.9")),
        ("create a hash:ip netmask 24\nadd a 10.0.0.5\n", "a", Some("10.0.0.0/24")),
        ("create a hash:ip timeout 0\nadd a 10.0.0.1\n", "z", None),
        // Behind a mistake nothing is known of what a line concerns.
        ("create a hash:ip\nadd a 10.0.0.1\nadd a 10.0.0.1\nadd a 10.0.0.2\n", "a", Some("?")),
        (
            "create a hash:ip\ncreate b hash:ip\nadd a 10.0.0.1\nadd a 10.0.0.1\nadd b 10.0.0.2\n",
            "a",
            Some("10.0.0.1"),
        ),
        ("create a hash:ip\nadd a 10.0.0.0/30\nadd a 10.0.0.1\nadd a 10.0.0.9\n", "a", Some("?")),
        ("create a hash:ip\ncreate b hash:net\nadd a 10.0.0.1\nswap a b\nflush\n", "a", Some("?")),
        ("create a hash:ip\ncreate l list:set\nadd l a\ndestroy a\nadd a 10.0.0.1\n", "a", Some("?")),
        ("create a hash:ip\nadd a 10.0.0.0/30\ndel a 10.0.0.1\n", "a", Some("?")),
        ("create a hash:ip\nadd a 10.0.0.1 nomatch\n", "a", Some("?")),
        ("create a hash:ip\nadd a host.example\n", "a", Some("?")),
        ("create a hash:ip\nfrobnicate a\n", "a", Some("?")),
        ("create a hash:ip bitmask 255.0.0.255\nadd a 10.0.0.1\n", "a", Some("?")),
    ] {
        let sets = read(script);
        let found = held(&sets, name).map(|h| h.join(" "));
        assert_eq!(found.as_deref(), expected, "{script}{:?}", sets.diagnostics);
        assert!(is_script(script.as_bytes()), "{script}");
    }
}

#[test]
fn the_first_mistake_is_told_with_its_place() {
    let sets = read("create a hash:ip\nadd a ten\nadd b 10.0.0.1\nflush a\n");
    assert_eq!(sets.diagnostics.len(), 1);
    assert_eq!(sets.diagnostics[0].message, "`ten` is no element of a set of type hash:ip");
    assert!(sets.by_name["a"].unknown.is_some());
}

// Packets of a source at an interface, in a set of networks and interfaces.
#[test]
fn the_most_specific_network_decides() {
    let sets = read(
        "create t hash:net,iface\nadd t 10.1.2.0/24,eth0\nadd t 10.0.0.0/8,eth1\nadd t 10.9.0.0/16,eth1 nomatch\n\
         create n hash:net\nadd n 10.0.0.0/8\nadd n 10.1.0.0/16 nomatch\nadd n 10.1.2.0/24\n\
         create p hash:net,port\nadd p 10.0.0.0/8,tcp:80-90\nadd p 10.1.0.0/16,tcp:85 nomatch\nadd p 10.1.2.0/24,tcp:22\n",
    );
    assert_eq!(sets.diagnostics, []);
    let holds = |name: &str, at: &[(Field, u128)]| {
        let m = lookup(&sets, name, &[true, true], Some(Family::V4));
        assert_eq!(m.doubtful, None);
        m.certain.iter().any(|p| p.iter().all(|(f, v)| at.iter().any(|(g, x)| f == g && v.contains(*x))))
    };
    let ip = |a: [u8; 4]| crate::packet::addr::v4(u32::from_be_bytes(a));
    let iface = |n: &str| crate::packet::interface_value(n).unwrap_or_default();
    for (address, name, expected) in [
        ([10, 1, 2, 3], "eth0", true),
        ([10, 1, 2, 3], "eth1", false),
        ([10, 1, 3, 3], "eth1", true),
        ([10, 9, 3, 3], "eth1", false),
        ([10, 8, 3, 3], "eth0", false),
    ] {
        assert_eq!(
            holds("t", &[(Field::Src, ip(address)), (Field::Iif, iface(name))]),
            expected,
            "{address:?} {name}"
        );
    }
    for (address, expected) in [([10, 2, 0, 1], true), ([10, 1, 0, 1], false), ([10, 1, 2, 1], true)] {
        assert_eq!(holds("n", &[(Field::Src, ip(address))]), expected, "{address:?}");
    }
    for (address, port, expected) in [
        ([10, 2, 0, 1], 85, true),
        ([10, 1, 0, 1], 85, false),
        ([10, 1, 0, 1], 84, true),
        ([10, 1, 2, 1], 22, true),
        ([10, 1, 2, 1], 80, true),
        ([10, 1, 2, 1], 85, false),
    ] {
        let at = [(Field::Src, ip(address)), (Field::Proto, 6), (Field::Sport, port)];
        assert_eq!(holds("p", &at), expected, "{address:?} {port}");
    }
}

#[test]
fn scripts_are_known_by_their_content() {
    assert!(is_script(b"# made by hand\ncreate a hash:ip family inet\n"));
    assert!(is_script(b"flush\ndestroy old -exist\n-exist create a hash:ip\n"));
    assert!(!is_script(b"create a new world\n"));
    assert!(!is_script(b"-A INPUT -j ACCEPT\n-N a iphash\n"));
    assert!(!is_script(b""));
}

#[test]
fn an_address_has_one_hardware_address() {
    let sets = read(
        "create m bitmap:ip,mac range 10.0.0.0/24\nadd m 10.0.0.1,02:00:00:00:00:01\nadd m 10.0.0.1,02:00:00:00:00:02 -exist\n\
         add m 10.0.0.2,02:00:00:00:00:01\ndel m 10.0.0.2,02:00:00:00:00:09\n",
    );
    assert_eq!(sets.diagnostics, []);
    let held: Vec<Part> = sets.by_name["m"].elements().map(|e| e.parts[1]).collect();
    assert_eq!(held, [Part::Values(0x0200_0000_0002, 0x0200_0000_0002)]);
}
