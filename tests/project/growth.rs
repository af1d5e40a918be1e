//! Cost grows with the input, not with its square: every command, on every kind of input, at one, two, four and eight times a size.
//!
//! What is counted is the time that a single thread spent on a processor (clock_gettime(2), `CLOCK_THREAD_CPUTIME_ID`), so that other work on
//! the machine hardly shows. What a doubling of the input adds doubles with the next one if the cost is in proportion, and quadruples if it grows
//! with the square; the bound lies between, far enough from the former for sorting and for caches.

#[path = "../../benches/generate/mod.rs"]
mod generate;

use generate::deployment::{self, Size};
use generate::{KINDS, Kind};
use havenlint::analysis::decide::{Question, decide};
use havenlint::analysis::diff::diff;
use havenlint::analysis::evaluate::evaluate;
use havenlint::analysis::{Environment, Point};
use havenlint::dialect::ReadOptions;
use havenlint::dialect::load::load;
use havenlint::model::Firewall;
use havenlint::packet::{Family, Field, Path, Region, addr, proto};
use havenlint::repair::repairs;
use havenlint::report::{FORMATS, Style};
use havenlint::session::{Options, run};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::path::Path as FilePath;
use tempfile::TempDir;

/// Rules of the smallest input, of dialects that take a line for a rule and of those that take many; and how much larger the others are.
const SMALLEST: [usize; 2] = [300, 80];
const SIZES: [usize; 4] = [1, 2, 4, 8];

/// What the last doubling adds, by what the one before added: 2 in proportion, 4 with the square.
const BOUND: f64 = 3.2;

/// Milliseconds; what adds less is lost in what else goes on.
const SMALL: f64 = 8.0;

type Job = fn(&FilePath);

const COMMANDS: &[(&str, Job)] = &[
    ("check", |folder| check(folder, None)),
    ("check --role", |folder| check(folder, Some("cms"))),
    ("fix", |folder| {
        let options = options(folder, None);
        black_box(repairs(&Options { select: vec!["HL-".to_owned()], ..options }).is_ok());
    }),
    ("trace", |folder| {
        with(folder, |firewalls, environment| {
            let packets = [
                "input eth0 tcp 203.0.113.7:40000 > 10.1.0.10:22",
                "ingress tcp 203.0.113.7:40000 > 10.1.0.10:22",
            ];
            for packet in packets.iter().filter_map(|p| p.parse().ok()) {
                black_box(evaluate(Point { firewalls, environment }, &packet).verdict);
            }
        });
    }),
    ("query", |folder| {
        with(folder, |firewalls, environment| {
            let host = addr::parse("10.0.9.7").expect("an address");
            let region = Region::all(Family::V4).cut(Field::Src, &host).protocol(proto::TCP);
            for path in [Path::Input, Path::Ingress] {
                let point = Point { firewalls, environment };
                let question = Question { point, path, region: region.clone(), mark: 0, delivered_to: None };
                black_box(decide(&question).accepted.len());
            }
        });
    }),
    ("diff", |folder| {
        with(folder, |old, environment| {
            with(folder, |new, _| {
                for (a, b) in old.iter().zip(new) {
                    black_box(diff(a, b, environment).changes.len());
                }
            });
        });
    }),
];

/// What is known to grow faster, with the reason. Nothing is added here without one.
const KNOWN: &[(&str, &str, &str)] = &[
    // A host that is let in to as many ports as there are rules: the box engine cuts a hole for each.
    ("iptables/flat", "query", "box engine"),
    ("iptables/ifaces", "query", "box engine"),
    // Where that takes too many steps diagrams take over: once, and from there on in proportion.
    ("iptables/kube", "query", "diagrams"),
];

fn options(folder: &FilePath, role: Option<&str>) -> Options {
    Options {
        paths: vec![folder.to_owned()],
        role: role.map(str::to_owned),
        no_config: true,
        no_baseline: true,
        today: Some(jiff::civil::date(2026, 3, 1)),
        ..Options::default()
    }
}

fn check(folder: &FilePath, role: Option<&str>) {
    let outcome = run(&options(folder, role));
    assert!(outcome.found, "{}: nothing found", folder.display());
    for (_, write) in FORMATS {
        write(&outcome.report, &Style::default(), &mut std::io::sink()).expect("nothing can fail here");
    }
}

fn with(folder: &FilePath, job: impl FnOnce(&[&Firewall], &Environment)) {
    let loaded = load(&[folder.to_owned()], &ReadOptions::default(), None);
    job(&loaded.firewalls.iter().collect::<Vec<_>>(), &Environment::default());
}

/// Milliseconds that this thread spent on a processor.
fn spent() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn cost(folder: &FilePath, job: Job) -> f64 {
    let before = spent();
    job(folder);
    spent() - before
}

/// By what the last doubling grew more than the one before.
fn growth<const N: usize>(costs: &[f64; N]) -> f64 {
    let (last, before) = (costs[N - 1] - costs[N - 2], costs[N - 2] - costs[N - 3]);
    if last < SMALL { 1.0 } else { last / before.max(0.1) }
}

/// Costs at each size. Other work only ever adds: where they grow fast, the least of a few counts.
fn costs<const N: usize>(folders: &[TempDir; N], job: Job) -> [f64; N] {
    let mut least = [f64::MAX; N];
    for _ in 0..4 {
        for (least, folder) in least.iter_mut().zip(folders) {
            *least = least.min(cost(folder.path(), job));
        }
        if growth(&least) <= BOUND {
            break;
        }
    }
    least
}

