//! Whose something in AWS is, by its tags.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tidewatch_aws::types::Tags;

const UID: &str = "tidewatch.dev/owner-uid";
const NAMESPACE: &str = "tidewatch.dev/namespace";
const NAME: &str = "tidewatch.dev/name";
/// Hash of what the operator last wrote: a difference to what is there is a change made by hand.
pub const SPEC_HASH: &str = "tidewatch.dev/spec-hash";
/// What the operator's own tags begin with.
const OWN: &str = "tidewatch.dev/";

/// An object, as far as tags tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Such as AnomalyAlarm.
    pub kind: &'static str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
}

/// What an object says for something being its own, besides the tags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Claim {
    /// Its annotation allows it to take over what isn't its own.
    pub adopts: bool,
    /// Its status records exactly this.
    pub recorded: bool,
}

/// Whose something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    Ours,
    /// Not ours, and the object may take it over.
    Adoptable,
    /// Not ours: whose, in words.
    Other(String),
}

impl<'a> Owner<'a> {
    pub fn of(kind: &'static str, meta: &'a ObjectMeta) -> Self {
        let text = |text: &'a Option<String>| text.as_deref().unwrap_or_default();
        Self { kind, namespace: text(&meta.namespace), name: text(&meta.name), uid: text(&meta.uid) }
    }

    /// The user's tags, and those that say whose it is.
    pub fn tags(&self, users: &Tags) -> Tags {
        let mut tags = users.clone();
        for (key, value) in [(UID, self.uid), (NAMESPACE, self.namespace), (NAME, self.name)] {
            tags.insert(key.to_owned(), value.to_owned());
        }
        tags
    }

    /// Whose something with these tags is. What another object has is never taken over: two can't have the same.
    pub fn whose(&self, tags: &Tags, claim: Claim) -> Whose {
        let tag = |key: &str| tags.get(key).map(String::as_str);
        let other = |whose: String| if claim.adopts { Whose::Adoptable } else { Whose::Other(whose) };
        let names = (tag(NAMESPACE), tag(NAME));
        let names_us = names == (Some(self.namespace), Some(self.name));
        let (kind, namespace, name) = (self.kind, names.0.unwrap_or("?"), names.1.unwrap_or("?"));
        let Some(uid) = tag(UID) else {
            return match names {
                // One tag is missing, and the status and the others say whose it is: it is put back.
                _ if names_us && claim.recorded => Whose::Ours,
                (Some(_), Some(_)) if !names_us => Whose::Other(format!(
                    "it belongs to {kind} {namespace}/{name} (its tag {UID} is missing)"
                )),
                _ if claim.recorded => {
                    other(format!("it isn't this object's any more (it has no tag {UID})"))
                }
                _ => other(format!("it was made by someone else (it has no tag {UID})")),
            };
        };
        if uid == self.uid {
            return Whose::Ours;
        }
        if names_us {
            let article = if kind.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
            return other(format!(
                "it belongs to {article} {kind} of this name that is gone or of another cluster (uid {uid})"
            ));
        }
        Whose::Other(format!("it belongs to {kind} {namespace}/{name} (uid {uid})"))
    }
}

/// Whether tags say that something is an object's at all.
pub fn is_owned(tags: &Tags) -> bool {
    tags.contains_key(UID)
}

/// Keys of those of `tags` that are the user's.
pub fn users_keys(tags: &Tags) -> Vec<String> {
    tags.keys().filter(|key| !key.starts_with(OWN)).cloned().collect()
}

/// The tags of a `retag` that only somebody's hand can have changed while the spec stayed as it is: the user's, and those
/// that say whose it is. The operator's hashes may differ for other reasons, such as another version of the operator.
pub fn changed_by_hand(retag: &Retag) -> Vec<&str> {
    let is_theirs = |key: &&str| !key.starts_with(OWN) || [UID, NAMESPACE, NAME].contains(key);
    retag.set.keys().chain(&retag.remove).map(String::as_str).filter(is_theirs).collect()
}

/// What is to be done for tags to be as wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retag {
    /// Missing, or different.
    pub set: Tags,
    /// Set by us once, and no longer wanted.
    pub remove: Vec<String>,
}

