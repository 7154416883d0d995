//! What a remote tells of the account, against what it charged.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

/// An account with a pack of 100 units, in which one task of three fails, and the other two cost 3.5 units each.
async fn three(member: Member) -> (Pairing, [Accepted; 3]) {
    let settings =
        simulator::Settings { fail_scenes: vec!["doomed".into()], units: 3.5, pack: Some(100.0), ..member.remote() };
    let pairing = member.start_with(settings).await;
    let mut made = Vec::new();
    for (number, scene) in (1..).zip(["squish", "doomed", "expansion"]) {
        let submitted = pairing.submit(number, scene, &[Picture::Url(LINK.to_owned())]).await;
        made.push(pairing.accepted(submitted));
    }
    (pairing, made.try_into().unwrap())
}

fn always() -> (Timestamp, Timestamp) {
    let now = Clock::system().now();
    (now - SignedDuration::from_hours(1), now + SignedDuration::from_hours(1))
}

#[tokio::test]
async fn units_are_told_as_they_were_charged() {
    for member in ALL {
        let (pairing, made) = three(member).await;
        let mut units = Vec::new();
        for accepted in &made {
            units.push(pairing.ended(accepted).await.units.filter(|units| units != "0"));
        }
        // WaveSpeed says nothing of money, CometAPI's rows neither; what stands within a wrapper is Kling's own.
        let each = (member != WaveSpeed).then(|| "3.5".to_owned());
        assert_eq!(units, [each.clone(), None, each], "{member:?}");
        assert!((pairing.stats().units_charged - 7.0).abs() < 1e-6);
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn klings_pack_and_deductions_agree_with_what_the_tasks_tell() {
    for member in [Member::Simulator, Kling, KlingPair { ahead: 0 }, KlingPair { ahead: 10 }, KlingPair { ahead: -10 }]
    {
        let (pairing, [one, _, three]) = three(member).await;
        let Told::Answer(balance) = pairing.gateway.balance().await else { panic!("{member:?}") };
        assert_eq!((balance.left.as_deref(), balance.of.as_str()), (Some("93"), "units"));
        assert!(balance.words.contains("Simulated-Video-Pack until 20"), "{}", balance.words);
        let Told::Answer(Charges { charges, next }) = pairing.gateway.charges(always(), None).await else {
            panic!("{member:?}")
        };
        let mut charged: Vec<_> = charges.iter().map(|charge| (charge.task.clone(), charge.units.as_str())).collect();
        let mut expected = vec![(one.task, "3.5"), (three.task, "3.5")];
        charged.sort_by_key(|(task, _)| task.to_string());
        expected.sort_by_key(|(task, _)| task.to_string());
        assert_eq!((charged, next), (expected, None), "{member:?}");
        assert!(charges.iter().all(|charge| charge.at.is_some()));
        let long_ago = (Timestamp::from_second(1).unwrap(), Timestamp::from_second(2).unwrap());
        assert_eq!(pairing.gateway.charges(long_ago, None).await, Told::Answer(Charges::default()));
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn charges_go_on_page_by_page_until_all_were_told() {
    const TASKS: usize = 1_203;
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("world.jsonl");
    let at = Clock::system().now().as_millisecond() - 60_000;
    let line = |number: usize| {
        json!({ "id": format!("8{number:017}"), "external": null, "scene": "s", "images": [], "created_at": at,
            "ends_at": at + 1000, "visible_at": at, "fails": null, "callback": null, "parallel": 1 })
        .to_string()
    };
    std::fs::write(&journal, (0..TASKS).map(|number| line(number) + "\n").collect::<String>()).unwrap();
    let pairing = Kling.start_with(simulator::Settings { journal: Some(journal), ..Kling.remote() }).await;
    let mut units = BTreeMap::new();
    let (mut next, mut pages) = (None, 0);
    loop {
        let Told::Answer(page) = pairing.gateway.charges(always(), next.as_deref()).await else {
            panic!("page {pages}")
        };
        units.extend(page.charges.into_iter().map(|charge| (charge.task.to_string(), charge.units)));
        pages += 1;
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!((pages, units.len()), (3, TASKS));
    assert!(units.values().all(|units| units == "2"));
    pairing.simulator.shutdown().await;
}

#[tokio::test]
async fn several_tasks_at_once_are_told_like_each_by_itself() {
    for member in [Member::Simulator, Kling] {
        let (pairing, made) = three(member).await;
        let tasks: Vec<TaskId> = made.iter().map(|accepted| accepted.task.clone()).collect();
        let Listed::Page(together) = pairing.gateway.observe_many(&tasks).await else { panic!("{member:?}") };
        assert_eq!(pairing.stats().task_pages, 1);
        for (accepted, together) in made.iter().zip(together) {
            let alone = pairing.ended(accepted).await;
            assert_eq!((&together.task, &together.client_ref), (&alone.task, &alone.client_ref));
            assert_eq!((&together.units, together.took), (&alone.units, alone.took), "{member:?}");
            assert_eq!(together.created_at, alone.created_at);
            match (&together.progress, &alone.progress) {
                (Progress::Succeeded { link }, Progress::Succeeded { .. }) => {
                    assert_eq!(pairing.fetch(link).await.0, 200, "{link}");
                }
                (together, alone) => assert_eq!(together, alone),
            }
        }
        pairing.simulator.shutdown().await;
    }
    // Documented for plain keys only: a pair does not try.
    let (pairing, made) = three(KlingPair { ahead: 0 }).await;
    let told = pairing.gateway.observe_many(&[made[0].task.clone()]).await;
    assert!(matches!(told, Listed::Unclear { .. }), "{told:?}");
    assert_eq!(pairing.stats().task_pages, 0);
}

#[tokio::test]
async fn a_bad_answer_about_several_tasks_ends_none_of_them() {
    for (fault, goes_on) in [("query-500", true), ("query-429", true), ("query-404", false), ("query-401", false)] {
        let pairing = Kling.faulty(&[fault]).await;
        let task = [pairing.made(1).await.task];
        for _ in 0..2 {
            let told = pairing.gateway.observe_many(&task).await;
            assert!(matches!(told, Listed::Unclear { .. }), "{fault}: {told:?}");
        }
        assert_eq!(pairing.stats().task_pages, if goes_on { 2 } else { 1 }, "{fault}");
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn the_latest_tasks_are_told_with_how_they_fare() {
    for member in ALL {
        let (pairing, made) = three(member).await;
        let told = pairing.gateway.recent(1, 2).await;
        let offered = matches!(member, Comet | CometWrapped) || pairing.gateway.capabilities().list;
        if !offered {
            assert_eq!(told, Told::NotOffered, "{member:?}");
            continue;
        }
        let Told::Answer(latest) = told else { panic!("{member:?}: {told:?}") };
        let ids: Vec<&TaskId> = latest.iter().map(|seen| &seen.task).collect();
        assert_eq!(ids, [&made[2].task, &made[1].task], "{member:?}: two, the latest first");
        assert!(matches!(latest[1].progress, Progress::Failed { .. }), "{member:?}: {latest:?}");
        assert!(latest.iter().all(|seen| seen.created_at.is_some()));
        let Told::Answer(rest) = pairing.gateway.recent(2, 2).await else { panic!("{member:?}") };
        assert_eq!(rest.iter().map(|seen| &seen.task).collect::<Vec<_>>(), [&made[0].task]);
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn cometapi_tells_dollars_to_the_key_and_tasks_to_the_token_only() {
    let (pairing, _) = three(Comet).await;
    let Told::Answer(balance) = pairing.gateway.balance().await else { panic!() };
    // 93 units of 0.14 dollars each.
    assert_eq!((balance.left.as_deref(), balance.of.as_str()), (Some("13.02"), "USD"));
    assert_eq!(balance.words, "0.98 USD used so far");
    assert_eq!(pairing.gateway.charges(always(), None).await, Told::NotOffered);

    let spec = || Comet.spec(pairing.simulator.base_url());
    let without = built(Spec { account_token: None, ..spec() });
    assert_eq!(without.recent(1, 20).await, Told::NotOffered);
    let with_the_key = built(Spec { account_token: Some(KEY.into()), ..spec() });
    let Told::Unclear { words } = with_the_key.recent(1, 20).await else { panic!() };
    assert!(words.contains("token") && !words.contains(KEY), "{words}");
    let stranger = built(Spec { credentials: Credentials::Key("sk-other".into()), ..spec() });
    let Told::Unclear { words } = stranger.balance().await else { panic!() };
    assert!(words.contains("no such key") && !words.contains("sk-other"), "{words}");

    // A key without a limit of its own leaves what the account has.
    let endless = Comet.start().await;
    let Told::Answer(balance) = endless.gateway.balance().await else { panic!() };
    assert_eq!(balance.left.as_deref(), Some("140000"));
}

#[tokio::test]
async fn where_nothing_is_told_of_the_account_nothing_is_asked() {
    for member in [Kkiai, Compatible, CompatibleAble, Fal, WaveSpeed] {
        let pairing = member.start().await;
        assert_eq!(pairing.gateway.balance().await, Told::NotOffered, "{member:?}");
        assert_eq!(pairing.gateway.charges(always(), None).await, Told::NotOffered, "{member:?}");
        pairing.simulator.shutdown().await;
    }
}
