//! Matches and targets of xtables-addons and other modules outside the kernel.

use super::{CHANCE, CONTENT, Extension, HEADER, Lower, PURE, VOLATILE, Verdict, ext, flag, num, one, v4};

const ADDON: &str = "this match is not part of the Linux kernel";

pub(super) static ADDONS: &[Extension] = &[
    // Matches.
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
