//! Services that are not meant for the Internet, as one table: which ports, how bad, and why.
//!
//! The table is data for every check that judges what is exposed, whatever the firewall. Ports are the registered or default ones (IANA service
//! names and port numbers; documentation of the products). It holds what the usual tools for clouds warn of, and more.

use crate::finding::Severity;
use crate::packet::{IntervalSet, Value, proto};
use std::sync::LazyLock;

/// What kind of service a port is of. Each kind has a check of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Secure shell.
    Ssh,
    /// Remote desktop of Windows.
    Rdp,
    /// Ways to take a machine, or a cluster of them, over.
    Administration,
    /// Databases, caches, queues.
    Database,
    /// Whatever else is rarely meant for everybody.
    Service,
}

/// A port, or a few, of one service.
#[derive(Debug, Clone, Copy)]
pub struct SensitivePort {
    /// Protocol number: tcp or udp.
    pub protocol: u8,
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
    /// The service, as people call it.
    pub name: &'static str,
    /// Its kind.
    pub class: Class,
    /// How bad it is that the Internet reaches it.
    pub level: Severity,
    /// Why, as the end of a sentence that begins with the service.
    pub reason: &'static str,
}

const fn port(
    protocol: u8,
    (first, last): (u16, u16),
    name: &'static str,
    class: Class,
    level: Severity,
    reason: &'static str,
) -> SensitivePort {
    SensitivePort { protocol, first, last, name, class, level, reason }
}

use Class::{Administration, Database, Rdp, Service, Ssh};
use Severity::{Error, Warning};
use proto::{TCP, UDP};

const GUESSED: &str = "is scanned for within minutes, and one weak password is enough";
const CLEAR: &str = "sends passwords in the clear";
const TRUSTING: &str = "trusts whoever reaches it";
const DATA: &str = "holds data, and every flaw or weak password gives it away";
const AMPLIFIES: &str = "answers forged packets with larger ones, and so floods others";
const INSIDE: &str = "is made for networks in which everybody is known";
const CONSOLE: &str = "is where consoles, proxies and test servers listen, often without a password";

