//! Keys of the API that say nothing about packets, by what they belong to, each group with its reason. What is in no list and was not
//! read is not understood. Names in lower case without separators.

use crate::source::json::NoEffect;

const PEOPLE: NoEffect =
    NoEffect { why: "notes for people", keys: &["description", "tags", "tagset", "tag", "name", "title"] };

const OWNERS: NoEffect = NoEffect {
    why: "names of the thing itself and of whose it is",
    keys: &[
        "ownerid",
        "groupownerid",
        "arn",
        "securitygrouparn",
        "securitygrouprulearn",
        "subnetarn",
        "outpostarn",
        "prefixlistarn",
        "requesterid",
        "requestermanaged",
        "operator",
        "accountid",
        "vpcid",
        "vpcname",
    ],
};

const EXPORTERS: NoEffect = NoEffect {
    why: "what Steampipe, CloudQuery and AWS Config write about their own work, or the same tags once more",
    keys: &[
        "akas",
        "partition",
        "region",
        "tagssrc",
        "tagsraw",
        "ctx",
        "spctx",
        "spconnectionname",
        "cqid",
        "cqparentid",
        "cqsynctime",
        "cqsourcename",
        "requestaccountid",
        "requestregion",
        "createdat",
        "updatedat",
        "syncedat",
    ],
};

/// Of a security group.
pub const GROUP: &[NoEffect] = &[PEOPLE, OWNERS, EXPORTERS];

/// Of a permission and what is in it. The VPC of a reference is that of its peering connection, whose status is read.
pub const PERMISSION: &[NoEffect] =
    &[PEOPLE, NoEffect { why: "the VPC of a group that is named by its id", keys: &["vpcid"] }];

/// Of an item of describe-security-group-rules.
pub const RULE: &[NoEffect] =
    &[PEOPLE, OWNERS, EXPORTERS, NoEffect { why: "the rule's own name", keys: &["securitygroupruleid"] }];

/// Of a network interface, as such and inside an instance.
pub const INTERFACE: &[NoEffect] = &[
    PEOPLE,
    OWNERS,
    EXPORTERS,
    NoEffect {
        why: "names, and where and when it is attached: groups and addresses are read apart",
        keys: &[
            "association",
            "attachment",
            "availabilityzone",
            "availabilityzoneid",
            "groupname",
            "interfacetype",
            "macaddress",
            "privatednsname",
            "publicdnsname",
            "publicipdnsnameoptions",
            "publicipv6dnsname",
            "status",
            "primary",
            "isprimaryipv6",
            "associatedsubnets",
            "ipv6native",
        ],
    },
    NoEffect {
        why: "limits of time and of routing: they admit nothing that groups and network ACLs do not",
        keys: &[
            "connectiontrackingconfiguration",
            "connectiontracking",
            "sourcedestcheck",
            "denyalligwtraffic",
        ],
    },
];

/// Of a subnet.
pub const SUBNET: &[NoEffect] = &[
    PEOPLE,
    OWNERS,
    EXPORTERS,
    NoEffect {
        why: "where it lies and what new interfaces get: its addresses are read apart",
        keys: &[
            "availabilityzone",
            "availabilityzoneid",
            "availableipaddresscount",
            "defaultforaz",
            "mappubliciponlaunch",
            "mapcustomerownediponlaunch",
            "customerownedipv4pool",
            "enablelniatdeviceindex",
            "state",
            "assignipv6addressoncreation",
            "enabledns64",
            "ipv6native",
            "privatednsnameoptionsonlaunch",
            "blockpublicaccessstates",
            "type",
            "associationid",
            "ipv6addressattribute",
            "ipsource",
            "statusmessage",
        ],
    },
];

/// Of a network.
pub const VPC: &[NoEffect] = &[
    PEOPLE,
    OWNERS,
    EXPORTERS,
    NoEffect {
        why: "how it is run, and states of its prefixes, which are read whatever their state",
        keys: &[
            "instancetenancy",
            "isdefault",
            "dhcpoptionsid",
            "state",
            "blockpublicaccessstates",
            "encryptioncontrol",
            "associationid",
            "cidrblockstate",
            "ipv6cidrblockstate",
            "networkbordergroup",
            "ipv6pool",
            "ipv6addressattribute",
            "ipsource",
        ],
    },
];

