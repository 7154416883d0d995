//! Every code that Kling documents and every word that its gateways use for one, as data: what it means, what nightreel
//! does about it, what a person can do, and, so that these cannot differ from what really happens, its class.

use super::verdict::Verdict;
use crate::gateway::{Limit, PauseReason};

/// What there is to know of one error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// The code as the remote spells it: Kling's number, a gateway's word.
    pub code: &'static str,
    /// The HTTP status that it is documented to come with.
    pub status: u16,
    /// What it means.
    pub meaning: &'static str,
    /// What nightreel does about it.
    pub does: &'static str,
    /// What a person can do.
    pub hint: &'static str,
    /// What it says about a request, the words apart.
    pub(super) class: Verdict,
}

/// What there is to know of `code`, where it is known.
#[must_use]
pub fn advice(code: &str) -> Option<&'static Advice> {
    ALL.iter().find(|advice| advice.code == code)
}

/// What there is to know of a refusal or a failure: by the words that were observed, else by its `code`.
#[must_use]
pub fn advice_on(code: Option<&str>, words: &str) -> Option<&'static Advice> {
    TOLD.iter().find(|advice| words.contains(advice.code)).or_else(|| advice(code?))
}

/// The words that are known, of refusals and of failed tasks; each stands where an [`Advice`] has its code.
#[must_use]
pub fn known_words() -> &'static [Advice] {
    TOLD
}

/// All codes that are known: Kling's, then its gateways'.
#[must_use]
pub fn all_advice() -> &'static [Advice] {
    ALL
}

/// What nightreel does, class by class.
const PAUSES: &str = "pauses the account: no row fails, and what was paid is collected by the next run";
const FAILS: &str = "fails the row: nothing was made, nothing is owed";
const WAITS: &str = "waits, and sends the row again: nothing was made";
const DOUBTS: &str = "takes the row for in doubt: it asks whether a task was made before anything is sent again";
const BY_STATUS: &str = "goes by the HTTP status: 4xx fails the row, 429 waits, 5xx leaves it in doubt";

const fn entry(
    code: &'static str,
    status: u16,
    class: Verdict,
    meaning: &'static str,
    does: &'static str,
    hint: &'static str,
) -> Advice {
    Advice { code, status, meaning, does, hint, class }
}

use Verdict::{Absent, Broken, Limited, Paused, Refused, Unknown};

