//! Cache of the pods that cgroups belong to.

use std::collections::HashMap;
use std::sync::Arc;

use tidewatch_records::Name;

use crate::cgroup;

/// Most cgroups in the cache. When it is full, it is emptied.
const MAX_CGROUPS: usize = 8192;

/// Pods by cgroup id, also of cgroups that are gone: the BPF programs noted the name of the pod's cgroup while it
/// existed.
#[derive(Debug, Default)]
pub struct Pods {
    by_cgroup: HashMap<u64, Option<Name>>,
}

impl Pods {
    pub fn new() -> Self {
        Self::default()
    }

    /// UID of the pod that a cgroup belongs to. `name` looks up the name of the pod's cgroup; it is called for a cgroup
    /// that isn't in the cache.
    pub fn pod(&mut self, id: u64, name: impl FnOnce(u64) -> Option<String>) -> Option<&Name> {
        if self.by_cgroup.len() >= MAX_CGROUPS && !self.by_cgroup.contains_key(&id) {
            self.by_cgroup.clear();
        }
        let learn = || name(id).as_deref().and_then(cgroup::pod_uid).map(Arc::from);
        self.by_cgroup.entry(id).or_insert_with(learn).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_is_asked_for_once() {
        let mut pods = Pods::new();
        let name = |_| Some("pod0123456789abcdef0123456789abcdef".to_owned());
        assert!(pods.pod(7, name).is_some());
        assert_eq!(pods.pod(7, |_| panic!("asked again")).map(|n| n.len()), Some(32));
        assert_eq!(pods.pod(8, |_| None), None);
        assert_eq!(pods.pod(8, |_| panic!("asked again")), None);
    }
}