fn inputs(kind: &Kind) -> [TempDir; SIZES.len()] {
    let smallest = SMALLEST[usize::from(kind.name.starts_with("pfsense") || kind.name.starts_with("aws"))];
    let write = |times| {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in (kind.make)(smallest * times) {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        folder
    };
    SIZES.map(write)
}

// Minutes: `cargo test --release --test project -- --ignored cost_grows --nocapture`.
#[test]
#[ignore = "takes minutes; run it after a change of what costs time"]
fn cost_grows_in_proportion() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).stack_size(64 << 20).build().expect("a thread");
    let mut steep = Vec::new();
    for kind in KINDS {
        let folders = inputs(kind);
        for (command, job) in COMMANDS {
            let costs = pool.install(|| costs(&folders, *job));
            let growth = growth(&costs);
            let shown = costs.map(|c| format!("{c:.1}")).join(" ");
            println!("{:22} {command:12} {shown} ms: growth {growth:.1}", kind.name);
            let known = KNOWN.iter().any(|(k, c, _)| kind.name.starts_with(k) && c == command);
            if growth > BOUND && !known {
                steep.push(format!("{} {command}: {shown} ms", kind.name));
            }
        }
    }
    assert!(steep.is_empty(), "these grow faster than their input:\n{}", steep.join("\n"));
}

/// Machines of a deployment that all talk to each other.
const MACHINES: [usize; 3] = [64, 128, 256];

#[test]
fn a_deployment_costs_what_its_machines_cost() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).stack_size(64 << 20).build().expect("a thread");
    let folders = MACHINES.map(|srns| {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("hosts")).expect("a folder");
        let size = Size { sites: 16, srns, servers: 0, by_address: false, faulty: 20 };
        for (name, text) in deployment::files(&size) {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        folder
    });
    let judge: Job = |folder| {
        let config = Some(folder.join("havenlint.toml"));
        let outcome = run(&Options { config, no_baseline: true, ..Options::default() });
        assert!(outcome.report.requirements.len() > MACHINES[0], "too little is judged");
        assert!(outcome.report.problems.is_empty(), "{:?}", outcome.report.problems);
    };
    let costs = pool.install(|| {
        // What is read once in a process (the catalogue, the time zones) is no cost of the first deployment.
        judge(folders[0].path());
        costs(&folders, judge)
    });
    let growth = growth(&costs);
    assert!(growth < BOUND, "{MACHINES:?} machines cost {costs:.0?} ms: growth {growth:.1}");
}

/// Lists that somebody generated: one of many addresses, aliases that name each other one after the other.
#[test]
fn generated_lists_cost_what_they_hold() {
    let network = |n: usize| {
        let all: Vec<String> =
            (0..n).map(|i| format!("\"10.{}.{}.{}\"", i >> 15, (i >> 7) & 255, (i << 1) & 255)).collect();
        let text = format!(
            "catalogue = \"none\"\n[networks]\nadmin = [{}]\n[[node]]\nname = \"a\"\naddress = [\"10.1.0.1\"]\nfirewall = [\"a.rules\"]\n",
            all.join(", ")
        );
        vec![
            ("havenlint.toml", text),
            (
                "a.rules",
                "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\nCOMMIT\n".to_owned(),
            ),
        ]
    };
    let aliases = |n: usize| {
        let alias = |i: usize| {
            format!(
                "<alias><name>A{i}</name><type>host</type><address>A{} 10.9.{}.{}</address></alias>\n",
                i + 1,
                i >> 8,
                i & 255
            )
        };
        let all: String = (0..n).map(alias).collect();
        let text = format!(
            "<pfsense><version>22.9</version><interfaces><lan><enable/><if>em1</if><ipaddr>10.0.0.1</ipaddr><subnet>24</subnet></lan></interfaces>\
             <aliases>{all}<alias><name>A{n}</name><type>host</type><address>10.0.0.9</address></alias></aliases><filter><rule><type>pass</type><interface>lan</interface>\
             <ipprotocol>inet</ipprotocol><protocol>tcp</protocol><source><address>A0</address></source><destination><any/><port>22</port></destination></rule></filter></pfsense>\n"
        );
        vec![("config.xml", text)]
    };
    let judge: Job = |folder| {
        let config = Some(folder.join("havenlint.toml")).filter(|c| c.is_file());
        let paths = if config.is_some() { Vec::new() } else { vec![folder.to_owned()] };
        let outcome = run(&Options {
            paths,
            no_config: config.is_none(),
            config,
            no_baseline: true,
            ..Options::default()
        });
        assert!(
            outcome.found
                && outcome.report.problems.iter().all(|p| p.level != havenlint::source::Severity::Error)
        );
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).stack_size(64 << 20).build().expect("a thread");
    let make: [&dyn Fn(usize) -> Vec<(&'static str, String)>; 2] = [&network, &aliases];
    for (make, size) in make.into_iter().zip([8000, 1000]) {
        let folders = [1, 2, 4].map(|times| {
            let folder = tempfile::tempdir().expect("a folder");
            for (name, text) in make(size * times) {
                std::fs::write(folder.path().join(name), text).expect("a file");
            }
            folder
        });
        let costs = pool.install(|| {
            judge(folders[0].path());
            costs(&folders, judge)
        });
        let growth = growth(&costs);
        assert!(
            growth < BOUND,
            "lists of {size}, twice and four times as many cost {costs:.0?} ms: growth {growth:.1}"
        );
    }
}
