//! Which addresses may be reached. A canary is written by whoever may write in a namespace, and runs in the operator's
//! network position: without limits it would be a way to the metadata service, the node and the apiserver.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Which addresses may be reached. The default denies loopback and link-local addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetPolicy {
    /// Allow the operator's own loopback.
    pub loopback: bool,
    /// Allow link-local addresses, and with them the metadata services of clouds (169.254.169.254, fd00:ec2::254).
    pub link_local: bool,
    /// Denied beyond that, such as the apiserver's addresses.
    pub denied: Vec<IpNet>,
    /// Allowed in spite of all that. Unspecified, multicast and broadcast addresses stay refused.
    pub allowed: Vec<IpNet>,
}

/// Why an address isn't allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address} isn't allowed as a target: {why}")]
pub(crate) struct Refused {
    pub(crate) address: IpAddr,
    pub(crate) why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    #[error("it is unspecified, and would be the operator itself")]
    Unspecified,
    #[error("it is a multicast address")]
    Multicast,
    #[error("it is the broadcast address")]
    Broadcast,
    #[error("it is the operator's own loopback; the chart's canary.targets.allow permits exceptions")]
    Loopback,
    #[error(
        "it is link-local, where the metadata of the cloud is; the chart's canary.targets.allow permits exceptions"
    )]
    LinkLocal,
    #[error(
        "it is the API server or in another denied range ({0}); the chart's canary.targets.allow permits exceptions"
    )]
    Denied(IpNet),
}

impl TargetPolicy {
    /// Whether `address` may be connected to.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let forms = std::iter::once(address).chain(embedded(address).map(IpAddr::V4));
        if let Some(why) = forms.clone().find_map(never) {
            return Err(Refused { address, why });
        }
        if forms.clone().any(|form| self.allowed.iter().any(|net| net.contains(&form))) {
            return Ok(());
        }
        match forms.into_iter().find_map(|form| self.why_not(form)) {
            Some(why) => Err(Refused { address, why }),
            None => Ok(()),
        }
    }

    fn why_not(&self, address: IpAddr) -> Option<Why> {
        if !self.loopback && address.is_loopback() {
            return Some(Why::Loopback);
        }
        if !self.link_local && is_link_local(address) {
            return Some(Why::LinkLocal);
        }
        self.denied.iter().find(|net| net.contains(&address)).copied().map(Why::Denied)
    }
}

/// What nobody may allow: it names no target.
fn never(address: IpAddr) -> Option<Why> {
    match address {
        // Linux takes all of 0.0.0.0/8 but 0.0.0.0 itself for unreachable; other kernels reach themselves.
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some(Why::Unspecified),
        IpAddr::V4(v4) if v4.is_broadcast() => Some(Why::Broadcast),
        IpAddr::V6(v6) if v6.is_unspecified() => Some(Why::Unspecified),
        _ if address.is_multicast() => Some(Why::Multicast),
        _ => None,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        // AWS keeps the services of the instance (metadata, pod identity) in fd00:ec2::/32:
        // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.segments()[..2] == [0xfd00, 0x0ec2],
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped and compatible (RFC 4291), NAT64 (RFC 6052, and the local
/// prefix of RFC 8215 with its longest form), 6to4 (RFC 3056).
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    let tail = |v6: Ipv6Addr| {
        let [.., a, b, c, d] = v6.octets();
        Ipv4Addr::new(a, b, c, d)
    };
    match v6.segments() {
        _ if v6.is_unspecified() || v6.is_loopback() => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] | [0x64, 0xff9b, 1, ..] => {
            Some(tail(v6))
        }
        [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(policy: &TargetPolicy, address: &str) -> Option<Why> {
        policy.check(address.parse().unwrap()).err().map(|refused| refused.why)
    }

    fn nets(nets: &[&str]) -> Vec<IpNet> {
        nets.iter().map(|net| net.parse().unwrap()).collect()
    }

    #[test]
    fn the_default_refuses_the_operator_s_own_neighbourhood_in_every_form() {
        let policy = TargetPolicy::default();
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert_eq!(why(&policy, address), Some(Why::Loopback), "{address}");
        }
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
        ] {
            assert_eq!(why(&policy, address), Some(Why::LinkLocal), "{address}");
        }
        for address in ["10.0.0.1", "93.184.216.34", "2001:db8::1", "fd00::1", "64:ff9b::5db8:d822"] {
            assert_eq!(why(&policy, address), None, "{address}");
        }
    }

    #[test]
    fn what_names_no_target_stays_refused_whatever_is_allowed() {
        let policy = TargetPolicy {
            loopback: true,
            link_local: true,
            denied: Vec::new(),
            allowed: nets(&["0.0.0.0/0", "::/0"]),
        };
        for (address, expected) in [
            ("0.0.0.0", Why::Unspecified),
            ("0.1.2.3", Why::Unspecified),
            ("::", Why::Unspecified),
            ("::ffff:0.0.0.0", Why::Unspecified),
            ("64:ff9b::", Why::Unspecified),
            ("255.255.255.255", Why::Broadcast),
            ("224.0.0.1", Why::Multicast),
            ("ff02::1", Why::Multicast),
            ("::ffff:224.0.0.1", Why::Multicast),
        ] {
            assert_eq!(why(&policy, address), Some(expected), "{address}");
        }
        for address in ["127.0.0.1", "::1", "169.254.169.254", "10.0.0.1"] {
            assert_eq!(why(&policy, address), None, "{address}");
        }
    }

    #[test]
    fn an_exception_wins_over_what_is_denied() {
        let policy = TargetPolicy {
            denied: nets(&["10.96.0.1/32", "192.168.0.0/16"]),
            allowed: nets(&["192.168.7.0/24", "127.0.0.2/32"]),
            ..TargetPolicy::default()
        };
        assert_eq!(why(&policy, "10.96.0.1"), Some(Why::Denied("10.96.0.1/32".parse().unwrap())));
        assert_eq!(why(&policy, "::ffff:10.96.0.1"), Some(Why::Denied("10.96.0.1/32".parse().unwrap())));
        assert_eq!(why(&policy, "10.96.0.2"), None);
        assert!(matches!(why(&policy, "192.168.1.1"), Some(Why::Denied(_))));
        assert_eq!(why(&policy, "192.168.7.1"), None);
        assert_eq!(why(&policy, "127.0.0.2"), None);
        assert_eq!(why(&policy, "127.0.0.1"), Some(Why::Loopback));
    }

    #[test]
    fn the_refusal_says_what_permits_an_exception() {
        let policy = TargetPolicy { denied: nets(&["10.96.0.1/32"]), ..TargetPolicy::default() };
        let refused = policy.check("10.96.0.1".parse().unwrap()).unwrap_err().to_string();
        assert!(
            refused.starts_with("10.96.0.1 isn't allowed as a target: it is the API server"),
            "{refused}"
        );
        assert!(refused.contains("canary.targets.allow"), "{refused}");
    }
}
