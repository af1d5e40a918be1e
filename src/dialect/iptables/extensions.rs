//! The matches and targets that `iptables` knows: their options, and how each is lowered.
//!
//! A new extension is one entry here. Names, options and arities: iptables-extensions(8) and the help texts of iptables 1.8.9; the
//! ones marked *addon* come from xtables-addons and other modules outside the kernel, which dumps of real boxes hold.

use crate::model::ConditionKind;

/// A match (`-m`) or a target (`-j`).
pub(super) struct Extension {
    /// Name as written.
    pub name: &'static str,
    /// The tool that has it.
    pub family: Only,
    /// Its options.
    pub options: &'static [Opt],
    /// How it becomes terms, effects and an action.
    pub lower: Lower,
}

/// The tool that has the extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Only {
    Both,
    V4,
    V6,
}

/// An option of an extension.
#[derive(Debug)]
pub(super) struct Opt {
    /// Name without the dashes.
    pub name: &'static str,
    /// The name under which it is lowered and shown.
    pub canonical: &'static str,
    /// How many arguments follow.
    pub args: u8,
    /// A further argument may follow, if the next word is not an option.
    pub optional: bool,
    /// May stand behind `!`.
    pub negatable: bool,
    /// How its argument is written in the text of an opaque condition.
    pub value: Kind,
    /// What the saver prints where it is left out.
    pub default: Option<&'static str>,
}

/// How the argument of an opaque option is brought to one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is.
    Text,
    /// Numbers and ranges of them, joined by `:`, `-`, `,` or `/`, in decimal.
    Numbers,
    /// Upper and lower case mean the same.
    Caseless,
    /// An address with an optional mask.
    Address,
    /// `FROM:TO` with either end left out; the number is what the missing end means.
    Range(u32),
    /// An address with a mask whose host bits are kept; the mask as a length.
    Masked,
    /// A protocol by name or number.
    Protocol,
    /// A port by name or number.
    Service,
    /// A user or group, or a range of them; only `root` has a number everywhere.
    User,
    /// A rate in bits or bytes: `5kbit`.
    Bits,
}

/// How an extension is lowered.
pub(super) enum Lower {
    /// A match with a function of its own.
    Match(Match),
    /// A match that always holds.
    Always,
    /// A match that no packet of the model meets.
    Outside,
    /// A match that the model has no field for: each option is a condition.
    Each(ConditionKind, &'static str),
    /// A match that the model has no field for: all options together are one condition.
    Joint(ConditionKind, &'static str),
    /// A target with a function of its own.
    Target(Verdict),
    /// A target after which the next rule is consulted, and that changes nothing a rule can see.
    Continue,
    /// A target that discards the packet.
    Drop,
    /// A target whose verdict is not known from the rules, and why.
    Unknown(&'static str),
}

/// Matches with a function of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Tcp,
    Udp,
    Udplite,
    State,
    Conntrack,
    Multiport,
    Icmp,
    Icmp6,
    Iprange,
    Mac,
    Addrtype,
    Mark,
    Connmark,
    Set,
    Sctp,
    Dccp,
    Limit,
    Hashlimit,
    Connlimit,
    Recent,
    Dscp,
    Tos,
    Ecn,
    Esp,
    Ah,
    Ipcomp,
    Time,
    Cluster,
    Rpfilter,
    Socket,
    ExtensionHeader,
    Mh,
}

/// Targets with a function of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Tproxy,
    Snpt,
    Dnpt,
    Same,
    Rawdnat,
    Rawsnat,
    Reject,
    Dnat,
    Snat,
    Masquerade,
    Redirect,
    Netmap,
    Mark,
    Connmark,
    Ct,
    Notrack,
    SetTarget,
    Hmark,
}

impl Extension {
    /// Whether it stands behind `-j`.
    pub(super) const fn is_target(&self) -> bool {
        matches!(self.lower, Lower::Target(_) | Lower::Continue | Lower::Drop | Lower::Unknown(_))
    }
}

impl Opt {
    const fn not(mut self) -> Self {
        self.negatable = true;
        self
    }
    const fn alias(mut self, of: &'static str) -> Self {
        self.canonical = of;
        self
    }
    const fn maybe(mut self) -> Self {
        self.optional = true;
        self
    }
    const fn is(mut self, value: Kind) -> Self {
        self.value = value;
        self
    }
    const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }
}

