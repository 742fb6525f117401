//! The evidence of one cell for a fault of a given size, as log-likelihood ratios.
//!
//! Retransmissions of one flow are taken as negative-binomial: Poisson with a rate that itself varies from flow to
//! flow (a gamma distribution about the service's ratio), because loss comes in bursts. Unanswered connection
//! requests are taken as binomial. One cell's say is bounded on both sides, so that no flow decides alone.

use crate::evidence::gamma::ln_gamma;
use crate::input::cell::{Cell, Handshakes};
use crate::learned::baseline::Expected;

/// Sizes of loss that are tried.
pub(crate) const LOSSES: [f64; 9] = [0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.15, 0.5];
/// Shares of connection requests that go unanswered, of a service that is cut off, and of one that is overloaded.
pub(crate) const UNANSWERED: [f64; 2] = [0.9, 0.25];
pub(crate) const HYPOTHESES: usize = LOSSES.len() + UNANSWERED.len();

/// A path's loss falls on flows more evenly than benign loss does.
const FAULT_SHAPE: f64 = 2.5;

/// Bounds of what one cell can contribute.
const MOST: f64 = 6.0;
const LEAST: f64 = -6.0;

/// Log-likelihood ratios of one cell, by hypothesis.
pub(crate) type Ratios = [f32; HYPOTHESES];

/// The behaviour that is expected of a cell, given all the faults found so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Null {
    pub(crate) ratio: f64,
    pub(crate) shape: f64,
    pub(crate) unanswered: f64,
    /// Share of connection requests that are lost, those sent again counted each.
    pub(crate) request_lost: f64,
}

/// Share of connection requests that get lost where nobody is at fault. On real software it was none, and 0.4% without a free
/// CPU; of a machine that stands still for a moment, answers come after more than a second, too late.
const REQUESTS_LOST: f64 = 0.05;

impl Null {
    /// As the service is used to, and what the whole cluster suffers on top.
    pub(crate) fn healthy(expected: &Expected, everywhere: f64) -> Self {
        let usual = Self {
            ratio: expected.ratio,
            shape: expected.shape,
            unanswered: expected.unanswered,
            request_lost: REQUESTS_LOST,
        };
        if everywhere > 0.0 {
            Self { unanswered: usual.unanswered, ..usual.with_loss(everywhere) }
        } else {
            usual
        }
    }

    /// With a loss on top. Two gamma-distributed ratios add up to one of about this shape (their means and variances
    /// add): a small loss doesn't make a flow's ratio any more even than it was.
    pub(crate) fn with_loss(&self, loss: f64) -> Self {
        let variance = self.ratio.powi(2) / self.shape + loss.powi(2) / FAULT_SHAPE;
        Self {
            ratio: self.ratio + loss,
            shape: (self.ratio + loss).powi(2) / variance,
            unanswered: (self.unanswered + unanswered_by(loss)).min(0.95),
            request_lost: (1.0 - (1.0 - self.request_lost) * (1.0 - request_lost_by(loss))).min(0.95),
        }
    }
}

/// Chance that a connection request is still unanswered after 3 s (sent at 0 and 1 s) when each packet of request and
/// answer is lost with probability `loss`.
fn unanswered_by(loss: f64) -> f64 {
    request_lost_by(loss).powi(2)
}

/// Chance that a connection request or its answer is lost.
fn request_lost_by(loss: f64) -> f64 {
    1.0 - (1.0 - loss) * (1.0 - loss)
}

/// Log-likelihood ratios of the cell against `null`.
pub(crate) fn ratios(cell: &Cell, null: &Null) -> Ratios {
    let mut ratios = [0.0; HYPOTHESES];
    let (by_loss, by_unanswered) = ratios.split_at_mut(LOSSES.len());
    let usual = log_likelihood(cell, null);
    for (ratio, loss) in by_loss.iter_mut().zip(LOSSES) {
        let worse = null.with_loss(loss);
        *ratio = log_likelihood(cell, &worse) - usual
            + handshakes(cell, null.unanswered, worse.unanswered)
            + lost_requests(cell, null.request_lost, worse.request_lost);
    }
    for (ratio, unanswered) in by_unanswered.iter_mut().zip(UNANSWERED) {
        *ratio = requests(cell, null, unanswered);
    }
    bounded(ratios)
}

