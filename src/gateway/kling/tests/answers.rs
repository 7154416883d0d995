//! One fixture for each kind of answer that is documented or was observed, and what it means to a request and to a
//! question.

use super::*;

struct Fixture {
    name: &'static str,
    status: u16,
    body: &'static str,
    /// What it means as the answer to a request for a task.
    submit: &'static str,
    /// What it means as the answer to a question for one.
    observe: &'static str,
}

/// Name, HTTP status, body, meaning for a request, meaning for a question.
const fn row(
    name: &'static str,
    status: u16,
    body: &'static str,
    submit: &'static str,
    observe: &'static str,
) -> Fixture {
    Fixture { name, status, body, submit, observe }
}

const HTML: &str = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";

#[rustfmt::skip]
const TASKS: &[Fixture] = &[
    row("kling_submit_ok", 200,
        r#"{"code":0,"message":"SUCCEED","request_id":"c0656403","data":{"task_id":"867283741759111202","task_status":"submitted","task_info":{"external_task_id":"nr-1-a1"},"created_at":1774805076166,"updated_at":1774805076166}}"#,
        "accepted 867283741759111202", "pending submitted"),
    row("comet_submit_ok", 200,
        r#"{"code":0,"message":"success","data":{"task_id":"2032273960331935744","task_status":"submitted","task_info":{},"created_at":1773374400000,"updated_at":1773374400000}}"#,
        "accepted 2032273960331935744", "pending submitted"),
    row("kling_processing", 200,
        r#"{"code":0,"message":"SUCCEED","request_id":"u","data":{"task_id":"8","task_info":{},"created_at":1774805076166,"updated_at":1774805076166,"task_result":{},"task_status":"processing"}}"#,
        "accepted 8", "pending processing"),
    row("kling_succeed", 200,
        r#"{"code":0,"message":"SUCCEED","request_id":"u","data":{"task_id":"8","task_status":"succeed","task_status_msg":"","task_info":{},"task_result":{"videos":[{"id":"v","url":"https://cdn/v.mp4?Expires=1","watermark_url":"https://cdn/w.mp4"}]},"final_unit_deduction":"2","created_at":1774805076166,"updated_at":1774805313166}}"#,
        "accepted 8", "succeeded https://cdn/v.mp4?Expires=1 after 237 s"),
    row("kling_succeed_without_link", 200,
        r#"{"code":0,"message":"SUCCEED","data":{"task_id":"8","task_status":"succeed","task_result":{"videos":null}}}"#,
        "accepted 8", "pending succeed"),
    row("kling_failed_pixel", 200,
        r#"{"code":0,"message":"SUCCEED","data":{"task_id":"8","task_info":{},"task_result":{},"task_status":"failed","task_status_msg":"Image pixel is invalid","created_at":1774805076166,"updated_at":1774805078166}}"#,
        "accepted 8", "failed: Image pixel is invalid after 2 s"),
    row("kling_status_of_tomorrow", 200,
        r#"{"code":0,"message":"SUCCEED","data":{"task_id":"8","task_status":"throttled","task_result":{"videos":[{"url":"https://cdn/preview.mp4"}]}}}"#,
        "accepted 8", "pending throttled"),
    row("newapi_submit_openai_video", 200,
        r#"{"id":"task_abc","task_id":"task_abc","object":"video","model":"kling","status":"queued","progress":0,"created_at":1774805076}"#,
        "accepted task_abc", "pending queued"),
    row("newapi_submit_task_id_only", 200,
        r#"{"code":"success","message":"","data":{"task_id":"task_abc"}}"#,
        "accepted task_abc", "unclear"),
    row("newapi_taskdto_not_start", 200,
        r#"{"code":"success","message":"","data":{"id":7,"task_id":"task_abc","platform":"50","status":"NOT_START","fail_reason":"","submit_time":1774805076,"start_time":0,"finish_time":0,"progress":"0%","data":null}}"#,
        "accepted task_abc", "pending NOT_START"),
    row("newapi_taskdto_in_progress", 200,
        r#"{"code":"success","message":"","data":{"id":7,"task_id":"task_abc","status":"IN_PROGRESS","fail_reason":"","progress":"30%","data":{"code":0,"message":"SUCCEED","data":{"task_id":"8","task_status":"processing","task_result":{}}}}}"#,
        "accepted task_abc", "pending IN_PROGRESS"),
    row("newapi_taskdto_success", 200,
        r#"{"code":"success","message":"","data":{"id":7,"created_at":1774805076,"updated_at":1774805999,"task_id":"task_abc","status":"SUCCESS","fail_reason":"","result_url":"https://gw/v.mp4","submit_time":1774805076,"finish_time":1774805276,"progress":"100%","data":{"code":0,"data":{"task_id":"8","task_status":"succeed","task_result":{"videos":[{"id":"v","url":"https://cdn/v.mp4"}]}}}}}"#,
        "accepted task_abc", "succeeded https://cdn/v.mp4 after 200 s"),
    row("newapi_taskdto_failure", 200,
        r#"{"code":"success","message":"","data":{"id":7,"task_id":"task_abc","status":"FAILURE","fail_reason":"risk control","progress":"100%","data":null}}"#,
        "accepted task_abc", "failed: risk control"),
    row("newapi_taskdto_success_url_in_fail_reason", 200,
        r#"{"code":"success","message":"","data":{"id":7,"task_id":"task_abc","status":"SUCCESS","fail_reason":"https://cdn/v.mp4","progress":"100%"}}"#,
        "accepted task_abc", "succeeded https://cdn/v.mp4"),
    row("newapi_taskdto_failure_text_in_result_url", 200,
        r#"{"code":"success","message":"","data":{"id":7,"task_id":"task_abc","status":"FAILURE","fail_reason":"upstream timeout","result_url":"upstream timeout"}}"#,
        "accepted task_abc", "failed: upstream timeout"),
    row("newapi_taskdto_success_text_in_result_url", 200,
        r#"{"code":"success","message":"","data":{"id":7,"task_id":"task_abc","status":"SUCCESS","fail_reason":"","result_url":"not yet"}}"#,
        "accepted task_abc", "pending SUCCESS"),
    row("newapi_taskdto_outer_failure_inner_processing", 200,
        r#"{"code":"success","message":"","data":{"id":7,"task_id":"task_abc","status":"FAILURE","fail_reason":"timed out","data":{"code":0,"data":{"task_id":"8","task_status":"processing"}}}}"#,
        "accepted task_abc", "failed: timed out"),
    row("comet_wrapper_2026_03", 200,
        r#"{"code":"success","message":"","data":{"task_id":"203","action":"OMNI_VIDEO","status":"SUCCESS","progress":"100%","data":{"task_id":"8","task_status":"succeed","task_result":{"videos":[{"url":"https://cdn/v.mp4"}]}}}}"#,
        "accepted 203", "succeeded https://cdn/v.mp4"),
    row("simple_queued", 200,
        r#"{"code":"success","message":"","data":{"error":null,"format":"mp4","metadata":null,"status":"queued","task_id":"t1","url":""}}"#,
        "accepted t1", "pending queued"),
    row("simple_succeeded", 200,
        r#"{"code":"success","message":"","data":{"error":null,"format":"mp4","metadata":null,"status":"succeeded","task_id":"t1","url":"https://cdn/v.mp4"}}"#,
        "accepted t1", "succeeded https://cdn/v.mp4"),
    row("simple_failed", 200,
        r#"{"code":"success","message":"","data":{"error":{"message":"face not found","code":"x"},"status":"failed","task_id":"t1","url":""}}"#,
        "accepted t1", "failed: face not found"),
    row("flat_completed", 200,
        r#"{"task_id":"t1","status":"completed","url":"https://cdn/v.mp4","format":"mp4","metadata":null,"error":null}"#,
        "accepted t1", "succeeded https://cdn/v.mp4"),
    row("seconds_timestamps", 200,
        r#"{"code":0,"message":"SUCCEED","task_id":"task_315w","data":{"task_id":"task_315w","task_status":"succeed","created_at":1774805076,"updated_at":1774805316,"task_result":{"images":null,"videos":[{"id":"","url":"https://cdn/v.mp4","duration":"5.042"}]}}}"#,
        "accepted task_315w", "succeeded https://cdn/v.mp4 after 240 s"),
    row("callback_bare_object", 200,
        r#"{"task_id":"8","task_status":"succeed","task_status_msg":"","created_at":1774805076166,"updated_at":1774805086166,"task_result":{"images":[],"videos":[{"id":"v","url":"https://cdn/v.mp4"}]}}"#,
        "accepted 8", "succeeded https://cdn/v.mp4 after 10 s"),
    row("a_task_behind_a_4xx", 400,
        r#"{"code":0,"data":{"task_id":"8","task_status":"submitted"}}"#,
        "in doubt: not understood", "unclear"),
];

