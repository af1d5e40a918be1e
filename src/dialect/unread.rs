//! Files that look like firewall configurations and are of no dialect: a folder's report names them, because silence about a file
//! would claim that it was looked at.

use std::path::Path;

/// Why a file was not read, as a phrase, and what to do about it, as a sentence without its full stop.
pub type Suspicion = (&'static str, &'static str);

// A kind of file that another program reads, told by its name and by the beginning of its content.
struct Kind {
    // The name, in small letters, and the content, which may be cut anywhere.
    test: fn(&str, &str) -> bool,
    said: Suspicion,
}

const KINDS: &[Kind] = &[
    Kind {
        test: |name, _| packed(name) && firewall_name(name),
        said: ("it is compressed", "unpack it and check that"),
    },
    Kind {
        test: |_, text| text.trim_start().starts_with("---- BEGIN "),
        said: (
            "it is an encrypted pfSense or OPNsense backup",
            "export config.xml without encryption and check that",
        ),
    },
    Kind {
        test: |_, text| begins(text, &["<zone", "<direct", "<policy", "<ipset", "<service"]) && xml(text),
        said: (
            "it is a firewalld file, which havenlint does not read",
            "check what firewalld makes of it: nft list ruleset > firewall.nft",
        ),
    },
    Kind {
        test: |_, text| text.contains("### tuple ###"),
        said: ("it is a file of ufw's own", "check what ufw makes of it: iptables-save > firewall.rules"),
    },
    Kind {
        test: |name, text| {
            any(text, &["AWS::EC2::SecurityGroup", "AWS::EC2::NetworkAcl"]) || terraform(name, text)
        },
        said: (
            "it is infrastructure code in a form that havenlint does not read",
            "check the plan or what is deployed: terraform show -json, aws ec2 describe-security-groups",
        ),
    },
    Kind {
        test: |_, text| {
            any(text, &["IpPermissions", "ipPermissions", "\"SecurityGroups\"", "SecurityGroupRules"])
        },
        said: (
            "it holds security groups in a form that havenlint does not know",
            "export them with aws ec2 describe-security-groups --output json",
        ),
    },
    Kind {
        test: |_, text| {
            any(text, &["kind: NetworkPolicy", "\"kind\": \"NetworkPolicy\"", "kind: CiliumNetworkPolicy"])
        },
        said: (
            "it is a Kubernetes network policy, which havenlint does not read",
            "check the rules on the nodes: iptables-save",
        ),
    },
    Kind {
        test: |_, text| {
            begins_line(text, &["-A ", "-I ", "-N ", ":"])
                && has_line(text, &["-A INPUT", "-A FORWARD", "-A OUTPUT", ":INPUT ", ":FORWARD "])
        },
        said: (
            "it is a piece of an iptables dump: no line names the table",
            "check the whole output of iptables-save",
        ),
    },
    Kind {
        test: |_, text| commands(text, &["iptables", "ip6tables", "ebtables", "arptables", "ipset"]),
        said: (
            "it is a script that calls iptables",
            "run it where it belongs and check the result: iptables-save > firewall.rules",
        ),
    },
    Kind {
        test: |_, text| commands(text, &["nft"]),
        said: (
            "it is a script that calls nft",
            "run it where it belongs and check the result: nft list ruleset > firewall.nft",
        ),
    },
    Kind {
        test: |_, text| commands(text, &["ufw", "firewall-cmd", "pfctl", "ipfw"]),
        said: (
            "it is a script that sets up a firewall",
            "run it where it belongs and check the resulting rules",
        ),
    },
    Kind {
        test: |name, text| name.ends_with("pf.conf") || pf_rules(text),
        said: (
            "it holds rules of pf, which havenlint reads from config.xml only",
            "check pfSense's or OPNsense's config.xml",
        ),
    },
    Kind {
        test: |_, text| {
            has_line(
                text,
                &[
                    "access-list ",
                    "ip access-list ",
                    "set security policies ",
                    "set firewall family ",
                    "config firewall policy",
                    "/ip firewall filter",
                ],
            )
        },
        said: (
            "it is the configuration of a router that havenlint does not know",
            "check it with another tool",
        ),
    },
    Kind {
        test: |name, text| firewall_name(name) && text.contains('\0'),
        said: ("it is a binary file with the name of a firewall's", "check the dump as text"),
    },
    Kind {
        test: |name, text| firewall_name(name) && text.trim().is_empty(),
        said: (
            "it is empty",
            "write the dump again: a firewall without rules still has lines for its chains",
        ),
    },
    Kind {
        test: |name, _| firewall_name(name),
        said: (
            "its name is a firewall's, but not its content",
            "say what it is with --dialect, or move it elsewhere",
        ),
    },
];

