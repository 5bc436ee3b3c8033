//! Which addresses are public: those that may be asked for the sake of whoever asked us, because nobody's own network
//! is behind them. It never looks a name up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why nothing is asked at an address, as the end of a sentence; `None` if it is public.
pub(super) fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => not_public_v6(address),
    }
}

/// Networks of IPv4 that are not public, by their first address and the length of their prefix.
const NOT_PUBLIC_V4: &[([u8; 4], u32, &str)] = &[
    ([0, 0, 0, 0], 8, "unspecified"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "shared by a carrier's customers"),
    ([127, 0, 0, 0], 8, "of this machine itself"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "reserved for protocols"),
    ([192, 0, 2, 0], 24, "for documentation"),
    ([192, 88, 99, 0], 24, "of a relay"),
    ([192, 168, 0, 0], 16, "private"),
    ([198, 18, 0, 0], 15, "for benchmarks"),
    ([198, 51, 100, 0], 24, "for documentation"),
    ([203, 0, 113, 0], 24, "for documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved or broadcast"),
];

/// Networks of IPv6 that are not public, although some of them lie in the part that can be.
const NOT_PUBLIC_V6: &[([u16; 8], u32, &str)] = &[
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified"),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "of this machine itself"),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique-local"),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local"),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "reserved for protocols"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "for documentation"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "for documentation"),
];

/// The part of IPv6 in which public addresses lie.
const GLOBAL_UNICAST: ([u16; 8], u32) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    let within = |(first, length, _): &&([u8; 4], u32, &str)| {
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        (address.to_bits() ^ u32::from_be_bytes(*first)) & mask == 0
    };
    NOT_PUBLIC_V4.iter().find(within).map(|(_, _, why)| *why)
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(inner) = inner(address) {
        return inner.into_iter().find_map(not_public_v4);
    }
    if let Some((_, _, why)) = NOT_PUBLIC_V6.iter().find(|(first, length, _)| within(address, *first, *length)) {
        return Some(why);
    }
    let (first, length) = GLOBAL_UNICAST;
    (!within(address, first, length)).then_some("not of the public part of IPv6")
}

/// The IPv4 addresses that traffic to an address of IPv6 ends at, if it is one that only wraps them.
fn inner(address: Ipv6Addr) -> Option<Vec<Ipv4Addr>> {
    let bytes = address.octets();
    let at = |from: usize| Ipv4Addr::new(bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]);
    match address.segments() {
        // Mapped, and as translated by NAT64.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(vec![at(12)]),
        // 6to4.
        [0x2002, ..] => Some(vec![at(2)]),
        // Teredo: the server, and the client with every bit turned over.
        [0x2001, 0, ..] => Some(vec![at(4), Ipv4Addr::from_bits(!at(12).to_bits())]),
        _ => None,
    }
}

fn within(address: Ipv6Addr, first: [u16; 8], length: u32) -> bool {
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    (address.to_bits() ^ Ipv6Addr::from(first).to_bits()) & mask == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_network_are_public() {
        for (address, public) in [
            ("1.1.1.1", true),
            ("8.8.8.8", true),
            ("9.255.255.255", true),
            ("11.0.0.0", true),
            ("100.63.255.255", true),
            ("100.128.0.0", true),
            ("172.15.255.255", true),
            ("172.32.0.0", true),
            ("192.167.255.255", true),
            ("192.0.1.0", true),
            ("198.17.255.255", true),
            ("198.20.0.0", true),
            ("223.255.255.255", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("10.0.0.1", false),
            ("10.255.255.255", false),
            ("100.64.0.1", false),
            ("100.127.255.255", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.8", false),
            ("192.0.2.1", false),
            ("192.88.99.1", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("198.19.255.255", false),
            ("198.51.100.7", false),
            ("203.0.113.7", false),
            ("224.0.0.1", false),
            ("239.255.255.255", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700:4700::1111", true),
            ("2a00:1450:4001::8a", true),
            ("2001:200::1", true),
            ("2001:dba::1", true),
            ("::", false),
            ("::1", false),
            ("::7f00:1", false),
            ("::8.8.8.8", false),
            ("::ffff:8.8.8.8", true),
            ("::ffff:127.0.0.1", false),
            ("::ffff:10.1.2.3", false),
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::8.8.8.8", true),
            ("64:ff9b::192.168.0.1", false),
            ("64:ff9b:1::8.8.8.8", false),
            ("2002:808:808::1", true),
            ("2002:7f00:1::1", false),
            ("2002:a00:1::1", false),
            // The server 8.8.8.8; the client is what stands at the end, turned over.
            ("2001:0:808:808::f7f7:f7f7", true),
            ("2001:0:808:808::80ff:fffe", false),
            ("2001:0:a00:1::f7f7:f7f7", false),
            ("2001:2::1", false),
            ("2001:10::1", false),
            ("2001:20::1", false),
            ("2001:db8::1", false),
            ("3fff:1::1", false),
            ("5f00::1", false),
            ("100::1", false),
            ("fc00::1", false),
            ("fd12:3456::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ] {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(not_public(parsed).is_none(), public, "{address}: {:?}", not_public(parsed));
        }
    }
}
