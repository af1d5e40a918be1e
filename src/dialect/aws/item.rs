//! What an object of the API is.

use super::value::{member, text};
use crate::source::json::Value;

/// What an object is by its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A security group.
    Group,
    /// A rule of describe-security-group-rules.
    Rule,
    /// A network interface.
    Interface,
    /// An instance.
    Instance,
    /// A network ACL.
    Acl,
    /// A subnet.
    Subnet,
    /// A route table.
    RouteTable,
    /// A network.
    Vpc,
    /// A prefix list with its id.
    PrefixList,
    /// An item of AWS Config.
    Config,
}

impl Item {
    /// Judges an object.
    pub fn of(v: Value<'_>) -> Option<Item> {
        let has = |name| member(v, name).is_some();
        match () {
            () if has("securitygroupruleid") => Some(Item::Rule),
            () if has("groupid") && (has("ippermissions") || has("ippermissionsegress")) => Some(Item::Group),
            () if has("instanceid") && has("networkinterfaces") => Some(Item::Instance),
            () if has("networkinterfaceid") && (has("groups") || has("privateipaddress")) => {
                Some(Item::Interface)
            }
            () if has("networkaclid") && has("entries") => Some(Item::Acl),
            () if has("routetableid") && has("routes") => Some(Item::RouteTable),
            () if has("subnetid") && has("cidrblock") => Some(Item::Subnet),
            () if has("vpcid") && has("cidrblock") && has("cidrblockassociationset") => Some(Item::Vpc),
            () if has("prefixlistid") && (has("cidrs") || has("entries")) => Some(Item::PrefixList),
            () if has("configuration")
                && text(v, "resourcetype").is_some_and(|t| t.starts_with("AWS::EC2::")) =>
            {
                Some(Item::Config)
            }
            () => None,
        }
    }
}
