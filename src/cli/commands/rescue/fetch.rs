//! Fetches the videos of tasks that no row adopts, beside the output trees, under the names of their tasks.

use tokio_util::sync::CancellationToken;

use crate::cli::failure::Failure;
use crate::domain::{Digest, Observation, OutputKey, Progress, TaskId};
use crate::gateway::{Asked, Observed};
use crate::pace::Clock;
use crate::pipeline::LaneSettings;
use crate::pipeline::download::{Downloader, Fetched};
use crate::sink::{Found, Sink};

use super::strays::Stray;
use super::{BETWEEN, Fate, TRIES};

/// The longest that the id of a task is kept as a name.
const LONGEST: usize = 100;

/// Fetches, one after the other, what may hold a video and is no row's to adopt.
pub(super) async fn fetch(
    lanes: &[LaneSettings],
    sink: &dyn Sink,
    (clock, downloader): (&Clock, &Downloader),
    strays: &mut [Stray],
) -> Result<(), Failure> {
    let is_wanted =
        |stray: &&mut Stray| stray.is_left() && stray.claim.as_ref().is_none_or(|claim| claim.event.is_err());
    for (place, stray) in strays.iter_mut().filter(is_wanted).enumerate() {
        let Some(lane) = lanes.iter().find(|lane| lane.account.name == stray.account) else { continue };
        if place > 0 {
            clock.sleep(BETWEEN).await;
        }
        stray.fate = one(lane, sink, clock, downloader, &stray.seen).await?;
    }
    Ok(())
}

async fn one(
    lane: &LaneSettings,
    sink: &dyn Sink,
    clock: &Clock,
    downloader: &Downloader,
    seen: &Observation,
) -> Result<Fate, Failure> {
    let (key, owner) = names(&seen.task)?;
    if let Found::File { .. } = sink.look(&key).await? {
        // Files get their names only when they are whole: an earlier rescue fetched it.
        return Ok(Fate::Downloaded { file: key.to_string() });
    }
    let mut tries = 0;
    loop {
        // A link of its own for each try: those of a list may be old.
        let words = match lane.gateway.observe(Asked { task: &seen.task, handle: None }).await {
            Observed::Seen(Observation { progress: Progress::Succeeded { link }, .. }) => {
                match downloader
                    .fetch((&link, downloader.reach_of(&lane.account)), sink, &key, &owner, &CancellationToken::new())
                    .await
                {
                    Fetched::Stored(artifact) => return Ok(Fate::Downloaded { file: artifact.key.to_string() }),
                    Fetched::SinkStopped(why) => return Err(why.into()),
                    Fetched::Expired { words } | Fetched::Failed { words, .. } | Fetched::Refused { words } => words,
                    Fetched::Stopped => "it was stopped".to_owned(),
                }
            }
            Observed::Seen(Observation { progress: Progress::Pending { .. }, .. }) => {
                return Ok(Fate::NotFetched { words: "it has not ended yet".to_owned() });
            }
            Observed::Seen(Observation { progress: Progress::Failed { words }, .. }) => {
                return Ok(Fate::NotFetched { words: format!("it failed: {words}") });
            }
            Observed::NotVisible => "its account does not show it by its id".to_owned(),
            Observed::Unclear { words, .. } => words,
            Observed::Paused(pause) => return Ok(Fate::NotFetched { words: pause.to_string() }),
        };
        tries += 1;
        if tries >= TRIES {
            return Ok(Fate::NotFetched { words });
        }
        clock.sleep(BETWEEN).await;
    }
}

/// Where a task's video goes, and whose its partial file is. An id that is no plain name is not made a part of a path.
fn names(task: &TaskId) -> Result<(OutputKey, String), Failure> {
    let digest = Digest::of(task.as_str().as_bytes()).short(24);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_name = task.as_str().len() <= LONGEST && task.as_str().bytes().all(is_plain);
    let name = if is_name { task.as_str() } else { digest.as_str() };
    let key = OutputKey::new(format!("rescued/{name}.mp4"));
    let key = key.map_err(|bad| Failure::new(crate::cli::exit::Exit::Internal, bad))?;
    Ok((key, format!("rescued-{digest}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_no_plain_name_leads_nowhere() {
        let name = |id: &str| names(&TaskId::new(id).unwrap()).unwrap().0.to_string();
        assert_eq!(name("867283741759111202"), "rescued/867283741759111202.mp4");
        for id in ["../../etc/passwd", ".hidden", "a/b", "é", &"x".repeat(101)] {
            let name = name(id);
            assert!(name.len() == "rescued/.mp4".len() + 24 && name.matches('/').count() == 1, "{name}");
        }
    }
}
