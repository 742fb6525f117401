//! From state to state: what each operation begins, and how it ends.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::canary::{Canary, CanaryState, Pending, Replica, Status, Timeline, Update};
use super::config::{CanaryConfig, Change, Cleanup, ReplicaLocation};
use super::package;
use crate::state::Region;

/// A canary that CreateCanary asks for, found good.
#[derive(Debug)]
pub(crate) struct Proposal {
    pub(crate) name: String,
    pub(crate) config: CanaryConfig,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) replicas: Vec<ReplicaLocation>,
}

const BAD_ARCHIVE: &str = "Could not unzip uploaded file. Please check your file, then try to upload again.";

impl Region {
    fn after(&self, delay: SignedDuration) -> Timestamp {
        self.now.saturating_add(delay).unwrap_or(self.now)
    }

    fn replicas(&self, wanted: Vec<ReplicaLocation>) -> impl Iterator<Item = Replica> + use<> {
        let now = self.now;
        wanted.into_iter().map(move |wanted| Replica { wanted, in_sync: false, last_modified: now })
    }

    pub(crate) fn begin_creation(&mut self, proposal: Proposal) {
        let id = self.uuid();
        let canary = Canary {
            id,
            status: Status::coded(CanaryState::Creating, "CREATE_PENDING"),
            timeline: Timeline {
                created: self.now,
                last_modified: self.now,
                last_started: None,
                last_stopped: None,
            },
            version: 0,
            replicas: self.replicas(proposal.replicas).collect(),
            runs: Vec::new(),
            plans: Vec::new(),
            dry_run: None,
            schedule_began: None,
            package: None,
            defect: None,
            failing_update: None,
            next_run: None,
            run_ends: None,
            pending: Some((self.after(self.synthetics.delays.create), Pending::Create)),
            name: proposal.name.clone(),
            config: proposal.config,
            tags: proposal.tags,
        };
        self.synthetics.canaries.insert(proposal.name, canary);
    }

    pub(crate) fn begin_start(&self, canary: &mut Canary) {
        canary.status = Status::of(CanaryState::Starting);
        canary.pending = Some((self.after(self.synthetics.delays.start), Pending::Start));
    }

    pub(crate) fn begin_stop(&self, canary: &mut Canary) {
        canary.status = Status::of(CanaryState::Stopping);
        canary.pending = Some((self.after(self.synthetics.delays.stop), Pending::Stop));
    }

    pub(crate) fn begin_deletion(&self, canary: &mut Canary, delete_lambda: bool) {
        let with_function = delete_lambda || canary.config.provisioned_resource_cleanup == Cleanup::Automatic;
        canary.status = Status::coded(CanaryState::Deleting, "DELETE_IN_PROGRESS");
        canary.pending = Some((self.after(self.synthetics.delays.delete), Pending::Delete { with_function }));
    }

    pub(crate) fn begin_update(
        &self,
        canary: &mut Canary,
        change: &Change,
        add: Vec<ReplicaLocation>,
        remove: &[String],
    ) {
        let config = change.applied_to(&canary.config);
        let package = self.package_after(canary, &config);
        let mut replicas = canary.replicas.clone();
        replicas.retain(|replica| !remove.contains(&replica.wanted.location));
        replicas.extend(self.replicas(add));
        self.update_to(canary, config, package, replicas);
    }

    /// Takes over what a dry run tried.
    pub(crate) fn begin_update_from_dry_run(&self, canary: &mut Canary, change: &Change) {
        let Some(dry_run) = canary.dry_run.clone() else { return };
        let config = change.applied_to(&dry_run.config);
        let replicas = canary.replicas.clone();
        self.update_to(canary, config, Ok(dry_run.package), replicas);
    }

    fn update_to(
        &self,
        canary: &mut Canary,
        config: CanaryConfig,
        package: Result<Option<Vec<u8>>, String>,
        replicas: Vec<Replica>,
    ) {
        let before =
            std::mem::replace(&mut canary.status, Status::coded(CanaryState::Updating, "UPDATE_PENDING"));
        let update = Update { before, config, package, replicas };
        let ends = self.after(self.synthetics.delays.update);
        canary.pending = Some((ends, Pending::Update(Box::new(update))));
    }

