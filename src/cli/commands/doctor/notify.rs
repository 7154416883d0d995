//! Whom a run would tell, and, where that is asked for, whether they hear.

use crate::notify::{self, Notifier, Settings};
use crate::pace::Clock;

use super::finding::Findings;

/// What is doubtful is a note: nobody who does not hear keeps a run from its work. One that was to be told now and was not is
/// a problem, for that was asked.
pub(super) async fn examine(settings: &Settings, test: bool, clock: &Clock, findings: &mut Findings) {
    for notify::Examined { who, words, doubts } in notify::examine(settings) {
        if doubts.is_empty() {
            findings.good(who, words);
        }
        for (doubt, hint) in doubts {
            findings.note(who, doubt, hint);
        }
    }
    if !test {
        return;
    }
    let Some(notifier) = Notifier::new(settings, clock) else {
        let hint = "[notify] in nightreel.toml names whom a run tells: url, ping, command";
        findings.bad("notify", "there is nobody who could be told", hint);
        return;
    };
    for (who, trouble) in notify::rehearse(&notifier).await {
        match trouble {
            None => findings.good(who, "the test was taken: look whether it arrived"),
            Some(words) => {
                let hint = match who {
                    "ping" => {
                        "look the address up; a service that has no /log (healthchecks.io has) answers 404, and may take \
                         pings all the same"
                    }
                    "command" => "put `command` in [notify] right; sh -c '…' runs it by hand",
                    _ => "look address and kind in [notify] up",
                };
                findings.bad(who, words.trim_start_matches("notify: "), hint);
            }
        }
    }
}
