//! What stands below the options of each command: examples and the exit status.

/// Of the program.
pub(super) const TOP: &str = "\
Examples:
  havenlint check /etc/iptables/          check these files for mistakes
  havenlint init                          write a first havenlint.toml
  havenlint check                         check the deployment of havenlint.toml
  havenlint trace fw.rules --packet \"input eth0 tcp 10.0.8.15:40000 > 10.1.0.10:443\"
  havenlint explain HL-ANY-ANY            what a rule means

`havenlint COMMAND --help` shows examples and the exit status of each command.";

/// Of `check`.
pub(super) const CHECK: &str = "\
Examples:
  havenlint check                                         the deployment of havenlint.toml
  havenlint check /etc/iptables/ fw.nft                   these files, without a deployment
  havenlint check web.rules --catalogue policy.toml --role web --set admin=10.0.9.0/24
  havenlint check --select HL-AWS --format sarif=out.sarif --format human
  nft list ruleset | havenlint check -

Exit status: 0 = nothing at or above --fail-on; 1 = findings; 2 = havenlint could not do all of its job (usage, configuration, unreadable or malformed input), everything else is still checked; 3 = no firewall file found; 70 = internal error.";

/// Of `trace`.
pub(super) const TRACE: &str = "\
Examples:
  havenlint trace fw.rules --packet \"input eth0 tcp 10.0.8.15:40000 > 10.1.0.10:443\"
  havenlint trace config.xml --packet \"forward wan lan tcp 198.51.100.7:40000 > 10.1.0.10:443\"
  havenlint trace fw.nft --packets packets.jsonl --format json
  havenlint trace --from web-1 --to db-1 --proto tcp --port 5432    every box on the way, by havenlint.toml

Exit status: 0 = every packet has an answer, whatever it is; 2 = a packet or a file could not be read; 3 = no firewall file found; 70 = internal error.";

/// Of `query`.
pub(super) const QUERY: &str = "\
Examples:
  havenlint query fw.rules --to 10.1.0.10 --proto tcp --port 443
  havenlint query fw.rules --from admin --to cms-1        names of havenlint.toml
  havenlint query fw.rules --matrix --format markdown     networks and services as one table
  havenlint query config.xml --dir forward --iif wan --proto tcp --port 1-1023
  havenlint query groups.json --dir ingress --group sg-0123abcd --port 22 --format json

Exit status: 0 = there is an answer, whatever it is; 2 = the question or a file could not be read; 3 = no firewall file found; 70 = internal error.";

/// Of `selftest`.
pub(super) const SELFTEST: &str = "\
Examples:
  sudo havenlint selftest /etc/iptables/rules.v4
  sudo havenlint selftest fw.nft --local 10.1.0.10,2001:db8::10
  iptables-save | unshare --user --map-root-user havenlint selftest - --packets 500

Exit status: 0 = the kernel does what havenlint says; 1 = it does something else with a packet; 2 = nothing could be compared: rights, programs or modules are missing, or a file could not be read or loaded; 3 = no firewall file found; 70 = internal error.";

/// Of `diff`.
pub(super) const DIFF: &str = "\
Examples:
  havenlint diff old.rules new.rules
  git show main:fw.rules | havenlint diff - fw.rules
  havenlint diff old/ new/ --fail-on any --format json

Exit status: 0 = nothing that --fail-on names; 1 = something that it names; 2 = havenlint could not do all of its job; 3 = no firewall file found; 70 = internal error.";

/// Of `fix`.
pub(super) const FIX: &str = "\
Examples:
  havenlint fix                        show the proven repairs as a diff
  havenlint fix --apply                make them
  havenlint fix --select HL-DUPLICATE  those of one rule

Exit status: 0 = nothing to repair, or all repairs were made; 1 = there are repairs that were only shown, commands to run included; 2 = havenlint could not do all of its job; 3 = no firewall file found; 70 = internal error.";

/// Of `explain`.
pub(super) const EXPLAIN: &str = "\
Examples:
  havenlint explain HL-ANY-ANY
  havenlint explain WEB-HTTPS --catalogue policy.toml";

/// Of `init`.
pub(super) const INIT: &str = "\
Examples:
  havenlint init firewalls/
  havenlint init --catalogue policy.toml

Exit status: 0 = written; 2 = there is a havenlint.toml already, or it could not be written; 3 = no firewall file found.";

/// Of `review`.
pub(super) const REVIEW: &str = "\
Examples:
  havenlint review --base origin/main
  havenlint review --base origin/main --accept-policy     somebody has agreed to a weaker policy
  havenlint review --base origin/main --fail-on never > comment.md
  gh pr comment --body-file comment.md

Exit status: 0 = nothing that --fail-on names; 1 = something is; 2 = git could not be asked, or files of the new version could not be read;
3 = neither version has a firewall file; 70 = internal error.";

/// Of `baseline`.
pub(super) const BASELINE: &str = "\
Examples:
  havenlint baseline write    accept today's findings
  havenlint baseline prune    drop what is gone, narrow what has become less

Exit status: 0 = written; 2 = a file could not be read or written, the baseline is unchanged; 3 = no firewall file found.";

/// Of `catalogue`.
pub(super) const CATALOGUE: &str = "\
Examples:
  havenlint catalogue new policy.toml
  havenlint catalogue lint policy.toml
  havenlint catalogue test policy.toml
  havenlint catalogue schema > catalogue.schema.json

Exit status: 0 = all is well; 1 = an example does not have its state; 2 = the catalogue has errors.";

/// Of `merge`.
pub(super) const MERGE: &str = "\
Examples:
  havenlint merge east.json west.json --format sarif=all.sarif

Exit status: as of `check`, for all reports together.";