/// The table, by port.
pub const SENSITIVE_PORTS: &[SensitivePort] = &[
    port(TCP, (20, 21), "ftp", Service, Warning, CLEAR),
    port(TCP, (22, 22), "ssh", Ssh, Error, GUESSED),
    port(TCP, (23, 23), "telnet", Administration, Error, CLEAR),
    port(TCP, (25, 25), "smtp", Service, Warning, "relays mail for whoever it does not refuse"),
    port(UDP, (69, 69), "tftp", Service, Warning, "gives and takes files without a password"),
    port(TCP, (110, 110), "pop3", Service, Warning, CLEAR),
    port(TCP, (111, 111), "rpcbind", Service, Warning, INSIDE),
    port(UDP, (111, 111), "rpcbind", Service, Warning, AMPLIFIES),
    port(TCP, (135, 135), "Windows rpc", Administration, Error, INSIDE),
    port(UDP, (137, 138), "netbios", Administration, Error, INSIDE),
    port(TCP, (139, 139), "netbios", Administration, Error, INSIDE),
    port(TCP, (143, 143), "imap", Service, Warning, CLEAR),
    port(UDP, (161, 162), "snmp", Administration, Error, "has passwords that everybody knows, and amplifies"),
    port(TCP, (389, 389), "ldap", Service, Warning, INSIDE),
    port(UDP, (389, 389), "ldap", Service, Warning, AMPLIFIES),
    port(
        TCP,
        (445, 445),
        "smb",
        Administration,
        Error,
        "is how worms have spread from one Windows to the next",
    ),
    port(TCP, (512, 514), "rexec, rlogin, rsh", Administration, Error, TRUSTING),
    port(TCP, (636, 636), "ldaps", Service, Warning, INSIDE),
    port(TCP, (873, 873), "rsync", Service, Warning, TRUSTING),
    port(TCP, (1433, 1434), "SQL Server", Database, Error, DATA),
    port(UDP, (1434, 1434), "SQL Server browser", Database, Error, AMPLIFIES),
    port(TCP, (1521, 1521), "Oracle", Database, Error, DATA),
    port(UDP, (1900, 1900), "ssdp", Service, Warning, AMPLIFIES),
    port(TCP, (2049, 2049), "nfs", Service, Warning, TRUSTING),
    port(UDP, (2049, 2049), "nfs", Service, Warning, TRUSTING),
    port(TCP, (2181, 2181), "ZooKeeper", Database, Error, TRUSTING),
    port(TCP, (2375, 2376), "Docker", Administration, Error, "hands the machine to whoever reaches it"),
    port(TCP, (2379, 2380), "etcd", Administration, Error, "holds the secrets of a whole cluster"),
    port(TCP, (2483, 2484), "Oracle", Database, Error, DATA),
    port(TCP, (3000, 3000), "Grafana and development servers", Service, Warning, CONSOLE),
    port(TCP, (3306, 3306), "MySQL", Database, Error, DATA),
    port(TCP, (3389, 3389), "remote desktop", Rdp, Error, GUESSED),
    port(UDP, (3389, 3389), "remote desktop", Rdp, Error, GUESSED),
    port(TCP, (4333, 4333), "mSQL", Database, Error, DATA),
    port(TCP, (5000, 5000), "development servers and registries", Service, Warning, CONSOLE),
    port(TCP, (5432, 5432), "PostgreSQL", Database, Error, DATA),
    port(TCP, (5439, 5439), "Redshift", Database, Error, DATA),
    port(TCP, (5500, 5500), "vnc (listening viewer)", Administration, Error, GUESSED),
    port(TCP, (5601, 5601), "Kibana", Service, Warning, CONSOLE),
    port(TCP, (5672, 5672), "amqp", Database, Error, DATA),
    port(TCP, (5800, 5801), "vnc over http", Administration, Error, GUESSED),
    port(TCP, (5900, 5903), "vnc", Administration, Error, GUESSED),
    port(TCP, (5984, 5984), "CouchDB", Database, Error, DATA),
    port(TCP, (5985, 5986), "WinRM", Administration, Error, GUESSED),
    port(TCP, (6379, 6379), "Redis", Database, Error, TRUSTING),
    port(TCP, (6443, 6443), "Kubernetes", Administration, Error, "rules a whole cluster"),
    port(TCP, (7000, 7001), "Cassandra", Database, Error, DATA),
    port(TCP, (7199, 7199), "Cassandra (jmx)", Database, Error, "runs code for whoever reaches it"),
    port(TCP, (8020, 8020), "Hadoop", Database, Error, TRUSTING),
    port(TCP, (8080, 8080), "http, other port", Service, Warning, CONSOLE),
    port(TCP, (8088, 8088), "Hadoop (yarn)", Service, Warning, "runs jobs for whoever reaches it"),
    port(TCP, (8888, 8888), "Jupyter and other consoles", Service, Warning, CONSOLE),
    port(TCP, (9042, 9042), "Cassandra", Database, Error, DATA),
    port(TCP, (9092, 9092), "Kafka", Database, Error, DATA),
    port(TCP, (9160, 9160), "Cassandra (thrift)", Database, Error, DATA),
    port(TCP, (9200, 9200), "Elasticsearch", Database, Error, TRUSTING),
    port(TCP, (9300, 9300), "Elasticsearch (nodes)", Database, Error, TRUSTING),
    port(TCP, (10250, 10250), "kubelet", Administration, Error, "runs commands in every container of a node"),
    port(TCP, (11211, 11211), "memcached", Database, Error, TRUSTING),
    port(UDP, (11211, 11211), "memcached", Database, Error, AMPLIFIES),
    port(TCP, (15672, 15672), "RabbitMQ (console)", Service, Warning, CONSOLE),
    port(TCP, (27017, 27019), "MongoDB", Database, Error, DATA),
    port(TCP, (28017, 28017), "MongoDB (http)", Database, Error, DATA),
    port(TCP, (50000, 50000), "DB2", Database, Error, DATA),
    port(TCP, (50070, 50070), "Hadoop (hdfs)", Service, Warning, CONSOLE),
];

impl Class {
    /// All kinds, the worst first: where one rule opens several, it is told under the first.
    pub const ALL: [Class; 5] =
        [Class::Administration, Class::Ssh, Class::Rdp, Class::Database, Class::Service];

