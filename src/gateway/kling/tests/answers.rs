//! One file for each kind of answer that is documented or was observed, and what it means to a request and to a
//! question.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::gateway::PauseReason;
use crate::gateway::kling::wire;

/// The name of a file; what it means as the answer to a request for a task; what it means as the answer to a question
/// for one.
type Line = (&'static str, &'static str, &'static str);

#[rustfmt::skip]
const TASKS: &[Line] = &[
    ("kling_submit_ok", "accepted 867283741759111202 by c0656403", "pending submitted"),
    ("comet_submit_ok", "accepted 2032273960331935744", "pending submitted"),
    ("kling_processing", "accepted 8 by u", "pending processing"),
    ("kling_succeed", "accepted 8 by u", "succeeded https://cdn/v.mp4?Expires=1 after 237 s"),
    ("kling_succeed_without_link", "accepted 8", "pending succeed"),
    ("kling_failed_pixel", "accepted 8", "failed: Image pixel is invalid after 2 s"),
    ("kling_status_of_tomorrow", "accepted 8", "pending throttled"),
    ("newapi_submit_openai_video", "accepted task_abc by 2026112408", "pending queued"),
    ("newapi_submit_task_id_only", "accepted task_abc", "unclear"),
    ("newapi_taskdto_not_start", "accepted task_abc", "pending NOT_START"),
    ("newapi_taskdto_in_progress", "accepted task_abc", "pending IN_PROGRESS"),
    ("newapi_taskdto_success", "accepted task_abc", "succeeded https://cdn/v.mp4 after 200 s"),
    ("newapi_taskdto_failure", "accepted task_abc", "failed: risk control"),
    ("newapi_taskdto_success_url_in_fail_reason", "accepted task_abc", "succeeded https://cdn/v.mp4"),
    ("newapi_taskdto_failure_text_in_result_url", "accepted task_abc", "failed: upstream timeout"),
    ("newapi_taskdto_success_text_in_result_url", "accepted task_abc", "pending SUCCESS"),
    ("newapi_taskdto_outer_failure_inner_processing", "accepted task_abc", "failed: timed out"),
    ("comet_wrapper_2026_03", "accepted 203", "succeeded https://cdn/v.mp4"),
    ("simple_queued", "accepted t1", "pending queued"),
    ("simple_succeeded", "accepted t1", "succeeded https://cdn/v.mp4"),
    ("simple_failed", "accepted t1", "failed: face not found"),
    ("flat_completed", "accepted t1", "succeeded https://cdn/v.mp4"),
    ("seconds_timestamps", "accepted task_315w", "succeeded https://cdn/v.mp4 after 240 s"),
    ("callback_bare_object", "accepted 8", "succeeded https://cdn/v.mp4 after 10 s"),
    ("a_task_behind_a_4xx", "in doubt: not understood", "unclear"),
];

#[rustfmt::skip]
const ERRORS: &[Line] = &[
    ("kling_1201_parameter", "refused (1201): File is not in a valid base64 format (request id: u)", "unclear"),
    ("kling_1201_already_exists", "already there", "unclear"),
    ("kling_1201_not_found", "refused (1201): Task not found by id/external id: nr-1-a1 (request id: u)", "not visible"),
    ("kling_1301", "refused (1301): content security (request id: u)", "unclear"),
    ("kling_1301_with_200", "refused (1301): content security", "unclear"),
    ("kling_1202", "paused: Route", "unclear"),
    ("kling_1203", "refused (1203): The requested resource does not exist", "not visible"),
    ("kling_401_1002", "paused: Key", "paused: Key"),
    ("kling_200_1004", "paused: Key", "paused: Key"),
    ("kling_403_1103", "paused: Key", "paused: Key"),
    ("kling_429_1100", "paused: Account", "unclear"),
    ("kling_429_1102", "paused: Balance", "unclear"),
    ("kling_429_1302", "not made: Rate", "unclear"),
    ("kling_429_1303", "not made: Parallel", "unclear"),
    ("kling_429_1304", "paused: Account", "unclear"),
    ("kling_500_5000", "in doubt: HTTP 500", "unclear"),
    ("kling_503_5001", "in doubt: HTTP 503", "unclear"),
    ("kling_504_5002", "in doubt: HTTP 504", "unclear"),
    ("kling_200_5000", "in doubt: HTTP 200", "unclear"),
    ("a_code_of_tomorrow_with_200", "in doubt: not understood", "unclear"),
    ("newapi_task_not_exist_400", "refused (task_not_exist): task_not_exist", "not visible"),
    ("onehub_404", "refused (task_not_exist): task_not_exist", "not visible"),
    ("newapi_data_null", "in doubt: not understood", "unclear"),
    ("onehub_no_data", "in doubt: not understood", "unclear"),
    ("newapi_fail_to_fetch_embedded_json", "not made: Parallel", "unclear"),
    ("newapi_fail_to_fetch_embedded_duplicate", "already there", "unclear"),
    ("newapi_fail_to_fetch_embedded_5000", "in doubt: HTTP 400", "unclear"),
    ("newapi_unreadable_upstream", "in doubt: HTTP 400", "unclear"),
    ("newapi_500_do_request_failed", "in doubt: HTTP 500", "unclear"),
    ("newapi_quota_403", "paused: Balance", "paused: Balance"),
    ("newapi_quota_400", "paused: Balance", "unclear"),
    ("newapi_429_empty_body", "not made: Rate", "unclear"),
    ("newapi_500_empty_body", "in doubt: HTTP 500", "unclear"),
    ("newapi_429_saturated", "not made: Rate", "unclear"),
    ("newapi_401_openai_error", "paused: Key", "paused: Key"),
    ("newapi_401_quota_used_up", "paused: Balance", "paused: Balance"),
    ("newapi_404_route", "paused: Route", "unclear"),
    ("an_invalid_image_url_is_the_rows_own", "refused (x): Invalid URL in input.image", "unclear"),
    ("newapi_task_failed_without_the_number", "not made: Parallel", "unclear"),
    ("comet_400_relay_mode", "paused: Route", "unclear"),
    ("comet_500_invalid_request", "in doubt: HTTP 500", "unclear"),
    ("comet_503_model_not_found", "in doubt: HTTP 503", "unclear"),
    ("fastapi_422", r#"refused (HTTP 422): [{"loc":["body"],"msg":"field required"}]"#, "unclear"),
    ("apimodels_200_of_another_protocol", "in doubt: not understood", "unclear"),
    ("newapi_html_200", "in doubt: not understood", "unclear"),
    ("newapi_html_404", "paused: Route", "unclear"),
    ("html_403", "paused: Key", "paused: Key"),
    ("html_405", "paused: Route", "unclear"),
    ("nginx_413_html", "refused (HTTP 413): the request is too large for this gateway: use URLs, or --images-via", "unclear"),
    ("nginx_502_html", "in doubt: HTTP 502", "unclear"),
    ("cloudflare_524", "in doubt: HTTP 524", "unclear"),
    ("litellm_500_text", "in doubt: HTTP 500", "unclear"),
    ("empty_200", "in doubt: not understood", "unclear"),
    ("cut_json_200", "in doubt: not understood", "unclear"),
    ("json_number_200", "in doubt: not understood", "unclear"),
    ("empty_408", "in doubt: HTTP 408", "unclear"),
    ("conflict_409", "in doubt: not understood", "unclear"),
    ("payment_required_402", "paused: Balance", "unclear"),
    ("see_other_303", "in doubt: not understood", "unclear"),
    ("moved_301", "paused: Route", "unclear"),
];

/// What a web page says while nothing has shown yet that there is an API.
const NOT_SPOKEN: &[Line] = &[("newapi_html_200", "paused: Route", "paused: Route")];

/// Shapes that were met at gateways: each must have its file.
const MET: [&str; 33] = [
    "kling_submit_ok",
    "comet_submit_ok",
    "kling_processing",
    "kling_succeed",
    "kling_failed_pixel",
    "kling_429_1303",
    "newapi_submit_openai_video",
    "newapi_taskdto_not_start",
    "newapi_taskdto_in_progress",
    "newapi_taskdto_success",
    "newapi_taskdto_failure",
    "newapi_taskdto_success_url_in_fail_reason",
    "newapi_taskdto_failure_text_in_result_url",
    "newapi_taskdto_outer_failure_inner_processing",
    "newapi_task_not_exist_400",
    "newapi_data_null",
    "newapi_fail_to_fetch_embedded_json",
    "newapi_429_empty_body",
    "newapi_429_saturated",
    "newapi_401_openai_error",
    "newapi_html_200",
    "onehub_no_data",
    "onehub_404",
    "comet_wrapper_2026_03",
    "simple_queued",
    "simple_succeeded",
    "simple_failed",
    "seconds_timestamps",
    "comet_500_invalid_request",
    "nginx_413_html",
    "nginx_502_html",
    "litellm_500_text",
    "callback_bare_object",
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/gateway/kling/tests/fixtures")
}

/// The answer in a file, to `asked`, by a gateway that has spoken before.
fn answer(name: &str) -> Answer {
    let text = fs::read_to_string(folder().join(format!("{name}.http"))).unwrap();
    let (head, body) = text.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: HeaderMap = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
        .collect();
    let now = "2026-11-24T08:00:00Z".parse().unwrap();
    let body = body.strip_suffix('\n').unwrap_or(body).as_bytes().to_vec();
    Answer { asked: "POST /v1/videos/effects".into(), spoken: true, body, ..wire::heard(status, &headers, now) }
}

fn submitted(answer: &Answer) -> Submitted {
    classify::submitted(answer, &Wording::new(None))
}

fn observed(answer: Answer) -> Observed {
    let gateway = gateway(settings("https://h"));
    let shape = Shape::of(&answer.body);
    match gateway.record(answer, shape) {
        Ok((answer, record)) => gateway.seen(&answer, record, Some(TaskId::new("asked").unwrap())),
        Err(none) => none.into(),
    }
}

fn lines() -> impl Iterator<Item = &'static Line> {
    TASKS.iter().chain(ERRORS)
}

fn wrong(line: &Line, answer: &Answer) -> Option<String> {
    let (name, submit, observe) = line;
    let found = (submit_says(&submitted(answer)), observe_says(&observed(answer.clone())));
    (found != ((*submit).to_owned(), (*observe).to_owned()))
        .then(|| format!("{name}: {:?} / {:?}, not {submit:?} / {observe:?}", found.0, found.1))
}

#[test]
fn every_known_answer_means_what_it_must() {
    let wrong: Vec<String> = lines().filter_map(|line| wrong(line, &answer(line.0))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_is_used_and_every_shape_that_was_met_has_one() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let used: BTreeSet<String> = lines().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(files, used);
    let missing: Vec<&str> = MET.into_iter().filter(|name| !files.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn before_the_api_has_spoken_a_web_page_is_a_wrong_address_and_nothing_else_differs() {
    for line in lines() {
        let line = NOT_SPOKEN.iter().find(|other| other.0 == line.0).unwrap_or(line);
        assert_eq!(wrong(line, &Answer { spoken: false, ..answer(line.0) }), None);
    }
    let Submitted::Paused(pause) = submitted(&Answer { spoken: false, ..answer("newapi_html_200") }) else { panic!() };
    assert_eq!(
        format!("{}: {}", pause.reason, pause.words),
        "this gateway has no such route: POST /v1/videos/effects was answered by a web page: New API"
    );
}

#[test]
fn the_words_of_an_answer_name_the_request_once_and_those_of_a_pause_say_what_to_do() {
    for (name, expected) in [
        ("kling_429_1303", "parallel task over resource pack limit (request id: u)"),
        ("newapi_429_saturated", "当前分组上游负载已饱和，请稍后再试 (request id: 2026112408)"),
        ("newapi_429_empty_body", "an empty body (request id: 2026112408)"),
        ("comet_500_invalid_request", "bad body (request id: 2026)"),
        ("newapi_401_openai_error", "无效的令牌 (request id: 2026)"),
        (
            "kling_401_1002",
            "Authorization is invalid; copy the key again, and check that it belongs to this gateway and, at Kling, to \
             this region",
        ),
    ] {
        let words = match submitted(&answer(name)) {
            Submitted::NotMade(NotMade { words, .. })
            | Submitted::InDoubt(Doubt::ServerError { words, .. })
            | Submitted::Paused(Pause { words, .. }) => words,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(words, expected, "{name}");
    }
    let Observed::Paused(Pause { words, reason: PauseReason::Key }) = observed(answer("kling_403_1103")) else {
        panic!()
    };
    assert!(words.contains("permission for the scene or the model"), "{words}");
}

#[test]
fn a_task_is_told_with_its_charge_and_its_beginning() {
    let Observed::Seen(seen) = observed(answer("kling_succeed")) else { panic!() };
    assert_eq!(seen.units.as_deref(), Some("2"));
    assert_eq!(seen.created_at.map(Timestamp::as_millisecond), Some(1_774_805_076_166));
    let Observed::Seen(seen) = observed(answer("seconds_timestamps")) else { panic!() };
    assert_eq!((seen.units, seen.created_at.map(Timestamp::as_second)), (None, Some(1_774_805_076)));
}

#[test]
fn a_key_that_is_refused_for_want_of_money_is_told_as_such() {
    let body = r#"{"code":1002,"message":"Insufficient account balance","request_id":"u"}"#;
    let refused = Answer { body: body.into(), ..answer("kling_401_1002") };
    assert_eq!(submit_says(&submitted(&refused)), "paused: Balance");
    assert_eq!(submit_says(&submitted(&answer("kling_401_1002"))), "paused: Key");
}

#[test]
fn no_5xx_is_ever_taken_for_a_certainty() {
    for (name, ..) in lines() {
        for status in [500, 502, 503, 504, 524, 599] {
            for spoken in [true, false] {
                let submitted = submitted(&Answer { status, spoken, ..answer(name) });
                assert!(matches!(submitted, Submitted::InDoubt(_)), "{name} with {status}: {submitted:?}");
            }
        }
    }
}

#[test]
fn no_error_answer_to_a_question_ever_ends_a_task() {
    for (name, ..) in ERRORS {
        assert!(!matches!(observed(answer(name)), Observed::Seen(_)), "{name}");
    }
}

#[test]
fn garbage_panics_nowhere_and_promises_nothing() {
    for (name, ..) in lines() {
        let whole = answer(name);
        for cut in (0..whole.body.len()).step_by(7) {
            let cut = Answer { status: 200, body: whole.body[..cut].to_vec(), ..whole.clone() };
            let submitted = submitted(&cut);
            assert!(matches!(submitted, Submitted::InDoubt(Doubt::NotUnderstood { .. })), "{submitted:?}");
        }
    }
}
