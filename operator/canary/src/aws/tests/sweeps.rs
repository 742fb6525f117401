//! What every controller in AWS must bear, of canaries.

use tidewatch_aws_double::FaultKind;
use tidewatch_testing::managed::sweeps;

use super::bed::Tested;

#[tokio::test]
async fn every_call_may_fail_once_in_every_way() {
    // A right on log groups that is missing leaves them, and says so.
    sweeps::calls_fail::<Tested>(|operation, kind| {
        operation == "DeleteLogGroup" && kind == FaultKind::Denied
    })
    .await;
}

#[tokio::test]
async fn every_write_to_the_cluster_may_fail_before_and_after_its_effect() {
    sweeps::kube_writes_fail::<Tested>().await;
}

#[tokio::test]
async fn the_process_may_end_before_each_call_to_aws() {
    sweeps::the_process_ends_before_calls::<Tested>().await;
}

#[tokio::test]
async fn the_process_may_end_while_a_write_to_aws_is_on_its_way_or_unanswered() {
    sweeps::the_process_ends_during_writes::<Tested>().await;
}

#[tokio::test]
async fn the_process_may_end_before_and_after_each_write_to_the_cluster() {
    sweeps::the_process_ends_around_kube_writes::<Tested>().await;
}

#[tokio::test]
async fn each_write_may_be_seen_later_and_is_made_once_all_the_same() {
    sweeps::reads_are_behind::<Tested>().await;
}