const fn opt(name: &'static str, args: u8) -> Opt {
    let canonical = name;
    Opt { name, canonical, args, optional: false, negatable: false, value: Kind::Text, default: None }
}

const fn flag(name: &'static str) -> Opt {
    opt(name, 0)
}
const fn one(name: &'static str) -> Opt {
    opt(name, 1)
}
const fn num(name: &'static str) -> Opt {
    opt(name, 1).is(Kind::Numbers)
}

const fn range(name: &'static str, max: u32) -> Opt {
    opt(name, 1).is(Kind::Range(max))
}

const fn ext(name: &'static str, options: &'static [Opt], lower: Lower) -> Extension {
    Extension { name, family: Only::Both, options, lower }
}
const fn v4(name: &'static str, options: &'static [Opt], lower: Lower) -> Extension {
    Extension { name, family: Only::V4, options, lower }
}
const fn v6(name: &'static str, options: &'static [Opt], lower: Lower) -> Extension {
    Extension { name, family: Only::V6, options, lower }
}

const PURE: ConditionKind = ConditionKind::Pure;
const VOLATILE: ConditionKind = ConditionKind::Volatile;

const CONTENT: &str = "the packet's content is not modelled";
const HEADER: &str = "this header field is not modelled";
const SOCKET: &str = "depends on the local process or socket";
const TRACKER: &str = "depends on the connection's record";
const ROUTING: &str = "depends on the routing of the box";
const BRIDGE: &str = "depends on the bridge";
const IPSEC: &str = "depends on the IPsec policy";
const CHANCE: &str = "may differ from packet to packet";
const ADDON: &str = "this match is not part of the Linux kernel";

const DPORT: Opt = one("dport").not();
const SPORT: Opt = one("sport").not();
const DESTINATION_PORT: Opt = one("destination-port").not().alias("dport");
const SOURCE_PORT: Opt = one("source-port").not().alias("sport");
const PORTS: [Opt; 4] = [DPORT, SPORT, DESTINATION_PORT, SOURCE_PORT];

