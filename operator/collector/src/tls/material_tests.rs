use super::*;

fn names() -> Vec<String> {
    vec!["tidewatch-collector.tidewatch-system.svc".to_owned()]
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + day * 86_400).unwrap()
}

#[test]
fn a_new_material_stands_until_two_thirds_of_its_serving_certificate() {
    let first = renew(None, &names(), at(0)).unwrap();
    for day in [0, 1, 19] {
        assert_eq!(renew(Some(&first), &names(), at(day)).unwrap(), first, "day {day}");
    }
    let renewed = renew(Some(&first), &names(), at(20)).unwrap();
    assert_eq!(renewed.authority, first.authority);
    assert_ne!(renewed.serving, first.serving);
    assert_eq!(renew(Some(&renewed), &names(), at(20)).unwrap(), renewed);
}

#[test]
fn an_authority_is_replaced_with_overlap_on_both_sides() {
    let mut material = renew(None, &names(), at(0)).unwrap();
    let first = material.authority.clone();
    let (mut published, mut signed, mut withdrawn) = (None, None, None);
    for hour in 0..(24 * 400) {
        let now = Timestamp::from_second(at(0).as_second() + hour * 3600).unwrap();
        material = renew(Some(&material), &names(), now).unwrap();
        let bundle = material.bundle();
        let trusts_first = bundle.contains(first.certificate.trim_end());
        if material.next.is_some() && published.is_none() {
            published = Some(hour);
            assert!(trusts_first);
        }
        if material.authority != first && signed.is_none() {
            signed = Some(hour);
            assert!(trusts_first, "agents that reload late still trust what they knew");
        }
        if !trusts_first && withdrawn.is_none() {
            withdrawn = Some(hour);
        }
        let serving = Facts::of(&material.serving).unwrap();
        assert!(serving.valid_at(now) && serving.signed_by(&material.authority), "hour {hour}");
    }
    let (published, signed, withdrawn) = (published.unwrap(), signed.unwrap(), withdrawn.unwrap());
    assert!(published < 365 * 24 * 7 / 10);
    assert!(signed - published >= 24, "{published} {signed}");
    assert!(withdrawn - signed >= 23, "{signed} {withdrawn}");
}

#[test]
fn what_was_broken_by_hand_is_made_anew() {
    let good = renew(None, &names(), at(0)).unwrap();
    let other = renew(None, &names(), at(0)).unwrap();
    let foreign_key = Material {
        authority: Pair { key: other.authority.key.clone(), ..good.authority.clone() },
        ..good.clone()
    };
    assert_ne!(renew(Some(&foreign_key), &names(), at(1)).unwrap().authority, good.authority);
    let foreign_serving = Material { serving: other.serving.clone(), ..good.clone() };
    let mended = renew(Some(&foreign_serving), &names(), at(1)).unwrap();
    assert_eq!(mended.authority, good.authority);
    assert_ne!(mended.serving, other.serving);
    let garbage = Material { serving: Pair { certificate: "x".into(), key: "y".into() }, ..good.clone() };
    assert_eq!(renew(Some(&garbage), &names(), at(1)).unwrap().authority, good.authority);
}

#[test]
fn a_certificate_that_lacks_a_name_is_replaced() {
    let first = renew(None, &names(), at(0)).unwrap();
    let more = [names(), vec!["tidewatch-collector".to_owned()]].concat();
    let second = renew(Some(&first), &more, at(1)).unwrap();
    assert_ne!(second.serving, first.serving);
    assert_eq!(renew(Some(&second), &more, at(1)).unwrap(), second);
}