/// Of a route table.
pub const ROUTE_TABLE: &[NoEffect] = &[
    PEOPLE,
    OWNERS,
    EXPORTERS,
    NoEffect {
        why: "its own id, and who may add routes: those that are there are read",
        keys: &["routetableid", "propagatingvgws"],
    },
];

/// Of a route.
pub const ROUTE: &[NoEffect] = &[NoEffect {
    why: "whose the target is: the target itself is read; and an address for IPv6 to IPv4 translation at it",
    keys: &["instanceownerid", "instanceid", "networkinterfaceid", "state", "origin", "ipaddress"],
}];

/// Of a prefix list and its entries.
pub const PREFIX_LIST: &[NoEffect] = &[
    PEOPLE,
    OWNERS,
    EXPORTERS,
    NoEffect {
        why: "its state and version: its entries are read apart",
        keys: &[
            "prefixlistname",
            "addressfamily",
            "state",
            "statemessage",
            "version",
            "ipamprefixlistresolvertargetid",
            "ipamprefixlistresolversyncenabled",
            "responsemetadata",
        ],
    },
];

/// Of a network ACL.
pub const ACL: &[NoEffect] = &[
    PEOPLE,
    OWNERS,
    EXPORTERS,
    NoEffect { why: "names of its associations", keys: &["networkaclassociationid", "isdefault", "default"] },
];

/// Of an entry of a network ACL.
pub const ACL_ENTRY: &[NoEffect] = &[PEOPLE];

/// Of an item of AWS Config around the configuration.
pub const CONFIG: &[NoEffect] = &[
    PEOPLE,
    OWNERS,
    EXPORTERS,
    NoEffect {
        why: "what AWS Config keeps about the record: what the resource is stands in its configuration",
        keys: &[
            "version",
            "configurationitemcapturetime",
            "configurationstateid",
            "configurationitemmd5hash",
            "configurationstatemd5hash",
            "resourceid",
            "resourcename",
            "awsregion",
            "awsaccountid",
            "availabilityzone",
            "resourcecreationtime",
            "relatedevents",
            "relationships",
            "recordingfrequency",
            "configurationitemdeliverytime",
            "supplementaryconfiguration",
        ],
    },
];

/// Types of resources that AWS Config keeps and that let no packet through a group or network ACL.
pub const CONFIG_OTHERS: &[&str] = &[
    "AWS::EC2::RouteTable",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::Volume",
    "AWS::EC2::EIP",
    "AWS::EC2::NatGateway",
    "AWS::EC2::VPCEndpoint",
    "AWS::EC2::VPCPeeringConnection",
    "AWS::EC2::FlowLog",
    "AWS::EC2::CustomerGateway",
    "AWS::EC2::VPNConnection",
    "AWS::EC2::VPNGateway",
    "AWS::EC2::LaunchTemplate",
    "AWS::EC2::TransitGateway",
    "AWS::EC2::EgressOnlyInternetGateway",
    "AWS::EC2::Host",
    "AWS::EC2::DHCPOptions",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::TransitGatewayAttachment",
    "AWS::EC2::EC2Fleet",
];

/// Of an answer, beside the lists that are read.
pub const ANSWER: &[NoEffect] = &[
    NoEffect {
        why: "how the answer came",
        keys: &["responsemetadata", "metadata", "columns", "requestid", "return"],
    },
    NoEffect {
        why: "lists of what lets no packet through a group or network ACL: it routes, names or stores",
        keys: &[
            "internetgateways",
            "natgateways",
            "addresses",
            "tags",
            "volumes",
            "images",
            "keypairs",
            "vpcpeeringconnections",
            "vpcendpoints",
            "regions",
            "availabilityzones",
            "snapshots",
            "dhcpoptions",
            "egressonlyinternetgateways",
            "customergateways",
            "vpngateways",
            "vpnconnections",
            "transitgateways",
            "transitgatewayattachments",
            "flowlogs",
        ],
    },
];

/// Strings beside the lists of an answer that do not tell of further pages.
pub const NOTES: &[NoEffect] = &[NoEffect {
    why: "where, when and by whom the answer was asked for",
    keys: &[
        "region",
        "regionname",
        "account",
        "accountid",
        "accountname",
        "accountalias",
        "profile",
        "partition",
        "environment",
        "env",
        "name",
        "title",
        "description",
        "comment",
        "date",
        "time",
        "timestamp",
        "created",
        "createdat",
        "fetchedat",
        "collectedat",
        "takenat",
        "version",
        "vpcid",
        "requestid",
        "source",
        "command",
    ],
}];
