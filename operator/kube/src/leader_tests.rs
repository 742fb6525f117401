use super::*;

const A: &str = "a";
const B: &str = "b";

fn candidate(identity: &str) -> Candidate {
    Candidate {
        namespace: "tidewatch-system".to_owned(),
        lease: "tidewatch-operator".to_owned(),
        owner: "tidewatch-agent-template".to_owned(),
        identity: identity.to_owned(),
        timing: Timing::default(),
    }
}

/// The apiserver's copy of the lease: a write needs the version that it was read at.
#[derive(Default)]
struct Server {
    lease: Option<Lease>,
    version: u64,
}

impl Server {
    fn write(&mut self, mut lease: Lease) -> bool {
        let current = self.lease.as_ref().and_then(|l| l.metadata.resource_version.clone());
        if lease.metadata.resource_version != current {
            return false;
        }
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease);
        true
    }
}

/// A replica as the loop drives it, on a clock of its own.
struct Replica {
    candidate: Candidate,
    machine: Machine,
    /// Start of the last successful renewal, while it thinks that it leads.
    renewed: Option<Instant>,
}

impl Replica {
    fn new(identity: &str) -> Self {
        Self { candidate: candidate(identity), machine: Machine::default(), renewed: None }
    }

    fn step(&mut self, server: &mut Server, reachable: bool, now: Instant) {
        if let Some(renewed) = self.renewed
            && now.duration_since(renewed) >= self.candidate.timing.renew_deadline
        {
            self.renewed = None;
        }
        if !reachable {
            return;
        }
        let read = server.lease.clone();
        let wall = Timestamp::UNIX_EPOCH;
        let wrote = match self.machine.decide(&self.candidate.identity, read.as_ref(), now) {
            Decision::Wait => false,
            Decision::Create => server.write(self.candidate.first_lease(wall)),
            Decision::Renew | Decision::TakeOver => server.write(self.candidate.taken(read.unwrap(), wall)),
        };
        if wrote {
            self.renewed = Some(now);
        }
    }

    fn leads(&self, now: Instant) -> bool {
        self.renewed.is_some_and(|r| now.duration_since(r) < self.candidate.timing.renew_deadline)
    }
}

#[tokio::test]
async fn the_first_candidate_leads_and_the_second_waits() {
    let (mut server, start) = (Server::default(), Instant::now());
    let (mut a, mut b) = (Replica::new(A), Replica::new(B));
    for second in (0..120).step_by(4) {
        let now = start + Duration::from_secs(second);
        a.step(&mut server, true, now);
        b.step(&mut server, true, now + Duration::from_millis(500));
        assert!(a.leads(now) && !b.leads(now), "second {second}");
    }
}

#[tokio::test]
async fn a_replica_that_lost_the_apiserver_stops_before_another_starts() {
    // Whatever the phase between the two, there is a moment when nobody leads, and none when both do.
    for phase_ms in (0..4000).step_by(100) {
        let (mut server, start) = (Server::default(), Instant::now());
        let (mut a, mut b) = (Replica::new(A), Replica::new(B));
        let mut gap = false;
        for tenth in 0..600_u64 {
            let ms = tenth * 100;
            let now = start + Duration::from_millis(ms);
            if ms % 4000 == 0 {
                a.step(&mut server, ms < 20_000, now);
            }
            if ms % 4000 == phase_ms {
                b.step(&mut server, true, now);
            }
            assert!(!(a.leads(now) && b.leads(now)), "both lead at {ms} ms, phase {phase_ms}");
            gap |= ms > 4000 && !a.leads(now) && !b.leads(now);
        }
        assert!(gap && b.leads(start + Duration::from_secs(60)), "phase {phase_ms}");
    }
}

#[tokio::test]
async fn a_released_lease_is_taken_at_once() {
    let (mut server, start) = (Server::default(), Instant::now());
    let mut a = Replica::new(A);
    a.step(&mut server, true, start);
    let mut lease = server.lease.clone().unwrap();
    lease.spec.as_mut().unwrap().holder_identity = None;
    assert!(server.write(lease));
    let mut b = Replica::new(B);
    b.step(&mut server, true, start + Duration::from_secs(1));
    assert!(b.leads(start + Duration::from_secs(1)));
}

#[tokio::test]
async fn a_candidate_counts_from_when_it_first_saw_the_lease_not_from_the_holder_s_clock() {
    let (mut server, start) = (Server::default(), Instant::now());
    let mut a = Replica::new(A);
    // The lease's renewTime is of 1970: a holder whose clock is wrong still holds it.
    a.step(&mut server, true, start);
    let mut b = Replica::new(B);
    b.step(&mut server, true, start + Duration::from_secs(1));
    assert!(!b.leads(start + Duration::from_secs(1)));
    b.step(&mut server, true, start + Duration::from_secs(15));
    assert!(!b.leads(start + Duration::from_secs(15)));
    b.step(&mut server, true, start + Duration::from_secs(17));
    assert!(b.leads(start + Duration::from_secs(17)));
}

#[tokio::test]
async fn of_two_candidates_that_take_over_at_once_one_wins() {
    let (mut server, start) = (Server::default(), Instant::now());
    let stale = candidate("gone").first_lease(Timestamp::UNIX_EPOCH);
    assert!(server.write(stale));
    let read = server.lease.clone().unwrap();
    let later = start + Duration::from_secs(60);
    for replica in [&mut Replica::new(A), &mut Replica::new(B)] {
        replica.machine.decide(&replica.candidate.identity, Some(&read), start);
        assert_eq!(
            replica.machine.decide(&replica.candidate.identity, Some(&read), later),
            Decision::TakeOver
        );
    }
    assert!(server.write(candidate(A).taken(read.clone(), Timestamp::UNIX_EPOCH)));
    assert!(!server.write(candidate(B).taken(read, Timestamp::UNIX_EPOCH)));
}

#[test]
fn the_leader_s_last_write_ends_before_the_lease_does() {
    let timing = Timing::default();
    assert!(timing.renew_deadline + Duration::from_secs(3) <= timing.lease);
    assert!(timing.period * 2 < timing.renew_deadline);
}

#[test]
fn a_leader_doesn_t_sleep_beyond_its_deadline() {
    let (timing, renewed) = (Timing::default(), Instant::now());
    for (failed_after, next) in [(0, 4), (5, 9), (6, 10), (9, 10)] {
        let now = renewed + Duration::from_secs(failed_after);
        assert_eq!(timing.next_try(renewed, now), renewed + Duration::from_secs(next), "{failed_after}");
    }
}
