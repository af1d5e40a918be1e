//! Deployments of many machines: sites, replication nodes that all talk to each other, servers that they protect.

use super::Numbers;
use std::fmt::Write as _;

/// What a deployment consists of.
#[derive(Clone, Copy)]
pub struct Size {
    /// Data centers.
    pub sites: usize,
    /// SRNs, dealt out to the sites.
    pub srns: usize,
    /// Servers that they protect, likewise.
    pub servers: usize,
    /// SRNs let each other in by address, a rule each; else by network.
    pub by_address: bool,
    /// One node in so many has a rule less than it should have; 0 = none.
    pub faulty: usize,
}

/// Its files by their names, relative to its folder.
pub fn files(size: &Size) -> Vec<(String, String)> {
    let sites = size.sites.max(1);
    let mut n = Numbers::new(11);
    let mut toml = "catalogue = \"safehaven-4\"\nphase = \"operation\"\n[networks]\nadmin = [\"10.255.9.0/24\"]\ngui = [\"10.255.8.15\"]\n".to_owned();
    for s in 0..sites {
        let _ = write!(toml, "[[site]]\nname = \"site-{s}\"\ntype = \"manual\"\n");
    }
    toml += "[[node]]\nname = \"cms-1\"\nrole = \"cms\"\nsite = \"site-0\"\nclient = [\"10.0.0.10\"]\nservice = [\"10.0.0.10\"]\nfirewall = [\"hosts/cms-1.rules\"]\ninterfaces = { eth0 = \"service\" }\n";
    let mut out = vec![("hosts/cms-1.rules".to_owned(), cms())];
    let faulty = |n: &mut Numbers| size.faulty > 0 && n.one_in(size.faulty as u32);
    for i in 0..size.srns {
        let (name, site) = (format!("srn-{i}"), i % sites);
        let _ = write!(
            toml,
            "[[node]]\nname = \"{name}\"\nrole = \"srn\"\nsite = \"site-{site}\"\nservice = [\"{}\"]\nreplication = [\"{}\"]\nlocal = [\"{}\"]\n\
             firewall = [\"hosts/{name}.rules\"]\ninterfaces = {{ eth0 = \"service\", eth1 = \"replication\", eth2 = \"local\" }}\n",
            address(site, 0, i / sites),
            address(site, 1, i / sites),
            address(site, 2, i / sites),
        );
        out.push((format!("hosts/{name}.rules"), srn(size, i, sites, faulty(&mut n), &mut n)));
    }
    for i in 0..size.servers {
        let (name, site) = (format!("server-{i}"), i % sites);
        let _ = write!(
            toml,
            "[[node]]\nname = \"{name}\"\nrole = \"protected-server\"\nsite = \"site-{site}\"\nlocal = [\"{}\"]\nfirewall = [\"hosts/{name}.rules\"]\n",
            address(site, 3, i / sites),
        );
        out.push((format!("hosts/{name}.rules"), server(faulty(&mut n), &mut n)));
    }
    out.push(("havenlint.toml".to_owned(), toml));
    out
}

// Sites have 1024 addresses of each network: 10.1.0.0/20 is site 1's.
fn address(site: usize, network: usize, number: usize) -> String {
    super::dotted(0x0a00_0000 + (site as u32) * 0x1000 + (network as u32) * 0x400 + 11 + number as u32)
}

const HEAD: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n\
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT\n\
    -A OUTPUT -o lo -j ACCEPT\n-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
    -A INPUT -s 10.255.9.0/24 -p tcp -m tcp --dport 22 -j ACCEPT\n";

fn cms() -> String {
    format!(
        "{HEAD}-A INPUT -s 10.255.8.15/32 -p tcp -m tcp --dport 20081 -j ACCEPT\n-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 20081 -j ACCEPT\n\
         -A INPUT -s 10.0.0.0/8 -p udp -m udp --dport 20081 -j ACCEPT\n-A OUTPUT -d 10.0.0.0/8 -p tcp -m multiport --dports 22,20082 -j ACCEPT\n\
         -A OUTPUT -d 10.0.0.0/8 -p udp -m udp --dport 20082 -j ACCEPT\nCOMMIT\n"
    )
}

fn srn(size: &Size, own: usize, sites: usize, faulty: bool, n: &mut Numbers) -> String {
    let mut rules: Vec<String> = ["tcp", "udp"]
        .iter()
        .map(|p| format!("-A INPUT -s 10.0.0.10/32 -i eth0 -p {p} -m {p} --dport 20082 -j ACCEPT"))
        .collect();
    rules.push("-A INPUT -s 10.0.0.10/32 -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT".to_owned());
    let peers: Vec<[String; 2]> = match size.by_address {
        true => {
            let others = (0..size.srns).filter(|i| *i != own);
            others.map(|i| [0, 1].map(|network| address(i % sites, network, i / sites) + "/32")).collect()
        }
        false => vec![["10.0.0.0/12".to_owned(), "10.0.0.0/12".to_owned()]],
    };
    for [service, replication] in &peers {
        for p in ["tcp", "udp"] {
            rules.push(format!("-A INPUT -s {service} -i eth0 -p {p} -m {p} --dport 20082 -j ACCEPT"));
        }
        rules.push(format!("-A INPUT -s {replication} -i eth1 -p tcp -m tcp --dport 22 -j ACCEPT"));
    }
    rules.push(
        "-A INPUT -s 10.0.0.0/12 -i eth2 -p tcp -m multiport --dports 80,3260,5671 -j ACCEPT".to_owned(),
    );
    rules.push("-A OUTPUT -d 10.0.0.0/8 -p tcp -m multiport --dports 22,20081,20082 -j ACCEPT".to_owned());
    rules
        .push("-A OUTPUT -d 10.0.0.0/8 -p udp -m multiport --dports 53,123,20081,20082 -j ACCEPT".to_owned());
    text(rules, faulty, n)
}

fn server(faulty: bool, n: &mut Numbers) -> String {
    let rules = vec![
        "-A INPUT -s 10.0.0.0/12 -p tcp -m multiport --dports 139,445 -j ACCEPT".to_owned(),
        "-A OUTPUT -d 10.0.0.0/12 -p tcp -m multiport --dports 80,3260,5671 -j ACCEPT".to_owned(),
        "-A OUTPUT -p udp -m multiport --dports 53,123 -j ACCEPT".to_owned(),
    ];
    text(rules, faulty, n)
}

fn text(mut rules: Vec<String>, faulty: bool, n: &mut Numbers) -> String {
    if faulty {
        rules.remove(n.below(rules.len() as u32) as usize);
    }
    format!("{HEAD}{}\nCOMMIT\n", rules.join("\n"))
}