#[rustfmt::skip]
const ALL: &[Advice] = &[
    // Kling (documented).
    entry("1000", 401, Paused(PauseReason::Key), "the key was not accepted", PAUSES,
        "check the key: it is read from NIGHTREEL_API_KEY or from key_file"),
    entry("1001", 401, Paused(PauseReason::Key), "no key came with the request", PAUSES,
        "set a key: export NIGHTREEL_API_KEY=…, or key_file in nightreel.toml"),
    entry("1002", 401, Paused(PauseReason::Key), "the key is wrong, or of a kind that is not taken here", PAUSES,
        "copy the key again, and check that it belongs to this gateway and, at Kling, to this region"),
    entry("1003", 401, Paused(PauseReason::Key), "the token is not valid yet: the clocks differ",
        "makes a new token by the remote's time and asks once more; then it pauses the account",
        "put this machine's clock right, or use an API key, which needs no clock"),
    entry("1004", 401, Paused(PauseReason::Key), "the token has expired: the clocks differ",
        "makes a new token by the remote's time and asks once more; then it pauses the account",
        "put this machine's clock right, or use an API key, which needs no clock"),
    entry("1100", 429, Paused(PauseReason::Account), "something is wrong with the account", PAUSES,
        "look at the account in Kling's console"),
    entry("1101", 429, Paused(PauseReason::Balance), "the account is in arrears", PAUSES,
        "pay what is owed, then run the same command again"),
    entry("1102", 429, Paused(PauseReason::Balance), "the resource pack is used up, has expired, or is of another kind", PAUSES,
        "buy a pack for video, then run the same command again"),
    entry("1103", 403, Paused(PauseReason::Key), "the key has no permission for this scene or model", PAUSES,
        "give the key permission for the scene or the model in the console, or leave such rows out"),
    entry("1200", 400, Refused, "the request is not as it must be", FAILS,
        "read the remote's words, correct the row, then `nightreel retry`"),
    entry("1201", 400, Refused, "a value of the row is not accepted",
        "fails the row, unless the words say that the reference exists already (the task is then looked for) or that a task is not there",
        "read the remote's words, correct the row, then `nightreel retry`"),
    entry("1202", 404, Paused(PauseReason::Route), "the address does not take such requests", PAUSES,
        "check --base-url: it ends before /v1"),
    entry("1203", 404, Refused, "the scene, the model or the resource does not exist", FAILS,
        "check the scene's name: scenes come and go"),
    entry("1300", 400, Refused, "refused by the platform's policy", FAILS,
        "use another image or another scene"),
    entry("1301", 400, Refused, "refused by the moderation of contents", FAILS,
        "use another image: the same one will be refused again"),
    entry("1302", 429, Limited(Limit::Rate), "too many requests in a short time", WAITS,
        "lower --rate"),
    entry("1303", 429, Limited(Limit::Parallel), "this account already runs as many tasks as its pack allows", WAITS,
        "lower --in-flight, or stop what else uses the account"),
    entry("1304", 429, Paused(PauseReason::Account), "requests from this address are not allowed", PAUSES,
        "add this machine's address to the allow-list in Kling's console"),
    entry("5000", 500, Broken, "the server failed", DOUBTS, "nothing; tell Kling if it goes on"),
    entry("5001", 503, Broken, "the server is being maintained", DOUBTS, "nothing, or go on later"),
    entry("5002", 504, Broken, "the server took too long: it has a backlog", DOUBTS, "nothing; lower --in-flight if it goes on"),
    // new-api and its kin (read in their source).
    entry("task_not_exist", 400, Absent, "the gateway knows no such task, or not yet",
        "asks again: for a while after a submission that is usual", "check the account if it goes on"),
    entry("quota_not_enough", 403, Paused(PauseReason::Balance), "the balance is used up", PAUSES,
        "top up the account, then run the same command again"),
    entry("insufficient_user_quota", 403, Paused(PauseReason::Balance), "the account's balance is used up", PAUSES,
        "top up the account, then run the same command again"),
    entry("insufficient_quota", 429, Paused(PauseReason::Balance), "the balance is used up", PAUSES,
        "top up the account, then run the same command again"),
    entry("pre_consume_token_quota_failed", 403, Paused(PauseReason::Balance), "the key's own balance is used up", PAUSES,
        "raise the key's limit at the gateway, then run the same command again"),
    entry("do_request_failed", 500, Broken, "the gateway did not reach Kling, or lost it", DOUBTS,
        "nothing; tell the gateway if it goes on"),
    entry("read_response_body_failed", 500, Broken, "the gateway lost Kling's answer", DOUBTS,
        "nothing; tell the gateway if it goes on"),
    entry("unmarshal_response_failed", 500, Broken, "the gateway did not understand Kling's answer", DOUBTS,
        "nothing; tell the gateway if it goes on"),
    entry("new_api_panic", 500, Broken, "the gateway failed in the midst of it", DOUBTS,
        "nothing; tell the gateway if it goes on"),
    entry("fail_to_fetch_task", 500, Unknown, "Kling refused the gateway's request", BY_STATUS,
        "read the remote's words: they are Kling's own"),
    entry("task_failed", 400, Unknown, "Kling refused the request", BY_STATUS, "read the remote's words: they are Kling's own"),
    entry("get_channel_failed", 503, Unknown, "the gateway has no way to Kling at the moment", BY_STATUS,
        "try later, or another group or key at the gateway"),
    entry("model_not_found", 503, Unknown, "the gateway has no way to this model at the moment", BY_STATUS,
        "check that the key may use Kling's effects at this gateway"),
    entry("invalid_request", 400, Unknown, "the request is not as the gateway wants it", BY_STATUS,
        "read the remote's words, correct the row, then `nightreel retry`"),
    entry("model_price_error", 400, Unknown, "the gateway has no price for this", BY_STATUS,
        "ask the gateway whether it offers Kling's effects"),
    entry("model_mapping_failed", 400, Unknown, "the gateway does not know this model", BY_STATUS,
        "leave `model` out, or name one that the gateway has"),
    entry("read_request_body_failed", 413, Unknown, "the request is too large for the gateway", BY_STATUS,
        "use URLs for the images, or --images-via"),
    entry("get_task_failed", 500, Unknown, "the gateway could not look the task up", "asks again later",
        "nothing; tell the gateway if it goes on"),
];

/// What nightreel does about a task that failed.
const KEEPS: &str =
    "fails the row: the task was made, and probably nothing is owed; `nightreel retry` pays for another";

