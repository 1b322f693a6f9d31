//! The machine itself, where it is to become a node: its clock, swap, proxy
//! and address, as nodeadm looks at them.
//!
//! Source: EKS user guide, "Prepare operating system for hybrid nodes" and
//! "Configure proxy for hybrid nodes"; Kubernetes documentation, "Swap memory
//! management".

use landfast_rolesanywhere::rules::Finding;

use std::net::{IpAddr, UdpSocket};
use std::process::{Command, Stdio};

use super::documents::ClusterDocument;
use super::node_config::NodeConfig;
use super::report::Report;

/// Variables that name proxies, and their twins in the other case.
const PROXIES: [(&str, &str); 3] = [
    ("HTTPS_PROXY", "https_proxy"),
    ("HTTP_PROXY", "http_proxy"),
    ("NO_PROXY", "no_proxy"),
];

/// What a machine says of itself.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Whether the system knows its clock to be in step; none where nothing
    /// can be asked.
    pub clock_in_step: Option<bool>,
    /// Swap in use, as `/proc/swaps` lists it: name, and whether it is a partition.
    pub swap: Vec<(String, bool)>,
    /// The variables that name proxies, by their name.
    pub proxies: Vec<(String, String)>,
    /// The address from which the default route is taken.
    pub address: Option<IpAddr>,
}

impl Machine {
    /// Looks at this machine. Nothing is sent.
    pub fn look() -> Self {
        let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
        let names = PROXIES.iter().flat_map(|(upper, lower)| [*upper, *lower]);
        let proxies = names.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
        Self {
            clock_in_step: clock(),
            swap: swap(&swaps),
            proxies: proxies.filter(|(_, value)| !value.is_empty()).collect(),
            address: address(),
        }
    }

    pub(super) fn check(
        &self,
        config: &NodeConfig,
        cluster: Option<&ClusterDocument>,
        report: &mut Report,
    ) {
        match self.clock_in_step {
            None => report.skipped.push("the clock: timedatectl cannot be asked here"),
            Some(true) => report.passed.push("the clock is kept in step".to_owned()),
            Some(false) => report.findings.push(Finding::error(
                "ND-01",
                "nothing keeps this machine's clock in step",
                "start chronyd or systemd-timesyncd: AWS refuses requests whose date is minutes off",
            )),
        }
        report.add(
            "there is no swap in the kubelet's way",
            self.swap_findings(config),
        );
        report.add(
            "the proxy's variables do not contradict one another",
            self.proxy_findings(),
        );
        self.network(config, cluster, report);
    }

    /// ND-02: the kubelet does not start with swap, unless it is told to.
    fn swap_findings(&self, config: &NodeConfig) -> Vec<Finding> {
        if config.takes_swap() {
            return Vec::new();
        }
        let told = |(name, partition): &(String, bool)| {
            let problem =
                format!("{name} is in use as swap, and the kubelet does not start with it");
            if *partition {
                let remedy = "swapoff -a, and take it out of /etc/fstab: nodeadm does not do that for a partition";
                Finding::error("ND-02", problem, remedy)
            } else {
                let remedy = "nodeadm switches a swap file off; or do it now: swapoff -a, and take it out of /etc/fstab";
                Finding::warning("ND-02", problem, remedy)
            }
        };
        self.swap.iter().map(told).collect()
    }

    /// ND-03: programs read the one case or the other, so both must say the same.
    fn proxy_findings(&self) -> Vec<Finding> {
        let value = |name: &str| {
            let found = self.proxies.iter().find(|(own, _)| own == name);
            found.map(|(_, value)| value.as_str())
        };
        let mut found = Vec::new();
        for (upper, lower) in PROXIES {
            if let (Some(one), Some(two)) = (value(upper), value(lower))
                && one != two
            {
                // The values may hold a password.
                found.push(Finding::error(
                    "ND-03",
                    format!("{upper} and {lower} say different things"),
                    "set both to the same, or only one of them: some programs read the one, some the other",
                ));
            }
        }
        let set = |index: usize| value(PROXIES[index].0).or_else(|| value(PROXIES[index].1));
        if set(0).is_none() && set(1).is_some() {
            found.push(Finding::warning(
                "ND-03",
                "HTTP_PROXY is set and HTTPS_PROXY is not: calls to AWS go past the proxy",
                "set HTTPS_PROXY as well, if AWS is reached by the proxy only",
            ));
        }
        found
    }