/// Bounds what the cell can say for its best hypothesis, and lowers the others by as much: a cell that is sure of 5%
/// must not be as good a witness for 0.1%.
pub(crate) fn bounded(ratios: [f64; HYPOTHESES]) -> Ratios {
    let best = ratios.iter().copied().fold(0.0, f64::max);
    let over = (best - MOST).max(0.0);
    ratios.map(|ratio| (ratio - over).clamp(LEAST, MOST) as f32)
}

/// ln of the negative-binomial probability of the cell's retransmissions, without the part that no hypothesis changes.
fn log_likelihood(cell: &Cell, null: &Null) -> f64 {
    if cell.data.segments == 0 {
        return 0.0;
    }
    let mean = cell.data.segments as f64 * null.ratio;
    let total = mean + null.shape;
    let none = null.shape * (null.shape / total).ln();
    if cell.data.retransmissions == 0 {
        return none;
    }
    let x = cell.data.retransmissions as f64;
    rising(null.shape, cell.data.retransmissions) + x * (mean / total).ln() + none
}

/// ln Γ(shape + count) − ln Γ(shape).
fn rising(shape: f64, count: u64) -> f64 {
    if count > 24 {
        return ln_gamma(shape + count as f64) - ln_gamma(shape);
    }
    (0..count).map(|n| shape + n as f64).product::<f64>().ln()
}

fn handshakes(cell: &Cell, before: f64, after: f64) -> f64 {
    // A refusal is an answer.
    let answered = cell.handshakes.established.saturating_add(cell.handshakes.refused) as f64;
    let unanswered = cell.handshakes.unanswered as f64;
    unanswered * (after / before).ln() + answered * ((1.0 - after) / (1.0 - before)).ln()
}

/// Log-likelihood ratio for `share` of the connection requests being lost, each try counted.
fn requests(cell: &Cell, null: &Null, share: f64) -> f64 {
    let unanswered = share.max(null.unanswered);
    if cell.handshakes.lost_before_answer() == 0 {
        return handshakes(cell, null.unanswered, unanswered);
    }
    cell.handshakes.unanswered as f64 * (unanswered / null.unanswered).ln()
        + lost_requests(cell, null.request_lost, share.max(null.request_lost))
}

/// Log-likelihood ratio of the requests that were answered at a later try only; 0 where there are none.
fn lost_requests(cell: &Cell, before: f64, after: f64) -> f64 {
    let lost = cell.handshakes.lost_before_answer();
    if lost == 0 {
        return 0.0;
    }
    let answered = cell.handshakes.established.saturating_add(cell.handshakes.refused) as f64;
    lost as f64 * (after / before).ln() + answered * ((1.0 - after) / (1.0 - before)).ln()
}

/// Share of attempts that fail where nobody is let in.
const NOBODY: f64 = 0.9;

/// Log-likelihood ratio of these attempts, all of which failed, for nobody being let in against what is usual. It is bounded
/// as the say of a cell is.
pub(crate) fn nobody_is_let_in(failed: Handshakes, usual: &Expected) -> f64 {
    let of = |count: u64, usual: f64| count as f64 * (NOBODY / usual.min(NOBODY)).ln();
    (of(failed.unanswered, usual.unanswered) + of(failed.refused, usual.refused)).min(MOST)
}

/// Log-likelihood ratio of `share` of the cell's requests being refused against the usual share.
pub(crate) fn refusals(cell: &Cell, usual: f64, share: f64) -> f64 {
    let share = share.max(usual);
    let answered = cell.handshakes.established.saturating_add(cell.handshakes.unanswered) as f64;
    let refused = cell.handshakes.refused as f64;
    refused * (share / usual).ln() + answered * ((1.0 - share) / (1.0 - usual)).ln()
}