/// All extensions. Looked up by name; matches and targets do not share names (`MARK` and `mark` differ).
pub(super) static EXTENSIONS: &[Extension] = &[
    // Matches that are exact.
    ext(
        "tcp",
        &[
            DPORT,
            SPORT,
            opt("tcp-flags", 2).not(),
            flag("syn").not(),
            DESTINATION_PORT,
            SOURCE_PORT,
            num("tcp-option").not(),
        ],
        Lower::Match(Match::Tcp),
    ),
    ext("udp", &PORTS, Lower::Match(Match::Udp)),
    ext("udplite", &PORTS, Lower::Match(Match::Udplite)),
    ext("comment", &[one("comment")], Lower::Always),
    ext("state", &[one("state").not()], Lower::Match(Match::State)),
    ext(
        "conntrack",
        &[
            one("ctstate").not(),
            one("ctproto").not(),
            one("ctorigsrc").not().is(Kind::Address),
            one("ctorigdst").not().is(Kind::Address),
            one("ctreplsrc").not().is(Kind::Address),
            one("ctrepldst").not().is(Kind::Address),
            one("ctorigsrcport").not().is(Kind::Service),
            one("ctorigdstport").not().is(Kind::Service),
            one("ctreplsrcport").not().is(Kind::Service),
            one("ctrepldstport").not().is(Kind::Service),
            one("ctstatus").not().is(Kind::Caseless),
            range("ctexpire", u32::MAX).not(),
            one("ctdir").is(Kind::Caseless),
        ],
        Lower::Match(Match::Conntrack),
    ),
    ext(
        "multiport",
        &[
            one("dports").not(),
            one("sports").not(),
            one("ports").not(),
            one("destination-ports").not().alias("dports"),
            one("source-ports").not().alias("sports"),
            one("destination-port").not().alias("dports"),
            one("source-port").not().alias("sports"),
            one("dport").not().alias("dports"),
            one("sport").not().alias("sports"),
            one("port").not().alias("ports"),
        ],
        Lower::Match(Match::Multiport),
    ),
    v4("icmp", &[one("icmp-type").not()], Lower::Match(Match::Icmp)),
    v6("icmp6", &[one("icmpv6-type").not()], Lower::Match(Match::Icmp6)),
    v6("icmpv6", &[one("icmpv6-type").not()], Lower::Match(Match::Icmp6)),
    ext("iprange", &[one("src-range").not(), one("dst-range").not()], Lower::Match(Match::Iprange)),
    ext("mac", &[one("mac-source").not()], Lower::Match(Match::Mac)),
    ext(
        "addrtype",
        &[one("src-type").not(), one("dst-type").not(), flag("limit-iface-in"), flag("limit-iface-out")],
        Lower::Match(Match::Addrtype),
    ),
    ext("mark", &[one("mark").not()], Lower::Match(Match::Mark)),
    ext("connmark", &[one("mark").not()], Lower::Match(Match::Connmark)),
    ext(
        "set",
        &[
            opt("match-set", 2).not(),
            opt("set", 2).not().alias("match-set"),
            flag("return-nomatch"),
            flag("update-counters").not(),
            flag("update-subcounters").not(),
            num("packets-eq").not(),
            num("packets-lt"),
            num("packets-gt"),
            num("bytes-eq").not(),
            num("bytes-lt"),
            num("bytes-gt"),
        ],
        Lower::Match(Match::Set),
    ),
    ext(
        "sctp",
        &[DPORT, SPORT, DESTINATION_PORT, SOURCE_PORT, opt("chunk-types", 2).not()],
        Lower::Match(Match::Sctp),
    ),
    ext(
        "dccp",
        &[
            DPORT,
            SPORT,
            DESTINATION_PORT,
            SOURCE_PORT,
            one("dccp-types").not().is(Kind::Caseless),
            num("dccp-option").not(),
        ],
        Lower::Match(Match::Dccp),
    ),
    v6("eui64", &[], Lower::Joint(PURE, HEADER)),
    // Limits.
    ext("limit", &[one("limit").not(), num("limit-burst").default("5")], Lower::Match(Match::Limit)),
    ext(
        "hashlimit",
        &[
            one("hashlimit-upto").not(),
            one("hashlimit").not().alias("hashlimit-upto"),
            one("hashlimit-above").not(),
            num("hashlimit-burst").default("5"),
            one("hashlimit-mode"),
            num("hashlimit-srcmask"),
            num("hashlimit-dstmask"),
            one("hashlimit-name"),
            num("hashlimit-htable-size"),
            num("hashlimit-htable-max"),
            num("hashlimit-htable-gcinterval"),
            num("hashlimit-htable-expire"),
            flag("hashlimit-rate-match"),
            num("hashlimit-rate-interval"),
        ],
        Lower::Match(Match::Hashlimit),
    ),
    ext(
        "connlimit",
        &[
            num("connlimit-upto").not(),
            num("connlimit-above").not(),
            num("connlimit-mask").default("32"),
            flag("connlimit-saddr"),
            flag("connlimit-daddr"),
        ],
        Lower::Match(Match::Connlimit),
    ),
    ext(
        "recent",
        &[
            flag("set").not(),
            flag("rcheck").not(),
            flag("update").not(),
            flag("remove").not(),
            num("seconds"),
            flag("reap"),
            num("hitcount"),
            flag("rttl"),
            one("name").default("DEFAULT"),
            one("mask").default("255.255.255.255"),
            flag("rsource"),
            flag("rdest"),
        ],
        Lower::Match(Match::Recent),
    ),
    ext("quota", &[num("quota").not()], Lower::Each(VOLATILE, "holds until the quota is used up")),
    ext(
        "statistic",
        &[one("mode"), one("probability").not(), num("every").not(), num("packet").default("0")],
        Lower::Joint(VOLATILE, CHANCE),
    ),
    ext(
        "connbytes",
        &[
            one("connbytes").not(),
            one("connbytes-mode").is(Kind::Caseless),
            one("connbytes-dir").is(Kind::Caseless),
        ],
        Lower::Joint(VOLATILE, "depends on how much the connection has carried"),
    ),
    ext(
        "rateest",
        &[
            one("rateest1"),
            one("rateest2"),
            flag("rateest-delta"),
            one("rateest-bps1").maybe().is(Kind::Bits),
            one("rateest-pps1").maybe().is(Kind::Bits),
            one("rateest-bps2").maybe().is(Kind::Bits),
            one("rateest-pps2").maybe().is(Kind::Bits),
            one("rateest"),
            one("rateest-bps").maybe().is(Kind::Bits),
            one("rateest-pps").maybe().is(Kind::Bits),
            flag("rateest-lt").not(),
            flag("rateest-gt").not(),
            flag("rateest-eq").not(),
        ],
        Lower::Joint(VOLATILE, "depends on a measured rate"),
    ),
    // Matches that the model has no field for.
    ext(
        "owner",
        &[
            one("uid-owner").not().is(Kind::User),
            one("gid-owner").not().is(Kind::User),
            flag("socket-exists").not(),
            flag("suppl-groups"),
            one("pid-owner").not(),
            one("sid-owner").not(),
            one("cmd-owner").not(),
        ],
        Lower::Each(PURE, SOCKET),
    ),
    ext(
        "physdev",
        &[
            one("physdev-in").not(),
            one("physdev-out").not(),
            flag("physdev-is-in").not(),
            flag("physdev-is-out").not(),
            flag("physdev-is-bridged").not(),
        ],
        Lower::Each(PURE, BRIDGE),
    ),
    ext(
        "policy",
        &[
            one("dir"),
            one("pol"),
            flag("strict"),
            num("reqid").not(),
            num("spi").not(),
            one("proto").not(),
            one("mode").not(),
            one("tunnel-src").not(),
            one("tunnel-dst").not(),
            flag("next"),
        ],
        Lower::Joint(PURE, IPSEC),
    ),
    ext(
        "string",
        &[
            one("string").not(),
            one("hex-string").not(),
            one("algo"),
            num("from").default("0"),
            num("to").default("65535"),
            flag("icase"),
        ],
        Lower::Joint(PURE, CONTENT),
    ),
    ext("length", &[range("length", 0xffff).not()], Lower::Each(PURE, HEADER)),
    ext(
        "pkttype",
        &[one("pkt-type").not().is(Kind::Caseless)],
        Lower::Each(PURE, "depends on the link layer"),
    ),
    ext("helper", &[one("helper").not()], Lower::Each(PURE, TRACKER)),
    ext("connlabel", &[one("label").not(), flag("set")], Lower::Joint(PURE, TRACKER)),
    ext("dscp", &[num("dscp").not(), one("dscp-class").not()], Lower::Match(Match::Dscp)),
    ext("tos", &[one("tos").not()], Lower::Match(Match::Tos)),
    v4(
        "ttl",
        &[num("ttl-eq").not(), num("ttl").not().alias("ttl-eq"), num("ttl-lt"), num("ttl-gt")],
        Lower::Each(PURE, HEADER),
    ),
    v6(
        "hl",
        &[num("hl-eq").not(), num("hl").not().alias("hl-eq"), num("hl-lt"), num("hl-gt")],
        Lower::Each(PURE, HEADER),
    ),
    ext(
        "ecn",
        &[flag("ecn-tcp-cwr").not(), flag("ecn-tcp-ece").not(), num("ecn-ip-ect").not()],
        Lower::Match(Match::Ecn),
    ),
    ext("tcpmss", &[range("mss", 0xffff).not()], Lower::Each(PURE, HEADER)),
    ext("esp", &[range("espspi", u32::MAX).not()], Lower::Match(Match::Esp)),
    ext("ah", &[range("ahspi", u32::MAX).not(), num("ahlen").not(), flag("ahres")], Lower::Match(Match::Ah)),
    ext("ipcomp", &[range("ipcompspi", u32::MAX).not(), flag("compres")], Lower::Match(Match::Ipcomp)),
    ext(
        "time",
        &[
            one("timestart"),
            one("timestop"),
            one("monthdays").not(),
            one("weekdays").not(),
            one("datestart"),
            one("datestop"),
            flag("contiguous"),
            flag("kerneltz"),
            flag("utc"),
            flag("localtz").alias("kerneltz"),
        ],
        Lower::Match(Match::Time),
    ),
    ext("u32", &[one("u32").not()], Lower::Each(PURE, CONTENT)),
    ext("bpf", &[one("bytecode"), one("object-pinned")], Lower::Joint(PURE, CONTENT)),
    ext("cgroup", &[one("cgroup").not(), one("path").not()], Lower::Each(PURE, SOCKET)),
    ext(
        "cluster",
        &[
            num("cluster-total-nodes"),
            num("cluster-local-node").not(),
            num("cluster-local-nodemask").not(),
            num("cluster-hash-seed"),
        ],
        Lower::Match(Match::Cluster),
    ),
    ext("cpu", &[num("cpu").not()], Lower::Each(VOLATILE, "depends on the processor")),
    ext(
        "devgroup",
        &[num("src-group").not(), num("dst-group").not()],
        Lower::Each(PURE, "the groups of interfaces are not known"),
    ),
    ext(
        "ipvs",
        &[
            flag("ipvs").not(),
            one("vproto").not().is(Kind::Protocol),
            one("vaddr").not().is(Kind::Masked),
            one("vport").not().is(Kind::Service),
            one("vdir").is(Kind::Caseless),
            one("vmethod").not().is(Kind::Caseless),
            one("vportctl").not().is(Kind::Service),
        ],
        Lower::Joint(PURE, "depends on the load balancer"),
    ),
    ext("nfacct", &[one("nfacct-name")], Lower::Always),
    ext(
        "osf",
        &[one("genre").not(), num("ttl").default("0"), num("log").default("0")],
        Lower::Joint(PURE, CONTENT),
    ),
    v4("realm", &[one("realm").not()], Lower::Each(PURE, ROUTING)),
    ext(
        "rpfilter",
        &[flag("loose"), flag("validmark"), flag("accept-local"), flag("invert")],
        Lower::Match(Match::Rpfilter),
    ),
    ext(
        "socket",
        &[flag("transparent"), flag("nowildcard"), flag("restore-skmark")],
        Lower::Match(Match::Socket),
    ),
    v6("dst", &[num("dst-len").not(), one("dst-opts")], Lower::Match(Match::ExtensionHeader)),
    v6("hbh", &[num("hbh-len").not(), one("hbh-opts")], Lower::Match(Match::ExtensionHeader)),
    v6(
        "frag",
        &[
            range("fragid", u32::MAX).not(),
            num("fraglen").not(),
            flag("fragres"),
            flag("fragfirst"),
            flag("fragmore"),
            flag("fraglast"),
        ],
        Lower::Outside,
    ),
    v6("ipv6header", &[one("header").not(), flag("soft")], Lower::Joint(PURE, HEADER)),
    v6("mh", &[one("mh-type").not()], Lower::Match(Match::Mh)),
    v6(
        "rt",
        &[
            num("rt-type").not(),
            range("rt-segsleft", u32::MAX).not(),
            num("rt-len").not(),
            flag("rt-0-res"),
            one("rt-0-addrs"),
            flag("rt-0-not-strict"),
        ],
        Lower::Match(Match::ExtensionHeader),
    ),
    v6(
        "srh",
        &[
            one("srh-next-hdr").not(),
            num("srh-hdr-len-eq").not(),
            num("srh-hdr-len-gt").not(),
            num("srh-hdr-len-lt").not(),
            num("srh-segs-left-eq").not(),
            num("srh-segs-left-gt").not(),
            num("srh-segs-left-lt").not(),
            num("srh-last-entry-eq").not(),
            num("srh-last-entry-gt").not(),
            num("srh-last-entry-lt").not(),
            num("srh-tag").not(),
            one("srh-psid").not(),
            one("srh-nsid").not(),
            one("srh-lsid").not(),
        ],
        Lower::Match(Match::ExtensionHeader),
    ),
    v4("unclean", &[], Lower::Joint(PURE, ADDON)),
    ext("condition", &[one("condition").not()], Lower::Each(VOLATILE, "an operator switches it at run time")),
    ext(
        "geoip",
        &[
            one("source-country").not(),
            one("src-cc").not().alias("source-country"),
            one("destination-country").not(),
            one("dst-cc").not().alias("destination-country"),
        ],
        Lower::Each(PURE, "the country data of the box are not known"),
    ),
    ext(
        "psd",
        &[
            num("psd-weight-threshold"),
            num("psd-delay-threshold"),
            num("psd-lo-ports-weight"),
            num("psd-hi-ports-weight"),
        ],
        Lower::Joint(VOLATILE, "a port scan detector"),
    ),
    ext(
        "ipp2p",
        &[
            flag("ipp2p"),
            flag("edk"),
            flag("kazaa"),
            flag("gnu"),
            flag("dc"),
            flag("bit"),
            flag("apple"),
            flag("soul"),
            flag("winmx"),
            flag("ares"),
            flag("mute"),
            flag("waste"),
            flag("xdcc"),
            flag("debug"),
        ],
        Lower::Joint(PURE, CONTENT),
    ),
    ext("layer7", &[one("l7proto").not(), one("l7dir")], Lower::Joint(PURE, CONTENT)),
    ext("fuzzy", &[num("lower-limit"), num("upper-limit")], Lower::Joint(VOLATILE, CHANCE)),
    ext("random", &[num("average")], Lower::Joint(VOLATILE, CHANCE)),
    ext(
        "nth",
        &[num("every").not(), num("counter"), num("start"), num("packet")],
        Lower::Joint(VOLATILE, CHANCE),
    ),
    ext(
        "iface",
        &[
            one("iface"),
            flag("dev-in"),
            flag("dev-out"),
            flag("up").not(),
            flag("down"),
            flag("broadcast").not(),
            flag("loopback").not(),
            flag("pointopoint").not(),
            flag("pointtopoint").not(),
            flag("running").not(),
            flag("noarp").not(),
            flag("arp").not(),
            flag("promisc").not(),
            flag("multicast").not(),
            flag("dynamic").not(),
            flag("lower-up").not(),
            flag("dormant").not(),
        ],
        Lower::Joint(PURE, ADDON),
    ),
    ext(
        "quota2",
        &[one("name"), num("quota").not(), flag("grow"), flag("no-change"), flag("packets")],
        Lower::Joint(VOLATILE, "holds until the quota is used up"),
    ),
    ext("ipv4options", &[one("flags"), flag("any")], Lower::Joint(PURE, HEADER)),
    ext(
        "length2",
        &[num("length").not(), flag("layer3"), flag("layer4"), flag("layer5"), flag("layer7")],
        Lower::Joint(PURE, HEADER),
    ),
    ext(
        "lscan",
        &[flag("stealth"), flag("synscan"), flag("cnscan"), flag("mirai")],
        Lower::Joint(VOLATILE, ADDON),
    ),
    ext("gradm", &[flag("enabled"), flag("disabled")], Lower::Joint(VOLATILE, ADDON)),
    // Targets.
    ext("REJECT", &[one("reject-with")], Lower::Target(Verdict::Reject)),
    ext("DNAT", &[one("to-destination"), flag("random"), flag("persistent")], Lower::Target(Verdict::Dnat)),
    ext(
        "SNAT",
        &[one("to-source"), flag("random"), flag("random-fully"), flag("persistent")],
        Lower::Target(Verdict::Snat),
    ),
    ext(
        "MASQUERADE",
        &[one("to-ports"), flag("random"), flag("random-fully")],
        Lower::Target(Verdict::Masquerade),
    ),
    ext("REDIRECT", &[one("to-ports"), flag("random")], Lower::Target(Verdict::Redirect)),
    ext("NETMAP", &[one("to")], Lower::Target(Verdict::Netmap)),
    ext(
        "MARK",
        &[one("set-xmark"), one("set-mark"), one("and-mark"), one("or-mark"), one("xor-mark")],
        Lower::Target(Verdict::Mark),
    ),
    ext(
        "CONNMARK",
        &[
            one("set-xmark"),
            one("set-mark"),
            one("and-mark"),
            one("or-mark"),
            one("xor-mark"),
            flag("save-mark"),
            flag("restore-mark"),
            one("left-shift-mark"),
            one("right-shift-mark"),
            one("nfmask"),
            one("ctmask"),
            one("mask"),
        ],
        Lower::Target(Verdict::Connmark),
    ),
    ext(
        "CT",
        &[
            flag("notrack"),
            one("helper"),
            one("timeout"),
            one("ctevents"),
            one("expevents"),
            one("zone"),
            one("zone-orig"),
            one("zone-reply"),
        ],
        Lower::Target(Verdict::Ct),
    ),
    ext("NOTRACK", &[], Lower::Target(Verdict::Notrack)),
    ext(
        "LOG",
        &[
            one("log-level"),
            one("log-prefix"),
            flag("log-tcp-sequence"),
            flag("log-tcp-options"),
            flag("log-ip-options"),
            flag("log-uid"),
            flag("log-macdecode"),
        ],
        Lower::Continue,
    ),
    ext(
        "NFLOG",
        &[
            one("nflog-group"),
            one("nflog-prefix"),
            one("nflog-range"),
            one("nflog-size"),
            one("nflog-threshold"),
        ],
        Lower::Continue,
    ),
    v4(
        "ULOG",
        &[one("ulog-nlgroup"), one("ulog-prefix"), one("ulog-cprange"), one("ulog-qthreshold")],
        Lower::Continue,
    ),
    ext("AUDIT", &[one("type")], Lower::Continue),
    ext("TRACE", &[], Lower::Continue),
    ext("TCPMSS", &[one("set-mss"), flag("clamp-mss-to-pmtu")], Lower::Continue),
    ext("TCPOPTSTRIP", &[one("strip-options")], Lower::Continue),
    ext("TOS", &[one("set-tos"), one("and-tos"), one("or-tos"), one("xor-tos")], Lower::Continue),
    ext("DSCP", &[one("set-dscp"), one("set-dscp-class")], Lower::Continue),
    v4(
        "ECN",
        &[flag("ecn-tcp-remove"), one("ecn-tcp-cwr"), one("ecn-tcp-ece"), one("ecn-ip-ect")],
        Lower::Continue,
    ),
    v4("TTL", &[one("ttl-set"), one("ttl-dec"), one("ttl-inc")], Lower::Continue),
    v6("HL", &[one("hl-set"), one("hl-dec"), one("hl-inc")], Lower::Continue),
    ext(
        "SET",
        &[
            opt("add-set", 2),
            opt("del-set", 2),
            opt("map-set", 2),
            one("timeout"),
            flag("exist"),
            flag("map-mark"),
            flag("map-prio"),
            flag("map-queue"),
        ],
        Lower::Target(Verdict::SetTarget),
    ),
    ext("CLASSIFY", &[one("set-class")], Lower::Continue),
    ext("CHECKSUM", &[flag("checksum-fill")], Lower::Continue),
    ext("CONNSECMARK", &[flag("save"), flag("restore")], Lower::Continue),
    ext("SECMARK", &[one("selctx")], Lower::Continue),
    ext("IDLETIMER", &[one("timeout"), one("label"), flag("alarm")], Lower::Continue),
    ext("LED", &[one("led-trigger-id"), one("led-delay"), flag("led-always-blink")], Lower::Continue),
    ext("RATEEST", &[one("rateest-name"), one("rateest-interval"), one("rateest-ewmalog")], Lower::Continue),
    ext("TEE", &[one("gateway"), one("oif")], Lower::Continue),
    ext(
        "HMARK",
        &[
            one("hmark-tuple"),
            one("hmark-mod"),
            one("hmark-offset"),
            one("hmark-rnd"),
            one("hmark-src-prefix"),
            one("hmark-dst-prefix"),
            one("hmark-sport-mask"),
            one("hmark-dport-mask"),
            one("hmark-spi-mask"),
            one("hmark-sport"),
            one("hmark-dport"),
            one("hmark-spi"),
            one("hmark-proto-mask"),
        ],
        Lower::Target(Verdict::Hmark),
    ),
    ext(
        "NFQUEUE",
        &[
            one("queue-num").default("0"),
            one("queue-balance"),
            flag("queue-bypass"),
            flag("queue-cpu-fanout"),
        ],
        Lower::Unknown("a program in user space decides"),
    ),
    ext("TPROXY", &[one("on-port"), one("on-ip"), one("tproxy-mark")], Lower::Target(Verdict::Tproxy)),
    ext(
        "SYNPROXY",
        &[one("wscale"), one("mss"), flag("sack-perm"), flag("timestamp"), flag("ecn")],
        Lower::Unknown("the handshake is answered by the box"),
    ),
    v4(
        "CLUSTERIP",
        &[
            flag("new"),
            one("hashmode"),
            one("clustermac"),
            one("total-nodes"),
            one("local-node"),
            one("hash-init"),
        ],
        Lower::Unknown("depends on a hash of the connection"),
    ),
    v6("SNPT", &[one("src-pfx"), one("dst-pfx")], Lower::Target(Verdict::Snpt)),
    v6("DNPT", &[one("src-pfx"), one("dst-pfx")], Lower::Target(Verdict::Dnpt)),
    v4("SAME", &[one("to"), flag("nodst"), flag("random")], Lower::Target(Verdict::Same)),
    v4("MIRROR", &[], Lower::Unknown("sends the packet back")),
    ext(
        "ROUTE",
        &[one("oif"), one("iif"), one("gw"), flag("continue"), flag("tee")],
        Lower::Unknown("routes the packet by itself"),
    ),
    ext(
        "TARPIT",
        &[flag("tarpit"), flag("honeypot"), flag("reset")],
        Lower::Unknown("answers in place of the box, or drops"),
    ),
    ext("DELUDE", &[], Lower::Unknown("answers in place of the box, or drops")),
    ext("CHAOS", &[flag("delude"), flag("tarpit")], Lower::Unknown("chooses by chance")),
    ext("STEAL", &[], Lower::Drop),
    ext("ECHO", &[], Lower::Unknown("answers in place of the box, or drops")),
    ext("ACCOUNT", &[one("addr"), one("tname")], Lower::Continue),
    ext("LOGMARK", &[one("log-level"), one("log-prefix")], Lower::Continue),
    ext(
        "IPMARK",
        &[one("addr"), one("and-mask"), one("or-mask"), one("shift")],
        Lower::Target(Verdict::Hmark),
    ),
    ext("RAWDNAT", &[one("to-destination")], Lower::Target(Verdict::Rawdnat)),
    ext("RAWSNAT", &[one("to-source")], Lower::Target(Verdict::Rawsnat)),
];