#[rustfmt::skip]
const ERRORS: &[Fixture] = &[
    row("kling_1201_parameter", 400, r#"{"code":1201,"message":"File is not in a valid base64 format","request_id":"u"}"#,
        "refused (1201): File is not in a valid base64 format", "unclear"),
    row("kling_1201_already_exists", 400, r#"{"code":1201,"message":"External_task_id nr-1-a1 already exists","request_id":"u"}"#,
        "already there", "unclear"),
    row("kling_1201_not_found", 400, r#"{"code":1201,"message":"Task not found by id/external id: nr-1-a1","request_id":"u"}"#,
        "refused (1201): Task not found by id/external id: nr-1-a1", "not visible"),
    row("kling_1301", 400, r#"{"code":1301,"message":"content security","request_id":"u"}"#,
        "refused (1301): content security", "unclear"),
    row("kling_1301_with_200", 200, r#"{"code":1301,"message":"content security"}"#,
        "refused (1301): content security", "unclear"),
    row("kling_1202", 404, r#"{"code":1202,"message":"The requested method is invalid"}"#, "paused: Route", "unclear"),
    row("kling_1203", 404, r#"{"code":1203,"message":"The requested resource does not exist"}"#,
        "refused (1203): The requested resource does not exist", "not visible"),
    row("kling_401_1002", 401, r#"{"code":1002,"message":"Authorization is invalid"}"#, "paused: Key", "paused: Key"),
    row("kling_200_1004", 200, r#"{"code":1004,"message":"Authorization has expired"}"#, "paused: Key", "paused: Key"),
    row("kling_403_1103", 403, r#"{"code":1103,"message":"Unauthorized access"}"#, "paused: Key", "paused: Key"),
    row("kling_429_1100", 429, r#"{"code":1100,"message":"Account exception"}"#, "paused: Account", "unclear"),
    row("kling_429_1102", 429, r#"{"code":1102,"message":"Account balance not enough"}"#, "paused: Balance", "unclear"),
    row("kling_429_1302", 429, r#"{"code":1302,"message":"Too many requests"}"#, "not made: Rate", "unclear"),
    row("kling_429_1303", 429, r#"{"code":1303,"message":"parallel task over resource pack limit","request_id":"u"}"#,
        "not made: Parallel", "unclear"),
    row("kling_429_1304", 429, r#"{"code":1304,"message":"IP whitelist"}"#, "paused: Account", "unclear"),
    row("kling_500_5000", 500, r#"{"code":5000,"message":"Server internal error"}"#, "in doubt: HTTP 500", "unclear"),
    row("kling_503_5001", 503, r#"{"code":5001,"message":"maintenance"}"#, "in doubt: HTTP 503", "unclear"),
    row("kling_504_5002", 504, r#"{"code":5002,"message":"backlog"}"#, "in doubt: HTTP 504", "unclear"),
    row("kling_200_5000", 200, r#"{"code":5000,"message":"Server internal error"}"#, "in doubt: HTTP 200", "unclear"),
    row("a_code_of_tomorrow_with_200", 200, r#"{"code":1999,"message":"?"}"#, "in doubt: not understood", "unclear"),
    row("newapi_task_not_exist_400", 400, r#"{"code":"task_not_exist","message":"task_not_exist","data":null}"#,
        "refused (task_not_exist): task_not_exist", "not visible"),
    row("onehub_404", 404, r#"{"code":"task_not_exist","message":""}"#, "refused (task_not_exist): task_not_exist", "not visible"),
    row("newapi_data_null", 200, r#"{"code":"success","message":"","data":null}"#, "in doubt: not understood", "unclear"),
    row("onehub_no_data", 200, r#"{"code":0,"message":"","request_id":""}"#, "in doubt: not understood", "unclear"),
    row("newapi_fail_to_fetch_embedded_json", 429,
        r#"{"code":"fail_to_fetch_task","message":"{\"code\":1303,\"message\":\"parallel task over resource pack limit\",\"request_id\":\"u\"}","data":null}"#,
        "not made: Parallel", "unclear"),
    row("newapi_fail_to_fetch_embedded_duplicate", 400,
        r#"{"code":"fail_to_fetch_task","message":"{\"code\":1201,\"message\":\"External_task_id nr-1-a1 already exists\"}","data":null}"#,
        "already there", "unclear"),
    row("newapi_fail_to_fetch_embedded_5000", 400,
        r#"{"code":"fail_to_fetch_task","message":"{\"code\":5000,\"message\":\"internal\"}","data":null}"#,
        "in doubt: HTTP 400", "unclear"),
    row("newapi_unreadable_upstream", 400, r#"{"code":"unmarshal_response_failed","message":"eof","data":null}"#,
        "in doubt: HTTP 400", "unclear"),
    row("newapi_500_do_request_failed", 500, r#"{"code":"do_request_failed","message":"eof","data":null}"#,
        "in doubt: HTTP 500", "unclear"),
    row("newapi_quota_403", 403, r#"{"code":"insufficient_user_quota","message":"user quota is not enough","data":null}"#,
        "paused: Balance", "paused: Balance"),
    row("newapi_quota_400", 400, r#"{"code":"quota_not_enough","message":"","data":null}"#, "paused: Balance", "unclear"),
    row("newapi_429_empty_body", 429, "", "not made: Rate", "unclear"),
    row("newapi_500_empty_body", 500, "", "in doubt: HTTP 500", "unclear"),
    row("newapi_429_saturated", 429, r#"{"code":"fail_to_fetch_task","message":"当前分组上游负载已饱和，请稍后再试","data":null}"#,
        "not made: Rate", "unclear"),
    row("newapi_401_openai_error", 401,
        r#"{"error":{"message":"无效的令牌 (request id: 2026)","type":"new_api_error","code":""}}"#, "paused: Key", "paused: Key"),
    row("newapi_401_quota_used_up", 401,
        r#"{"error":{"message":"该令牌额度已用尽 (request id: 2026)","type":"new_api_error","code":""}}"#, "paused: Balance", "paused: Balance"),
    row("newapi_404_route", 404,
        r#"{"error":{"message":"Invalid URL (POST /kling/v1/videos/effects)","type":"invalid_request_error","param":"","code":""}}"#,
        "paused: Route", "unclear"),
    row("an_invalid_image_url_is_the_rows_own", 400, r#"{"error":{"message":"Invalid URL in input.image","type":"x","code":""}}"#,
        "refused (x): Invalid URL in input.image", "unclear"),
    row("newapi_task_failed_without_the_number", 400, r#"{"code":"task_failed","message":"parallel task over resource pack limit","data":null}"#,
        "not made: Parallel", "unclear"),
    row("comet_400_relay_mode", 400, r#"{"error":{"message":"unsupported relay mode","type":"comet_api_error","code":""}}"#,
        "paused: Route", "unclear"),
    row("comet_500_invalid_request", 500,
        r#"{"error":{"message":"bad body (request id: 2026)","type":"comet_api_error","param":"","code":"invalid_request"}}"#,
        "in doubt: HTTP 500", "unclear"),
    row("comet_503_model_not_found", 503, r#"{"error":{"message":"no channel","type":"comet_api_error","code":"model_not_found"}}"#,
        "in doubt: HTTP 503", "unclear"),
    row("fastapi_422", 422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#,
        r#"refused (HTTP 422): [{"loc":["body"],"msg":"field required"}]"#, "unclear"),
    row("apimodels_200_of_another_protocol", 200, r#"{"code":200,"msg":"ok","data":{"taskId":"x","state":"pending"}}"#,
        "in doubt: not understood", "unclear"),
    row("newapi_html_200", 200, HTML, "in doubt: not understood", "unclear"),
    row("newapi_html_404", 404, HTML, "paused: Route", "unclear"),
    row("html_403", 403, HTML, "paused: Key", "paused: Key"),
    row("html_405", 405, HTML, "paused: Route", "unclear"),
    row("nginx_413_html", 413, HTML, "refused (HTTP 413): the image is too large for this gateway: use a URL", "unclear"),
    row("nginx_502_html", 502, HTML, "in doubt: HTTP 502", "unclear"),
    row("cloudflare_524", 524, HTML, "in doubt: HTTP 524", "unclear"),
    row("litellm_500_text", 500, "Internal Server Error", "in doubt: HTTP 500", "unclear"),
    row("empty_200", 200, "", "in doubt: not understood", "unclear"),
    row("cut_json_200", 200, r#"{"code":0,"message":"SUCC"#, "in doubt: not understood", "unclear"),
    row("json_number_200", 200, "7", "in doubt: not understood", "unclear"),
    row("empty_408", 408, "", "in doubt: HTTP 408", "unclear"),
    row("conflict_409", 409, r#"{"message":"a request with this id is being worked on"}"#, "in doubt: not understood", "unclear"),
    row("payment_required_402", 402, "", "paused: Balance", "unclear"),
    row("see_other_303", 303, "", "in doubt: not understood", "unclear"),
    row("moved_301", 301, HTML, "paused: Route", "unclear"),
];

fn observed(fixture: &Fixture) -> Observed {
    let gateway = gateway(settings("https://h"));
    let answer = answer(fixture);
    match Shape::of(&answer.body) {
        Shape::Task(record) if answer.status == 200 => {
            gateway.seen(&answer, *record, Some(TaskId::new("asked").unwrap()))
        }
        shape => classify::no_task(&answer, &shape, &gateway.wording).into(),
    }
}

fn answer(fixture: &Fixture) -> Answer {
    Answer { status: fixture.status, retry_after: None, location: None, body: fixture.body.as_bytes().to_vec() }
}

#[test]
fn every_known_answer_means_what_it_must() {
    let wording = Wording::new(None);
    let mut wrong = Vec::new();
    for fixture in TASKS.iter().chain(ERRORS) {
        let submit = submit_says(&classify::submitted(&answer(fixture), &wording));
        let observe = observe_says(&observed(fixture));
        if (submit.as_str(), observe.as_str()) != (fixture.submit, fixture.observe) {
            wrong.push(format!(
                "{}: {submit:?} / {observe:?}, not {:?} / {:?}",
                fixture.name, fixture.submit, fixture.observe
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_5xx_is_ever_taken_for_a_certainty() {
    let wording = Wording::new(None);
    for fixture in TASKS.iter().chain(ERRORS) {
        for status in [500, 502, 503, 504, 524, 599] {
            let answer = Answer { status, ..answer(fixture) };
            let submitted = classify::submitted(&answer, &wording);
            assert!(matches!(submitted, Submitted::InDoubt(_)), "{} with {status}: {submitted:?}", fixture.name);
        }
    }
}

#[test]
fn no_error_answer_to_a_question_ever_ends_a_task() {
    for fixture in ERRORS {
        assert!(!matches!(observed(fixture), Observed::Seen(_)), "{}", fixture.name);
    }
}

#[test]
fn garbage_panics_nowhere_and_promises_nothing() {
    let wording = Wording::new(None);
    let bodies: Vec<Vec<u8>> = TASKS
        .iter()
        .chain(ERRORS)
        .flat_map(|fixture| (0..fixture.body.len()).step_by(7).map(|cut| fixture.body.as_bytes()[..cut].to_vec()))
        .collect();
    for body in bodies {
        let answer = Answer { status: 200, retry_after: None, location: None, body };
        let submitted = classify::submitted(&answer, &wording);
        assert!(matches!(submitted, Submitted::InDoubt(Doubt::NotUnderstood { .. })), "{submitted:?}");
    }
}
