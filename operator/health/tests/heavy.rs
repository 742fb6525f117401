//! Heavy loss: what it leaves over is nobody else's fault.

#![allow(clippy::indexing_slicing, reason = "a panic fails the test, as it should")]

mod lab;

use lab::{Dice, Harm, Hop, Lab, Watch, named};
use tidewatch_health::Attribution;

const HISTORY: usize = 8;

fn in_zone(hop: &Hop, zone: &str) -> bool {
    hop.from.node != hop.to.node && [&hop.from, &hop.to].iter().any(|end| end.zone.as_deref() == Some(zone))
}

#[test]
fn a_heavy_loss_is_named_alone() {
    type Where = fn(&Hop) -> bool;
    let places: [(&str, Where); 3] = [
        ("node/zone-2-b", |hop| hop.touches_node("zone-2-b")),
        ("zone-pair/zone-1~zone-2", |hop| hop.between("zone-1", "zone-2")),
        ("zone/zone-2", |hop| in_zone(hop, "zone-2")),
    ];
    for (component, is_there) in places {
        for loss in [0.02, 0.05, 0.1, 0.2, 0.3] {
            for seed in 1..4 {
                let lab = Lab { dice: Dice(seed * 0x9E37_79B9), uneven: true, ..Lab::default() };
                let mut watch = Watch::learned(lab, HISTORY);
                let fault =
                    |hop: &Hop| Harm { loss: if is_there(hop) { loss } else { 0.0 }, ..Harm::default() };
                for window in 0..12 {
                    let verdict = watch.window(&fault);
                    let names = named(&verdict);
                    let first = if loss >= 0.05 { 1 } else { 2 };
                    assert!(window < first || names == [component], "{loss} in {window}: {verdict:#?}");
                    assert!(names.iter().all(|name| name == component), "{loss} in {window}: {verdict:#?}");
                    assert!(window < first || verdict.attribution == Attribution::Infrastructure);
                }
            }
        }
    }
}

#[test]
fn a_pod_far_worse_than_its_lossy_node_is_named_too() {
    let mut watch = Watch::learned(Lab { pods: 6, ..Lab::default() }, HISTORY);
    let pod = watch.lab.pod("stock", 1);
    let node = pod.node.as_deref().unwrap_or_default().to_owned();
    let verdict = watch.windows(6, &|hop| {
        let of_node = if hop.touches_node(&node) { 0.02 } else { 0.0 };
        let of_pod = if hop.touches_pod("shop/stock-1") { 0.15 } else { 0.0 };
        Harm { loss: of_node + of_pod, ..Harm::default() }
    });
    let mut names = named(&verdict);
    names.sort();
    assert_eq!(names, [format!("node/{node}"), "pod/shop/stock-1".to_owned()], "{verdict:#?}");
}
