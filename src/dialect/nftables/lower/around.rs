//! What stands around the chains of IP and is not modelled: it may drop packets that those accept, or let some pass them by. Each is a
//! condition of its own at the place where it acts, so that it is part of every answer that it may change.

use super::device::{Through, through, words};
use super::*;
use crate::dialect::nftables::ruleset::Chain;
use crate::packet::{ConnState, IntervalSet, interface_value, proto};

// Words of notes about programs that look at frames before any table does.
const PROGRAMS: [&str; 4] = ["xdp", "clsact", "tc filter", "tc ingress"];

impl<'a> Lower<'a> {
    /// Adds all that there is.
    pub(super) fn around(&mut self) {
        let ruleset = self.ruleset;
        for (t, table) in ruleset.tables.iter().enumerate().filter(|(_, t)| !t.dormant) {
            if table.family == TableFamily::Bridge {
                self.bridge(t);
            }
            for flowtable in table.flowtables.iter().filter(|f| table.named.contains(&f.name)) {
                self.offload(flowtable);
            }
        }
        self.programs();
    }

    // Frames that cross a bridge meet its chains before IP sees them, and after.
    fn bridge(&mut self, t: usize) {
        let table = &self.ruleset.tables[t];
        let drops = table.chains.iter().flat_map(|c| &c.rules).any(|r| self.may_drop(r));
        for chain in &table.chains {
            let Some(base) = &chain.base else { continue };
            if !drops && chain.policies.last().is_none_or(|p| !p.0) {
                continue;
            }
            let hooks: &[Hook] = match &*base.hook {
                "prerouting" | "input" => &[Hook::DeviceIngress],
                "output" | "postrouting" => &[Hook::DeviceEgress],
                _ => &[Hook::DeviceIngress, Hook::DeviceEgress],
            };
            let text = format!("table bridge {}, chain {}, drops the frame", table.name, chain.name);
            let why =
                "frames of a bridge meet that table before IP sees them or after, and it is not modelled";
            for hook in hooks {
                let at = self.place(chain_place(chain));
                self.may_be_dropped(*hook, &text, why, at);
            }
        }
    }

    // Whether a rule does something else than let frames pass.
    fn may_drop(&self, source: &Source<'a>) -> bool {
        let harmless = |s: &Statement<'_>| match s {
            Statement::Verdict(v) => !matches!(v, Verdict::Drop | Verdict::Queue(_)),
            Statement::VerdictMap { .. } | Statement::Reject(_) | Statement::Unknown { .. } => false,
            _ => true,
        };
        self.parse(source).map_or(true, |rule| !rule.statements.iter().all(harmless))
    }

    // A base chain of one rule: if the condition holds, the packet is gone.
    fn may_be_dropped(&mut self, hook: Hook, text: &str, why: &str, at: Origin) {
        let chain = self.b.chain("", "what stands around the chains of IP", at);
        let field = if hook == Hook::DeviceIngress { Field::Iif } else { Field::Oif };
        let lo = IntervalSet::single(interface_value("lo").unwrap_or_default());
        let wire = self.b.field(field, field.complement(&lo));
        let drops = self.b.opaque(text, why, false, at);
        let rule = self.b.implicit(at, &[wire, drops], Action::Drop, text);
        self.b.push(chain, rule);
        let policy_note = Some(self.b.note("what is not dropped here goes on"));
        self.b.base_chain(BaseChain {
            chain,
            hook,
            priority: if hook == Hook::DeviceIngress { i32::MAX } else { i32::MIN },
            policy: Policy::Accept,
            policy_origin: at,
            policy_note,
            families: Family::ALL.to_vec(),
            kind: ChainKind::Filter,
        });
    }

    // Packets of an established connection that is in a flowtable go from device to device: no chain from there on sees them.
    fn offload(&mut self, flowtable: &crate::dialect::nftables::ruleset::Flowtable) {
        let at = self.place(flowtable.at);
        let Through { certain, possible } = through(&flowtable.devices);
        let text = format!("the connection is offloaded to flowtable {}", flowtable.name);
        let why = "packets of offloaded connections pass by the chains; which ones are is known at run time";
        let offloaded = self.b.opaque(&text, why, false, at);
        let open = IntervalSet::single(ConnState::Established.value());
        let protocols: IntervalSet = [proto::TCP, proto::UDP, 47].into_iter().map(u128::from).collect();
        let terms = [
            self.b.field(Field::State, open),
            self.b.field(Field::Iif, certain.union(&possible)),
            self.b.field(Field::Proto, protocols),
            offloaded,
        ];
        let note = format!("packets of connections offloaded from {} pass by", words(&flowtable.devices));
        let first = flowtable.priority.unwrap_or(i32::MIN);
        let passed: Vec<ChainId> = self
            .b
            .firewall()
            .base_chains
            .iter()
            .filter(|b| match b.hook {
                Hook::DeviceIngress => b.priority >= first,
                Hook::Prerouting | Hook::Forward | Hook::Postrouting => true,
                _ => false,
            })
            .map(|b| b.chain)
            .collect();
        for chain in passed {
            let rule = self.b.implicit(at, &terms, Action::Accept, &note);
            self.b.firewall_mut().chains[chain.index()].rules.insert(0, rule);
        }
    }

    // A note in a comment is all that a ruleset can tell of programs that see frames before any table does.
    fn programs(&mut self) {
        for number in 0..self.real_files {
            let file = Arc::clone(&self.b.firewall().files[number]);
            let Some((start, end)) = mentioned(file.bytes()) else { continue };
            let at = Origin::new(number, start, end);
            let text = "a program on the device drops the packet";
            let why = "a comment tells of a program that sees frames before any table does";
            self.may_be_dropped(Hook::DeviceIngress, text, why, at);
            let message = "a program on a device is mentioned here, and is not modelled".to_owned();
            self.note(at, message, "what is accepted here is accepted unless that program drops it");
        }
    }
}

fn chain_place(chain: &Chain<'_>) -> Origin {
    chain.base.as_ref().map_or(chain.at, |b| b.at)
}

// The first word in a comment that names such a program.
fn mentioned(text: &[u8]) -> Option<(usize, usize)> {
    let mut start = 0;
    for line in text.split_inclusive(|b| *b == b'\n') {
        let comment = match memchr::memchr(b'#', line) {
            Some(i) => Some(i),
            None => memchr::memmem::find(line, b"comment"),
        };
        if let Some(from) = comment {
            let words = line[from..].to_ascii_lowercase();
            let found = PROGRAMS.iter().find_map(|p| {
                let i = memchr::memmem::find(&words, p.as_bytes())?;
                let alone = |b: Option<&u8>| b.is_none_or(|b| !(b.is_ascii_alphanumeric() || *b == b'_'));
                let whole =
                    alone(i.checked_sub(1).and_then(|i| words.get(i))) && alone(words.get(i + p.len()));
                whole.then_some((start + from + i, start + from + i + p.len()))
            });
            if found.is_some() {
                return found;
            }
        }
        start += line.len();
    }
    None
}
