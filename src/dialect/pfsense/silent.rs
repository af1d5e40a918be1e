//! Elements that have no say in what becomes of a packet, in groups with the reason of each.
//!
//! What is neither read nor listed here is not understood, and leaves open what it could touch ([`settle`](super::settle)). An element
//! is listed only where the product's rule generator does not look at it, or what it makes of it changes no verdict for a first packet.

use super::product::Product;
use super::xml::Element;

/// A group of elements without effect.
struct Group {
    /// Paths of their parents, from below the root; `*` is any one name; empty = the root itself.
    under: &'static [&'static str],
    /// Their names; `*` = all.
    names: &'static [&'static str],
    /// Whose they are; `None` = of both products.
    product: Option<Product>,
    /// Why they have no effect.
    #[cfg_attr(not(test), expect(dead_code, reason = "documentation of the group, held to by a test"))]
    why: &'static str,
}

/// What is known of the elements in a parent.
#[derive(Debug)]
pub(super) struct Inside {
    silent: Vec<&'static [&'static str]>,
    asked: Vec<&'static [&'static str]>,
}

impl Inside {
    /// What is known of the elements in `parent`.
    pub fn of(parent: Element<'_>) -> Self {
        let mut path = vec![parent];
        while let Some(around) = path.last().and_then(|e| e.parent()) {
            path.push(around);
        }
        // The root is no part of the path.
        path.pop();
        path.reverse();
        let here = |groups: &'static [Group]| {
            let of_product = groups.iter().filter(|g| g.product.is_none_or(|p| p == parent.product()));
            of_product.filter(|g| g.under.iter().any(|u| lies_under(&path, u))).map(|g| g.names).collect()
        };
        Self { silent: here(GROUPS), asked: here(ASKED) }
    }

    /// Whether an element, everything in it included, has no say in what becomes of a packet.
    pub fn is_silent(&self, e: Element<'_>) -> bool {
        is_named(&self.silent, e)
    }

    /// Whether an element is one that readers ask for where they need it: what stands in it is looked at on its own.
    pub fn is_asked_for(&self, e: Element<'_>) -> bool {
        is_named(&self.asked, e)
    }
}

fn is_named(groups: &[&[&str]], e: Element<'_>) -> bool {
    groups.iter().any(|names| names.iter().any(|n| *n == "*" || e.is(n)))
}

