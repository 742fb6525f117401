//! Connection attempts one by one: how long a client waits for an answer, when it tries again, and what its agent sees
//! at the window's edge.

use crate::random::Dice;

/// Seconds after the first SYN at which the kernel sends another (tcp(7), `tcp_syn_retries` 6).
const SYN_AGAIN: [f64; 6] = [1.0, 3.0, 7.0, 15.0, 31.0, 63.0];
/// A connection attempt counts as unanswered once it is this old (flow-records.md).
const UNANSWERED_S: f64 = 3.0;
/// More than this many at once nobody waits for.
const MOST_WAITING: usize = 400;

/// The connection behaviour of a flow's client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Seconds after which it gives an attempt up.
    pub patience: f64,
    /// Seconds until it tries again.
    pub backoff: f64,
    /// Chance that it tries again at all, where it isn't to restore a connection that it keeps.
    pub insists: f64,
}

impl Manner {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        Self {
            patience: dice.pick(&[1.0, 2.0, 3.0, 5.0, 5.0, 10.0, 30.0, 127.0]).copied().unwrap_or(5.0),
            backoff: dice.log_uniform(0.2, 5.0),
            insists: 0.4,
        }
    }

    /// Of a few clients without a time-out, or of a pool that tries now and then.
    pub(crate) fn patient(dice: &mut Dice) -> Self {
        if dice.chance(0.4) {
            Self { patience: 127.0, backoff: dice.log_uniform(1.0, 30.0), insists: 1.0 }
        } else {
            Self { patience: dice.uniform(3.0, 30.0), backoff: dice.log_uniform(5.0, 60.0), insists: 1.0 }
        }
    }
}

/// The probabilities of what can happen to a SYN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Odds {
    pub refused: f64,
    /// Share of connections none of whose SYNs is answered while this lasts.
    pub unanswered: f64,
    /// Chance that one SYN, or its answer, is lost.
    pub loss: f64,
    /// Chance that the first SYN is answered only after a second, nothing lost.
    pub late: f64,
}

/// The outcomes of one window's attempts, as the client's agent counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub attempted: u64,
    pub established: u64,
    pub refused: u64,
    pub timed_out: u64,
    pub waiting: u64,
    /// Attempts that ended without a connection.
    pub ended: u64,
    /// SYNs sent again.
    pub syn_again: u64,
    /// Connections that came up after a second or more.
    pub late: u64,
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    start: f64,
    /// It isn't answered before the fault's end.
    lost: bool,
    /// It was counted as unanswered in a window before.
    counted: bool,
    /// It is to restore a connection that the client keeps.
    kept: bool,
}

/// Attempts of one flow's client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    waiting: Vec<Attempt>,
    /// When it dials again, and whether for a connection that it keeps.
    again: Vec<(f64, bool)>,
    /// Connections that it keeps and that are down.
    pub broken: u64,
}

