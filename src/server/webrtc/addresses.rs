//! The addresses at which peers can reach us: host candidates of every answer.

use crate::config::Host;
use crate::protocol::sdp::{HostCandidate, TransportKind};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// Finds the addresses to announce on the port of `listen`: those configured, by address or name, else the one that is
/// listened on, else every address of this machine. UDP comes first, passive TCP on the same port second.
pub(super) fn candidates(listen: SocketAddr, announce: &[Host]) -> io::Result<Vec<HostCandidate>> {
    let ips = if !announce.is_empty() {
        resolve(announce)?
    } else if listen.ip().is_unspecified() {
        let interfaces = if_addrs::get_if_addrs()?.into_iter().map(|interface| interface.ip());
        local(interfaces.filter(|ip| listen.is_ipv6() || ip.is_ipv4()))
    } else {
        vec![listen.ip()]
    };
    if announce.is_empty() && !ips.iter().any(is_public) {
        tracing::warn!(
            addresses = ?ips,
            "no public address: peers on the Internet cannot reach this server; set webrtc.announce to the address or \
             name that they can"
        );
    }
    let on = |transport| {
        ips.iter().map(move |ip| HostCandidate { address: SocketAddr::new(*ip, listen.port()), transport })
    };
    Ok(on(TransportKind::Udp).chain(on(TransportKind::Tcp)).collect())
}

fn resolve(hosts: &[Host]) -> io::Result<Vec<IpAddr>> {
    let mut ips = Vec::new();
    for host in hosts {
        let resolved: Vec<_> = match host {
            Host::Address(ip) => vec![*ip],
            // A port is not asked for here, but the system's resolver wants one.
            Host::Name(name) => (name.as_str(), 0)
                .to_socket_addrs()
                .map_err(|error| io::Error::new(error.kind(), format!("webrtc.announce: {name}: {error}")))?
                .map(|address| address.ip())
                .collect(),
        };
        for ip in resolved.into_iter().map(|ip| ip.to_canonical()) {
            if !ips.contains(&ip) {
                ips.push(ip);
            }
        }
    }
    Ok(ips)
}

/// Every address that another machine could use; loopback only where there is no other. Browsers on this machine use the
/// others too: Firefox sends no checks to loopback addresses.
fn local(interfaces: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let (loopback, mut ips): (Vec<_>, Vec<_>) =
        interfaces.filter(|ip| !is_link_local(ip)).partition(IpAddr::is_loopback);
    ips.dedup();
    // IPv4 first: more networks carry it.
    ips.sort_by_key(IpAddr::is_ipv6);
    if ips.is_empty() { loopback } else { ips }
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

    #[test]
    fn local_addresses_without_loopback_unless_alone() {
        let all = ips(&["::1", "fe80::1", "fd00::2", "127.0.0.1", "169.254.1.1", "192.0.2.2"]);
        assert_eq!(local(all.into_iter()), ips(&["192.0.2.2", "fd00::2"]));
        assert_eq!(local(ips(&["127.0.0.1"]).into_iter()), ips(&["127.0.0.1"]));
    }

    #[test]
    fn announced_addresses_come_once_with_both_transports() {
        let announce = ["198.51.100.7", "198.51.100.7"].map(|host| host.parse().unwrap());
        let found = candidates(SocketAddr::from(([0, 0, 0, 0], 8189)), &announce).unwrap();
        let address = SocketAddr::from(([198, 51, 100, 7], 8189));
        assert_eq!(
            found,
            [TransportKind::Udp, TransportKind::Tcp].map(|transport| HostCandidate { address, transport })
        );
        assert!(candidates(address, &["no-such-host.invalid".parse().unwrap()]).is_err());
        let listening = candidates(SocketAddr::from(([127, 0, 0, 1], 5)), &[]).unwrap();
        assert_eq!(listening[0].address, SocketAddr::from(([127, 0, 0, 1], 5)));
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
