//! Types of resources that have to do with packets, and which of their attributes have no effect on them (AWS provider, registry
//! documentation of each type). A type that is in no list is judged by the shape of its attributes.

/// What a type of resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A security group.
    Group,
    /// A rule of one, with its direction inside.
    Rule,
    /// A rule that lets in.
    IngressRule,
    /// A rule that lets out.
    EgressRule,
    /// A prefix list.
    PrefixList,
    /// An entry of one.
    PrefixListEntry,
    /// A network interface.
    Interface,
    /// An instance with its first interface.
    Instance,
    /// A group for an interface that is a resource of its own.
    Attachment,
    /// A network.
    Vpc,
    /// A further prefix of a network.
    VpcPrefix,
    /// A subnet.
    Subnet,
    /// A network ACL.
    Acl,
    /// An entry of one.
    AclRule,
    /// A subnet for a network ACL.
    AclAssociation,
}

impl Kind {
    /// The kind of a type; data sources only where they tell what rules refer to.
    pub fn of(name: &str, data: bool) -> Option<Kind> {
        Some(match (name, data) {
            ("aws_security_group" | "aws_default_security_group", false) => Kind::Group,
            ("aws_security_group_rule", false) => Kind::Rule,
            ("aws_vpc_security_group_ingress_rule", false) => Kind::IngressRule,
            ("aws_vpc_security_group_egress_rule", false) => Kind::EgressRule,
            ("aws_ec2_managed_prefix_list" | "aws_prefix_list", _) => Kind::PrefixList,
            ("aws_ec2_managed_prefix_list_entry", false) => Kind::PrefixListEntry,
            ("aws_network_interface", _) => Kind::Interface,
            ("aws_instance", _) => Kind::Instance,
            ("aws_network_interface_sg_attachment", false) => Kind::Attachment,
            ("aws_vpc" | "aws_default_vpc", _) => Kind::Vpc,
            ("aws_vpc_ipv4_cidr_block_association" | "aws_vpc_ipv6_cidr_block_association", false) => {
                Kind::VpcPrefix
            }
            ("aws_subnet" | "aws_default_subnet", _) => Kind::Subnet,
            ("aws_network_acl" | "aws_default_network_acl", false) => Kind::Acl,
            ("aws_network_acl_rule", false) => Kind::AclRule,
            ("aws_network_acl_association", false) => Kind::AclAssociation,
            _ => return None,
        })
    }

    /// Whether a file with such a resource is worth reading for itself.
    pub fn has_rules(self) -> bool {
        use Kind::{Acl, AclRule, EgressRule, Group, IngressRule, Rule};
        matches!(self, Group | Rule | IngressRule | EgressRule | Acl | AclRule)
    }

    /// Attributes that no packet depends on, beside [`IDLE`].
    pub fn idle(self) -> &'static [&'static str] {
        match self {
            Kind::Group => &["name_prefix", "revoke_rules_on_delete"],
            Kind::Rule | Kind::IngressRule | Kind::EgressRule => &["security_group_rule_id"],
            Kind::PrefixList => &["address_family", "version", "filter", "name", "prefix_list_id"],
            Kind::PrefixListEntry => &[],
            Kind::Interface => INTERFACE,
            Kind::Instance => INSTANCE,
            Kind::Attachment | Kind::AclAssociation => &[],
            Kind::Vpc => VPC,
            Kind::VpcPrefix => &[
                "ipv4_ipam_pool_id",
                "ipv4_netmask_length",
                "ipv6_ipam_pool_id",
                "ipv6_netmask_length",
                "assign_generated_ipv6_cidr_block",
                "ip_source",
                "ipv6_address_attribute",
                "ipv6_pool",
            ],
            Kind::Subnet => SUBNET,
            Kind::Acl => &["default_network_acl_id"],
            Kind::AclRule => &[],
        }
    }
}

/// Names, owners, tags and times: of every resource.
pub const IDLE: &[&str] =
    &["arn", "description", "id", "name", "owner_id", "region", "tags", "tags_all", "timeouts", "vpc_id"];