    /// ND-04: the node's address is one that the cluster's network reaches.
    fn network(&self, config: &NodeConfig, cluster: Option<&ClusterDocument>, report: &mut Report) {
        let Some(cluster) = cluster else {
            report.skipped.push(
                "the remote networks: give --cluster with the output of `aws eks describe-cluster`",
            );
            return;
        };
        let mut findings = Vec::new();
        if let Some(name) = config.cluster().filter(|name| *name != cluster.name) {
            findings.push(Finding::error(
                "ND-04",
                format!(
                    "NodeConfig is for the cluster {name}, the document describes {}",
                    cluster.name
                ),
                "fetch the document of the right cluster, or correct NodeConfig",
            ));
        }
        let given = config.node_ip();
        let own = given.map_or(self.address, |text| text.parse().ok());
        let networks = cluster.node_networks.join(", ");
        let inside = |address: IpAddr| cluster.node_networks.iter().any(|one| holds(one, address));
        match own {
            _ if cluster.node_networks.is_empty() => findings.push(Finding::error(
                "ND-04",
                "the cluster has no remote node networks, so it takes no hybrid nodes",
                "aws eks update-cluster-config --remote-network-config with the networks of nodes and pods",
            )),
            None => findings.push(Finding::warning(
                "ND-04",
                match given {
                    Some(text) => format!("--node-ip {text:?} is no address"),
                    None => "this machine has no default route, so its address is not known".to_owned(),
                },
                "give the address by spec.kubelet.flags: --node-ip=ADDRESS",
            )),
            Some(address) if !inside(address) => findings.push(Finding::error(
                "ND-04",
                format!("the node's address {address} is in none of the cluster's remote node networks ({networks})"),
                "add its network to the cluster's remote networks, or give another address by spec.kubelet.flags: --node-ip=ADDRESS",
            )),
            Some(_) => {}
        }
        report.add(
            "the node's address is in a remote network of the cluster",
            findings,
        );
    }
}

/// Whether an address lies in a network such as `10.0.0.0/8`.
fn holds(network: &str, address: IpAddr) -> bool {
    let parsed = network.split_once('/').and_then(|(base, length)| {
        Some((base.parse::<IpAddr>().ok()?, length.parse::<u32>().ok()?))
    });
    match (parsed, address) {
        (Some((IpAddr::V4(base), length)), IpAddr::V4(address)) if length <= 32 => {
            (base.to_bits() ^ address.to_bits()).leading_zeros() >= length
        }
        (Some((IpAddr::V6(base), length)), IpAddr::V6(address)) if length <= 128 => {
            (base.to_bits() ^ address.to_bits()).leading_zeros() >= length
        }
        _ => false,
    }
}

fn swap(table: &str) -> Vec<(String, bool)> {
    let rows = table.lines().skip(1).filter_map(|row| {
        let mut words = row.split_whitespace();
        Some((words.next()?.to_owned(), words.next()? == "partition"))
    });
    rows.collect()
}