/// From what is `there` to what is `wanted`. Tags that others set stay: ours are those that we `set_before`, and our own.
pub fn retag(there: &Tags, wanted: &Tags, set_before: &[String]) -> Retag {
    let differs = |(key, value): &(&String, &String)| there.get(*key) != Some(*value);
    let ours = |key: &&String| set_before.contains(key) || key.starts_with(OWN);
    Retag {
        set: wanted.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())).collect(),
        remove: there.keys().filter(ours).filter(|key| !wanted.contains_key(*key)).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(of: &[(&str, &str)]) -> Tags {
        of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn owner(name: &'static str, uid: &'static str) -> Owner<'static> {
        Owner { kind: "AnomalyAlarm", namespace: "shop", name, uid }
    }

    #[test]
    fn whose_something_is_is_told_by_its_tags_and_only_what_nobody_has_is_adopted() {
        let (mine, before, others) = (owner("cpu", "2"), owner("cpu", "1"), owner("mem", "3"));
        let claim = |adopts| Claim { adopts, recorded: false };
        for adopts in [false, true] {
            assert_eq!(mine.whose(&mine.tags(&Tags::new()), claim(adopts)), Whose::Ours);
            let Whose::Other(whose) = mine.whose(&others.tags(&Tags::new()), claim(adopts)) else {
                panic!("another object's was taken")
            };
            assert_eq!(whose, "it belongs to AnomalyAlarm shop/mem (uid 3)");
        }
        for theirs in [Tags::new(), tags(&[("team", "a")]), before.tags(&Tags::new())] {
            assert_eq!(mine.whose(&theirs, claim(true)), Whose::Adoptable, "{theirs:?}");
            assert!(matches!(mine.whose(&theirs, claim(false)), Whose::Other(_)), "{theirs:?}");
        }
    }

    #[test]
    fn without_the_owners_uid_the_status_and_the_other_tags_tell() {
        let (mine, others) = (owner("cpu", "2"), owner("mem", "3"));
        let without = |owner: &Owner<'_>, gone: &[&str]| {
            let mut tags = owner.tags(&Tags::new());
            tags.retain(|key, _| !gone.contains(&key.as_str()));
            tags
        };
        let recorded = Claim { recorded: true, adopts: false };
        assert_eq!(mine.whose(&without(&mine, &[UID]), recorded), Whose::Ours);
        for (tags, claim) in [
            (without(&mine, &[UID]), Claim::default()),
            (without(&mine, &[UID, NAME]), recorded),
            (Tags::new(), recorded),
        ] {
            assert!(matches!(mine.whose(&tags, claim), Whose::Other(_)), "{tags:?} {claim:?}");
        }
        // The other object will put its tag back: it isn't for anyone to take.
        let theirs = mine.whose(&without(&others, &[UID]), Claim { adopts: true, recorded: true });
        assert!(matches!(&theirs, Whose::Other(whose) if whose.contains("shop/mem")), "{theirs:?}");
    }

    #[test]
    fn hashes_of_the_operators_are_no_change_by_hand() {
        let retag = Retag {
            set: tags(&[("tidewatch.dev/spec-hash", "1"), ("tidewatch.dev/owner-uid", "1"), ("team", "a")]),
            remove: vec!["old".to_owned(), "tidewatch.dev/old".to_owned()],
        };
        assert_eq!(changed_by_hand(&retag), ["team", "tidewatch.dev/owner-uid", "old"]);
    }

    #[test]
    fn only_what_differs_is_set_and_only_what_we_set_is_removed() {
        let there =
            tags(&[("same", "1"), ("other", "1"), ("old", "1"), ("theirs", "1"), ("tidewatch.dev/old", "1")]);
        let wanted = tags(&[("same", "1"), ("other", "2"), ("new", "1")]);
        let retag = retag(&there, &wanted, &["old".to_owned(), "same".to_owned()]);
        assert_eq!(retag.set, tags(&[("other", "2"), ("new", "1")]));
        assert_eq!(retag.remove, ["old", "tidewatch.dev/old"]);
    }
}
