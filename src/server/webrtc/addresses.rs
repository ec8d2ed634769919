//! The addresses at which peers can reach us: host candidates of every answer.

use crate::config::Host;
use crate::protocol::sdp::{HostCandidate, TransportKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between looks at names and interfaces: both may change while the server runs.
const REFRESH: Duration = Duration::from_secs(60);
/// The same while there is none to announce, for instance when the network comes up after the server.
const RETRY: Duration = Duration::from_secs(5);

/// What is announced. Cloning gives another handle to the same.
#[derive(Clone)]
pub(super) struct Addresses {
    inner: Arc<Inner>,
}

struct Inner {
    listen: SocketAddr,
    announce: Vec<Host>,
    ips: Mutex<Vec<IpAddr>>,
}

impl Addresses {
    /// Finds the addresses to announce on the port of `listen`: those configured, by address or name, else the one that
    /// is listened on, else every address of this machine. Blocks while names are resolved.
    pub(super) fn find(listen: SocketAddr, announce: Vec<Host>) -> Self {
        let inner = Inner { listen, announce, ips: Mutex::default() };
        inner.refresh();
        Self { inner: Arc::new(inner) }
    }

    /// What to announce now: UDP first, passive TCP on the same port second. Empty while no name can be resolved.
    pub(super) fn candidates(&self) -> Vec<HostCandidate> {
        let (ips, port) = (self.inner.ips(), self.inner.listen.port());
        let on = |transport| {
            ips.iter().map(move |ip| HostCandidate { address: SocketAddr::new(*ip, port), transport })
        };
        on(TransportKind::Udp).chain(on(TransportKind::Tcp)).collect()
    }

    /// Looks again from time to time, until `stop`.
    pub(super) async fn keep(self, stop: CancellationToken) {
        loop {
            let pause = if self.inner.ips().is_empty() { RETRY } else { REFRESH };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let inner = self.inner.clone();
            // The system's resolver blocks, for many seconds at worst.
            let refreshed = tokio::task::spawn_blocking(move || inner.refresh());
            tokio::select! {
                () = stop.cancelled() => return,
                _ = refreshed => {}
            }
        }
    }
}

impl Inner {
    fn ips(&self) -> Vec<IpAddr> {
        self.ips.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refresh(&self) {
        let found = if !self.announce.is_empty() {
            resolve(&self.announce)
        } else if self.listen.ip().is_unspecified() {
            interfaces(self.listen.is_ipv6())
        } else {
            vec![self.listen.ip()]
        };
        // What was known before is better than nothing: a resolver may be away for a while.
        if found.is_empty() || found == self.ips() {
            return;
        }
        if self.announce.is_empty()
            && let Some(missing) = missing(&found)
        {
            tracing::warn!(
                addresses = ?found,
                "no public {missing} address: peers on the Internet that need one cannot reach this server; set \
                 webrtc.announce to the addresses or names that they can reach"
            );
        }
        tracing::info!(addresses = ?found, "announced to WebRTC peers");
        *self.ips.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

/// The addresses of hosts, as far as they can be found.
fn resolve(hosts: &[Host]) -> Vec<IpAddr> {
    let mut ips = Vec::new();
    for host in hosts {
        let resolved: Vec<_> = match host {
            Host::Address(ip) => vec![*ip],
            // A port is not asked for here, but the system's resolver wants one.
            Host::Name(name) => match (name.as_str(), 0).to_socket_addrs() {
                Ok(addresses) => addresses.map(|address| address.ip()).collect(),
                Err(error) => {
                    tracing::error!(%name, %error, "a name of webrtc.announce cannot be resolved; trying again");
                    Vec::new()
                }
            },
        };
        for ip in resolved.into_iter().map(|ip| ip.to_canonical()) {
            if !ips.contains(&ip) {
                ips.push(ip);
            }
        }
    }
    ips
}

fn interfaces(with_ipv6: bool) -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => {
            let addresses = interfaces.into_iter().map(|interface| (interface.ip(), interface.name));
            local(addresses.filter(|(ip, _)| with_ipv6 || ip.is_ipv4()).collect())
        }
        Err(error) => {
            tracing::error!(%error, "the addresses of this machine cannot be listed");
            Vec::new()
        }
    }
}

/// Every address that another machine could use, of interfaces and their names; bridges to containers and loopback only
/// where there is no other. Browsers on this machine use the others too: Firefox sends no checks to loopback addresses.
fn local(mut addresses: Vec<(IpAddr, String)>) -> Vec<IpAddr> {
    addresses.retain(|(ip, _)| !is_link_local(ip));
    let rank = |(ip, name): &(IpAddr, String)| {
        if ip.is_loopback() { 2 } else { u8::from(is_container_bridge(name)) }
    };
    let best = addresses.iter().map(rank).min();
    addresses.retain(|address| Some(rank(address)) == best);
    let mut ips: Vec<_> = addresses.into_iter().map(|(ip, _)| ip).collect();
    ips.dedup();
    // IPv4 first: more networks carry it.
    ips.sort_by_key(IpAddr::is_ipv6);
    ips
}

/// Whether an interface leads to containers of this machine alone: `docker0`, Docker's networks by their id, and the
/// host's ends of the containers' cables.
fn is_container_bridge(name: &str) -> bool {
    let is_id = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.starts_with("docker") || name.starts_with("veth") || name.strip_prefix("br-").is_some_and(is_id)
}

/// Which kind of public address there is none of. One of IPv6 alone leaves out many peers, one of IPv4 few.
fn missing(ips: &[IpAddr]) -> Option<&'static str> {
    let has = |family: fn(&IpAddr) -> bool| ips.iter().any(|ip| family(ip) && is_public(ip));
    match (has(IpAddr::is_ipv4), has(IpAddr::is_ipv6)) {
        (true, _) => None,
        (false, true) => Some("IPv4"),
        (false, false) => Some("IP"),
    }
}

const fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn is_public(ip: &IpAddr) -> bool {
    !ip.is_loopback()
        && !is_link_local(ip)
        && match ip {
            // RFC 1918, and RFC 6598 for networks behind a provider's translation.
            IpAddr::V4(v4) => !(v4.is_private() || v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
            IpAddr::V6(v6) => !v6.is_unique_local(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(text: &[&str]) -> Vec<IpAddr> {
        text.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    fn on(interfaces: &[(&str, &str)]) -> Vec<(IpAddr, String)> {
        interfaces.iter().map(|(name, ip)| (ip.parse().unwrap(), (*name).to_owned())).collect()
    }

    #[test]
    fn local_addresses_without_loopback_unless_alone() {
        let (link_local, loopback) = (("eth0", "fe80::1"), ("lo", "127.0.0.1"));
        let all = on(&[("lo", "::1"), link_local, ("eth0", "fd00::2"), loopback, ("eth0", "192.0.2.2")]);
        assert_eq!(local(all), ips(&["192.0.2.2", "fd00::2"]));
        assert_eq!(local(on(&[loopback, link_local])), ips(&["127.0.0.1"]));
    }

    #[test]
    fn bridges_to_containers_are_left_out_unless_alone() {
        let docker = [("docker0", "172.17.0.1"), ("br-0123456789ab", "172.18.0.1"), ("veth12", "10.9.9.9")];
        let [bridge, network, cable] = docker;
        let rest = [("br-lan", "192.168.1.1"), ("br0", "192.0.2.2"), ("lo", "127.0.0.1")];
        let [lan, own, loopback] = rest;
        let all = on(&[bridge, lan, network, own, cable, loopback]);
        assert_eq!(local(all), ips(&["192.168.1.1", "192.0.2.2"]));
        assert_eq!(local(on(&[bridge, loopback])), ips(&["172.17.0.1"]));
    }

    #[test]
    fn what_is_missing_is_told_by_family() {
        for (addresses, kind) in [
            (&["192.0.2.2", "2001:db8::1"][..], None),
            (&["192.0.2.2", "fd00::2"], None),
            (&["192.168.1.2", "2001:db8::1"], Some("IPv4")),
            (&["10.0.0.1", "fd00::2"], Some("IP")),
        ] {
            assert_eq!(missing(&ips(addresses)), kind, "{addresses:?}");
        }
    }

    #[test]
    fn announced_addresses_come_once_with_both_transports() {
        let announce = ["198.51.100.7", "198.51.100.7"].map(|host| host.parse().unwrap());
        let found = Addresses::find(SocketAddr::from(([0, 0, 0, 0], 8189)), announce.into()).candidates();
        let address = SocketAddr::from(([198, 51, 100, 7], 8189));
        assert_eq!(
            found,
            [TransportKind::Udp, TransportKind::Tcp].map(|transport| HostCandidate { address, transport })
        );
        let listening = Addresses::find(SocketAddr::from(([127, 0, 0, 1], 5)), Vec::new()).candidates();
        assert_eq!(listening[0].address, SocketAddr::from(([127, 0, 0, 1], 5)));
    }

    #[test]
    fn a_name_that_cannot_be_resolved_takes_nothing_else_away() {
        let listen = SocketAddr::from(([0, 0, 0, 0], 8189));
        let name: Host = "no-such-host.invalid".parse().unwrap();
        assert_eq!(Addresses::find(listen, vec![name.clone()]).candidates(), []);
        let both = Addresses::find(listen, vec![name, "198.51.100.7".parse().unwrap()]);
        assert_eq!(both.candidates().len(), 2);
    }

    #[test]
    fn what_is_known_stays_while_the_resolver_is_away() {
        let listen = SocketAddr::from(([0, 0, 0, 0], 8189));
        let mut addresses = Addresses::find(listen, vec!["198.51.100.7".parse().unwrap()]);
        let inner = Arc::get_mut(&mut addresses.inner).unwrap();
        inner.announce = vec!["no-such-host.invalid".parse().unwrap()];
        inner.refresh();
        assert_eq!(addresses.candidates().len(), 2);
        let inner = Arc::get_mut(&mut addresses.inner).unwrap();
        inner.announce = vec!["203.0.113.5".parse().unwrap()];
        inner.refresh();
        assert_eq!(addresses.candidates()[0].address, SocketAddr::from(([203, 0, 113, 5], 8189)));
    }

    #[test]
    fn public_addresses() {
        for (ip, public) in [
            ("8.8.8.8", true),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("127.0.0.1", false),
            ("2001:db8::1", true),
            ("fd00::1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_public(&ip.parse().unwrap()), public, "{ip}");
        }
    }
}
