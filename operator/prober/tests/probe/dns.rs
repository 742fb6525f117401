//! DNS checks, and how addresses are found.

use hickory_proto::op::{Message, ResponseCode};
use tidewatch_prober::{Prober, RunReport};
use tokio::net::UdpSocket;

use crate::support::dns::{Dns, Over, address, answer, cname, code, from_zone, hosts, mx, serve, srv, txt};
use crate::support::{failed_with, failure, passed, plan, prober, prober_with_dns, run};

async fn ask(server: &Dns, check: &str) -> RunReport {
    let port = server.address.port();
    run(&format!("{{checks: [{{name: c, dns: {{server: 127.0.0.1, port: {port}, {check}}}}}]}}")).await
}

/// For servers that won't answer.
async fn ask_briefly(server: &Dns, check: &str) -> RunReport {
    let port = server.address.port();
    run(&format!("{{checks: [{{name: c, timeout: 1s, dns: {{server: 127.0.0.1, port: {port}, {check}}}}}]}}"))
        .await
}

async fn zone() -> Dns {
    serve(|query, _| {
        from_zone(
            query,
            &[
                ("shop.test", address("10.0.0.1")),
                ("shop.test", address("10.0.0.2")),
                ("shop.test", address("2001:db8::1")),
                ("shop.test", mx(10, "mail.shop.test.")),
                ("shop.test", txt(&["v=spf1 ", "-all"])),
                ("www.shop.test", cname("shop.test.")),
                ("_x._tcp.shop.test", srv(8080, "shop.test.")),
            ],
        )
    })
    .await
}

#[tokio::test]
async fn records_of_each_type_are_compared_as_dig_writes_them() {
    let server = zone().await;
    for check in [
        "name: shop.test",
        "name: shop.test., protocol: TCP",
        "name: shop.test, expect: {values: [10.0.0.2, 10.0.0.1], minCount: 2, minTtl: 60s, authoritative: false}",
        "name: SHOP.test, type: AAAA, expect: {values: ['2001:db8:0::1']}",
        "name: shop.test, type: MX, expect: {values: ['10 mail.shop.test']}",
        "name: shop.test, type: TXT, expect: {values: ['v=spf1 -all']}",
        "name: www.shop.test, type: CNAME, expect: {values: [shop.test.]}",
        "name: _x._tcp.shop.test, type: SRV, expect: {values: ['1 2 8080 shop.test']}",
    ] {
        let report = ask(&server, check).await;
        passed(&report);
        assert!(report.checks[0].phases.dns.is_some());
    }
}

#[tokio::test]
async fn records_that_aren_t_as_expected_say_what_came() {
    let server = zone().await;
    for (check, part, got) in [
        (
            "name: shop.test, expect: {values: [10.0.0.3]}",
            "no record of type A with the value 10.0.0.3",
            "10.0.0.1, 10.0.0.2",
        ),
        (
            "name: shop.test, expect: {minCount: 3}",
            "has 2 records of type A, expected at least 3",
            "2: 10.0.0.1, 10.0.0.2",
        ),
        ("name: shop.test, expect: {minTtl: 5m}", "may be kept for 60s only", "60s"),
        (
            "name: shop.test, expect: {authoritative: true}",
            "is not authoritative, expected authoritative",
            "not authoritative",
        ),
    ] {
        let report = ask(&server, check).await;
        failed_with(&report, &[part]);
        assert_eq!(failure(&report).got.as_deref(), Some(got));
    }
    failed_with(&ask(&server, "name: shop.test, type: NS").await, &["exists, but has no record of type NS"]);
}

#[tokio::test]
async fn broken_dns_is_told_in_words() {
    let nxdomain = zone().await;
    failed_with(&ask(&nxdomain, "name: nope.test").await, &["DNS: nope.test doesn't exist (NXDOMAIN)"]);
    let servfail = serve(|query, _| code(query, ResponseCode::ServFail)).await;
    failed_with(
        &ask(&servfail, "name: shop.test").await,
        &["failed (SERVFAIL)", &servfail.address.to_string()],
    );
    let refused = serve(|query, _| code(query, ResponseCode::Refused)).await;
    failed_with(&ask(&refused, "name: shop.test").await, &["refuses to answer us", "(REFUSED)"]);
    let silent = serve(|_, _| None).await;
    failed_with(&ask_briefly(&silent, "name: shop.test").await, &["no answer from", "over UDP within 1s"]);
    failed_with(
        &ask_briefly(&silent, "name: shop.test, protocol: TCP").await,
        &["no answer from", "over TCP within 1s"],
    );
    let closed =
        run("{checks: [{name: c, timeout: 1s, dns: {server: 127.0.0.1, port: 9, name: shop.test}}]}").await;
    failed_with(&closed, &["nothing listens on 127.0.0.1:9 over UDP"]);
}

