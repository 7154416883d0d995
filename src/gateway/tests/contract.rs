//! The contract of every gateway, kept against a remote that its author did not make.

use super::*;

/// Tasks that stay pending, as the contract wants them.
async fn pending(member: Member) -> Pairing {
    let hour = Duration::from_hours(1);
    member.start_with(simulator::Settings { task_for: (hour, hour), ..member.remote() }).await
}

#[tokio::test]
async fn every_preset_keeps_the_contract_with_the_remote_that_it_is_for() {
    for member in ALL {
        let pairing = pending(member).await;
        crate::gateway::contract::holds_for(pairing.gateway.as_ref()).await;
        // The contract asks for eleven tasks, one of them by a reference that was used before.
        let unique = u64::from(pairing.gateway.capabilities().unique);
        let stats = pairing.stats();
        assert_eq!((stats.charged, stats.duplicate_external_ids), (11 - unique, unique), "{member:?}");
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn whoever_comes_with_another_key_is_not_let_in() {
    let other = || SecretString::from("other-taint-0123456789");
    for member in ALL.into_iter().filter(|member| *member != Member::Simulator) {
        let pairing = pending(member).await;
        let wrong = match member {
            KlingPair { .. } => vec![
                Credentials::AccessKey { access: PAIR.0.into(), secret: other() },
                Credentials::AccessKey { access: other(), secret: PAIR.1.into() },
                // A plain key where tokens are expected.
                Credentials::Key(other()),
            ],
            Kling => {
                vec![Credentials::Key(other()), Credentials::AccessKey { access: PAIR.0.into(), secret: PAIR.1.into() }]
            }
            _ => vec![Credentials::Key(other())],
        };
        for credentials in wrong {
            let spec = Spec { credentials, ..member.spec(pairing.simulator.base_url()) };
            crate::gateway::contract::a_stranger_is_not_let_in(built(spec).as_ref()).await;
        }
        assert_eq!(pairing.stats().charged, 0, "{member:?}");
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_request_is_called_what_the_remote_calls_it() {
    for member in ALL {
        let pairing = member.start().await;
        let told = pairing.made(1).await.request_id;
        // CometAPI names none with what it takes (documented), WaveSpeed nowhere; wrappers take Kling's away.
        let named = !matches!(member.dialect(), Dialect::Comet | Dialect::WaveSpeed);
        assert_eq!(told.is_some(), named, "{member:?}: {told:?}");
        pairing.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_probe_tells_how_far_the_remotes_clock_is_ahead() {
    for member in EACH {
        for minutes in [-10, 0, 10] {
            let clock_offset = SignedDuration::from_mins(minutes);
            let pairing = member.start_with(simulator::Settings { clock_offset, ..member.remote() }).await;
            let probe = pairing.gateway.probe().await.unwrap();
            assert_eq!(probe.observed, Observed::NotVisible, "{member:?}");
            let off = probe.ahead.unwrap() - minutes * 60;
            assert!((-5..=5).contains(&off), "{member:?}: {minutes} min, off by {off} s");
            pairing.simulator.shutdown().await;
        }
    }
}