    /// Whether a port is one of a service of this kind.
    pub fn holds(self, protocol: u8, port: Value) -> bool {
        of(self).any(|p| p.protocol == protocol && p.ports().contains(port))
    }

    /// The kinds under which a rule that opens this one too is told instead.
    pub fn before(self) -> impl Iterator<Item = Class> {
        Self::ALL.into_iter().take_while(move |c| *c != self)
    }

    /// How the ids of its checks end: `ADMIN`.
    pub const fn id(self) -> &'static str {
        match self {
            Class::Ssh => "SSH",
            Class::Rdp => "RDP",
            Class::Administration => "ADMIN",
            Class::Database => "DATABASE",
            Class::Service => "SERVICE",
        }
    }

    /// What is reached, as a message says it.
    pub const fn words(self) -> &'static str {
        match self {
            Class::Ssh => "ssh",
            Class::Rdp => "remote desktop",
            Class::Administration => "an administration port",
            Class::Database => "a database",
            Class::Service => "a service of inner networks",
        }
    }
}

/// All sensitive ports of some protocols.
pub fn ports(protocols: &IntervalSet) -> IntervalSet {
    let of = SENSITIVE_PORTS.iter().filter(|p| protocols.contains(p.protocol.into()));
    IntervalSet::from_ranges(of.map(|p| (p.first.into(), p.last.into())))
}

/// The sensitive ports of each protocol that has some.
pub fn by_protocol() -> &'static [(u8, IntervalSet)] {
    static TABLE: LazyLock<[(u8, IntervalSet); 2]> =
        LazyLock::new(|| [TCP, UDP].map(|p| (p, ports(&IntervalSet::single(p)))));
    &*TABLE
}

/// The rows of a class.
pub fn of(class: Class) -> impl Iterator<Item = &'static SensitivePort> {
    SENSITIVE_PORTS.iter().filter(move |p| p.class == class)
}

impl SensitivePort {
    /// Its ports.
    pub fn ports(&self) -> IntervalSet {
        IntervalSet::range(self.first, self.last)
    }

    /// The ports that a set holds of it, as people write them: `tcp/27017-27019`; `None` = none.
    pub fn within(&self, open: &IntervalSet) -> Option<String> {
        let hit = self.ports().intersect(open);
        let name = proto::name(self.protocol);
        let one =
            |(a, b): &(u128, u128)| if a == b { format!("{name}/{a}") } else { format!("{name}/{a}-{b}") };
        (!hit.is_empty()).then(|| hit.ranges().iter().map(one).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_names_each_port_once() {
        for pair in SENSITIVE_PORTS.windows(2) {
            assert!(pair[0].first <= pair[1].first, "{} before {}", pair[0].name, pair[1].name);
        }
        for (i, a) in SENSITIVE_PORTS.iter().enumerate() {
            assert!(a.first <= a.last && !a.name.is_empty() && !a.reason.is_empty(), "{}", a.name);
            assert!([TCP, UDP].contains(&a.protocol), "{}", a.name);
            for b in &SENSITIVE_PORTS[i + 1..] {
                let apart = a.protocol != b.protocol || !a.ports().intersects(&b.ports());
                assert!(apart, "{} and {} share a port", a.name, b.name);
            }
        }
    }

    #[test]
    fn what_the_usual_tools_warn_of_is_in_it() {
        let tcp = [
            20, 21, 22, 23, 25, 110, 135, 143, 389, 445, 1433, 1434, 1521, 2049, 3000, 3306, 3389, 4333,
            5000, 5432, 5439, 5500, 5601, 6379, 7199, 8080, 8088, 8888, 9092, 9200, 9300, 11211, 27017,
            27018, 27019,
        ];
        let udp = [111, 161, 389, 1434, 2049, 3389, 11211];
        for (protocol, ports) in [(TCP, &tcp[..]), (UDP, &udp[..])] {
            for p in ports {
                let found =
                    SENSITIVE_PORTS.iter().any(|s| s.protocol == protocol && s.first <= *p && *p <= s.last);
                assert!(found, "{}/{p}", proto::name(protocol));
            }
        }
    }
}