/// What a file that no dialect recognises seems to be; `None` = nothing of a firewall.
pub fn suspicion(path: &Path, head: &[u8]) -> Option<Suspicion> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let text = String::from_utf8_lossy(head);
    KINDS.iter().find(|k| (k.test)(&name, &text)).map(|k| k.said)
}

// Endings and names that people give to firewall dumps. Prose, code and data with such a word in the name are not meant.
fn firewall_name(name: &str) -> bool {
    let base = [".gz", ".xz", ".bz2", ".zst", ".zip", ".bak", ".old"]
        .iter()
        .find_map(|e| name.strip_suffix(e))
        .unwrap_or(name);
    let endings =
        [".nft", ".nftables", ".rules", ".iptables", ".ip6tables", ".ipset", "rules.v4", "rules.v6"];
    let names =
        ["iptables", "ip6tables", "iptables-save", "ip6tables-save", "nftables.conf", "pf.conf", "ipset"];
    // udev's and auditd's rules have the ending, and nothing of a firewall.
    let other = base.split('-').next().is_some_and(|n| n.len() == 2 && n.bytes().all(|b| b.is_ascii_digit()));
    (endings.iter().any(|e| base.ends_with(e)) && !other) || names.contains(&base)
}

fn packed(name: &str) -> bool {
    [".gz", ".xz", ".bz2", ".zst", ".zip"].iter().any(|e| name.ends_with(e))
}

fn xml(text: &str) -> bool {
    let body = text.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
    body.starts_with('<')
}

// The first element of an XML document.
fn begins(text: &str, elements: &[&str]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        if !rest.starts_with("<?") && !rest.starts_with("<!") {
            let name: String = rest[1..].chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect();
            return elements.contains(&format!("<{name}").as_str());
        }
        rest = &rest[1..];
    }
    false
}

fn any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|w| text.contains(w))
}

fn terraform(name: &str, text: &str) -> bool {
    (name.ends_with(".tf") || name.ends_with(".tf.json") || name.ends_with(".tofu"))
        && any(
            text,
            &[
                "aws_security_group",
                "aws_default_security_group",
                "aws_vpc_security_group",
                "aws_network_acl",
            ],
        )
}

// Lines that hold something, without comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_start).filter(|l| !l.is_empty() && !l.starts_with('#') && !l.starts_with("//"))
}

fn has_line(text: &str, starts: &[&str]) -> bool {
    lines(text).any(|l| starts.iter().any(|s| l.starts_with(s)))
}

fn begins_line(text: &str, starts: &[&str]) -> bool {
    lines(text).next().is_some_and(|l| starts.iter().any(|s| l.starts_with(s)))
}

// Whether a line of a script calls one of the programs: `iptables -A …`, `/usr/sbin/iptables …`, `sudo ip6tables …`,
// `$IPT -A INPUT …` (a variable is taken for iptables where an option of its follows).
fn commands(text: &str, programs: &[&str]) -> bool {
    lines(text).any(|line| {
        let line = line.trim_start_matches(['-', ' ']);
        let mut words = line
            .split_whitespace()
            .skip_while(|w| matches!(*w, "sudo" | "run" | "RUN" | "exec" | "then" | "do"));
        let (Some(program), Some(argument)) = (words.next(), words.next()) else { return false };
        let base = program.trim_matches(['"', '\'']).rsplit('/').next().unwrap_or_default();
        let verbs = [
            "-", "add", "create", "delete", "flush", "insert", "list", "allow", "deny", "limit", "reject",
            "default", "rule",
        ];
        let variable = program.starts_with('$')
            && programs.contains(&"iptables")
            && matches!(argument, "-A" | "-I" | "-P" | "-N" | "-F" | "-t");
        variable
            || (programs.contains(&base)
                && verbs.iter().any(|v| argument.trim_matches(['"', '\'']).starts_with(v)))
    })
}