/// Types whose names sound like rules and groups of a VPC, and are not: those of EC2-Classic, those that only use groups, look-ups.
pub const BYSTANDERS: &[&str] = &[
    "aws_db_security_group",
    "aws_elasticache_security_group",
    "aws_redshift_security_group",
    "aws_vpc_endpoint_security_group_association",
    "aws_vpc_security_group_vpc_association",
];

const INTERFACE: &[&str] = &[
    "attachment",
    "association",
    "availability_zone",
    "enable_primary_ipv6",
    "filter",
    "interface_type",
    "ipv4_prefix_count",
    "ipv6_address_count",
    "ipv6_address_list_enabled",
    "ipv6_prefix_count",
    "mac_address",
    "outpost_arn",
    "private_dns_name",
    "private_ip_list",
    "private_ip_list_enabled",
    "private_ips_count",
    "requester_id",
    "source_dest_check",
];

const INSTANCE: &[&str] = &[
    "ami",
    "associate_public_ip_address",
    "availability_zone",
    "capacity_reservation_specification",
    "cpu_core_count",
    "cpu_options",
    "cpu_threads_per_core",
    "credit_specification",
    "disable_api_stop",
    "disable_api_termination",
    "ebs_block_device",
    "ebs_optimized",
    "enable_primary_ipv6",
    "enclave_options",
    "ephemeral_block_device",
    "filter",
    "force_destroy",
    "get_password_data",
    "get_user_data",
    "hibernation",
    "host_id",
    "host_resource_group_arn",
    "iam_instance_profile",
    "instance_initiated_shutdown_behavior",
    "instance_lifecycle",
    "instance_market_options",
    "instance_id",
    "instance_state",
    "instance_tags",
    "instance_type",
    "ipv6_address_count",
    "key_name",
    "launch_template",
    "launch_time",
    "maintenance_options",
    "metadata_options",
    "monitoring",
    "network_interface",
    "network_interface_id",
    "outpost_arn",
    "password_data",
    "placement_group",
    "placement_group_id",
    "placement_partition_number",
    "primary_network_interface",
    "private_dns",
    "private_dns_name_options",
    "public_dns",
    "root_block_device",
    "secondary_network_interface",
    "source_dest_check",
    "spot_instance_request_id",
    "tenancy",
    "user_data",
    "user_data_base64",
    "user_data_replace_on_change",
    "volume_tags",
];

const SUBNET: &[&str] = &[
    "assign_ipv6_address_on_creation",
    "availability_zone",
    "availability_zone_id",
    "available_ip_address_count",
    "cidr_block_association_id",
    "customer_owned_ipv4_pool",
    "default_for_az",
    "enable_dns64",
    "enable_lni_at_device_index",
    "enable_resource_name_dns_a_record_on_launch",
    "enable_resource_name_dns_aaaa_record_on_launch",
    "existing_default_subnet",
    "filter",
    "force_destroy",
    "ipv4_ipam_pool_id",
    "ipv4_netmask_length",
    "ipv6_cidr_block_association_id",
    "ipv6_ipam_pool_id",
    "ipv6_native",
    "ipv6_netmask_length",
    "map_customer_owned_ip_on_launch",
    "map_public_ip_on_launch",
    "outpost_arn",
    "private_dns_hostname_type_on_launch",
    "state",
];

const VPC: &[&str] = &[
    "assign_generated_ipv6_cidr_block",
    "cidr_block_associations",
    "default",
    "default_network_acl_id",
    "default_route_table_id",
    "default_security_group_id",
    "dhcp_options_id",
    "enable_dns_hostnames",
    "enable_dns_support",
    "enable_network_address_usage_metrics",
    "existing_default_vpc",
    "filter",
    "force_destroy",
    "instance_tenancy",
    "ipv4_ipam_pool_id",
    "ipv4_netmask_length",
    "ipv6_association_id",
    "ipv6_cidr_block_network_border_group",
    "ipv6_ipam_pool_id",
    "ipv6_netmask_length",
    "main_route_table_id",
    "state",
];
