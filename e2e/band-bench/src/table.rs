//! Recall of each method by kind of series at equal false alarms, and its precision, recall and false alarms by width.

use crate::judge::{Counts, count};
use crate::kinds::{Kind, generate};
use crate::methods::{ALL, Method, Point};
use crate::series::Series;

/// Budgets of false alarms a series-week. A method's figure is its mean recall over them.
const BUDGETS: [f64; 5] = [0.1, 0.25, 0.5, 1.0, 2.0];

type Judged = Vec<(Series, Vec<Point>)>;

pub(crate) fn run(kinds: &[Kind], seeds: &[u64]) {
    print!("recall at equal false alarms (mean over {BUDGETS:?} a series-week)\n{:<16}", "kind");
    for method in ALL {
        print!("{:>17}", method.name());
    }
    println!();
    let mut totals = [[Counts::default(); 4]; ALL.len()];
    let mut ahead = [0; ALL.len()];
    for kind in kinds {
        let series: Vec<Series> = seeds.iter().map(|seed| generate(*kind, *seed)).collect();
        print!("{:<16}", kind.name());
        let mut ours = 0.0;
        for ((method, totals), ahead) in ALL.into_iter().zip(&mut totals).zip(&mut ahead) {
            let judged: Judged = series.iter().map(|series| (series.clone(), method.judge(series))).collect();
            let recall = recall_at_budgets(&judged);
            if method == Method::Tidewatch {
                ours = recall;
            }
            *ahead += usize::from(ours > recall);
            print!("{recall:>17.3}");
            for (index, total) in totals.iter_mut().enumerate() {
                total.add(by_width(&judged, index));
            }
        }
        println!();
    }
    for (method, ahead) in ALL.into_iter().zip(ahead).skip(1) {
        println!("better than {} on {ahead} of {} kinds", method.name(), kinds.len());
    }
    for (method, totals) in ALL.into_iter().zip(totals) {
        for (width, total) in (1..).zip(totals) {
            println!(
                "BENCH {{\"bench\":\"bands\",\"method\":\"{}\",\"width\":{width},\"precision\":{:.3},\"recall\":{:.3},\"false_alarms_per_series_week\":{:.3}}}",
                method.name(),
                total.precision(),
                total.recall(),
                total.false_alarms_per_week()
            );
        }
    }
}

fn by_width(judged: &Judged, width: usize) -> Counts {
    sum(judged, |point| point.breaches.get(width).copied().unwrap_or(false))
}

fn sum(judged: &Judged, breach: impl Fn(&Point) -> bool) -> Counts {
    let mut total = Counts::default();
    for (series, points) in judged {
        total.add(count(series, points.iter().map(&breach)));
    }
    total
}

/// Mean over the budgets of the best recall whose false alarms stay within the budget.
fn recall_at_budgets(judged: &Judged) -> f64 {
    let mut statistics: Vec<f64> =
        judged.iter().flat_map(|(_, points)| points.iter().map(|point| point.statistic)).collect();
    statistics.sort_by(|a, b| b.total_cmp(a));
    // Thresholds are tried at ranks that grow by 15%.
    let mut rank = 4.0;
    let mut best = BUDGETS.map(|_| 0.0_f64);
    while let Some(threshold) = statistics.get(rank as usize) {
        let counts = sum(judged, |point| point.statistic > *threshold);
        for (best, budget) in best.iter_mut().zip(BUDGETS) {
            if counts.false_alarms_per_week() <= budget {
                *best = best.max(counts.recall());
            }
        }
        if rank > 0.2 * statistics.len() as f64 {
            break;
        }
        rank = (rank * 1.15).max(rank + 1.0);
    }
    best.iter().sum::<f64>() / BUDGETS.len() as f64
}
