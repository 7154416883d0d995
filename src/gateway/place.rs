//! Which addresses are nobody's but this machine's or this network's own. A link that a remote tells may lead there only
//! where the remote itself is there, or where the user allows it: else whoever answers in the remote's name could have
//! services asked that only this machine can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// Whether an address is reached only from this machine or its network, or is none that a file host could have.
///
/// 198.18.0.0/15 is not among them, although it is nobody's: resolvers of proxies give addresses out of it for names of the
/// whole world.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => is_private_v6(ip),
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    // 0.0.0.0/8 is this machine on many systems; 100.64.0.0/10 is a provider's own network.
    a == 0
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || (a == 100 && (64..128).contains(&b))
        || ip.is_multicast()
        || a >= 240
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    let octets = ip.octets();
    let v4_at = |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
    if ip.to_ipv4_mapped().is_some() || (first, second) == (0x0064, 0xff9b) || octets[..12] == [0; 12] {
        // An IPv4 address by another name; `::` and `::1` are among them.
        return ip.is_loopback() || is_private_v4(v4_at(12));
    }
    if first == 0x2002 {
        return is_private_v4(v4_at(2));
    }
    // fc00::/7, fe80::/10 with the retired fec0::/10, ff00::/8.
    first & 0xfe00 == 0xfc00 || first & 0xff80 == 0xfe80 || first & 0xff00 == 0xff00
}

/// Whether `url` says by itself that it leads to such an address: by number, or by a name that always does. What other
/// names lead to shows when they are looked up.
#[must_use]
pub fn leads_to_private(url: &Url) -> bool {
    url.host_str().is_some_and(is_private_host)
}

/// The same of the host that stands in a URL.
#[must_use]
pub fn is_private_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    bare.parse().map_or_else(|_| bare == "localhost" || bare.ends_with(".localhost"), is_private)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_ones_own_are_told_from_those_of_the_world() {
        for own in [
            "0.0.0.0",
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(is_private(own.parse().unwrap()), "{own}");
        }
        for world in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "198.18.0.7",
            "8.8.8.8",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::",
            "2606:4700::1",
        ] {
            assert!(!is_private(world.parse().unwrap()), "{world}");
        }
    }

    #[test]
    fn an_address_is_recognised_however_it_is_written() {
        let own = |text: &str| leads_to_private(&Url::parse(text).unwrap());
        for url in [
            "http://127.0.0.1/v",
            "http://2130706433/v",
            "http://0x7f.1/v",
            "http://0177.0.0.1/v",
            "http://127.1/v",
            "http://[::ffff:127.0.0.1]/v",
            "http://LOCALHOST./v",
            "http://a.localhost/v",
            "http://user@169.254.169.254/v",
            "http://１２７.0.0.1/v",
        ] {
            assert!(own(url), "{url}");
        }
        for url in
            ["https://cdn.klingai.com/v", "http://localhost.example/v", "https://8.8.8.8/v", "http://127.0.0.1.a/v"]
        {
            assert!(!own(url), "{url}");
        }
        // Stores of pictures, as their links name them.
        for url in ["http://127.0.0.1:9000/b/a", "http://[::1]/a", "http://10.0.0.8/a", "http://b.localhost:1/a"] {
            assert!(own(url), "{url}");
        }
        for url in ["https://b.s3.eu-central-1.amazonaws.com/a", "https://203.0.113.9/a", "http://minio:9000/a"] {
            assert!(!own(url), "{url}");
        }
    }
}
