//! The process ends around each thing it asks for: its pass, its reader and all that it remembered are gone, and another
//! process goes on from what the cluster and AWS hold.

use tidewatch_aws_double::{Fault, FaultKind};

use super::bed::Bed;
use super::cluster::{Effect, Fate};
use super::scenario::{Faultless, Passes, Way, scenario};

/// Where a call to AWS is when its caller ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// It was never sent. That is also the end just after whatever came before it.
    Unsent,
    /// On its way: AWS gets it when the next process is at work already.
    OnItsWay,
    /// It was applied, and its answer never read.
    Unanswered,
}

/// The process ends when it stands still; the next one goes on.
struct Ends(Call);

impl Way for Ends {
    async fn rest(&self, bed: &mut Bed) {
        tokio::select! {
            biased;
            () = bed.stands_still() => {}
            () = bed.settle() => return,
        }
        bed.restart().await;
        if self.0 == Call::OnItsWay {
            bed.sweep().await;
            bed.double.let_go().await;
        } else {
            bed.double.forget_held();
        }
        bed.settle().await;
    }
}

async fn ends_around(faultless: &Faultless, operation: String, skip: u32, call: Call) {
    let mut bed = Bed::start().await;
    let kind = if call == Call::Unanswered { FaultKind::HoldAfter } else { FaultKind::HoldBefore };
    bed.double.inject(Fault { operation: Some(operation.clone()), skip, times: 1, kind });
    let end = scenario(&mut bed, &Ends(call)).await;
    let case = format!("the process ends with {operation} after {skip} {call:?}");
    assert_eq!(end, faultless.end, "{case}");
    // What the next process can't know of is done a second time, and nothing else.
    let (mut made, mut wanted) = (bed.write_calls(), faultless.writes.clone());
    // A mute rule is deleted without a look: to delete it twice costs as much as to look.
    for calls in [&mut made, &mut wanted] {
        calls.remove("DeleteAlarmMuteRule");
    }
    let more = made.values().sum::<usize>().saturating_sub(wanted.values().sum());
    assert!(more <= usize::from(call != Call::Unsent), "{case}: {made:?} instead of {wanted:?}");
}

#[tokio::test]
async fn the_process_may_end_before_each_call_to_aws() {
    let faultless = Faultless::run(&Passes).await;
    for (operation, skip) in Faultless::each(&faultless.calls) {
        ends_around(&faultless, operation, skip, Call::Unsent).await;
    }
}

#[tokio::test]
async fn the_process_may_end_while_a_write_to_aws_is_on_its_way_or_unanswered() {
    let faultless = Faultless::run(&Passes).await;
    for (operation, skip) in Faultless::each(&faultless.writes) {
        for call in [Call::OnItsWay, Call::Unanswered] {
            ends_around(&faultless, operation.clone(), skip, call).await;
        }
    }
}

#[tokio::test]
async fn the_process_may_end_before_and_after_each_write_to_the_cluster() {
    let faultless = Faultless::run(&Passes).await;
    for skip in 0..faultless.kube_writes {
        for effect in [Effect::Before, Effect::After] {
            let mut bed = Bed::start().await;
            bed.fate_of_kube_write(skip, effect, Fate::Hangs);
            let end = scenario(&mut bed, &Ends(Call::Unsent)).await;
            assert_eq!(end, faultless.end, "the process ends {effect:?} write {skip}");
            assert!(bed.fate_met(), "write {skip} wasn't made");
        }
    }
}
