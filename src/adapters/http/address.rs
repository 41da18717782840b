//! Which addresses may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Address ranges that are allowed although they are private (`--allow-private-targets`).
#[derive(Clone, Debug, Default)]
pub struct AllowedRanges(Vec<IpNet>);

impl AllowedRanges {
    /// Allows these ranges.
    pub fn new(ranges: Vec<IpNet>) -> Self {
        Self(ranges)
    }

    /// Whether an address lies in an allowed range. A range that is wider than the link-local block does not allow
    /// link-local addresses (the cloud's metadata service is one): they have to be named exactly.
    pub fn names(&self, address: IpAddr) -> bool {
        let address = unmapped(address);
        self.0.iter().any(|range| range.contains(&address) && (!is_link_local(address) || is_within_link_local(range)))
    }

    /// Whether a connection over TLS may go to this address: it is public, or allowed.
    pub fn permit(&self, address: IpAddr) -> bool {
        is_public(address) || self.names(address)
    }
}

/// What may be connected to: over TLS public and allowed addresses, in clear text allowed ones only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    Tls,
    ClearText,
}

/// The name resolved to addresses of which none may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("every address of the name is private and not allowed")]
pub(super) struct Refused;

/// Which addresses may be connected to, in one kind of connection.
pub(super) struct Guard {
    pub(super) allowed: AllowedRanges,
    pub(super) security: Security,
}

impl Guard {
    pub(super) fn accepts(&self, address: IpAddr) -> bool {
        match self.security {
            Security::Tls => self.allowed.permit(address),
            Security::ClearText => self.allowed.names(address),
        }
    }
}

/// Resolves names and leaves out what may not be connected to. The addresses it returns are the ones connected to, so
/// that no second look-up can answer differently.
pub(super) struct GuardedResolver {
    pub(super) guard: Arc<Guard>,
    pub(super) names: Arc<dyn Resolve>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.guard);
        let look_up = self.names.resolve(name);
        Box::pin(async move {
            let found: Vec<SocketAddr> = look_up.await?.collect();
            let any = !found.is_empty();
            let accepted: Vec<SocketAddr> = found.into_iter().filter(|address| guard.accepts(address.ip())).collect();
            if any && accepted.is_empty() {
                return Err(Box::new(Refused) as Box<dyn std::error::Error + Send + Sync>);
            }
            Ok(Box::new(accepted.into_iter()) as Addrs)
        })
    }
}

/// The names as this machine resolves them.
pub(super) struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn is_within_link_local(range: &IpNet) -> bool {
    is_link_local(range.network()) && is_link_local(range.broadcast())
}

/// Whether an address is on the public Internet, by the special-purpose registries of RFC 6890 and its updates.
fn is_public(address: IpAddr) -> bool {
    match unmapped(address) {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let shared = first == 100 && (64..128).contains(&second); // RFC 6598
    let protocol_assignments = first == 192 && second == 0 && third == 0;
    let benchmarking = first == 198 && (second == 18 || second == 19); // RFC 2544
    !(first == 0
        || first >= 240
        || shared
        || protocol_assignments
        || benchmarking
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [high, low] = [segments[6].to_be_bytes(), segments[7].to_be_bytes()];
    match segments {
        // NAT64 (RFC 6052, RFC 8215): the IPv4 address stands at the end.
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => is_public_v4(Ipv4Addr::new(high[0], high[1], low[0], low[1])),
        // 6to4 (RFC 3056): the IPv4 address stands after the prefix.
        [0x2002, second, third, ..] => {
            let [a, b] = second.to_be_bytes();
            let [c, d] = third.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Documentation (RFC 3849, RFC 9637), benchmarking (RFC 5180), and Teredo (RFC 4380), which hides an IPv4 address.
        [0x2001, 0xdb8 | 0, ..] | [0x2001, 2, 0, ..] | [0x3fff, 0..0x1000, ..] => false,
        // Only 2000::/3 is given out as global unicast; loopback, unique local, link-local and multicast lie outside.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(texts: &[&str]) -> AllowedRanges {
        AllowedRanges::new(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn private_addresses_of_every_kind_are_refused() {
        for text in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2002:a00:1::",
            "2001:db8::1",
            "2001::1",
            "2001:2::1",
            "3fff::1",
            "3fff:fff::1",
        ] {
            assert!(!AllowedRanges::default().permit(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_permitted() {
        for text in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "64:ff9b::101:101",
            "2001:4860::8888",
        ] {
            assert!(AllowedRanges::default().permit(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn allowed_ranges_permit_what_they_name_and_nothing_else() {
        let allowed = ranges(&["127.0.0.0/8", "10.1.0.0/16"]);
        assert!(allowed.permit("127.0.0.1".parse().unwrap()));
        assert!(allowed.permit("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!allowed.permit("10.2.0.1".parse().unwrap()));
    }

    #[test]
    fn link_local_has_to_be_named_exactly() {
        let metadata: IpAddr = "169.254.169.254".parse().unwrap();
        assert!(!ranges(&["0.0.0.0/0"]).permit(metadata));
        assert!(!ranges(&["169.0.0.0/8"]).permit(metadata));
        assert!(ranges(&["169.254.0.0/16"]).permit(metadata));
        assert!(ranges(&["169.254.169.254/32"]).permit(metadata));
        assert!(!ranges(&["::/0"]).permit("fe80::1".parse().unwrap()));
        assert!(ranges(&["fe80::/10"]).permit("fe80::1".parse().unwrap()));
    }

    #[test]
    fn clear_text_goes_to_allowed_ranges_only() {
        let guard = Guard { allowed: ranges(&["127.0.0.0/8"]), security: Security::ClearText };
        assert!(guard.accepts("127.0.0.1".parse().unwrap()));
        assert!(!guard.accepts("1.1.1.1".parse().unwrap()));
    }
}