    /// A key without a version that is named again isn't read again.
    pub(crate) fn package_after(
        &self,
        canary: &Canary,
        config: &CanaryConfig,
    ) -> Result<Option<Vec<u8>>, String> {
        let unread =
            config.code == canary.config.code || config.code.same_unversioned_object(&canary.config.code);
        // A canary whose creation failed has read nothing yet.
        if unread && canary.version > 0 {
            return Ok(canary.package.clone());
        }
        self.synthetics.surroundings.package(&config.code)
    }

    /// Ends what was under way. False once the canary is gone.
    pub(super) fn finish_transition(&mut self, canary: &mut Canary, at: Timestamp) -> bool {
        let Some((_, pending)) = canary.pending.take() else { return true };
        match pending {
            Pending::Create => self.finish_creation(canary, at),
            Pending::Start => {
                canary.status = Status::of(CanaryState::Running);
                canary.timeline.last_started = Some(at);
                canary.schedule_from(at);
            }
            Pending::Stop => canary.stop(at),
            Pending::Update(update) => self.finish_update(canary, *update, at),
            Pending::Delete { with_function } => {
                if with_function {
                    self.synthetics.surroundings.functions.remove(&canary.engine());
                    self.synthetics.surroundings.layers.remove(&canary.engine());
                }
                let arn = self.canary_arn(&canary.name);
                self.synthetics.groups.values_mut().for_each(|group| group.resources.retain(|it| *it != arn));
                return false;
            }
        }
        true
    }

    fn finish_creation(&mut self, canary: &mut Canary, at: Timestamp) {
        let package = self.synthetics.surroundings.package(&canary.config.code);
        match self.provisioned(&canary.config, package, at) {
            Ok(package) => {
                self.provision(canary, package);
                canary.status = Status::of(CanaryState::Ready);
                canary.replicas.iter_mut().for_each(|replica| replica.in_sync = true);
            }
            Err(reason) => {
                canary.status = Status::explained(CanaryState::Error, "CREATE_FAILED", reason);
            }
        }
    }

    /// The package, if Lambda would make a function of it.
    fn provisioned(
        &self,
        config: &CanaryConfig,
        package: Result<Option<Vec<u8>>, String>,
        at: Timestamp,
    ) -> Result<Option<Vec<u8>>, String> {
        let package = package?;
        if package.as_ref().is_some_and(|package| !package::is_archive(package)) {
            return Err(BAD_ARCHIVE.to_owned());
        }
        let vpc = config.vpc_config.as_ref().filter(|vpc| !vpc.detaches());
        match self.synthetics.surroundings.refusal(&config.execution_role_arn, vpc, at) {
            Some(reason) => Err(reason),
            None => Ok(package),
        }
    }

    /// Makes or changes function and layer.
    fn provision(&mut self, canary: &mut Canary, package: Option<Vec<u8>>) {
        canary.version += 1;
        let config = &canary.config;
        canary.defect = package
            .as_ref()
            .and_then(|package| package::defect(&config.runtime_version, &config.code, package));
        canary.package = package;
        self.synthetics.surroundings.functions.insert(canary.engine());
        self.synthetics.surroundings.layers.insert(canary.engine());
    }

    fn finish_update(&mut self, canary: &mut Canary, update: Update, at: Timestamp) {
        let back = update.before.state;
        let outcome = match canary.failing_update.take() {
            Some((reason, rolled_back)) => Err((reason, rolled_back)),
            None => self.provisioned(&update.config, update.package, at).map_err(|reason| (reason, true)),
        };
        canary.timeline.last_modified = at;
        match outcome {
            Ok(package) => {
                canary.config = update.config;
                canary.replicas = update.replicas;
                canary.replicas.iter_mut().for_each(|replica| replica.in_sync = true);
                self.provision(canary, package);
                // What never ran is ready to; everything else goes on as it was.
                let state = if back == CanaryState::Error { CanaryState::Ready } else { back };
                canary.status = Status::coded(state, "UPDATE_COMPLETE");
            }
            Err((reason, rolled_back)) => {
                // A canary that was never made has nothing to go back to.
                let rolled_back = rolled_back && back != CanaryState::Error;
                let code = if rolled_back { "ROLLBACK_COMPLETE" } else { "ROLLBACK_FAILED" };
                canary.status = Status::explained(back, code, reason);
            }
        }
        if canary.state() == CanaryState::Running {
            canary.schedule_from(at);
        }
    }
}
