//! What the composite says for each state of what is behind it.

use serde_json::json;
use tidewatch_aws_double::AlarmState;

use super::bed::{AlarmBed as _, Bed, cpu};

const STATES: [AlarmState; 3] = [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData];

#[tokio::test]
async fn all_27_states_of_two_alarms_and_the_network_give_the_intended_verdict() {
    let bed = Bed::start().await;
    for name in ["a", "b"] {
        bed.apply(name, &json!({"metric": cpu(), "condition": {"band": {}}}));
    }
    let when = |is: &str| json!({"networkHealth": {"monitor": "net", "is": is}});
    bed.apply("user", &json!({"alarms": {"anyOf": ["a", "b"]}, "when": when("Healthy")}));
    bed.apply("infrastructure", &json!({"alarms": {"anyOf": ["a", "b"]}, "when": when("Degraded")}));
    bed.settle().await;
    let names = ["a", "b", "user", "infrastructure"].map(|name| bed.name_of(name));
    let [a, b, user, infrastructure] = &names;
    for a_is in STATES {
        for b_is in STATES {
            for network_is in STATES {
                bed.region(|region| {
                    let networks = [format!("{user}-network"), format!("{infrastructure}-network")];
                    region.set_state(a, a_is, "test", None).unwrap();
                    region.set_state(b, b_is, "test", None).unwrap();
                    for network in &networks {
                        region.set_state(network, network_is, "test", None).unwrap();
                    }
                });
                let either = a_is == AlarmState::Alarm || b_is == AlarmState::Alarm;
                let fires = |name: &str| {
                    bed.region(|region| {
                        region.alarms[&format!("{name}-composite")].state == AlarmState::Alarm
                    })
                };
                let case = format!("a {a_is:?}, b {b_is:?}, network {network_is:?}");
                assert_eq!(fires(user), either && network_is == AlarmState::Ok, "user: {case}");
                let infrastructure_fires = either && network_is == AlarmState::Alarm;
                assert_eq!(fires(infrastructure), infrastructure_fires, "infrastructure: {case}");
            }
        }
    }
}