// pf's rules: `block in quick on …`, `pass out …`, `rdr on …`.
fn pf_rules(text: &str) -> bool {
    let rule = |l: &str| {
        let mut words = l.split_whitespace();
        match words.next() {
            Some("block" | "pass") => words.next().is_some_and(|w| {
                matches!(
                    w,
                    "in" | "out"
                        | "quick"
                        | "log"
                        | "on"
                        | "all"
                        | "drop"
                        | "return"
                        | "inet"
                        | "inet6"
                        | "proto"
                )
            }),
            Some("rdr" | "nat" | "binat") => words.next().is_some_and(|w| matches!(w, "on" | "pass" | "log")),
            _ => false,
        }
    };
    lines(text).filter(|l| rule(l)).nth(1).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_firewall_is_named_and_what_does_not_is_passed_over() {
        let seen = |name: &str, text: &str| suspicion(Path::new(name), text.as_bytes()).map(|s| s.0);
        for (name, text, part) in [
            ("etc/rules.v4.gz", "\u{1f}\u{8b}", "compressed"),
            (
                "zones/public.xml",
                "<?xml version=\"1.0\"?>\n<zone>\n  <service name=\"ssh\"/>\n</zone>",
                "firewalld",
            ),
            ("user.rules", "*fil\n### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in", "ufw"),
            ("stack.yaml", "Resources:\n  G:\n    Type: AWS::EC2::SecurityGroup\n", "infrastructure"),
            ("dump.txt", "[{'GroupId': 'sg-1', 'IpPermissions': []}]", "security groups"),
            ("policy.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n", "Kubernetes"),
            ("part.txt", ":INPUT ACCEPT [0:0]\n-A INPUT -j DROP\n", "piece of an iptables dump"),
            ("firewall.sh", "#!/bin/sh\nset -e\n/sbin/iptables -P INPUT DROP\n", "calls iptables"),
            ("fw", "IPT=/sbin/iptables\n$IPT -A INPUT -j ACCEPT\n", "calls iptables"),
            ("up.sh", "sudo nft add rule inet filter input accept\n", "calls nft"),
            ("open.sh", "ufw allow 22/tcp\n", "sets up a firewall"),
            ("pf.conf", "set skip on lo\n", "rules of pf"),
            ("x.conf", "block in all\npass out quick on em0 keep state\n", "rules of pf"),
            ("router.cfg", "hostname r1\naccess-list 101 permit tcp any any eq 22\n", "router"),
            ("save.iptables", "\0\0\u{1}", "binary"),
            ("rules.v6", "\n", "empty"),
            ("old.nft", "hello\n", "not its content"),
            ("backup.xml", "---- BEGIN config.xml ----\nU2FsdGVk\n", "encrypted"),
        ] {
            assert!(seen(name, text).is_some_and(|r| r.contains(part)), "{name}: {:?}", seen(name, text));
        }
        for (name, text) in [
            ("README.md", "Run `iptables -L` to see the rules.\n"),
            ("main.rs", "fn main() { println!(\"pass in\"); }"),
            ("70-persistent-net.rules", "SUBSYSTEM==\"net\"\n"),
            ("notes.txt", "iptables is old\n"),
            ("data.json", "{\"a\": 1}"),
            ("pom.xml", "<project><policy/></project>"),
            ("compose.yaml", "services:\n  web:\n    image: nginx\n"),
        ] {
            assert_eq!(seen(name, text), None, "{name}");
        }
    }
}