#[rustfmt::skip]
const TOLD: &[Advice] = &[
    // Observed by clients of Kling; the last two on requests, the others on tasks that were accepted.
    entry("Failure to pass the risk control system", 200, Refused, "the moderation of contents refused the picture or the video", KEEPS,
        "use another image: the same one will fail again"),
    entry("Image pixel is invalid", 200, Refused, "the image is too small, or not of a size that is taken", KEEPS,
        "use an image of at least 300 pixels a side"),
    entry("not in a valid base64 format", 400, Refused, "the image could not be read", FAILS,
        "use a URL that the remote can reach, or a local JPEG or PNG file"),
    entry("has been discontinued", 400, Refused, "the scene or the model is no longer offered", FAILS,
        "choose another scene: nightreel scenes"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Doubt, FailureCause};
    use crate::gateway::kling::classify::{self, Answer};
    use crate::gateway::words::Wording;
    use crate::gateway::{NotMade, Pause, Submitted};

    /// What a request for a task comes to that is answered by `code` with `status` and no telling words.
    fn becomes(code: &str, status: u16) -> String {
        let value = code.parse::<u32>().map_or_else(|_| format!("{code:?}"), |number| number.to_string());
        let body = format!(r#"{{"code":{value},"message":"m"}}"#).into_bytes();
        match classify::submitted(&Answer { status, body, ..Answer::default() }, &Wording::new(None)) {
            Submitted::Refused(FailureCause::Refused { code: Some(found), .. }) if found == code => "refused".into(),
            Submitted::NotMade(NotMade { limit, .. }) => format!("{limit:?}"),
            Submitted::InDoubt(Doubt::ServerError { .. }) => "doubt".into(),
            Submitted::Paused(Pause { reason, words }) => {
                let hint = advice(code).unwrap().hint;
                assert!(words.contains(hint), "{words:?} does not say {hint:?}");
                format!("{reason:?}")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn words_that_are_known_say_more_than_their_code() {
        let hint = |code, words| advice_on(code, words).map(|advice| advice.hint);
        assert_eq!(hint(None, "Image pixel is invalid"), Some("use an image of at least 300 pixels a side"));
        let base64 = "File is not in a valid base64 format";
        assert_ne!(hint(Some("1201"), base64), hint(Some("1201"), "no such scene"));
        assert_eq!(hint(Some("1201"), "no such scene"), hint(Some("1201"), ""));
        assert_eq!(hint(None, "something else"), None);
    }

    #[test]
    fn every_code_has_its_advice_and_does_what_is_said() {
        let mut expected = vec![
            ("1000", 401, "Key"),
            ("1001", 401, "Key"),
            ("1002", 401, "Key"),
            ("1003", 401, "Key"),
            ("1004", 401, "Key"),
            ("1100", 429, "Account"),
            ("1101", 429, "Balance"),
            ("1102", 429, "Balance"),
            ("1103", 403, "Key"),
            ("1200", 400, "refused"),
            ("1201", 400, "refused"),
            ("1202", 404, "Route"),
            ("1203", 404, "refused"),
            ("1300", 400, "refused"),
            ("1301", 400, "refused"),
            ("1302", 429, "Rate"),
            ("1303", 429, "Parallel"),
            ("1304", 429, "Account"),
            ("5000", 500, "doubt"),
            ("5001", 503, "doubt"),
            ("5002", 504, "doubt"),
            ("task_not_exist", 400, "refused"),
            ("quota_not_enough", 403, "Balance"),
            ("insufficient_user_quota", 403, "Balance"),
            ("insufficient_quota", 429, "Balance"),
            ("pre_consume_token_quota_failed", 403, "Balance"),
            ("do_request_failed", 500, "doubt"),
            ("read_response_body_failed", 500, "doubt"),
            ("unmarshal_response_failed", 500, "doubt"),
            ("new_api_panic", 500, "doubt"),
            ("fail_to_fetch_task", 500, "doubt"),
            ("task_failed", 400, "refused"),
            ("get_channel_failed", 503, "doubt"),
            ("model_not_found", 503, "doubt"),
            ("invalid_request", 400, "refused"),
            ("model_price_error", 400, "refused"),
            ("model_mapping_failed", 400, "refused"),
            ("read_request_body_failed", 413, "refused"),
            ("get_task_failed", 500, "doubt"),
        ];
        for (code, status, expected) in &expected {
            assert_eq!(becomes(code, *status), *expected, "{code}");
            assert_eq!(advice(code).map(|advice| advice.status), Some(*status), "{code}");
        }
        let mut known: Vec<&str> = all_advice().iter().map(|advice| advice.code).collect();
        known.sort_unstable();
        expected.sort_unstable();
        assert_eq!(known, expected.iter().map(|(code, ..)| *code).collect::<Vec<_>>());
        assert!(all_advice().iter().all(|advice| !advice.meaning.is_empty() && !advice.hint.is_empty()));
        assert_eq!(advice("1305"), None);
    }

    #[test]
    fn a_code_means_the_same_with_whatever_status_below_500_it_comes() {
        for advice in all_advice().iter().filter(|advice| advice.class != Unknown && advice.class != Absent) {
            let alone = becomes(advice.code, 200);
            for status in [400, 429] {
                assert_eq!(becomes(advice.code, status), alone, "{} with {status}", advice.code);
            }
        }
    }
}
