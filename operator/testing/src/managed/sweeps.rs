//! What every controller in AWS must bear: each call and each write fails, in each way; the process ends around each of
//! them; reads are behind each write. The end is the same as without.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use tidewatch_aws_double::{Call, Fault, FaultKind};

use super::{Bed, Controller, Effect, Fate};

/// What a scenario leaves behind, at its two points of rest.
pub type End = (BTreeMap<String, String>, BTreeMap<String, String>);

/// How often each operation was called.
type Calls = BTreeMap<String, usize>;

/// How all gets to rest after a change.
pub trait Way<C: Controller> {
    fn rest(&self, bed: &mut Bed<C>) -> impl Future<Output = ()>;
}

/// By passes of one process.
struct Passes;

impl<C: Controller> Way<C> for Passes {
    async fn rest(&self, bed: &mut Bed<C>) {
        bed.settle().await;
    }
}

/// A process that fails is replaced by another, again and again.
struct Restarts;

impl<C: Controller> Way<C> for Restarts {
    async fn rest(&self, bed: &mut Bed<C>) {
        for _ in 0..3 {
            bed.sweep().await;
            bed.restart().await;
        }
        bed.settle().await;
    }
}

/// Where a call to AWS is when its caller ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    /// It was never sent. That is also the end just after whatever came before it.
    Unsent,
    /// On its way: AWS gets it when the next process is at work already.
    OnItsWay,
    /// It was applied, and its answer never read.
    Unanswered,
}

/// The process ends when it stands still; the next one goes on.
struct Ends(Where);

impl<C: Controller> Way<C> for Ends {
    async fn rest(&self, bed: &mut Bed<C>) {
        tokio::select! {
            biased;
            () = bed.stands_still() => {}
            () = bed.settle() => return,
        }
        bed.restart().await;
        if self.0 == Where::OnItsWay {
            bed.sweep().await;
            bed.double.let_go().await;
        } else {
            bed.double.forget_held();
        }
        bed.settle().await;
    }
}

/// Less than what the operator reckons with, and longer than anything in these tests takes: reads catch up when the
/// double's clock is moved.
pub const LAG: SignedDuration = SignedDuration::from_secs(15);

/// Passes while reads may be behind, and until all is at rest once they aren't.
struct CatchesUp;

impl<C: Controller> Way<C> for CatchesUp {
    async fn rest(&self, bed: &mut Bed<C>) {
        for _ in 0..5 {
            bed.sweep().await;
        }
        bed.double.advance(LAG + SignedDuration::from_secs(1));
        bed.settle().await;
    }
}

/// What a run without faults comes to.
struct Faultless {
    end: End,
    calls: Calls,
    writes: Calls,
    kube_writes: usize,
}

impl Faultless {
    async fn run<C: Controller>() -> Self {
        let mut bed = Bed::<C>::start().await;
        let end = run(&mut bed, &Passes).await;
        assert!(!end.1.is_empty(), "the other object's are left");
        let (calls, writes) = (calls(&bed, |_| true), calls(&bed, Call::is_write));
        Self { end, calls, writes, kube_writes: bed.cluster.writes() }
    }
}

/// The scenario; and whatever happened, nothing more is written once all is at rest.
async fn run<C: Controller>(bed: &mut Bed<C>, way: &impl Way<C>) -> End {
    let end = C::scenario(bed, way).await;
    bed.keep_calls();
    let kube_writes = bed.cluster.writes();
    for _ in 0..3 {
        bed.sweep().await;
    }
    assert_eq!(bed.writes(), [""; 0]);
    assert_eq!(bed.cluster.writes(), kube_writes);
    end
}

fn calls<C: Controller>(bed: &Bed<C>, wanted: impl Fn(&Call) -> bool) -> Calls {
    let mut calls = Calls::new();
    for call in bed.all_calls() {
        if wanted(&call) {
            *calls.entry(call.operation).or_insert(0) += 1;
        }
    }
    calls
}

/// Each call, as its operation and how many of the same go before it. The first calls of an operation and the last
/// differ; those between are like one of them.
fn each(calls: &Calls) -> impl Iterator<Item = (String, u32)> {
    calls.iter().flat_map(|(operation, count)| {
        let count = u32::try_from(*count).unwrap();
        let skips = if count <= 3 { (0..count).collect() } else { vec![0, 1, count - 1] };
        skips.into_iter().map(|skip| (operation.clone(), skip))
    })
}

