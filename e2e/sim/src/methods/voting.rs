//! 007: Democratically Finding the Cause of Packet Drops (Arzani et al., NSDI 2018).
//!
//! Each flow that retransmitted votes for every link of its path with weight 1/h, h being the path's length; the link
//! with the most votes is blamed, the votes of its flows are taken back, and so on while the leader has a given share
//! of all votes (their Algorithm 1; 1% there).
//!
//! Adapted: links of a Clos tier carry about as many flows each, our components don't (every flow crosses one zone
//! at least), so that votes alone would always elect a zone. A candidate must therefore also be voted for `RATIO` times as densely as
//! the flows that don't cross it.

use super::path::{Crossing, Spot, Tally};
use super::{Blamed, Finding, Method, Observed, Slide};

const SHARE: f64 = 0.03;
const RATIO: f64 = 3.0;
/// Flows over a candidate.
const FLOWS: f64 = 8.0;
const MOST_BLAMED: usize = 8;

#[derive(Debug, Default)]
pub struct Voting {
    slide: Slide,
}

/// Votes and flows of a component.
#[derive(Debug, Clone, Copy, Default)]
struct Poll {
    votes: f64,
    voters: f64,
    flows: f64,
}

fn poll<'a>(crossings: impl Iterator<Item = &'a Crossing>) -> (Tally<Poll>, Poll) {
    let mut polls: Tally<Poll> = Tally::default();
    let mut all = Poll::default();
    for crossing in crossings.filter(|crossing| crossing.tried > 0) {
        let voter = if crossing.bad > 0 { 1.0 } else { 0.0 };
        let vote = voter / crossing.spots().len().max(1) as f64;
        all.votes += voter;
        all.voters += voter;
        all.flows += 1.0;
        for spot in crossing.spots() {
            if let Some(poll) = polls.at(*spot) {
                poll.votes += vote;
                poll.voters += voter;
                poll.flows += 1.0;
            }
        }
    }
    (polls, all)
}

impl Method for Voting {
    fn observe_history(&mut self, window: &Observed<'_>) {
        self.slide.push(window.crossings);
    }

    fn verdict(&mut self, window: &Observed<'_>) -> Finding {
        self.slide.push(window.crossings);
        let mut blamed: Vec<Spot> = Vec::new();
        let (_, first) = poll(self.slide.crossings());
        while blamed.len() < MOST_BLAMED {
            let left =
                self.slide.crossings().filter(|crossing| !blamed.iter().any(|spot| crossing.crosses(*spot)));
            let (polls, all) = poll(left);
            let dense = |poll: &Poll| {
                let inside = poll.voters / poll.flows.max(1.0);
                let outside = (all.voters - poll.voters + 1.0) / (all.flows - poll.flows + 1.0);
                poll.flows >= FLOWS && inside >= RATIO * outside
            };
            let leader = polls
                .iter()
                .filter(|(_, poll)| dense(poll) && poll.votes >= SHARE * first.votes)
                .max_by(|(a, x), (b, y)| x.votes.total_cmp(&y.votes).then(b.cmp(a)));
            match leader {
                Some((spot, _)) => blamed.push(spot),
                None => break,
            }
        }
        let blamed = blamed.into_iter().filter_map(|spot| window.atlas.component(spot).cloned());
        Finding { blamed: blamed.map(Blamed::plainly).collect(), ..Finding::default() }
    }
}
