//! Names and words from outside that would be something elsewhere: SQL, HTML, a path, a terminal's orders.

use std::fs;

use super::{Asked, Night, Remote, accept, last, made, say, video};
use crate::page::Served;

/// A task's name as bad as one may be: what a terminal would obey is refused, and told in `answers`.
const NAME: &str = "'\"`;--../../%2e%2e/$(id){{id}}</script><script>alert(1)</script>\\x1b[2J\u{202e}=1+1";
/// Words of a remote.
const WORDS: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\nerror: forged\n{\"level\":\"ERROR\"}</td><script>alert(2)</script>'; DROP TABLE jobs;--\u{9b}1A";

/// Characters that a terminal would obey.
fn orders(text: &str) -> Vec<char> {
    text.chars().filter(|c| c.is_control() && *c != '\n').collect()
}

#[test]
fn a_name_is_never_a_path_nor_sql_nor_html_nor_an_order_to_a_terminal() {
    let remote = Remote::playing(|asked: &Asked, stream| match (asked.method.as_str(), last(&asked.path)) {
        ("POST", _) => accept(stream, NAME),
        (_, "v") => say(stream, "200 OK", "Content-Type: video/mp4\r\n", video()),
        _ => {
            let here = asked.header("host").unwrap().to_owned();
            made(stream, NAME, &format!("http://{here}/v"))
        }
    });
    let night = Night::at(&remote, "kling-compatible", 1);
    night.start(&[]).ends(0);
    // It is one segment of the path that is asked at, whatever it holds.
    let asked = remote.asked();
    let question = asked.iter().find(|asked| asked.method == "GET" && asked.path.contains("/effects/")).unwrap();
    assert_eq!(question.path.matches('/').count(), "/v1/videos/effects/x".matches('/').count(), "{question:?}");
    // The ledger has the name as it came, and finds the row by it.
    let logs = night.nightreel(&["logs", NAME]).exits(0);
    assert_eq!(orders(&logs.out), [], "{}", logs.out);
    let task = &night.nightreel(&["logs", "row0", "--json"]).exits(0).json()["events"];
    assert!(task.to_string().contains("DROP") || task.to_string().contains("alert(1)"), "{task}");
    let mut results = csv::Reader::from_path(night.path("videos/results.csv")).unwrap();
    let column = results.headers().unwrap().iter().position(|name| name == "task_id").unwrap();
    assert_eq!(&results.records().next().unwrap().unwrap()[column], NAME);
    for verb in [&["status"][..], &["receipt"], &["verify"], &["report", "--out", "elsewhere"], &["export", "copy.db"]]
    {
        let told = night.nightreel(verb).exits(0);
        assert_eq!(orders(&format!("{}{}", told.out, told.err)), [], "{verb:?}");
    }
    for page in ["videos/report/index.html", "elsewhere/index.html"] {
        let page = fs::read_to_string(night.path(page)).unwrap();
        assert!(!page.contains("<script>alert") && !page.contains("</script><script>a"), "{page}");
    }
    assert!(!night.path("..").join("etc").exists());
    let served = Served::start(night.command(&["serve", "127.0.0.1:0"]));
    assert_eq!(served.view()["done"].as_u64().or(served.view()["rows"]["done"].as_u64()).unwrap_or(1), 1);
    let page = served.get("/").text();
    assert!(!page.contains("alert(1)"), "{page}");
}

#[test]
fn words_are_never_sql_nor_html_nor_an_order_to_a_terminal_nor_a_line_of_the_log() {
    let remote = Remote::playing(|asked: &Asked, stream| {
        if asked.method == "POST" {
            return accept(stream, "t");
        }
        let task = serde_json::json!({"task_id": "t", "task_status": "failed", "task_status_msg": WORDS});
        say(stream, "200 OK", "", serde_json::json!({"code": 0, "message": WORDS, "data": task}).to_string())
    });
    let night = Night::at(&remote, "kling-compatible", 1);
    night.start(&["--log-format", "json"]).ends(3);
    let log = fs::read_to_string(night.path("log")).unwrap();
    assert!(
        log.lines().all(|line| !line.starts_with("error: forged") && !line.starts_with("{\"level\":\"ERROR\"}")),
        "{log}"
    );
    assert_eq!(orders(&log), [], "{log}");
    assert_eq!(orders(&fs::read_to_string(night.path("told")).unwrap()), []);
    for verb in [&["status"][..], &["logs", "row0"], &["receipt"]] {
        let told = night.nightreel(verb);
        assert_eq!(orders(&format!("{}{}", told.out, told.err)), [], "{verb:?}");
        assert!(!told.out.lines().any(|line| line.starts_with("error: forged")), "{}", told.out);
    }
    let page = fs::read_to_string(night.path("videos/report/index.html")).unwrap();
    assert!(!page.contains("<script>alert"), "{page}");
    assert_eq!(night.status()["failed"], 1);
}

#[test]
fn names_of_pictures_are_no_orders_to_a_terminal() {
    let remote = Remote::playing(|_: &Asked, _| Ok(()));
    let night = Night::at(&remote, "kling", 1);
    fs::create_dir(night.path("pictures")).unwrap();
    for name in ["a\u{1b}[2J\u{1b}]0;owned\u{7}.jpg", "b\r\nerror: forged.png", "c\u{9b}1A.jpg"] {
        fs::write(night.path("pictures").join(name), "no picture").unwrap();
    }
    let told = night.nightreel(&["scan", "pictures", "--scene", "squish"]);
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(told.err.contains("owned") && told.err.contains("forged"), "{}", told.err);
    assert_eq!(orders(&told.err), [], "{}", told.err);
}