fn lies_under(path: &[Element<'_>], under: &str) -> bool {
    let mut wanted = under.split('/').filter(|w| !w.is_empty());
    let mut have = path.iter();
    loop {
        match (wanted.next(), have.next()) {
            (None, None) => return true,
            (Some(w), Some(h)) if w == "*" || h.is(w) => {}
            _ => return false,
        }
    }
}

const PF: Option<Product> = Some(Product::PfSense);
const OPN: Option<Product> = Some(Product::OpnSense);

/// Parents of rules of all kinds.
const RULES: &[&str] = &[
    "filter/rule",
    "nat/rule",
    "nat/onetoone",
    "nat/npt",
    "nat/outbound/rule",
    "ethernet/rule",
    "OPNsense/Firewall/Filter/rules/rule",
    "OPNsense/Firewall/Filter/snatrules/rule",
    "OPNsense/Firewall/Filter/onetoone/rule",
    "OPNsense/Firewall/Filter/npt/rule",
];

#[rustfmt::skip]
const GROUPS: &[Group] = &[
    Group { under: RULES, product: None, why: "words for people, and who changed the rule when", names: &[
        "descr", "description", "created", "updated", "category", "categories", "sort_order", "prio_group",
    ] },
    Group { under: RULES, product: None, why: "what is logged, synchronised and counted, and what the rule is called inside", names: &[
        "log", "nosync", "nopfsync", "id", "tracker", "label", "labels", "statetimeout", "udp-first", "udp-multiple", "udp-single",
        "adaptivestart", "adaptiveend", "force_category", "userlabel",
    ] },
    Group { under: RULES, product: None, why: "queues, shaping and marks for later devices delay a packet, they do not stop it", names: &[
        "defaultqueue", "ackqueue", "dnpipe", "pdnpipe", "shaper1", "shaper2", "vlanprioset", "set-prio", "set-prio-low", "set-tos",
    ] },
    Group { under: RULES, product: None, why: "ways of answers: the first packet is judged the same", names: &[
        "disablereplyto", "replyto", "reply-to", "statepolicy", "state-policy", "overload",
    ] },
    Group { under: RULES, product: None, why: "packets with IP options are no part of the model; the rule takes all others alike", names: &["allowopts"] },
    Group { under: &["nat/rule", "nat/outbound/rule", "OPNsense/Firewall/Filter/snatrules/rule"], product: None,
        why: "which address of the pool is taken: each of them is looked at", names: &[
        "poolopts", "poolopts_sourcehashkey", "source_hash_key", "endpoint-independent", "eimnat",
    ] },
    Group { under: &["filter/rule"], product: OPN, why: "settings of pfSense in a file that came from there", names: &["nottagged", "dscp", "vlanprio"] },
    Group { under: &["filter/rule"], product: None, why: "a link to a port forward: the rule stands for itself", names: &["associated-rule-id"] },
    Group { under: &["filter", "nat", "nat/outbound"], product: None, why: "bars and columns of the web interface", names: &["separator"] },
    Group { under: &["filter"], product: None, why: "limits of the state table, and a counter of rule numbers", names: &[
        "maximumstates", "maximumtableentries", "tracker",
    ] },
    Group { under: &["filter"], product: OPN, why: "normalisation: fragments and options, not ports and addresses", names: &["scrub"] },
    Group { under: &["aliases/alias", "OPNsense/Firewall/Alias/aliases/alias"], product: None,
        why: "words for people, where a list is downloaded from and how, and what is counted", names: &[
        "descr", "description", "detail", "aliasurl", "url", "updatefreq", "counters", "categories", "password", "username", "authtype",
        "path_expression", "expire", "proto", "interface", "current_items", "last_updated", "eval_nomatch", "eval_match", "in_block_p", "in_block_b",
        "in_pass_p", "in_pass_b", "out_block_p", "out_block_b", "out_pass_p", "out_pass_b",
    ] },
    Group { under: &["OPNsense/Firewall/Alias"], product: OPN, why: "where the list of countries is downloaded from", names: &["geoip"] },
    Group { under: &["OPNsense/Firewall"], product: OPN, why: "names of categories, and templates", names: &["Category", "Lvtemplate"] },
    Group { under: &["schedules/schedule", "schedules/schedule/timerange"], product: None, why: "words for people", names: &["descr", "rangedescr", "schedlabel"] },
    Group { under: &["virtualip/vip"], product: None, why: "words for people, and how members of a cluster agree", names: &[
        "descr", "type", "vhid", "vhid_txt", "advbase", "advskew", "password", "noexpand", "nobind", "nosync", "gateway", "peer", "peer6", "bind_mode",
    ] },
    Group { under: &["ifgroups/ifgroupentry"], product: None, why: "words for people, and order in the menu", names: &["descr", "nogroup"] },
    Group { under: &["interfaces/*"], product: None, why: "link: medium, size, offloading, spoofed hardware address, radio", names: &[
        "spoofmac", "mtu", "mss", "media", "mediaopt", "speed", "promisc", "wireless", "hw_settings_overwrite", "disablechecksumoffloading",
        "disablesegmentationoffloading", "disablelargereceiveoffloading", "disablevlanhwfilter", "hw_flow_control", "polling", "bandwidth", "bandwidthtype",
    ] },
    Group { under: &["interfaces/*"], product: None, why: "how an address is asked for: it is learnt at run time in any case", names: &[
        "dhcphostname", "alias-address", "alias-subnet", "dhcprejectfrom", "dhcpvlanenable", "dhcpvlanprio", "dhcpcvpt", "dhcphonourmtu", "dhcpoverridemtu",
        "dhcp6-duid", "dhcp6-ia-pd-len", "dhcp6-ia-pd-send-hint", "dhcp6norelease", "dhcp6prefixonly", "dhcp6usev4iface", "dhcp6withoutra", "dhcp6debug",
        "dhcp6vlanprio", "dhcp6_ifid", "dhcp6_norequest_dns", "dhcp6_rapid_commit", "dhcp6_request_dns", "dhcp6cvpt", "dhcp6vlanenable", "slaacusev4iface",
        "dhcp_plus", "ipv6usev4iface", "dhcp6_prefix_id", "dhcp6-prefix-id",
        "track6-interface", "track6-prefix-id", "track6-prefix-id--hex", "track6_ifid--hex", "dhcp6-prefix-id--hex", "dhcp6_ifid--hex", "staticv6usev4iface", "hostuniq", "pppoe_hostuniq",
        "pppoe_dialondemand", "pppoe_idletimeout", "pptp_dialondemand", "pptp_idletimeout", "pptp_password", "pptp_remote", "pptp_username", "track6_ifid", "track6_prefix_range", "idassoc6-interface", "idassoc6-prefix-id",
        "idassoc6_prefix_range", "prefix-6rd", "prefix-6rd-v4addr", "prefix-6rd-v4plen", "gateway-6rd", "dhcpd6track6allowoverride",
        "adv_dhcp6_authentication_statement_algorithm", "adv_dhcp6_authentication_statement_authname", "adv_dhcp6_authentication_statement_protocol",
        "adv_dhcp6_authentication_statement_rdm", "adv_dhcp6_config_advanced", "adv_dhcp6_config_file_override", "adv_dhcp6_config_file_override_path",
        "adv_dhcp6_id_assoc_statement_address", "adv_dhcp6_id_assoc_statement_address_enable", "adv_dhcp6_id_assoc_statement_address_id",
        "adv_dhcp6_id_assoc_statement_address_pltime", "adv_dhcp6_id_assoc_statement_address_vltime", "adv_dhcp6_id_assoc_statement_prefix",
        "adv_dhcp6_id_assoc_statement_prefix_enable", "adv_dhcp6_id_assoc_statement_prefix_id", "adv_dhcp6_id_assoc_statement_prefix_pltime",
        "adv_dhcp6_id_assoc_statement_prefix_vltime", "adv_dhcp6_interface_statement_information_only_enable",
        "adv_dhcp6_interface_statement_request_options", "adv_dhcp6_interface_statement_script", "adv_dhcp6_interface_statement_send_options",
        "adv_dhcp6_key_info_statement_expire", "adv_dhcp6_key_info_statement_keyid", "adv_dhcp6_key_info_statement_keyname",
        "adv_dhcp6_key_info_statement_realm", "adv_dhcp6_key_info_statement_secret", "adv_dhcp6_prefix_interface_statement_sla_id",
        "adv_dhcp6_prefix_interface_statement_sla_len", "adv_dhcp6_prefix_selected_interface", "adv_dhcp_config_advanced",
        "adv_dhcp_config_file_override", "adv_dhcp_config_file_override_path", "adv_dhcp_option_modifiers", "adv_dhcp_pt_backoff_cutoff",
        "adv_dhcp_pt_initial_interval", "adv_dhcp_pt_reboot", "adv_dhcp_pt_retry", "adv_dhcp_pt_select_timeout", "adv_dhcp_pt_timeout",
        "adv_dhcp_pt_values", "adv_dhcp_request_options", "adv_dhcp_required_options", "adv_dhcp_send_options",
        "ptpid", "username", "password", "provider", "local", "remote", "pppoe_password", "pppoe_username", "lock",
    ] },
    Group { under: &["gateways/gateway_item", "OPNsense/Gateways/gateway_item"], product: None, why: "how a gateway is watched and weighed", names: &[
        "descr", "weight", "monitor", "monitor_disable", "monitor_noroute", "monitor_killstates", "monitor_killstates_priority", "action_disable",
        "force_down", "latencylow", "latencyhigh", "losslow", "losshigh", "interval", "time_period", "loss_interval", "alert_interval", "data_payload",
        "nonlocalgateway", "fargw", "priority", "defaultgw", "dpinger_dont_add_static_route", "gw_down_kill_states", "apinger_debug", "data_length",
        "attribute", "isdefaultgw",
    ] },
    Group { under: &["gateways/gateway_group"], product: None, why: "when another member is taken", names: &["trigger", "descr", "poolopts", "keep_failover_states"] },
    Group { under: &["gateways"], product: None, why: "which gateway is used: a rule with a gateway decides the same", names: &[
        "defaultgw4", "defaultgw6", "apinger_debug",
    ] },
    Group { under: &["staticroutes/route"], product: None, why: "words for people", names: &["descr"] },
    Group { under: &["bridges/bridged"], product: None, why: "loops and learning of addresses on a bridge", names: &[
        "descr", "maxaddr", "timeout", "maxage", "fwdelay", "hellotime", "priority", "proto", "holdcnt", "ifpriority", "ifpathcost", "static", "private",
        "stp", "edge", "autoedge", "ptp", "autoptp", "span", "enablestp", "linklocal", "ip6linklocal",
    ] },
    Group { under: &["nat"], product: None, why: "rules of the web interface's former pages, which nothing reads any more", names: &["advancedoutbound", "ipsecpassthru"] },
    Group { under: &["system"], product: None, why: "names, time, users and their rights, language", names: &[
        "hostname", "domain", "dnsserver", "dns1gw", "dns2gw", "dns3gw", "dns4gw", "dns1gwint", "dns2gwint", "dns3gwint", "dns4gwint", "dns1host", "dns2host",
        "dns3host", "dns4host", "dns1", "dns2", "dns3", "dns4", "dns5gw", "dns6gw", "dns7gw", "dns8gw", "dnsallowoverride", "dnsallowoverride_exclude",
        "dnslocalhost", "dnssearchdomain",
        "timezone", "timeservers", "time-update-interval", "language", "group", "user", "nextuid", "nextgid", "username", "password", "authserver", "ca", "cert",
        "login_message", "contact_email", "deployment", "picture", "picture_filename", "sudo_allow_group", "sudo_allow_wheel", "user_allow_gen_token",
        "autologout", "store_intermediate_certs",
    ] },
    Group { under: &["system"], product: None, why: "hardware, console, memory, power, updates and backups", names: &[
        "firmware", "gitsync", "crypto_hardware", "thermal_hardware", "powerd_enable", "powerd_mode", "powerd_ac_mode", "powerd_battery_mode",
        "powerd_normal_mode", "hwpstate", "hwpstate_control_level", "hwpstate_epp", "harddiskstandby", "enableserial", "serialspeed", "serialusb",
        "primaryconsole", "secondaryconsole", "usevirtualterminal", "disableconsolemenu", "disablebeep", "consolebell", "use_mfs_tmpvar", "use_mfs_tmp",
        "use_mfs_var", "use_mfs_tmp_size", "use_mfs_var_size", "max_mfs_tmp", "max_mfs_var", "use_swap_file", "rrdbackup", "dhcpbackup", "logsbackup",
        "captiveportalbackup", "backupcount", "already_run_config_upgrade", "altpkgrepo", "alt_firmware_url", "firmwarename", "firmwareurl",
        "pkg_repo_conf_path", "pkg_nochecksig", "do_not_send_uniqueid", "php_memory_limit", "mds_disable", "pti_disabled", "do_not_use_nic_microcode",
        "glxsb_enable", "hn_altq_enable", "developerspew", "disablechecksumoffloading", "disablesegmentationoffloading", "disablelargereceiveoffloading",
        "cryptodev_enable", "dhparamusage", "disableintegratedauth", "ipv6duid", "rulesetoptimization", "disablesyslogclog", "gw-debug", "route-debug", "schedulertype",
        "hw_settings_overwrite", "disablevlanhwfilter", "netflowbackup", "sharednet", "usefifolog", "acb", "proxyurl", "proxyport", "proxyuser", "proxypass", "use_if_pppoe", "lastchange",
        "afterfilterchangeshellcmd", "afterbootupshellcmd", "fwsync", "enablesyncookies", "kern_ipc_nmbclusters",
    ] },
    Group { under: &["system"], product: None, why: "sizes and lifetimes of states, and what becomes of states later", names: &[
        "optimization", "adaptivestart", "adaptiveend", "maximumstates", "maximumtableentries", "maximumfrags", "keepcounters", "pfdebug", "statepolicy",
        "state-policy", "schedule_states", "kill_states", "gw_down_kill_states", "ip_change_kill_states", "keep_failover_states",
        "remove_failover_states_default", "srctrack", "lb_use_sticky", "syncookies", "syncookies_adaptstart", "syncookies_adaptend",
        "tcpfirsttimeout", "tcpopeningtimeout", "tcpestablishedtimeout", "tcpclosingtimeout", "tcpfinwaittimeout", "tcpclosedtimeout", "tcptsdifftimeout",
        "udpfirsttimeout", "udpsingletimeout", "udpmultipletimeout", "icmpfirsttimeout", "icmperrortimeout", "otherfirsttimeout", "othersingletimeout",
        "othermultipletimeout", "sctpfirsttimeout", "sctpopeningtimeout", "sctpestablishedtimeout", "sctpclosingtimeout", "sctpclosedtimeout",
        "disable_auto_floating_states", "reflectiontimeout",
    ] },
    Group { under: &["system"], product: None, why: "gateways and routing: a packet is judged the same whichever way it leaves", names: &[
        "gw_switch_default", "dpinger_dont_add_static_routes", "pf_share_forward", "pf_disable_force_gw", "disablereplyto", "prefer_ipv4",
        "use_rrd_gateway", "defaultgw4", "defaultgw6",
    ] },
    Group { under: &["system"], product: None, why: "normalisation: fragments and options, not ports and addresses", names: &[
        "scrubnodf", "scrubrnid", "disablescrub", "scrub_interface_disable", "vpn_scrubnodf", "vpn_fragment_reassemble", "maxmss", "maxmss_enable",
    ] },
    Group { under: &["system"], product: None, why: "lists are downloaded and names resolved: their content is open in any case", names: &[
        "bogons", "aliasesresolveinterval", "checkaliasesurlcert", "sshguard_threshold", "sshguard_blocktime", "sshguard_detection_time", "sshguard_whitelist",
        "ipv6dontcreatelocaldns", "dhcp6debug", "dhcp6norelease", "global-v6duid", "radvddebug", "ignoreiscwarning", "ipv6duidtype", "globalv6duid",
    ] },
    Group { under: &["system"], product: PF, why: "copies of routes to other networks: the same decision as the rule that is copied", names: &["disablenegate", "rfc959workaround"] },
    Group { under: &["system/webgui"], product: None, why: "the pages, their certificate and who may log in", names: &[
        "ssl-certref", "ssl-ciphers", "ssl-hsts", "max_procs", "dashboardcolumns", "webguicss", "logincss", "loginshowhost", "loginautocomplete", "noautocomplete",
        "webguifixedmenu", "webguihostnamemenu", "webguileftcolumnhyper", "roaming", "session_timeout", "authmode", "shellauth", "auth_refresh_time",
        "althostnames", "nodnsrebindcheck", "nohttpreferercheck", "httpaccesslog", "quietlogin", "interfacessort", "dashboardavailablewidgetspanel",
        "systemlogsfilterpanel", "systemlogsmanagelogpanel", "statusmonitoringsettingspanel", "disablealiaspopupdetail", "pagenamefirst",
        "requirestatefilter", "requirefirewallinterface", "roworderdragging", "disablehsts", "ocsp-staple", "certificate", "private-key", "backend", "pwhash",
        "enable_password_policy_constraints", "noroot", "password_policy_length", "backing_method", "noassigninterfaces",
        "interfaces", "compression", "nohttpreferer", "webguiinterfaces", "certref",
    ] },
    Group { under: &["system/ssh"], product: None, why: "how the secure shell lets people in: rules decide who comes to its port", names: &[
        "sshdkeyonly", "sshdagentforwarding", "authorizedkeys", "passwordauth", "permitrootlogin", "group", "noauto", "interfaces", "kex", "ciphers", "macs",
        "keys", "keysig", "rekeylimit", "protocol",
    ] },
    Group { under: &["sysctl/item", "sysctl"], product: None, why: "words for people", names: &["descr"] },
    Group { under: &["ipsec"], product: None, why: "keys, logging and settings of the daemon", names: &[
        "logging", "mobilekey", "preferoldsa", "uniqueids", "vtimaps", "enableinterfacesuse", "strictcrlpolicy", "makebeforebreak", "unityplugin", "acceptunencryptedmainmode",
        "noshuntlaninterfaces", "async_crypto", "maxmss", "maxmss_enable", "maxexchange", "filtermode", "passthrough_networks", "auto_routes_disable", "configuration", "port", "port_nat_t",
        "compression", "bypassrules", "dns-interval",
    ] },
    Group { under: &["ipsec/client"], product: None, why: "what mobile users are told, and how they prove who they are", names: &[
        "group_source", "pool_address", "pool_netbits", "pool_address_v6", "pool_netbits_v6", "net_list", "save_passwd", "dns_domain", "dns_split", "dns_server1",
        "dns_server2", "dns_server3", "dns_server4", "wins_server1", "wins_server2", "pfs_group", "login_banner", "auth_groups", "radiusaccounting", "radius_ip_priority", "local_group",
    ] },
    Group { under: &["ipsec/phase1"], product: None, why: "keys, algorithms and lifetimes", names: &[
        "ikeid", "iketype", "mode", "myid_type", "myid_data", "peerid_type", "peerid_data", "encryption", "encryption-algorithm", "hash-algorithm", "dhgroup",
        "lifetime", "rekey_time", "reauth_time", "rand_time", "pre-shared-key", "private-key", "certref", "caref", "pkcs11certref", "pkcs11pin", "authentication_method",
        "descr", "startaction", "closeaction", "dpd_delay", "dpd_maxfail", "dpd_action", "rekey_enable", "reauth_enable", "nat_traversal", "mobike", "splitconn", "gw_duplicates",
        "prfselect_enable", "responderonly", "tfc_enable", "tfc_bytes", "ikeport", "nattport", "protocol", "auto", "rekeymargin", "rekeyfuzz", "inactivity_timeout", "keyingtries",
        "margintime", "unique", "installpolicy", "local-kpref", "remote-kpref", "sha256_96", "id", "noinstallpolicy", "cert_hash", "prf-algorithm", "version",
    ] },
    Group { under: &["ipsec/phase2"], product: None, why: "what goes through a tunnel and how: rules on enc0 decide about its packets", names: &[
        "ikeid", "uniqid", "mode", "reqid", "localid", "remoteid", "encryption-algorithm-option", "hash-algorithm-option", "pfsgroup", "lifetime", "rekey_time",
        "rand_time", "pinghost", "keepalive", "descr", "mobile", "protocol", "tunnel_local", "tunnel_remote", "spd", "reqids", "hash-algorithm",
    ] },
    Group { under: &["openvpn"], product: None, why: "settings of single clients, handed out when they connect", names: &["openvpn-csc"] },
    Group { under: &["openvpn/openvpn-server", "openvpn/openvpn-client"], product: None, why: "keys, algorithms, and what clients are told", names: &[
        "vpnid", "mode", "protocol", "dev_mode", "ipaddr", "interface", "local_port", "description", "custom_options", "tls", "tls_type", "tlsauth_keydir", "caref",
        "crlref", "ocspurl", "certref", "dh_length", "ecdh_curve", "cert_depth", "strictusercn", "crypto", "data_ciphers", "data_ciphers_fallback", "ncp-ciphers",
        "ncp_enable", "digest", "engine", "tunnel_networkv6", "remote_network", "remote_networkv6", "gwredir", "gwredir6", "local_network", "local_networkv6", "maxclients",
        "connlimit", "compression", "allow_compression", "compression_push", "passtos", "client2client", "dynamic_ip", "topology", "serverbridge_dhcp",
        "serverbridge_interface", "serverbridge_routegateway", "serverbridge_dhcp_start", "serverbridge_dhcp_end", "dns_domain", "dns_server1", "dns_server2", "dns_server3",
        "dns_server4", "ntp_server1", "ntp_server2", "netbios_enable", "netbios_ntype", "netbios_scope", "create_gw", "verbosity_level", "ping_method", "keepalive_interval",
        "keepalive_timeout", "ping_seconds", "ping_push", "ping_action", "ping_action_seconds", "ping_action_push", "inactive_seconds", "username_as_common_name", "sndrcvbuf",
        "push_register_dns", "push_blockoutsidedns", "exit_notify", "udp_fast_io", "duplicate_cn", "remote_cert_tls", "server_addr", "server_port", "proxy_addr", "proxy_port",
        "proxy_authtype", "proxy_user", "proxy_passwd", "auth_user", "auth_pass", "auth-retry-none", "shared_key", "use_shaper", "route_no_pull", "route_no_exec",
        "unique_subject", "unit", "sslh", "disable_dco", "username", "password", "push_peer_info", "nopool", "wins_server_enable", "nbdd_server_enable", "local_group",
        "resolve_retry", "remote_random", "no_tun_ipv6", "autokey_enable", "reneg-sec", "wins_server1", "wins_server2", "tlskey", "tun_mtu", "verify_x509", "cso_login_matching", "dco",
    ] },
    Group { under: &["dhcpd/*", "dhcpdv6/*"], product: None, why: "what clients are told: only whether the service runs opens its port", names: &[
        "range", "staticmap", "pool", "defaultleasetime", "maxleasetime", "netmask", "gateway", "domain", "domainsearchlist", "ddnsdomain", "ddnsdomainprimary",
        "ddnsdomainsecondary", "ddnsdomainkeyname", "ddnsdomainalgorithm", "ddnsdomainkey", "ddnsdomainkeyalgorithm", "ddnsclientupdates", "ddnsupdate", "ddnsforcehostname", "mac_allow", "mac_deny",
        "tftp", "ldap", "nextserver", "filename", "filename32", "filename64", "filename32arm", "filename64arm", "uefihttpboot", "rootpath", "numberoptions", "dnsserver",
        "winsserver", "ntpserver", "statsgraph", "disablepingcheck", "dhcpleaseinlocaltime", "ignorebootp", "denyunknown", "nonak", "ignoreclientuids", "staticarp", "dhcpinlocaltime",
        "netboot", "network", "ramode", "rapriority", "rainterface", "ravalidlifetime", "rapreferredlifetime", "raminrtradvinterval", "ramaxrtradvinterval", "raadvdefaultlifetime",
        "radomainsearchlist", "radnsserver", "rasamednsasdhcp6", "radvd-dns", "prefixrange", "interface_mtu", "failover_split", "omapi", "omapiport", "omapikey", "omapialgorithm",
        "dnsregpolicy", "earlydnsregpolicy", "stepmask", "custom_kea_config", "kealeasedb", "ranodefault", "rasend", "ramtu",
        "dhcpv6leaseinlocaltime", "dhcp6c-dns", "bootfile_url", "shuffle", "minsecs", "monitor", "monitor_split", "ddnsreverse", "dhcpv6leasesinlocaltime",
    ] },
    Group { under: &["dhcrelay", "dhcrelay6"], product: None, why: "where requests are sent on to", names: &["server", "agentoption", "carpstatusvip"] },
    Group { under: &["load_balancer/virtual_server", "load_balancer/lbpool", "load_balancer/monitor_type", "load_balancer/setting"], product: None,
        why: "the translations of the load balancer are open in any case", names: &["*"] },
    Group { under: &["OPNsense/Firewall/Filter/general"], product: OPN, why: "a copy of nat/outbound/mode, never stored", names: &["snat_mode"] },
    Group { under: &["l2tp", "pppoes/pppoe", "pptpd"], product: None, why: "users and addresses of a server, known at run time", names: &[
        "descr", "interface", "n_l2tp_units", "n_pppoe_units", "n_pppoe_maxlogin", "n_pptp_units", "localip", "remoteip", "l2tp_subnet", "pppoe_subnet", "pptp_subnet", "l2tp_dns1",
        "l2tp_dns2", "pppoe_dns1", "pppoe_dns2", "radius", "radius_server", "paporchap", "user", "username", "secret", "mtu", "dns1", "dns2", "wins", "pppoeid", "radiusenable", "redir", "mode_unused",
    ] },
    Group { under: &["captiveportal/*"], product: None, why: "who may log in and what he is shown: rules of a zone are open in any case", names: &[
        "zone", "zoneid", "descr", "localauth_priv", "httpslogin", "httpsname", "page", "auth_method", "auth_server", "auth_server2", "maxproc", "maxprocperip", "timeout",
        "idletimeout", "freelogins_count", "freelogins_resettimeout", "freelogins_updatetimeouts", "passthrumac", "allowedip", "allowedhostname", "element", "certref", "noconcurrentlogins",
        "logoutwin_enable", "peruserbw", "bwdefaultdn", "bwdefaultup", "radius_protocol", "radacct_enable", "reauthenticate", "reauthenticateacct", "preauthurl", "redirurl", "blockedmacsurl",
        "nomacfilter", "passthrumacadd", "passthrumacaddusername", "termsconditions", "customlogo", "custombg", "bgimage", "logo", "nohttpsforwards", "preservedb",
    ] },
    Group { under: &[""], product: None, why: "history, appearance, statistics, notifications, jobs and keys", names: &[
        "lastchange", "revision", "theme", "widgets", "rrd", "rrddata", "notifications", "cron", "cert", "ca", "crl", "version_history", "trigger_initial_wizard", "wizardtemp", "sshdata",
        "extended_stats", "cumulative_stats", "traffic_graphs", "stats", "remote_managed_pages", "reset_factory_defaults", "wol", "ovpnserver", "wizardtempsystem", "dashboard", "configversion", "gui", "system_advanced",
    ] },
    Group { under: &[""], product: None, why: "services that answer on ports of the box: rules decide who comes to them", names: &[
        "unbound", "ntpd", "ntp", "snmpd", "syslog", "dyndnses", "dyndns", "dnsupdates", "dnsupdate", "checkipservices", "dnshaper_legacy", "voucher", "hosts",
        "domainoverrides", "proxyarp", "pptpd", "pptp", "pppoe", "bridge", "virtualip_carp_maintenancemode", "opendns", "igmpproxy", "acb", "dhcpbackend", "kea", "kea6", "apinger", "vnstat",
    ] },
    Group { under: &[""], product: PF, why: "a service that answers on ports of the box: rules decide who comes to it", names: &["dnsmasq"] },
    Group { under: &[""], product: None, why: "devices that interfaces name: each interface says its own device", names: &[
        "vlans", "qinqs", "gifs", "gres", "laggs", "ppps", "vxlans", "wireless", "switches", "vxlan", "loopbacks",
    ] },
    Group { under: &[""], product: None, why: "queues and shaping delay a packet, they do not stop it", names: &["shaper", "dnshaper", "ezshaper", "l7shaper", "pfqueueing"] },
    Group { under: &["hasync"], product: None, why: "what is copied to the other member of a cluster", names: &[
        "pfsyncenabled", "pfsyncinterface", "pfsyncpeerip", "pfhostid", "synchronizetoip", "username", "password", "adminsync", "synchronizeusers", "synchronizeauthservers",
        "synchronizecerts", "synchronizerules", "synchronizeschedules", "synchronizealiases", "synchronizenat", "synchronizeipsec", "synchronizeopenvpn", "synchronizedhcpd",
        "synchronizewol", "synchronizestaticroutes", "synchronizevirtualip", "synchronizetrafficshaper", "synchronizetrafficshaperlimiter", "synchronizednsforwarder",
        "synchronizecaptiveportal", "synchronizedhcrelay", "synchronizekea", "disablepreempt", "disconnectppps", "syncitems", "verifypeer", "pfsyncversion", "pfsyncdefer", "remote_credentials_mode",
        "synchronizelb", "synchronizedhcrelay6",
    ] },
    Group { under: &["OPNsense"], product: OPN, why: "services, monitoring, statistics and keys: no rules of their own", names: &[
        "cron", "monit", "Netflow", "IDS", "Syslog", "SystemHealth", "trust", "unboundplus", "radvd", "Hostwatch", "OpenVPNExport", "TrafficShaper", "proxy", "DynDNS",
        "Cloudflared", "GridExample", "HAProxy", "MDNSRepeater", "Nginx", "NodeExporter", "Nut", "ProxySSO", "QFeedsConnector", "QemuGuestAgent", "Stunnel",
        "apcupsd", "bind", "caddy", "chrony", "cicap", "clamav", "collectd", "dnscryptproxy", "filebeat", "freeradius", "helloworld", "hwprobe", "lldpd", "maltrail",
        "muninnode", "ndpproxy", "netdata", "netsnmp", "nrpe", "ntopng", "postfix", "puppetagent", "radsecproxy", "redis", "shadowsocks", "siproxd", "sslh", "telegraf",
        "tftp", "turnserver", "vnstat", "zabbixproxy", "Tor", "tor", "Backup", "smart", "DHCRelay_legacy", "wireguard",
    ] },
    Group { under: &["OPNsense/Interfaces"], product: OPN, why: "devices that interfaces name, and neighbours", names: &["loopbacks", "vxlans", "neighbors"] },
    Group { under: &["OPNsense/Interfaces/settings"], product: OPN, why: "link: offloading, and how addresses are asked for", names: &[
        "disablechecksumoffloading", "disablesegmentationoffloading", "disablelargereceiveoffloading", "disablevlanhwfilter", "dhcp6_debug", "dhcp6_norelease", "dhcp6_duid", "dhcp6_ratimeout", "mss",
    ] },
    Group { under: &["OPNsense/Kea"], product: OPN, why: "control and names of the service", names: &["ctrl_agent", "ddns"] },
    Group { under: &["OPNsense/Kea/dhcp4", "OPNsense/Kea/dhcp6"], product: OPN, why: "what clients are told", names: &[
        "lexpire", "ha", "subnets", "reservations", "ha_peers", "pd_pools", "options", "vendor_options", "client_classes",
    ] },
    Group { under: &["OPNsense/Kea/dhcp4/general", "OPNsense/Kea/dhcp6/general"], product: OPN, why: "what clients are told", names: &[
        "valid_lifetime", "dhcp_socket_type", "manual_config", "ddns", "lease_expire", "log_level", "compat_disable",
    ] },
    Group { under: &["dnsmasq"], product: OPN, why: "names, and what clients are told: only whether and where it serves addresses opens its port", names: &[
        "port", "regdhcp", "regdhcpstatic", "no_private_reverse", "domain_needed", "strict_order", "strictbind", "dnssec", "log_queries", "no_hosts", "hosts", "domainoverrides",
        "dhcp_tags", "dhcp_options", "dhcp_boot", "no_ident", "regdhcpdomain", "dns_forward_max", "cache_size", "local_ttl", "add_mac", "add_subnet", "strip_subnet", "dns_port", "no_resolv", "custom_options",
    ] },
    Group { under: &["dnsmasq/dhcp"], product: OPN, why: "what clients are told", names: &[
        "fqdn", "domain", "lease_max", "authoritative", "reply_delay", "enable_ra", "nosync", "log_dhcp", "log_quiet", "local", "disable_ha_sync",
    ] },
    Group { under: &["dnsmasq/dhcp_ranges"], product: OPN, why: "what clients are told", names: &[
        "start_addr", "end_addr", "subnet_mask", "constructor", "mode", "prefix_len", "lease_time", "domain_type", "domain", "nosync", "ra_mode", "ra_priority", "ra_mtu", "ra_interval",
        "ra_router_lifetime", "description", "set_tag", "tag",
    ] },
    Group { under: &["OPNsense/IPsec"], product: OPN, why: "keys, logging and settings of the daemon", names: &["charon", "keyPairs", "preSharedKeys", "logging"] },
    Group { under: &["OPNsense/IPsec/general"], product: OPN, why: "settings of the daemon", names: &["enabled", "preferred_oldsa", "passthrough_networks", "user_source", "local_group"] },
    Group { under: &["OPNsense/Swanctl"], product: OPN, why: "keys, selectors and users of tunnels: the newer store opens no port by itself", names: &[
        "Connections", "locals", "remotes", "children", "Pools", "SPDs",
    ] },
    Group { under: &["OPNsense/Swanctl/VTIs/VTI"], product: OPN, why: "ends of a tunnel that is an interface", names: &[
        "enabled", "origin", "local", "remote", "tunnel_local", "tunnel_remote", "tunnel_local2", "tunnel_remote2", "description",
    ] },
    Group { under: &["OPNsense/OpenVPN/Instances", "OPNsense/captiveportal/templates"], product: OPN, why: "keys, what clients are told, and pages", names: &["*"] },
    Group { under: &["OPNsense/captiveportal/zones/zone"], product: OPN, why: "who may log in and what he is shown: rules of a zone are open in any case", names: &["*"] },
    Group { under: &["OPNsense/DHCRelay/relays", "OPNsense/DHCRelay/destinations"], product: OPN, why: "what is sent on", names: &[
        "name", "agent_info", "circuit_id", "remote_id", "carp_depend_on",
    ] },
    Group { under: &["OPNsense/OpenVPN"], product: OPN, why: "keys and settings of single clients", names: &["Overwrites", "StaticKeys"] },
    Group { under: &["installedpackages"], product: None, why: "settings of packages: a package that makes rules says so in its own entry, which is read", names: &["*"] },
    Group { under: &["installedpackages/package"], product: PF, why: "words, files and versions of a package", names: &[
        "descr", "internal_name", "pkginfolink", "version", "configurationfile", "website", "logging", "include_file", "noembedded", "tabs", "plugins", "category", "maintainer", "status",
        "required_version", "depends_on_package", "depends_on_package_pbi", "build_pbi", "build_options", "config_file", "run_once", "only_for_archs", "after_install_info", "custom_php",
        "port_category", "required_files", "xmlver", "maximum_version", "depends_on_package_base_url", "depends_on_package_pbi_base_url", "build_port_path",
    ] },
    Group { under: &["installedpackages/miniupnpd/config"], product: None, why: "who may ask for a forward: its rules are open in any case", names: &[
        "ext_iface", "iface_array", "enable_upnp", "enable_natpmp", "download", "upload", "overridewanip", "upnpqueue", "logpackets", "sysuptime", "permdefault", "upnpaclenable", "row", "stun_host",
        "ext_ip_from_stun", "stun_port", "ipv6_disable", "permuser1", "permuser2", "permuser3", "permuser4", "num_permuser", "presentationurl", "modelnumber",
    ] },
];

/// Elements that have a say, and that readers ask for only where it matters.
#[rustfmt::skip]
const ASKED: &[Group] = &[
    Group { under: &[""], product: None, why: "sections that are read", names: &[
        "version", "system", "interfaces", "filter", "nat", "aliases", "schedules", "gateways", "staticroutes", "virtualip", "ifgroups", "bridges", "ipsec", "openvpn", "l2tp", "pppoes",
        "dhcpd", "dhcpdv6", "dhcrelay", "dhcrelay6", "captiveportal", "installedpackages", "sysctl", "hasync", "load_balancer", "ethernet", "OPNsense", "dnsmasq", "diag",
    ] },
    Group { under: &["system"], product: None, why: "settings of the packet filter", names: &[
        "disablefilter", "ipv6allow", "no_apipa_block", "disablenatreflection", "enablenatreflectionpurenat", "enablebinatreflection", "enablenatreflectionhelper", "skip_rules_gw_down",
        "disablevpnrules", "tftpinterface", "enablesshd", "webgui", "ssh", "no_port0_block", "no_ipv6_rfc4890_req", "no_sshlockout", "no_virusprot", "allow_nat64_prefix_override",
    ] },
    Group { under: &["system/webgui"], product: None, why: "ports of the administration", names: &["port", "protocol", "noantilockout", "disablehttpredirect"] },
    Group { under: &["system/ssh"], product: None, why: "ports of the administration", names: &["port", "enable", "enabled"] },
    Group { under: &["interfaces/*"], product: None, why: "settings of an interface", names: &[
        "enable", "if", "descr", "ipaddr", "subnet", "ipaddrv6", "subnetv6", "gateway", "gatewayv6", "blockpriv", "blockbogons", "type", "virtual", "internal_dynamic", "networks",
    ] },
    Group { under: &["virtualip"], product: None, why: "virtual addresses", names: &["vip"] },
    Group { under: &["virtualip/vip"], product: None, why: "virtual addresses", names: &["interface", "mode", "subnet", "subnet_bits", "uniqid"] },
    Group { under: &["ifgroups"], product: None, why: "groups of interfaces", names: &["ifgroupentry"] },
    Group { under: &["ifgroups/ifgroupentry"], product: None, why: "groups of interfaces", names: &["ifname", "members", "sequence"] },
    Group { under: &["gateways", "OPNsense/Gateways"], product: None, why: "gateways", names: &["gateway_item", "gateway_group"] },
    Group { under: &["gateways/gateway_group"], product: None, why: "gateways", names: &["name", "item"] },
    Group { under: &["gateways/gateway_item", "OPNsense/Gateways/gateway_item"], product: None, why: "gateways", names: &["name", "interface", "gateway", "ipprotocol", "disabled"] },
    Group { under: &["staticroutes"], product: None, why: "routes", names: &["route"] },
    Group { under: &["staticroutes/route"], product: None, why: "routes", names: &["network", "gateway", "disabled"] },
    Group { under: &["bridges"], product: None, why: "bridges", names: &["bridged"] },
    Group { under: &["bridges/bridged"], product: None, why: "bridges", names: &["members", "bridgeif"] },
    Group { under: &["schedules"], product: None, why: "times", names: &["schedule"] },
    Group { under: &["schedules/schedule"], product: None, why: "times", names: &["name", "timerange"] },
    Group { under: &["schedules/schedule/timerange"], product: None, why: "times", names: &["month", "day", "hour", "position"] },
    Group { under: &["nat"], product: None, why: "translations", names: &["rule", "onetoone", "npt", "outbound"] },
    Group { under: &["nat/outbound"], product: None, why: "translations", names: &["mode", "rule"] },
    Group { under: &["filter"], product: None, why: "rules", names: &["rule", "bypassstaticroutes"] },
    Group { under: &["ethernet"], product: None, why: "rules", names: &["rule"] },
    Group { under: &["ipsec"], product: None, why: "tunnels", names: &["phase1", "phase2", "client", "enable"] },
    Group { under: &["ipsec/client"], product: None, why: "tunnels", names: &["enable", "user_source"] },
    Group { under: &["ipsec/phase1"], product: None, why: "tunnels", names: &["disabled", "remote-gateway", "interface", "mobile"] },
    Group { under: &["ipsec/phase2"], product: None, why: "tunnels", names: &["disabled", "natlocalid"] },
    Group { under: &["openvpn"], product: None, why: "tunnels", names: &["openvpn-server", "openvpn-client"] },
    Group { under: &["openvpn/openvpn-server", "openvpn/openvpn-client"], product: None, why: "tunnels", names: &["disable", "authmode", "tunnel_network"] },
    Group { under: &["l2tp"], product: None, why: "servers", names: &["mode"] },
    Group { under: &["pppoes"], product: None, why: "servers", names: &["pppoe"] },
    Group { under: &["pppoes/pppoe"], product: None, why: "servers", names: &["mode"] },
    Group { under: &["dhcpd/*", "dhcpdv6/*"], product: None, why: "services on an interface", names: &["enable", "failover_peerip"] },
    Group { under: &["dhcrelay", "dhcrelay6"], product: None, why: "services on an interface", names: &["enable", "interface"] },
    Group { under: &["captiveportal"], product: None, why: "portals", names: &["*"] },
    Group { under: &["captiveportal/*"], product: None, why: "portals", names: &["enable", "interface"] },
    Group { under: &["installedpackages"], product: None, why: "packages", names: &["package", "miniupnpd"] },
    Group { under: &["installedpackages/package"], product: None, why: "packages", names: &["name", "filter_rule_function"] },
    Group { under: &["installedpackages/miniupnpd"], product: None, why: "packages", names: &["config"] },
    Group { under: &["installedpackages/miniupnpd/config"], product: None, why: "packages", names: &["enable", "ext_iface"] },
    Group { under: &["sysctl"], product: None, why: "tunables", names: &["item"] },
    Group { under: &["sysctl/item"], product: None, why: "tunables", names: &["tunable", "value"] },
    Group { under: &["load_balancer"], product: None, why: "the load balancer of old releases", names: &["virtual_server", "lbpool", "monitor_type", "setting"] },
    Group { under: &["diag"], product: PF, why: "IPv6 in IPv4", names: &["ipv6nat"] },
    Group { under: &["diag/ipv6nat"], product: PF, why: "IPv6 in IPv4", names: &["enable", "ipaddr"] },
    Group { under: &["dnsmasq"], product: OPN, why: "a service that opens its own port", names: &["enable", "interface", "dhcp", "dhcp_ranges"] },
    Group { under: &["dnsmasq/dhcp"], product: OPN, why: "a service that opens its own port", names: &["default_fw_rules", "no_interface"] },
    Group { under: &["dnsmasq/dhcp_ranges"], product: OPN, why: "a service that opens its own port", names: &["interface"] },
    Group { under: &["OPNsense"], product: OPN, why: "sections that are read", names: &["Firewall", "Gateways", "Interfaces", "Kea", "Swanctl", "IPsec", "OpenVPN", "captiveportal", "DHCRelay"] },
    Group { under: &["OPNsense/Firewall"], product: OPN, why: "rules", names: &["Alias", "Filter"] },
    Group { under: &["OPNsense/Firewall/Alias"], product: OPN, why: "aliases", names: &["aliases"] },
    Group { under: &["OPNsense/Firewall/Alias/aliases"], product: OPN, why: "aliases", names: &["alias"] },
    Group { under: &["OPNsense/Firewall/Alias/aliases/alias"], product: OPN, why: "aliases", names: &["enabled", "name", "type", "content"] },
    Group { under: &["OPNsense/Firewall/Filter"], product: OPN, why: "rules and translations", names: &["rules", "snatrules", "onetoone", "npt", "general"] },
    Group { under: &["OPNsense/DHCRelay"], product: OPN, why: "a service that opens its own port", names: &["relays", "destinations"] },
    Group { under: &["OPNsense/DHCRelay/relays"], product: OPN, why: "a service that opens its own port", names: &["enabled", "interface", "destination"] },
    Group { under: &["OPNsense/DHCRelay/destinations"], product: OPN, why: "a service that opens its own port", names: &["server"] },
    Group { under: &["OPNsense/captiveportal"], product: OPN, why: "portals", names: &["zones", "templates"] },
    Group { under: &["OPNsense/captiveportal/zones"], product: OPN, why: "portals", names: &["zone"] },
    Group { under: &["OPNsense/captiveportal/zones/zone"], product: OPN, why: "portals", names: &["enabled", "interfaces"] },
    Group { under: &["OPNsense/OpenVPN"], product: OPN, why: "tunnels", names: &["Instances"] },
    Group { under: &["OPNsense/Interfaces"], product: OPN, why: "settings", names: &["settings"] },
    Group { under: &["OPNsense/Interfaces/settings"], product: OPN, why: "settings", names: &["disableipv6"] },
    Group { under: &["OPNsense/Kea"], product: OPN, why: "a service that opens its own port", names: &["dhcp4", "dhcp6"] },
    Group { under: &["OPNsense/Kea/dhcp4", "OPNsense/Kea/dhcp6"], product: OPN, why: "a service that opens its own port", names: &["general"] },
    Group { under: &["OPNsense/Kea/dhcp4/general", "OPNsense/Kea/dhcp6/general"], product: OPN, why: "a service that opens its own port", names: &["enabled", "interfaces", "fwrules"] },
    Group { under: &["OPNsense/Swanctl"], product: OPN, why: "tunnels", names: &["VTIs"] },
    Group { under: &["OPNsense/Swanctl/VTIs"], product: OPN, why: "tunnels", names: &["VTI"] },
    Group { under: &["OPNsense/Swanctl/VTIs/VTI"], product: OPN, why: "tunnels", names: &["skip_fw", "reqid"] },
    Group { under: &["OPNsense/IPsec"], product: OPN, why: "tunnels", names: &["general"] },
    Group { under: &["OPNsense/IPsec/general"], product: OPN, why: "tunnels", names: &["disablevpnrules"] },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_says_why() {
        for g in GROUPS.iter().chain(ASKED) {
            assert!(g.why.len() > 3 && !g.names.is_empty() && !g.under.is_empty(), "{:?}", g.names);
            assert!(!g.under.iter().any(|u| u.starts_with('/')), "{:?}", g.under);
        }
    }
}
