//! A task's whole life: asked for, watched, and its video fetched, or the reason heard why there is none.

use sha2::{Digest, Sha256};

use super::*;

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn what_is_asked_for_is_made_and_its_link_serves_the_video() {
    for member in ALL {
        let pairing = member.start().await;
        let file = png(400);
        let pictures = [Picture::Url(LINK.to_owned()), Picture::Raw(file.clone())];
        let mut told = Vec::new();
        for (number, picture) in (1..).zip(&pictures) {
            let submitted = pairing.submit(number, "squish", std::slice::from_ref(picture)).await;
            let accepted = pairing.accepted(submitted);
            let seen = pairing.ended(&accepted).await;
            assert_eq!(seen.task, accepted.task, "{member:?}");
            let Progress::Succeeded { link } = seen.progress else { panic!("{member:?}: {:?}", seen.progress) };
            let (status, video) = pairing.fetch(&link).await;
            assert_eq!(status, 200, "{member:?}: {link}");
            told.push((accepted.task.to_string(), sha256(&video)));
        }
        // The remote's own word on what was asked of it.
        let judged = pairing.judged().await;
        assert_eq!(judged.len(), told.len(), "{member:?}");
        for (number, ((task, video), made)) in (1..).zip(told.iter().zip(&judged)) {
            assert_eq!((&made["task_id"], &made["video_sha256"]), (&task.as_str().into(), &video.as_str().into()));
            let external = made["external_task_id"].as_str();
            let reference = client_ref(number);
            assert_eq!(external, member.is_klings_wire().then_some(reference.as_str()), "{member:?}");
            assert_eq!(made["scene"], "squish");
        }
        assert_eq!(judged[0]["images"][0], LINK, "{member:?}");
        assert_eq!(judged[1]["images"][0], sha256(&file), "{member:?}: the file is another one there");
        assert_eq!(pairing.stats().keys_leaked, 0);
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn two_images_come_in_their_order_or_are_refused_before_anything_is_sent() {
    let pictures = [Picture::Raw(png(400)), Picture::Url(LINK.to_owned())];
    for member in EACH {
        let pairing = member.start().await;
        let submitted = pairing.submit(1, "hug_pro", &pictures).await;
        if member == WaveSpeed {
            assert!(matches!(submitted, Submitted::Refused(FailureCause::Input { .. })), "{submitted:?}");
            assert_eq!(pairing.stats().creations, 0);
            continue;
        }
        let accepted = pairing.accepted(submitted);
        assert!(matches!(pairing.ended(&accepted).await.progress, Progress::Succeeded { .. }), "{member:?}");
        let judged = pairing.judged().await;
        assert_eq!(judged[0]["images"], serde_json::json!([sha256(&png(400)), LINK]), "{member:?}");
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_task_that_fails_tells_its_reason() {
    for member in ALL {
        let settings = simulator::Settings { fail_scenes: vec!["doomed".into()], ..member.remote() };
        let pairing = member.start_with(settings).await;
        for (number, scene, picture, words) in [
            (1, "doomed", Picture::Url(LINK.to_owned()), "risk control"),
            (2, "squish", Picture::Raw(png(200)), "Image pixel is invalid"),
        ] {
            let submitted = pairing.submit(number, scene, &[picture]).await;
            let seen = pairing.ended(&pairing.accepted(submitted)).await;
            let Progress::Failed { words: told } = &seen.progress else { panic!("{member:?}: {:?}", seen.progress) };
            assert!(told.contains(words), "{member:?}: {told}");
            assert!(seen.units.is_none_or(|units| units == "0"), "{member:?}: what failed costs nothing");
        }
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_task_is_seen_on_its_way_and_says_how_long_it_took() {
    for member in EACH {
        let took = Duration::from_secs(30);
        let settings = simulator::Settings { task_for: (took, took), ..member.remote() };
        let clock = Clock::starting_at("2026-11-24T08:00:00Z".parse().unwrap());
        let simulator = Simulator::start(settings, clock.clone()).await.unwrap();
        let gateway = build(member.spec(simulator.base_url()), clock).unwrap().gateway;
        let pairing = Pairing { member, simulator, gateway };
        let accepted = pairing.made(1).await;
        let Observed::Seen(seen) = pairing.observe(&accepted).await else { panic!("{member:?}") };
        assert!(matches!(seen.progress, Progress::Pending { .. }) && seen.took.is_none(), "{member:?}: {seen:?}");
        assert_eq!(seen.units, None, "{member:?}");
        pass(40).await;
        let seen = pairing.ended(&accepted).await;
        let told = seen.took.unwrap_or_else(|| panic!("{member:?}: it does not say how long it took"));
        assert!(told.abs_diff(took) <= Duration::from_secs(1), "{member:?}: {told:?}");
        pairing.simulator.shutdown().await;
    }
}

/// Time passes for everybody, without waiting for it.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_night_is_longer_than_a_token_and_than_a_remotes_patience_with_one() {
    let member = KlingPair { ahead: 0 };
    for token_age in [None, Some(Duration::from_secs(2))] {
        let clock = Clock::starting_at("2026-11-24T08:00:00Z".parse().unwrap());
        let settings = simulator::Settings { token_age, ..member.remote() };
        let simulator = Simulator::start(settings, clock.clone()).await.unwrap();
        let gateway = build(member.spec(simulator.base_url()), clock).unwrap().gateway;
        let pairing = Pairing { member, simulator, gateway };
        for number in 1..8 {
            let accepted = pairing.made(number).await;
            // Submissions and questions are the first after a pause by turns.
            if number % 2 == 0 {
                pass(50 * 60).await;
            }
            assert!(matches!(pairing.ended(&accepted).await.progress, Progress::Succeeded { .. }));
            pass(3).await;
        }
        assert_eq!(pairing.stats().charged, 7);
        pairing.simulator.shutdown().await;
    }
}
