//! What commands cost as their input grows: for the benchmark of all of them, and for the test of those that a debug build can afford.
//!
//! What is counted is the time that a single thread spent on a processor (clock_gettime(2), `CLOCK_THREAD_CPUTIME_ID`), so that other work on
//! the machine hardly shows. What a doubling of the input adds doubles with the next one if the cost is in proportion, and quadruples if it grows
//! with the square; the bound lies between, far enough from the former for sorting and for caches.
#![allow(dead_code, reason = "the benchmark and the test each take a part")]

use super::generate::Kind;
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

/// What the last doubling adds, by what the one before added: 2 in proportion, 4 with the square.
pub const BOUND: f64 = 3.2;

/// Milliseconds; what adds less is lost in what else goes on.
const SMALL: f64 = 8.0;

/// Does something with the files of a folder.
pub type Job = fn(&FilePath);

/// The commands that are measured.
pub const COMMANDS: &[(&str, Job)] = &[
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
pub const KNOWN: &[(&str, &str, &str)] = &[
    // A host that is let in to as many ports as there are rules: the box engine cuts a hole for each.
    ("iptables/flat", "query", "box engine"),
    ("iptables/ifaces", "query", "box engine"),
    // Where that takes too many steps diagrams take over: once, and from there on in proportion.
    ("iptables/kube", "query", "diagrams"),
    // What is open is followed to the end of its steps, and beyond only told as too much: some hundred rules cost more than thousands.
    ("iptables/ifaces", "check", "steps of what is open"),
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
pub fn growth<const N: usize>(costs: &[f64; N]) -> f64 {
    let (last, before) = (costs[N - 1] - costs[N - 2], costs[N - 2] - costs[N - 3]);
    if last < SMALL { 1.0 } else { last / before.max(0.1) }
}

/// Costs at each size. Other work only ever adds: where they grow fast, the least of a few counts.
pub fn costs<const N: usize>(folders: &[TempDir; N], job: Job) -> [f64; N] {
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

/// A folder for each size of a kind of input: so many times the smallest, whose number of rules is given for dialects that take a line for a
/// rule, and for those that take many.
pub fn inputs<const N: usize>(kind: &Kind, [lines, objects]: [usize; 2], sizes: [usize; N]) -> [TempDir; N] {
    let many = kind.name.starts_with("pfsense") || kind.name.starts_with("aws");
    let smallest = if many { objects } else { lines };
    sizes.map(|times| {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in (kind.make)(smallest * times) {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        folder
    })
}

/// Costs of a command at each size of a kind, in words; whether they grow faster than the input, and nobody knows why.
pub fn shown<const N: usize>(kind: &Kind, command: &str, costs: [f64; N]) -> (String, bool) {
    let growth = growth(&costs);
    let each = costs.map(|c| format!("{c:.1}")).join(" ");
    let known = KNOWN.iter().any(|(k, c, _)| kind.name.starts_with(k) && *c == command);
    (format!("{:22} {command:12} {each} ms: growth {growth:.1}", kind.name), growth > BOUND && !known)
}

/// One thread, with the stack that the program gives its own.
pub fn one_thread() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(1).stack_size(64 << 20).build().expect("a thread")
}
