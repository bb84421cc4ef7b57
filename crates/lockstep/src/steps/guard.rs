//! Where the requests of steps may go: not into this machine or its network, unless that is
//! allowed. Addresses are looked at when the connection is made, so that a name that stands for
//! another address by then, or a redirect, gets no further.

use std::{net::IpAddr, sync::Arc};

/// The networks to which requests may go although they are not public.
#[derive(Clone, Default)]
pub(crate) struct Guard {
    allowed: Arc<[Network]>,
}

#[derive(Clone, Copy)]
struct Network {
    address: IpAddr,
    bits: u8,
}

impl Guard {
    /// Reads networks such as `10.0.0.0/8`, or single addresses, separated by commas.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let allowed = parts.map(Network::parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { allowed: allowed.into() })
    }

    /// Says whether a request may go to an address.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.allowed.iter().any(|network| network.has(address))
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network: write it as 10.0.0.0/8");
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if bits > most { Err(wrong()) } else { Ok(Self { address, bits }) }
    }

    fn has(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same(own.to_bits().into(), other.to_bits().into(), 32, self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                same(own.to_bits(), other.to_bits(), 128, self.bits)
            }
            _ => false,
        }
    }
}

fn same(own: u128, other: u128, width: u8, bits: u8) -> bool {
    let rest = u32::from(width - bits);
    own.checked_shr(rest).unwrap_or(0) == other.checked_shr(rest).unwrap_or(0)
}

/// Says whether an address can be that of a host of the Internet at large (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            // Only global unicast, without the parts of it that lead elsewhere or nowhere.
            (0x2000..0x4000).contains(&first)
                && first != 0x2002
                && !(first == 0x2001 && v6.segments()[1] < 0x0200)
                && !(first == 0x2001 && v6.segments()[1] == 0x0db8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_refused_unless_it_is_allowed() {
        let guard = Guard::default();
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
        ] {
            assert!(!guard.allows(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"] {
            assert!(guard.allows(outside.parse().unwrap()), "{outside}");
        }
        let open = Guard::parse("127.0.0.0/8, ::1").unwrap();
        assert!(open.allows("127.9.9.9".parse().unwrap()));
        assert!(open.allows("::1".parse().unwrap()));
        assert!(!open.allows("10.0.0.1".parse().unwrap()));
        assert!(Guard::parse("0.0.0.0/0").unwrap().allows("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["localhost", "10.0.0.0/33", "10.0.0/8", "::1/129", "a"] {
            assert!(Guard::parse(text).is_err(), "{text}");
        }
    }
}
