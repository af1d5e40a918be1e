//! Chains that are bound to devices, at `ingress` and `egress`.
//!
//! Measured with kernel 6.18: they see each packet before connection tracking (`ct state` is invalid), an accept goes on to the hooks of IP, a
//! drop is final, and `notrack` and marks stay with the packet.

use super::*;
use crate::dialect::nftables::ruleset::Devices;
use crate::packet::{IntervalSet, interface_prefix, interface_value};

/// The interfaces whose packets a device hands over, as far as names tell.
pub(super) struct Through {
    /// Those of the device itself.
    pub(super) certain: IntervalSet,
    /// Those that may lie on top of it: `eth0.10` is a virtual network on `eth0` by all custom, and its frames come through it; and those
    /// that a pattern names, which old kernels take literally.
    pub(super) possible: IntervalSet,
}

/// What the names of devices stand for.
pub(super) fn through(devices: &Devices) -> Through {
    let (mut certain, mut possible) = (IntervalSet::EMPTY, IntervalSet::EMPTY);
    for name in &devices.names {
        if let Some(prefix) = name.strip_suffix('*') {
            possible = possible.union(&interface_prefix(prefix).unwrap_or_default());
            continue;
        }
        if let Ok(value) = interface_value(name) {
            certain = certain.union(&IntervalSet::single(value));
        }
        possible = possible.union(&interface_prefix(&format!("{name}.")).unwrap_or_default());
    }
    let possible = if devices.unknown { Field::Iif.complement(&IntervalSet::single(0u8)) } else { possible };
    Through { possible: possible.minus(&certain), certain }
}

/// The devices in words.
pub(super) fn words(devices: &Devices) -> String {
    match (devices.names.as_slice(), devices.unknown) {
        ([], _) => "devices that the ruleset does not tell".to_owned(),
        (names, true) => format!("{} and others", names.join(", ")),
        (names, false) => names.join(", "),
    }
}

impl Lower<'_> {
    /// The first rules of a chain that is bound to devices: what is not theirs passes by.
    pub(super) fn bind(&mut self, chain: ChainId, hook: Hook, devices: &Devices, at: Origin) {
        let field = if hook == Hook::DeviceIngress { Field::Iif } else { Field::Oif };
        let Through { certain, possible } = through(devices);
        let others = field.complement(&certain.union(&possible));
        let note = format!("the chain sees packets of {} only", words(devices));
        if !possible.is_empty() {
            let text = format!("its frames pass device {}", words(devices));
            let passes =
                self.b.opaque(&text, "which device they pass is not told by the interface", true, at);
            let guard = self.b.field(field, possible);
            let rule = self.b.implicit(at, &[guard, passes], Action::Accept, &note);
            self.b.push(chain, rule);
        }
        let guard = self.b.field(field, others);
        let rule = self.b.implicit(at, &[guard], Action::Accept, &note);
        self.b.push(chain, rule);
    }
}