/// Each call to AWS fails once in each way, unless `spared` says that one has another end.
pub async fn calls_fail<C: Controller>(spared: fn(&str, FaultKind) -> bool) {
    let faultless = Faultless::run::<C>().await;
    let kinds = [
        FaultKind::Throttle,
        FaultKind::ServerError,
        FaultKind::Unavailable,
        FaultKind::DropBefore,
        FaultKind::DropAfter,
        FaultKind::Denied,
        FaultKind::ExpiredCredentials,
        FaultKind::QuotaExceeded,
    ];
    let mut plans = 0;
    for (operation, skip) in each(&faultless.calls) {
        for kind in kinds.into_iter().filter(|kind| !spared(&operation, *kind)) {
            let mut bed = Bed::<C>::start().await;
            bed.double.inject(Fault { operation: Some(operation.clone()), skip, times: 1, kind });
            let end = if matches!(kind, FaultKind::DropBefore | FaultKind::DropAfter) {
                run(&mut bed, &Restarts).await
            } else {
                run(&mut bed, &Passes).await
            };
            assert_eq!(end, faultless.end, "{operation} fails as {kind:?} after {skip}");
            plans += 1;
        }
    }
    println!("{plans} plans over {:?}", faultless.calls);
    assert!(plans >= 96, "{plans} plans over {:?}", faultless.calls);
}

/// Each write to the cluster fails once, before and after its effect.
pub async fn kube_writes_fail<C: Controller>() {
    kube_writes::<C>(Fate::Fails, &Passes).await;
}

/// The process ends before and after each write to the cluster.
pub async fn the_process_ends_around_kube_writes<C: Controller>() {
    kube_writes::<C>(Fate::Hangs, &Ends(Where::Unsent)).await;
}

async fn kube_writes<C: Controller>(fate: Fate, way: &impl Way<C>) {
    let faultless = Faultless::run::<C>().await;
    for skip in 0..faultless.kube_writes {
        for effect in [Effect::Before, Effect::After] {
            let mut bed = Bed::<C>::start().await;
            bed.cluster.decide(skip, effect, fate);
            let end = run(&mut bed, way).await;
            assert_eq!(end, faultless.end, "write {skip} {fate:?} {effect:?} its effect");
            assert!(bed.cluster.fate_met(), "write {skip} wasn't made");
        }
    }
}

/// The process ends before each call to AWS.
pub async fn the_process_ends_before_calls<C: Controller>() {
    let faultless = Faultless::run::<C>().await;
    for (operation, skip) in each(&faultless.calls) {
        ends_around::<C>(&faultless, operation, skip, Where::Unsent).await;
    }
}

/// The process ends while a write to AWS is on its way, or unanswered.
pub async fn the_process_ends_during_writes<C: Controller>() {
    let faultless = Faultless::run::<C>().await;
    for (operation, skip) in each(&faultless.writes) {
        for at in [Where::OnItsWay, Where::Unanswered] {
            ends_around::<C>(&faultless, operation.clone(), skip, at).await;
        }
    }
}

async fn ends_around<C: Controller>(faultless: &Faultless, operation: String, skip: u32, at: Where) {
    let mut bed = Bed::<C>::start().await;
    let kind = if at == Where::Unanswered { FaultKind::HoldAfter } else { FaultKind::HoldBefore };
    bed.double.inject(Fault { operation: Some(operation.clone()), skip, times: 1, kind });
    let end = run(&mut bed, &Ends(at)).await;
    let case = format!("the process ends with {operation} after {skip} {at:?}");
    assert_eq!(end, faultless.end, "{case}");
    // What the next process can't know of is done a second time, and nothing else.
    let (mut made, mut wanted) = (calls(&bed, Call::is_write), faultless.writes.clone());
    // What is deleted without a look: to delete it twice costs as much as to look.
    for calls in [&mut made, &mut wanted] {
        for operation in ["DeleteAlarmMuteRule", "DeleteLogGroup"] {
            calls.remove(operation);
        }
    }
    let more = made.values().sum::<usize>().saturating_sub(wanted.values().sum());
    let again = usize::from(at != Where::Unsent).max(C::UNTOLD);
    assert!(more <= again, "{case}: {made:?} instead of {wanted:?}");
}

/// Each write to AWS is seen later, and is made once all the same.
pub async fn reads_are_behind<C: Controller>() {
    let faultless = Faultless::run::<C>().await;
    for (operation, skip) in each(&faultless.writes) {
        let mut bed = Bed::<C>::start().await;
        let kind = FaultKind::Lag(LAG);
        bed.double.inject(Fault { operation: Some(operation.clone()), skip, times: 1, kind });
        let end = run(&mut bed, &CatchesUp).await;
        assert_eq!(end, faultless.end, "{operation} after {skip} is seen late");
        let made = calls(&bed, Call::is_write);
        assert_eq!(made, faultless.writes, "{operation} after {skip} is seen late");
    }
}