impl Caller {
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.again.is_empty()
    }

    /// Connections still in SYN_SENT.
    pub(crate) fn open(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// So many connections that the client keeps are cut; it notices within some seconds and dials again.
    pub(crate) fn cut(&mut self, connections: u64, at: f64, notices_within: f64, dice: &mut Dice) {
        for _ in 0..connections.min(MOST_WAITING as u64) {
            self.again.push((at + dice.uniform(0.1, notices_within), true));
            self.broken += 1;
        }
    }

    /// Forgets the attempts that wait, since the server that they dialled is gone for good.
    pub(crate) fn forget(&mut self) {
        self.waiting.clear();
    }

    /// `fresh` connections are dialled between `from` and `until`, besides those that are tried again.
    pub(crate) fn dial(
        &mut self,
        fresh: u64,
        (from, until): (f64, f64),
        odds: Odds,
        manner: Manner,
        tally: &mut Tally,
        dice: &mut Dice,
    ) {
        let trouble = odds.refused + odds.unanswered + odds.loss > 1e-9;
        if !trouble && self.is_idle() {
            let late = dice.binomial(fresh, odds.late);
            tally.attempted += fresh;
            tally.established += fresh;
            tally.syn_again += late;
            tally.late += late;
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        for mut attempt in waiting {
            attempt.lost &= odds.unanswered > 0.0;
            self.wait(attempt, from, until, odds, manner, tally, dice);
        }
        let mut due: Vec<(f64, bool)> = (0..fresh).map(|_| (dice.uniform(from, until), false)).collect();
        while let Some((at, kept)) = due.pop().or_else(|| self.next_due(until)) {
            let at = at.max(from);
            tally.attempted += 1;
            if dice.chance(odds.refused) {
                tally.refused += 1;
                tally.ended += 1;
                self.later(at + manner.backoff, kept, manner, dice);
                continue;
            }
            let lost = dice.chance(odds.unanswered);
            if !lost && !dice.chance(odds.loss) {
                let late = u64::from(dice.chance(odds.late));
                tally.syn_again += late;
                tally.late += late;
                self.up(kept, tally);
                continue;
            }
            self.wait(
                Attempt { start: at, lost, counted: false, kept },
                at,
                until,
                odds,
                manner,
                tally,
                dice,
            );
        }
    }

    fn next_due(&mut self, until: f64) -> Option<(f64, bool)> {
        let due = self.again.iter().position(|(at, _)| *at < until)?;
        Some(self.again.swap_remove(due))
    }

    fn later(&mut self, at: f64, kept: bool, manner: Manner, dice: &mut Dice) {
        if kept || (dice.chance(manner.insists) && self.again.len() < MOST_WAITING) {
            self.again.push((at, kept));
        }
    }

    fn up(&mut self, kept: bool, tally: &mut Tally) {
        tally.established += 1;
        self.broken = self.broken.saturating_sub(u64::from(kept));
    }

    /// An attempt lives through the time from `from` to `until`.
    #[expect(clippy::too_many_arguments, reason = "an attempt, its time, its odds, and where it is counted")]
    fn wait(
        &mut self,
        attempt: Attempt,
        from: f64,
        until: f64,
        odds: Odds,
        manner: Manner,
        tally: &mut Tally,
        dice: &mut Dice,
    ) {
        let deadline = attempt.start + manner.patience;
        for again in SYN_AGAIN.iter().map(|after| attempt.start + after) {
            if again < from || again >= until.min(deadline) {
                continue;
            }
            tally.syn_again += 1;
            if !attempt.lost && !dice.chance(odds.loss) {
                tally.late += 1;
                return self.up(attempt.kept, tally);
            }
        }
        if deadline < until {
            tally.timed_out += u64::from(!attempt.counted);
            tally.ended += 1;
            return self.later(deadline + manner.backoff, attempt.kept, manner, dice);
        }
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push(attempt);
        }
    }

    /// The window ends at `at`: the agent looks at what is still unanswered.
    pub(crate) fn edge(&mut self, at: f64, tally: &mut Tally) {
        for attempt in &mut self.waiting {
            if attempt.counted {
                tally.waiting += 1;
            } else if at - attempt.start >= UNANSWERED_S {
                attempt.counted = true;
                tally.timed_out += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAR: Odds = Odds { refused: 0.0, unanswered: 0.0, loss: 0.0, late: 0.0 };
    const BLOCKED: Odds = Odds { unanswered: 1.0, ..CLEAR };
    const PATIENT: Manner = Manner { patience: 127.0, backoff: 10.0, insists: 1.0 };

    fn windows(caller: &mut Caller, odds: &[Odds], manner: Manner) -> Vec<Tally> {
        let mut dice = Dice::new(1);
        let window = |(n, odds): (usize, &Odds)| {
            let (from, until) = (n as f64 * 15.0, (n + 1) as f64 * 15.0);
            let mut tally = Tally::default();
            caller.dial(0, (from, until), *odds, manner, &mut tally, &mut dice);
            caller.edge(until, &mut tally);
            tally
        };
        odds.iter().enumerate().map(window).collect()
    }

    #[test]
    fn a_patient_client_is_counted_once_and_then_waits() {
        let mut caller = Caller::default();
        caller.cut(1, 0.0, 1.0, &mut Dice::new(2));
        let seen = windows(&mut caller, &[BLOCKED; 3], PATIENT);
        let of = |n: usize| (seen[n].attempted, seen[n].timed_out, seen[n].waiting);
        assert_eq!([of(0), of(1), of(2)], [(1, 1, 0), (0, 0, 1), (0, 0, 1)]);
    }

    #[test]
    fn who_waits_gets_through_at_the_next_try_once_the_block_is_lifted() {
        let mut caller = Caller::default();
        caller.cut(1, 0.0, 1.0, &mut Dice::new(2));
        let seen = windows(&mut caller, &[BLOCKED, CLEAR, CLEAR], PATIENT);
        assert_eq!(seen.iter().map(|tally| tally.established).sum::<u64>(), 1);
        assert!(caller.is_idle() && caller.broken == 0);
    }

    #[test]
    fn who_gives_up_tries_again_after_its_back_off() {
        let mut caller = Caller::default();
        caller.cut(1, 0.0, 1.0, &mut Dice::new(2));
        let seen = windows(&mut caller, &[BLOCKED; 4], Manner { patience: 5.0, ..PATIENT });
        assert_eq!(seen.iter().map(|tally| tally.attempted).sum::<u64>(), 4);
        assert_eq!(
            seen.iter().map(|tally| tally.waiting).sum::<u64>(),
            0,
            "five seconds span one edge at most"
        );
    }
}