#[tokio::test]
async fn an_answer_that_is_cut_short_fails_over_udp_and_not_over_tcp() {
    let server = serve(|query, over| {
        let mut answers = from_zone(query, &[("shop.test", address("10.0.0.1"))]);
        if over == Over::Udp {
            answers.as_mut().unwrap()[0].metadata.truncation = true;
        }
        answers
    })
    .await;
    failed_with(&ask(&server, "name: shop.test").await, &["cut short", "use protocol: TCP"]);
    passed(&ask(&server, "name: shop.test, protocol: TCP").await);
}

#[tokio::test]
async fn an_answer_with_a_wrong_id_or_question_is_ignored() {
    let only_wrong = serve(|query, _| {
        let mut forged = answer(query);
        forged.metadata.id = query.metadata.id.wrapping_add(1);
        Some(vec![forged])
    })
    .await;
    failed_with(
        &ask_briefly(&only_wrong, "name: shop.test").await,
        &["no answer from", "packets with a wrong id or question, ignored: 1"],
    );
    failed_with(&ask(&only_wrong, "name: shop.test, protocol: TCP").await, &["answered to another question"]);

    let forged_first = serve(|query, _| {
        let mut forged = from_zone(query, &[("shop.test", address("6.6.6.6"))]).unwrap().remove(0);
        forged.metadata.id = query.metadata.id.wrapping_add(1);
        let mut other = query.clone();
        other.queries[0].name = "evil.test.".parse().unwrap();
        let other = from_zone(&other, &[("evil.test", address("6.6.6.6"))]).unwrap().remove(0);
        let right = from_zone(query, &[("shop.test", address("10.0.0.1"))]).unwrap().remove(0);
        Some(vec![forged, other, right])
    })
    .await;
    passed(&ask(&forged_first, "name: shop.test, expect: {values: [10.0.0.1], minCount: 1}").await);
}

#[tokio::test]
async fn without_a_server_the_cluster_s_resolver_is_asked_whatever_the_policy_says() {
    let server = zone().await;
    let plan = plan("{checks: [{name: c, dns: {name: shop.test}}]}");
    let strict = tidewatch_prober::ProberConfig {
        allow: tidewatch_prober::TargetPolicy::default(),
        resolver: tidewatch_prober::ResolverSource::Servers(vec![server.address]),
        ..crate::support::config()
    };
    passed(&Prober::new(strict.clone()).unwrap().run(&plan).await);

    let named =
        crate::support::plan("{checks: [{name: c, dns: {name: shop.test, server: 127.0.0.1, port: 53}}]}");
    failed_with(&Prober::new(strict).unwrap().run(&named).await, &["127.0.0.1 isn't allowed as a target"]);
}

#[tokio::test]
async fn a_check_says_that_its_host_has_no_address() {
    let http = plan("{checks: [{name: c, timeout: 1s, http: {url: 'http://nope.test/'}}]}");
    let zone = hosts(&[("shop.test", "127.0.0.1")]).await;
    failed_with(
        &prober_with_dns(zone.address).run(&http).await,
        &["DNS: nope.test doesn't exist (NXDOMAIN)"],
    );
    let servfail = serve(|query, _| code(query, ResponseCode::ServFail)).await;
    failed_with(&prober_with_dns(servfail.address).run(&http).await, &["DNS: nope.test: ", "(SERVFAIL)"]);
    let silent = serve(|_, _| None).await;
    let report = prober_with_dns(silent.address).run(&http).await;
    failed_with(&report, &["DNS: no answer for nope.test from 127.0.0.1:", " within 1s, asked 2 times"]);
    assert!(report.checks[0].phases.dns.is_some() && report.checks[0].phases.connect.is_none());
    let six = plan("{checks: [{name: c, ipFamily: IPv6, http: {url: 'http://shop.test/'}}]}");
    failed_with(
        &prober_with_dns(zone.address).run(&six).await,
        &["DNS: shop.test exists, but has no IPv6 address"],
    );
}

