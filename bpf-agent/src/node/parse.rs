//! Parsers for the kernel's files below /proc. Pure; a text in another format than expected gives `None`.

/// Microseconds since boot in which some task waited: `total` of the line `some` of /proc/pressure/*.
pub(super) fn stalled_us(pressure: &str) -> Option<u64> {
    let line = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

/// Processor time since boot over all CPUs, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuTimes {
    pub total: u64,
    /// Idle time, including the time of waiting for a disk.
    pub idle: u64,
    pub softirq: u64,
    pub steal: u64,
}

/// Parses the first line of /proc/stat: user nice system idle iowait irq softirq steal guest guest_nice. The time of
/// guests is included in user and nice.
pub(super) fn cpu_times(stat: &str) -> Option<CpuTimes> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> =
        line.split_ascii_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [_, _, _, idle, iowait, _, softirq, steal] = *<&[u64; 8]>::try_from(ticks.as_slice()).ok()?;
    Some(CpuTimes { total: ticks.iter().sum(), idle: idle + iowait, softirq, steal })
}

/// Counters of the receive path over all CPUs that are online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softnet {
    pub cpus: usize,
    pub dropped: u64,
    pub squeezed: u64,
}

/// Parses /proc/net/softnet_stat: a line of hexadecimal numbers for each CPU, the first three of which are processed,
/// dropped and time_squeeze.
pub(super) fn softnet(text: &str) -> Option<Softnet> {
    let mut sum = Softnet { cpus: 0, dropped: 0, squeezed: 0 };
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().skip(1);
        let mut number = || u64::from_str_radix(words.next()?, 16).ok();
        sum.dropped += number()?;
        sum.squeezed += number()?;
        sum.cpus += 1;
    }
    (sum.cpus > 0).then_some(sum)
}

/// Counters of listening sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    pub overflows: u64,
    pub drops: u64,
}

/// Parses /proc/net/netstat, which has a line of names and a line of values for each group.
pub(super) fn listening(netstat: &str) -> Option<Listening> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let value = |wanted: &str| {
        let mut pairs = names.split_ascii_whitespace().zip(values.split_ascii_whitespace());
        pairs.find(|(name, _)| *name == wanted)?.1.parse().ok()
    };
    Some(Listening { overflows: value("ListenOverflows")?, drops: value("ListenDrops")? })
}

/// Names of the interfaces in /proc/net/dev, which has two lines of headings.
pub(super) fn interfaces(dev: &str) -> impl Iterator<Item = &str> {
    dev.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRESSURE: &str = "some avg10=12.86 avg60=10.17 avg300=6.09 total=45525521
full avg10=0.00 avg60=0.00 avg300=0.00 total=17\n";
    const STAT: &str = "cpu  72747 1 11947 49704 817 2 96 48 5 0
cpu0 36373 0 5973 24852 408 0 48 24 0 0
intr 1234 0 0\n";
    const SOFTNET: &str = "00000010 00000002 0000000a 00000000 00000000 00000000 00000000 00000000 00000000
000021b4 00000001 00000100 00000000 00000000 00000000 00000000 00000000 00000001\n";
    const NETSTAT: &str = "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPHPHits
TcpExt: 0 12 34 5
IpExt: InNoRoutes ListenDrops
IpExt: 7 8\n";
    const DEV: &str = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo:    3193      29    0    0    0     0          0         0     3193      29    0
veth0123@if2: 1 2
  eth0: 333034179    8615    0    0    0     0          0         0   443867    4951    0\n";

    #[test]
    fn the_time_of_some_is_read_not_that_of_full() {
        assert_eq!(stalled_us(PRESSURE), Some(45_525_521));
        assert_eq!(stalled_us("full avg10=0.00 avg60=0.00 avg300=0.00 total=17\n"), None);
    }

    #[test]
    fn time_of_guests_counts_once_and_waiting_for_a_disk_is_idle() {
        let expected = CpuTimes { total: 135_362, idle: 50_521, softirq: 96, steal: 48 };
        assert_eq!(cpu_times(STAT), Some(expected));
        assert_eq!(cpu_times("cpu0 1 2 3 4 5 6 7 8\n"), None);
        assert_eq!(cpu_times("cpu  1 2 3 4 5 6 7\n"), None);
    }

    #[test]
    fn the_receive_path_is_summed_over_the_cpus() {
        assert_eq!(softnet(SOFTNET), Some(Softnet { cpus: 2, dropped: 3, squeezed: 0x10a }));
        assert_eq!(softnet(""), None);
    }

    #[test]
    fn listening_sockets_have_their_counters_by_name() {
        assert_eq!(listening(NETSTAT), Some(Listening { overflows: 12, drops: 34 }));
        assert_eq!(listening("IpExt: ListenOverflows ListenDrops\nIpExt: 1 2\n"), None);
    }

    #[test]
    fn interfaces_are_named_without_the_headings() {
        assert_eq!(interfaces(DEV).collect::<Vec<_>>(), ["lo", "veth0123@if2", "eth0"]);
    }

    #[test]
    fn this_kernels_own_texts_are_understood() {
        let read = |file: &str| std::fs::read_to_string(file).unwrap();
        assert!(cpu_times(&read("/proc/stat")).is_some_and(|times| times.total > times.idle));
        assert!(softnet(&read("/proc/net/softnet_stat")).is_some());
        assert!(listening(&read("/proc/net/netstat")).is_some());
        assert!(interfaces(&read("/proc/net/dev")).any(|name| name == "lo"));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "(some|cpu |TcpExt:|total=|[0-9a-f: \n])*") {
            let _ = (stalled_us(&text), cpu_times(&text), softnet(&text), listening(&text));
            let _ = interfaces(&text).count();
        }
    }
}
