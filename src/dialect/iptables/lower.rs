//! From the tree of a rule to terms and an action of the model.

use super::context::{Context, Lowered, MEMO, Memo, side};
use super::extensions::{Lower, Match, Verdict};
use super::syntax::{Plain, Target};
use super::values::{self, Address};
use super::{matches, nat, packet_matches, record, registers, rewrite, set};
use crate::model::{Action, ConditionId, ConditionKind, Hook, Term};
use crate::packet::addr::{self, Family};
use crate::packet::{Field, IntervalSet, Value, interface_prefix, interface_value};

impl<'f> Context<'f> {
    /// Lowers the conditions of the current command. On an error, the terms of what was understood stay.
    pub(super) fn conditions(&mut self) -> Lowered<()> {
        self.terms.clear();
        self.effects.clear();
        let spec = &self.command.spec;
        let (src, dst, iif, oif, proto, fragment) =
            (spec.src, spec.dst, spec.iif, spec.oif, spec.proto, spec.fragment);
        if let Some(p) = proto {
            self.protocol(p)?;
        }
        for (field, plain) in [(Field::Src, src), (Field::Dst, dst)] {
            if let Some(p) = plain {
                self.address(field, p)?;
            }
        }
        for (field, plain) in [(Field::Iif, iif), (Field::Oif, oif)] {
            if let Some(p) = plain {
                self.interface(field, p)?;
            }
        }
        if let Some(p) = fragment {
            // Packets of the model are whole datagrams: `-f` means a second or later fragment.
            if self.v6 {
                return Err(self.problem(p.option, "`-f` is not for IPv6").help("use `-m frag`"));
            }
            if !p.negated {
                self.outside();
            }
        }
        for owner in 0..self.command.spec.uses.len() {
            let extension = self.command.spec.uses[owner].extension;
            match &extension.lower {
                Lower::Match(m) => condition(*m)(self, owner)?,
                Lower::Outside => self.outside(),
                Lower::Each(kind, why) => self.each(owner, kind, why)?,
                Lower::Joint(kind, why) => self.joint(owner, kind.clone(), why)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn protocol(&mut self, p: Plain) -> Lowered<()> {
        let number = match values::protocol(self.words.text(p.value)) {
            Some(n) => n,
            None => {
                let shown = self.words.shown(p.value);
                return Err(self
                    .problem(p.value, format!("`{shown}` is no protocol"))
                    .help("write a name such as tcp, or a number from 0 to 255"));
            }
        };
        match (number, p.negated) {
            (0, false) => {}
            (0, true) => {
                return Err(self.problem(p.value, "`! -p all` never matches").help("leave the protocol out"));
            }
            // The packet's protocol is the one behind the extension headers (ip6_tables.c, `ip6_packet_match`).
            (43 | 44 | 60, false) if self.v6 => self.never(),
            (n @ (43 | 44 | 60), false) if self.family.is_none() => {
                let (protocol, family) = (self.b.protocol(n), self.b.family(Family::V4));
                self.terms.extend([protocol, family]);
            }
            (n, false) => {
                let term = self.b.protocol(n);
                self.push(term);
            }
            (n, true) => self.push_set(Field::Proto, IntervalSet::single(n), true),
        }
        Ok(())
    }

    #[inline]
    fn address(&mut self, field: Field, p: Plain) -> Lowered<()> {
        let text = self.words.text(p.value);
        if memchr::memchr(b',', text).is_some() {
            return self.address_list(field, p);
        }
        match self.at(p.value, values::address(text, self.v6))? {
            Address::V4(lo, hi) if !p.negated => {
                if lo != 0 || hi != u32::MAX {
                    self.push(Term::Range { field, lo, hi });
                }
            }
            Address::V4(lo, hi) => {
                self.push_set(field, IntervalSet::range(addr::v4(lo), addr::v4(hi)), true);
            }
            Address::Set(set) if set.is_empty() && !p.negated => self.outside(),
            Address::Set(set) => {
                if p.negated || set != self.addresses() {
                    self.push_set(field, set, p.negated);
                }
            }
            Address::Masked { mask, value } => {
                let term = self.masked(field, mask, value, p.negated);
                self.push(term);
            }
            Address::Host(name) => match self.host(&name) {
                Some(set) => self.push_set(field, set, p.negated),
                None => {
                    let c = self.host_condition(field, &name);
                    self.push(Term::opaque(c, p.negated));
                }
            },
        }
        Ok(())
    }

    // A dump is of one family; of one that holds addresses of both nothing more is known.
    fn masked(&mut self, field: Field, mask: Value, value: Value, negated: bool) -> Term {
        self.b.masked(field, mask, value, negated)
    }

    fn host(&self, name: &str) -> Option<IntervalSet> {
        self.options.names.get(name).map(|s| s.intersect(&self.addresses()))
    }

    fn host_condition(&mut self, field: Field, name: &str) -> ConditionId {
        let text = format!("{} {name}", side(field));
        let kind = ConditionKind::HostName { field, name: name.to_owned() };
        self.b.condition(&text, "the addresses of this name are not declared", kind, self.origin)
    }

    fn address_list(&mut self, field: Field, p: Plain) -> Lowered<()> {
        if p.negated {
            return Err(self
                .problem(p.value, "`!` is not allowed before a list of addresses")
                .help("a rule without one of several networks needs one rule for each, or an ipset"));
        }
        let mut ranges = Vec::new();
        let mut others = Vec::new();
        let text = self.words.text(p.value).to_owned();
        for part in text.split(|b| *b == b',') {
            match self.at(p.value, values::address(part, self.v6))? {
                Address::V4(lo, hi) => ranges.push((addr::v4(lo), addr::v4(hi))),
                Address::Set(set) => ranges.extend_from_slice(set.ranges()),
                Address::Masked { mask, value } => others.push(self.masked(field, mask, value, false)),
                Address::Host(name) => match self.host(&name) {
                    Some(set) => ranges.extend_from_slice(set.ranges()),
                    None => {
                        let c = self.host_condition(field, &name);
                        others.push(Term::opaque(c, false));
                    }
                },
            }
        }
        let set = IntervalSet::from_ranges(ranges);
        if set.covers(&self.addresses()) {
            return Ok(());
        }
        let known = self.b.field(field, set);
        if others.is_empty() {
            self.push(known);
        } else {
            let all = std::iter::once(known).chain(others).map(|t| vec![t]).collect();
            let any = self.b.any(all);
            self.push(any);
        }
        Ok(())
    }

    fn interface(&mut self, field: Field, p: Plain) -> Lowered<()> {
        self.interface_hook(field, p)?;
        let tag = (field as u8) << 1 | u8::from(p.negated);
        let key = self.words.lasting(p.value).map(|text| (tag, text));
        if let Some(key) = key
            && let Some(memo) = self.memo.get(&key)
        {
            if let Memo::Term(t) = *memo {
                self.push(t);
            }
            return Ok(());
        }
        let before = self.terms.len();
        self.interface_set(field, p)?;
        if let Some(key) = key
            && self.memo.len() < MEMO
        {
            let memo = self.terms.get(before).map_or(Memo::Always, |t| Memo::Term(*t));
            self.memo.insert(key, memo);
        }
        Ok(())
    }

    fn interface_hook(&self, field: Field, p: Plain) -> Lowered<()> {
        let Some(hook) = self.hook else {
            return Ok(());
        };
        let wrong = match field {
            Field::Iif => matches!(hook, Hook::Output | Hook::Postrouting),
            _ => matches!(hook, Hook::Input | Hook::Prerouting),
        };
        if !wrong {
            return Ok(());
        }
        let shown = self.words.shown(p.option);
        Err(self
            .problem(p.option, format!("`{shown}` cannot be used in this chain"))
            .help("packets have no such interface there"))
    }

    fn interface_set(&mut self, field: Field, p: Plain) -> Lowered<()> {
        let text = self.words.text(p.value);
        let name = std::str::from_utf8(text).unwrap_or("\u{fffd}");
        let set = match name.strip_suffix('+') {
            _ if name.is_empty() => {
                return Err(self.problem(p.value, "the interface's name is empty"));
            }
            Some("") => {
                if p.negated {
                    self.push_backend();
                }
                return Ok(());
            }
            Some(prefix) => interface_prefix(prefix),
            None => interface_value(name).map(IntervalSet::single),
        };
        let set = self.at(p.value, set.map_err(|e| e.to_string()))?;
        self.push_set(field, set, p.negated);
        Ok(())
    }

    /// What the rule does.
    pub(super) fn action(
        &mut self,
        chain: &dyn Fn(&[u8]) -> Option<crate::model::ChainId>,
    ) -> Lowered<Action> {
        let Some(target) = self.command.spec.target else {
            return Ok(Action::Continue);
        };
        if let Some(owner) = target.extension {
            let extension = self.command.spec.uses[owner].extension;
            return match &extension.lower {
                Lower::Target(t) => verdict(*t)(self, owner),
                Lower::Drop => Ok(Action::Drop),
                Lower::Unknown(why) => Ok(self.unknown_target(owner, why)),
                _ => Ok(Action::Continue),
            };
        }
        self.jump(target, chain)
    }

    fn jump(
        &mut self,
        target: Target,
        chain: &dyn Fn(&[u8]) -> Option<crate::model::ChainId>,
    ) -> Lowered<Action> {
        let name = self.words.text(target.word);
        if !target.goto {
            match name {
                b"ACCEPT" => return Ok(Action::Accept),
                b"DROP" if self.table.name == "nat" => {
                    return Err(self.problem(target.word, "the nat table cannot drop").help(
                        "drop in the filter table: nat chains see only the first packet of a connection",
                    ));
                }
                b"DROP" => return Ok(Action::Drop),
                b"RETURN" => return Ok(Action::Return),
                _ => {}
            }
        }
        if let Some(id) = chain(name) {
            return Ok(if target.goto { Action::Goto(id) } else { Action::Jump(id) });
        }
        if name == b"QUEUE" {
            let why = "a program in user space decides";
            return Ok(Action::Unknown(self.b.condition(
                "-j QUEUE",
                why,
                ConditionKind::Volatile,
                self.origin,
            )));
        }
        let shown = self.words.shown(target.word);
        Err(self
            .problem(target.word, format!("there is no chain and no target `{shown}`"))
            .help(format!("declare the chain above its first use: `:{shown} - [0:0]`")))
    }

    // Each option is a condition of its own.
    fn each(&mut self, owner: usize, kind: &ConditionKind, why: &str) -> Lowered<()> {
        self.needs_option(owner)?;
        for test in self.tests(owner) {
            self.opaque_test(&test, kind.clone(), why);
        }
        Ok(())
    }
}

type Conditions = for<'a, 'f> fn(&'a mut Context<'f>, usize) -> Lowered<()>;
type Decides = for<'a, 'f> fn(&'a mut Context<'f>, usize) -> Lowered<Action>;

fn condition(m: Match) -> Conditions {
    match m {
        Match::Tcp => packet_matches::tcp,
        Match::Udp => packet_matches::udp,
        Match::Udplite => packet_matches::udplite,
        Match::State => record::state,
        Match::Conntrack => record::conntrack,
        Match::Multiport => packet_matches::multiport,
        Match::Icmp => packet_matches::icmp,
        Match::Icmp6 => packet_matches::icmp6,
        Match::Iprange => matches::iprange,
        Match::Mac => matches::mac,
        Match::Addrtype => matches::addrtype,
        Match::Mark => registers::mark_match,
        Match::Connmark => registers::connmark_match,
        Match::Set => set::matches,
        Match::Sctp => packet_matches::sctp,
        Match::Dccp => packet_matches::dccp,
        Match::Limit => matches::limit,
        Match::Hashlimit => matches::hashlimit,
        Match::Connlimit => matches::connlimit,
        Match::Recent => matches::recent,
        Match::Dscp => packet_matches::dscp,
        Match::Tos => packet_matches::tos,
        Match::Ecn => packet_matches::ecn,
        Match::Esp => packet_matches::esp,
        Match::Ah => packet_matches::ah,
        Match::Ipcomp => packet_matches::ipcomp,
        Match::Time => matches::time,
        Match::Cluster => matches::cluster,
        Match::Rpfilter => matches::rpfilter,
        Match::Socket => registers::socket,
        Match::ExtensionHeader => packet_matches::extension_header,
        Match::Mh => packet_matches::mh,
    }
}

fn verdict(t: Verdict) -> Decides {
    match t {
        Verdict::Tproxy => rewrite::tproxy,
        Verdict::Snpt => rewrite::snpt,
        Verdict::Dnpt => rewrite::dnpt,
        Verdict::Same => rewrite::same,
        Verdict::Rawdnat => rewrite::rawdnat,
        Verdict::Rawsnat => rewrite::rawsnat,
        Verdict::Reject => nat::reject,
        Verdict::Dnat => nat::dnat,
        Verdict::Snat => nat::snat,
        Verdict::Masquerade => nat::masquerade,
        Verdict::Redirect => nat::redirect,
        Verdict::Netmap => nat::netmap,
        Verdict::Mark => registers::mark,
        Verdict::Connmark => registers::connmark,
        Verdict::Ct => registers::ct,
        Verdict::Notrack => registers::notrack,
        Verdict::SetTarget => registers::set_target,
        Verdict::Hmark => registers::hmark,
    }
}