#[tokio::test]
async fn a_resolver_that_swallows_one_family_or_cuts_answers_short_is_lived_with() {
    let server = crate::support::tcp::silent().await;
    let check =
        plan(&format!("{{checks: [{{name: c, tcp: {{host: shop.test, port: {}}}}}]}}", server.port()));
    let no_aaaa = serve(|query, _| {
        let asked_a = query.queries[0].query_type == hickory_proto::rr::RecordType::A;
        asked_a.then(|| from_zone(query, &[("shop.test", address("127.0.0.1"))])).flatten()
    })
    .await;
    passed(&prober_with_dns(no_aaaa.address).run(&check).await);

    // A name that doesn't exist has no address of any family, whoever stays silent.
    let gone = serve(|query, _| {
        let asked_a = query.queries[0].query_type == hickory_proto::rr::RecordType::A;
        asked_a.then(|| from_zone(query, &[])).flatten()
    })
    .await;
    failed_with(&prober_with_dns(gone.address).run(&check).await, &["shop.test doesn't exist (NXDOMAIN)"]);

    let cutting = serve(|query, over| {
        let mut cut = answer(query);
        cut.metadata.truncation = true;
        if over == Over::Udp {
            Some(vec![cut])
        } else {
            from_zone(query, &[("shop.test", address("127.0.0.1"))])
        }
    })
    .await;
    passed(&prober_with_dns(cutting.address).run(&check).await);
    assert!(cutting.asked().iter().any(|(_, _, over)| *over == Over::Tcp));
}

#[tokio::test]
async fn localhost_isn_t_asked_of_any_server() {
    let server = crate::support::tcp::silent().await;
    let check =
        plan(&format!("{{checks: [{{name: c, tcp: {{host: localhost, port: {}}}}}]}}", server.port()));
    passed(&prober().run(&check).await);
}

/// A server of the zone that knows no EDNS: `refusal` is what it makes of a query with it.
async fn without_edns(
    refusal: impl Fn(&hickory_proto::op::Message) -> crate::support::dns::Answer + Send + Sync + 'static,
) -> Dns {
    serve(move |query, _| match query.edns {
        Some(_) => refusal(query),
        None => from_zone(query, &[("shop.test", address("127.0.0.1"))]),
    })
    .await
}

#[tokio::test]
async fn a_server_without_edns_is_asked_once_more_without() {
    let target = crate::support::tcp::silent().await;
    for server in [
        without_edns(|query| code(query, ResponseCode::FormErr)).await,
        without_edns(|query| code(query, ResponseCode::NotImp)).await,
        // A code of more than four bits, the others of which are in the answer's own EDNS.
        without_edns(|query| {
            let mut answers = code(query, ResponseCode::BADVERS)?;
            for answer in &mut answers {
                answer.set_edns(hickory_proto::op::Edns::new());
            }
            Some(answers)
        })
        .await,
        without_edns(|_| None).await,
    ] {
        for protocol in ["UDP", "TCP"] {
            passed(&ask(&server, &format!("name: shop.test, protocol: {protocol}")).await);
        }
        // The look-up of a name as well.
        let yaml = format!("{{checks: [{{name: c, tcp: {{host: shop.test, port: {}}}}}]}}", target.port());
        passed(&prober_with_dns(server.address).run(&plan(&yaml)).await);
    }
}

#[tokio::test]
async fn a_server_that_answers_edns_with_garbage_is_asked_once_more_without() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = server.recv_from(&mut buffer).await {
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let said = match query.edns {
                Some(_) => [&buffer[..2], b"\xff"].concat(),
                None => {
                    let answers = from_zone(&query, &[("shop.test", address("10.0.0.1"))]).unwrap();
                    answers[0].to_vec().unwrap()
                }
            };
            let _ = server.send_to(&said, from).await;
        }
    });
    let yaml = format!(
        "{{checks: [{{name: c, dns: {{server: 127.0.0.1, port: {port}, name: shop.test, expect: {{values: [10.0.0.1]}}}}}}]}}"
    );
    passed(&run(&yaml).await);
}

#[tokio::test]
async fn a_server_that_refuses_either_way_says_what_it_answered() {
    let formerr = serve(|query, _| code(query, ResponseCode::FormErr)).await;
    failed_with(&ask(&formerr, "name: shop.test").await, &["didn't understand the query (FORMERR)"]);
    assert_eq!(formerr.asked().len(), 2);
    // What is no matter of EDNS isn't asked twice.
    let servfail = serve(|query, _| code(query, ResponseCode::ServFail)).await;
    failed_with(&ask(&servfail, "name: shop.test").await, &["SERVFAIL"]);
    assert_eq!(servfail.asked().len(), 1);
}