/// The match with a name; `v6` = for ip6tables.
pub(super) fn find_match(name: &[u8], v6: bool) -> Option<&'static Extension> {
    // The common ones first: they stand in nearly every rule.
    match name {
        b"tcp" => return Some(&EXTENSIONS[0]),
        b"udp" => return Some(&EXTENSIONS[1]),
        b"comment" => return Some(&EXTENSIONS[3]),
        b"state" => return Some(&EXTENSIONS[4]),
        b"conntrack" => return Some(&EXTENSIONS[5]),
        b"multiport" => return Some(&EXTENSIONS[6]),
        _ => {}
    }
    EXTENSIONS.iter().find(|e| e.name.as_bytes() == name && !e.is_target() && e.is_for(v6))
}

/// The target with a name.
pub(super) fn find_target(name: &[u8], v6: bool) -> Option<&'static Extension> {
    EXTENSIONS.iter().find(|e| e.name.as_bytes() == name && e.is_target() && e.is_for(v6))
}

impl Extension {
    fn is_for(&self, v6: bool) -> bool {
        match self.family {
            Only::Both => true,
            Only::V4 => !v6,
            Only::V6 => v6,
        }
    }
}

/// Targets that write what a match looks at; any that changes headers, for matches on the content.
pub(super) fn writers(name: &str) -> &'static [&'static [u8]] {
    const CONTENT: &[&[u8]] = &[
        b"DNAT",
        b"SNAT",
        b"REDIRECT",
        b"MASQUERADE",
        b"NETMAP",
        b"SAME",
        b"DNPT",
        b"SNPT",
        b"RAWDNAT",
        b"RAWSNAT",
        b"TTL",
        b"HL",
        b"TOS",
        b"DSCP",
        b"ECN",
        b"TCPMSS",
        b"TCPOPTSTRIP",
        b"SYNPROXY",
    ];
    match name {
        "dscp" | "tos" | "ecn" => &[b"DSCP", b"TOS", b"ECN"],
        "ttl" => &[b"TTL"],
        "hl" => &[b"HL"],
        "tcp" | "tcpmss" | "length" | "length2" => &[b"TCPMSS", b"TCPOPTSTRIP", b"SYNPROXY"],
        "helper" => &[b"CT"],
        "socket" => &[b"TPROXY"],
        "policy" | "rpfilter" | "realm" => {
            &[b"MARK", b"CONNMARK", b"DNAT", b"NETMAP", b"REDIRECT", b"DNPT", b"RAWDNAT"]
        }
        "u32" | "bpf" | "string" | "ipv4options" | "osf" | "layer7" | "ipp2p" => CONTENT,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortcuts_find_what_they_name() {
        for name in ["tcp", "udp", "comment", "state", "conntrack", "multiport", "mark", "set"] {
            assert_eq!(find_match(name.as_bytes(), false).map(|e| e.name), Some(name));
        }
    }

    #[test]
    fn names_are_unique() {
        for (i, e) in EXTENSIONS.iter().enumerate() {
            assert!(!EXTENSIONS[..i].iter().any(|x| x.name == e.name), "{}", e.name);
        }
    }
}