/// What systemd says of the kernel's clock, whoever keeps it.
fn clock() -> Option<bool> {
    let output = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    match output.stdout.trim_ascii() {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}

/// The address that the kernel would send from. Connecting a datagram socket
/// sends nothing.
fn address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Addresses for documentation (RFC 5737): the default route leads there.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use landfast_rolesanywhere::rules::Severity;

    fn config(more: &str) -> NodeConfig {
        NodeConfig::read(&format!("spec:\n  cluster: {{name: prod}}\n{more}")).unwrap()
    }

    fn cluster(networks: &[&str]) -> ClusterDocument {
        let networks = json!([{"cidrs": networks}]);
        let document = json!({"cluster": {"name": "prod", "remoteNetworkConfig": {"remoteNodeNetworks": networks}}});
        ClusterDocument::read(&document.to_string()).unwrap()
    }

    fn good() -> Machine {
        Machine {
            clock_in_step: Some(true),
            address: Some("10.1.2.3".parse().unwrap()),
            ..Machine::default()
        }
    }

    fn found(
        machine: &Machine,
        config: &NodeConfig,
        cluster: &ClusterDocument,
    ) -> Vec<(&'static str, Severity)> {
        let mut report = Report::default();
        machine.check(config, Some(cluster), &mut report);
        report
            .findings
            .iter()
            .map(|one| (one.rule, one.severity))
            .collect()
    }

    #[test]
    fn a_machine_that_is_ready_has_no_findings() {
        assert_eq!(found(&good(), &config(""), &cluster(&["10.0.0.0/8"])), []);
    }

    #[test]
    fn a_clock_that_nothing_keeps_is_told() {
        let machine = Machine {
            clock_in_step: Some(false),
            ..good()
        };
        let networks = cluster(&["10.0.0.0/8"]);
        assert_eq!(
            found(&machine, &config(""), &networks),
            [("ND-01", Severity::Error)]
        );
    }

    #[test]
    fn swap_is_told_unless_the_kubelet_takes_it() {
        let table =
            "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n/swap.img file 1 0 -3\n";
        let machine = Machine {
            swap: swap(table),
            ..good()
        };
        let networks = cluster(&["10.0.0.0/8"]);
        assert_eq!(
            found(&machine, &config(""), &networks),
            [("ND-02", Severity::Error), ("ND-02", Severity::Warning)]
        );
        let takes = config("  kubelet: {config: {failSwapOn: false}}\n");
        assert_eq!(found(&machine, &takes, &networks), []);
    }

    #[test]
    fn proxies_that_contradict_are_told_without_their_passwords() {
        let of = |pairs: &[(&str, &str)]| {
            let proxies = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Machine {
                proxies: proxies.collect(),
                ..good()
            }
            .proxy_findings()
        };
        let url = "http://user:word@proxy.example:3128";
        assert_eq!(of(&[("HTTPS_PROXY", url), ("https_proxy", url)]), []);
        let told = of(&[
            ("HTTPS_PROXY", url),
            ("https_proxy", "http://other.example"),
        ]);
        assert_eq!(told.len(), 1);
        assert!(!told[0].problem.contains("word"), "{told:?}");
        assert_eq!(
            of(&[("HTTPS_PROXY", url), ("NO_PROXY", "a"), ("no_proxy", "b")]).len(),
            1
        );
        assert_eq!(of(&[("http_proxy", url)])[0].severity, Severity::Warning);
    }

    #[test]
    fn an_address_outside_of_the_remote_networks_is_told() {
        let error = [("ND-04", Severity::Error)];
        for (networks, more, expected) in [
            (&["192.168.0.0/16", "10.1.0.0/16"][..], "", &[][..]),
            (&["192.168.0.0/16"], "", &error),
            (&[], "", &error),
            (&["10.1.2.3/33"], "", &error),
            (
                &["192.168.0.0/16"],
                "  kubelet: {flags: [--node-ip=192.168.1.1]}\n",
                &[],
            ),
            (
                &["2001:db8::/32"],
                "  kubelet: {flags: ['--node-ip=2001:db8::1']}\n",
                &[],
            ),
            (
                &["10.0.0.0/8"],
                "  kubelet: {flags: [--node-ip=x]}\n",
                &[("ND-04", Severity::Warning)],
            ),
        ] {
            let told = found(&good(), &config(more), &cluster(networks));
            assert_eq!(told, expected, "{networks:?} {more}");
        }
        let other = NodeConfig::read("spec: {cluster: {name: test}}").unwrap();
        assert_eq!(found(&good(), &other, &cluster(&["10.0.0.0/8"])), error);
    }
}
