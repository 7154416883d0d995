//! What a person does with the gallery in the morning.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::driver::{Browser, DOWN, ENTER, ESCAPE, HOME, LEFT, RIGHT, TAB, UP};
use crate::support::World;

/// A row's name that would do harm wherever it was taken for markup.
const HOSTILE: &str = "<img src=x onerror=\"document.title='taken'\">";

/// A night with real photographs: eleven videos, one of them of two pictures, and two rows of a scene that always fails.
fn night() -> World {
    let world = World::new(&["--fail-scene", "squish"]);
    let photos = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/photos");
    fs::create_dir_all(world.path("my photos #1")).unwrap();
    for photo in fs::read_dir(photos).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(photo.path(), world.path("my photos #1").join(photo.file_name())).unwrap();
    }
    let photo = |name: &str| format!("my photos #1/{name}");
    let rows = [
        ["carpet", "magic_carpet_ride", &photo("astronaut.jpg"), "5", "off the launch pad"],
        ["birthday", "happy_birthday", &photo("hopper.jpg"), "5", "for the 9th, \"of\" December"],
        ["globe", "snowglobe", &photo("photographer.jpg"), "5", ""],
        ["dj", "dj_pet", &photo("cat.png"), "", " =1+1"],
        ["zoom", "zoom_out", &photo("deep-field.jpg"), "", ""],
        ["office", "pet_working_daily", &photo("moose.jpg"), "", "</script><script>document.title='taken'</script>"],
        ["whirl", "whirling_beverage", &photo("coffee.jpg"), "10", ""],
        ["bloom", "spring_bloom", &photo("dandelion.jpg"), "", ""],
        ["hug", "hug_pro", &format!("{}|{}", photo("astronaut.jpg"), photo("hopper.jpg")), "5", "both"],
        [HOSTILE, "bullet_time_360", "https://example.com/<b>/a%20picture.jpg?x=1&y=2", "", ""],
        ["row 2-r2", "bullet_time_360", &photo("coffee.jpg"), "", ""],
        ["lost", "squish", &photo("moose.jpg"), "", ""],
        ["lost too", "squish", &photo("cat.png"), "", ""],
    ];
    let mut manifest = csv::Writer::from_path(world.path("wedding.csv")).unwrap();
    manifest.write_record(["id", "scene", "images", "duration", "note"]).unwrap();
    for row in rows {
        manifest.write_record(row).unwrap();
    }
    manifest.flush().unwrap();
    world
}

/// The night, run, and its page open.
fn morning(world: &World) -> Browser {
    let ran = world.run(&["wedding.csv", "--max-failures", "off"]).exits(3);
    assert!(ran.out.contains("report: videos/report/index.html"), "{}", ran.out);
    let browser = Browser::start();
    browser.resize(1280, 900);
    browser.open(&world.path("videos/report/index.html"));
    browser.until("document.querySelectorAll('.card').length > 0");
    browser
}

/// The names on the cards, in their order.
fn names(browser: &Browser) -> Vec<String> {
    let at = "[...document.querySelectorAll('.card')].sort((a, b) => a.dataset.at - b.dataset.at)";
    let names = browser.value(&format!("{at}.map((card) => card.querySelector('.title').textContent)"));
    names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn shows(browser: &Browser, count: &str) {
    browser.until(&format!("document.getElementById('count').textContent.startsWith({})", json!(count)));
}

#[test]
fn videos_play_beside_their_pictures_and_nothing_is_asked_outside() {
    let world = night();
    let browser = morning(&world);
    assert_eq!(browser.value("document.title"), "wedding · nightreel");
    // A picture in a folder with a space and a # in its name is there.
    browser.until("document.querySelector('[data-at=\"2\"] img').naturalWidth > 0");
    browser.value("document.getElementById('tools').scrollIntoView()");
    // Only what is seen is loaded, and shows its first frame.
    browser.until("document.querySelector('[data-at=\"2\"] video').readyState >= 2");
    let [video, other] = ["[data-at=\"2\"]", "[data-at=\"3\"]"];
    let moved = |card: &str| format!("document.querySelector('{card} video').currentTime > 0.2");
    browser.hover(&format!("{video} .screen"));
    browser.until(&moved(video));
    browser.hover(".tools .count");
    browser.until(&format!("document.querySelector('{video} video').paused"));
    browser.click(&format!("{other} .screen"));
    browser.hover(".tools .count");
    browser.until(&format!("!document.querySelector('{other} video').paused"));
    browser.until(&moved(other));
    // With the keyboard alone.
    browser.value("document.querySelector('[data-at=\"2\"]').focus()");
    browser.keys(" ");
    browser.until(&format!("!document.querySelector('{video} video').paused"));
    browser.keys(RIGHT);
    assert_eq!(browser.value("document.activeElement.dataset.at"), "3");
    browser.keys(ENTER);
    browser.until("document.querySelector('dialog video').readyState >= 2");
    browser.picture("detail.png");
    browser.keys(RIGHT);
    assert_eq!(browser.value("document.getElementById('detail-title').textContent"), names(&browser)[4].as_str());
    browser.keys(ESCAPE);
    browser.until("!document.getElementById('detail').open");
    browser.until("document.activeElement.dataset.at === '4'");
    // What rows say stays text.
    let hostile =
        format!("[...document.querySelectorAll('.title')].some((title) => title.textContent === {})", json!(HOSTILE));
    browser.value("scrollTo(0, document.body.scrollHeight)");
    browser.until(&hostile);
    assert_eq!(browser.value("document.title"), "wedding · nightreel");
    assert_eq!(browser.value("document.querySelectorAll('.card b, .card script, img[src=\"x\"]').length"), json!(0));
    assert_eq!(browser.console(), Vec::<String>::new());
    let outside: Vec<String> = browser
        .requests()
        .into_iter()
        .filter(|url| !["file:", "data:", "blob:", "chrome:"].iter().any(|own| url.starts_with(own)))
        .collect();
    assert_eq!(outside, Vec::<String>::new());
    // Whatever got in could not tell anybody: the page's own policy stands in the way.
    let ways = [
        "fetch(url)",
        "(new Image()).src = url",
        "import(url)",
        "document.body.append(Object.assign(document.createElement('iframe'), { src: url }))",
    ];
    for way in ways {
        let told = format!(
            "new Promise((told) => {{ const url = '{}/leak'; document.addEventListener('securitypolicyviolation', (event) => told(event.blockedURI), {{ once: true }}); {way}; }})",
            world.base_url
        );
        let blocked = browser.awaited(&told);
        assert!(blocked.as_str().unwrap().starts_with(&world.base_url), "{way}: {blocked}");
    }
    assert_eq!(world.nightreel(&["verify", "--json"]).exits(0).json()["foreign"], json!([]));
    // A video that somebody took away is told of.
    fs::remove_file(world.path("videos/snowglobe/globe.mp4")).unwrap();
    browser.open(&world.path("videos/report/index.html"));
    browser.value("refresh(Object.assign(view, { text: 'globe' }), document.getElementById('tools').scrollIntoView())");
    browser.until("document.querySelector('.card').innerText.includes('The video is not there')");
}

#[test]
fn rows_are_found_by_keyboard_and_by_mouse_and_reasons_stand_in_plain_words() {
    let world = night();
    let browser = morning(&world);
    shows(&browser, "13 rows");
    assert_eq!(names(&browser)[..2], ["lost", "lost too"], "trouble comes first");
    let reasons = browser.value("document.getElementById('reasons').innerText");
    assert!(reasons.as_str().unwrap().contains("What went wrong"), "{reasons}");
    browser.picture("light.png");
    // By mouse.
    browser.click("#states label[data-key=failed]");
    shows(&browser, "2 of 13");
    browser.click("#states label[data-key=all]");
    browser.click("#reason-list button");
    shows(&browser, "2 of 13");
    browser.click("#count button");
    shows(&browser, "13 rows");
    // By keyboard: a slash leads to the search, Tab to the states, arrows through them.
    browser.keys("/");
    browser.keys("december");
    shows(&browser, "1 of 13");
    assert_eq!(names(&browser), ["birthday"], "one's own columns are searched");
    browser.keys(ESCAPE);
    shows(&browser, "13 rows");
    browser.keys(TAB);
    browser.keys(RIGHT);
    shows(&browser, "11 of 13");
    browser.keys(RIGHT);
    shows(&browser, "2 of 13");
    browser.keys(&LEFT.repeat(2));
    shows(&browser, "13 rows");
    browser.keys(TAB);
    browser.keys("squish");
    shows(&browser, "2 of 13");
    browser.keys(HOME);
    shows(&browser, "13 rows");
    browser.keys(TAB);
    assert_eq!(browser.value("document.activeElement.id"), "sort");
    browser.keys(&DOWN.repeat(4));
    browser.until("view.sort === 'name'");
    let sorted = [
        "birthday", "bloom", "carpet", "dj", "globe", "hug", "lost", "lost too", "office", "row 2-r2", "whirl", "zoom",
    ];
    assert_eq!(names(&browser)[1..], sorted[..names(&browser).len() - 1], "{HOSTILE} stands before the letters");
    browser.keys(&UP.repeat(3));
    browser.until("view.sort === 'manifest'");
    assert_eq!(names(&browser)[0], "carpet");
    // The first card is one Tab away, and the next line one arrow.
    browser.keys(TAB);
    assert_eq!(browser.value("document.activeElement.dataset.at"), "0");
    browser.keys(DOWN);
    assert_eq!(browser.value("document.activeElement.dataset.at"), "3");
    // A scene's bar leads to its rows.
    browser.value("document.querySelector('.scene').focus()");
    browser.keys(ENTER);
    browser.until("view.scene !== ''");
    browser.value("refresh(Object.assign(view, { text: 'no such row' }))");
    browser.until("!document.getElementById('empty').hidden");
    browser.click("#clear");
    shows(&browser, "13 rows");
    browser.prefer("dark");
    browser.until("getComputedStyle(document.body).backgroundColor === 'rgb(15, 17, 22)'");
    browser.value("scrollTo(0, 0)");
    browser.picture("dark.png");
    browser.resize(390, 844);
    browser.picture("narrow-top.png");
    browser.value("document.getElementById('tools').scrollIntoView()");
    browser.until("document.querySelectorAll('.card').length > 1");
    browser.until(
        "new Set([...document.querySelectorAll('.card')].map((card) => card.getBoundingClientRect().left)).size === 1",
    );
    assert_eq!(
        browser.value("document.documentElement.scrollWidth"),
        json!(390),
        "nothing sticks out of a narrow window"
    );
    browser.picture("narrow.png");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn what_is_rejected_becomes_a_manifest_that_check_accepts() {
    let world = night();
    let browser = morning(&world);
    browser.value("refresh(Object.assign(view, { sort: 'manifest' }))");
    // By mouse, by keyboard, and all that is hostile.
    browser.click("[data-at=\"0\"] .reject");
    browser.value("document.querySelector('[data-at=\"1\"]').focus()");
    browser.keys("x");
    browser.until("document.getElementById('bar-count').textContent === '2 videos rejected.'");
    browser.picture("rejected.png");
    for row in ["dj", "hug", HOSTILE, "row 2-r2", "office"] {
        browser.value(&format!("events.reject(rows.find((row) => row.id === {}), true)", json!(row)));
    }
    let price = browser.value("document.getElementById('bar-price').textContent");
    let results = world.results("videos");
    let sum: f64 = ["carpet", "birthday", "dj", "hug", HOSTILE, "row 2-r2", "office"]
        .iter()
        .map(|row| results[*row]["price"].parse::<f64>().unwrap())
        .sum();
    assert_eq!(price, format!("Making them again: about USD {sum:.2}."));
    // It is remembered.
    browser.open(&world.path("videos/report/index.html"));
    browser.until("document.getElementById('bar-count').textContent === '7 videos rejected.'");
    browser.click("#bar-save");
    let text = browser.downloaded("wedding-r2.csv");
    world.write("elsewhere/wedding-r2.csv", &text);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    assert_eq!(header, vec!["id", "scene", "images", "duration", "model", "mode", "output", "account", "note"]);
    let rows: Vec<Vec<String>> = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    let ids: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    let hostile = format!("{HOSTILE}-r2");
    assert_eq!(ids, ["carpet-r2", "birthday-r2", "dj-r2", "office-r2", "hug-r2", &hostile, "row 2-r3"]);
    assert_eq!((rows[1][3].as_str(), rows[1][8].as_str()), ("5", "for the 9th, \"of\" December"));
    let manifest = "elsewhere/wedding-r2.csv";
    let checked = world.nightreel(&["check", manifest, "--gateway", "kling", "--base-url", &world.base_url, "--json"]);
    let checked = checked.exits(0).json();
    assert_eq!(checked["problems"], json!([]), "{checked}");
    let before = world.tasks().len();
    world.run(&[manifest, "--allow-repeat"]).exits(0);
    assert_eq!(world.tasks().len(), before + 7, "each is made again, and beside the first");
    assert!(world.path("videos/hug_pro/hug.mp4").exists() && world.path("videos/hug_pro/hug-r2.mp4").exists());
    // The report is that of the whole tree now.
    browser.open(&world.path("videos/report/index.html"));
    shows(&browser, "20 rows");
    assert_eq!(browser.value("document.getElementById('title').textContent"), "wedding, wedding-r2");
    browser.click("#bar-clear");
    browser.until("document.getElementById('bar').hidden");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn five_thousand_videos_do_not_choke_the_browser() {
    let world = night();
    world.run(&["wedding.csv", "--max-failures", "off"]).exits(3);
    let place = world.path("videos/report/data.js");
    let text = fs::read_to_string(&place).unwrap();
    let mut night: Value =
        serde_json::from_str(text.trim_start_matches("window.NIGHTREEL = ").trim_end_matches(";\n")).unwrap();
    let rows = night["rows"].as_array().unwrap().clone();
    let many = (0..5000).map(|number: usize| {
        let mut row = rows[number % rows.len()].clone();
        row["n"] = json!(number + 1);
        row["id"] = json!(format!("guest-{number:04}"));
        row
    });
    night["rows"] = many.collect();
    night["facts"]["tally"]["rows"] = json!(5000);
    fs::write(&place, format!("window.NIGHTREEL = {night};")).unwrap();
    let browser = Browser::start();
    browser.resize(1280, 900);
    browser.open(&world.path("videos/report/index.html"));
    shows(&browser, "5,000 rows");
    let is_light =
        "document.querySelectorAll('*').length < 2500 && document.querySelectorAll('video[src]').length <= 24";
    browser.until(is_light);
    browser.value("refresh(Object.assign(view, { sort: 'manifest' }))");
    browser.value("scrollTo(0, document.body.scrollHeight)");
    browser.until("[...document.querySelectorAll('.title')].some((title) => title.textContent === 'guest-4999')");
    browser.until("[...document.querySelectorAll('.card video')].some((video) => video.readyState >= 2)");
    browser.picture("five-thousand.png");
    browser.until(is_light);
    // The way there and back again leaves nothing behind.
    for at in 0..40 {
        browser.value(&format!("scrollTo(0, document.body.scrollHeight * {at} / 40)"));
    }
    browser.until(is_light);
    browser.value("document.getElementById('tools').scrollIntoView()");
    // However many are told to play, a few do.
    browser.until("document.querySelectorAll('.card video[src]').length > 4");
    browser.value("document.querySelectorAll('.card video').forEach(play)");
    browser.until("[...document.querySelectorAll('.card video')].filter((video) => !video.paused).length === 3");
    let took = browser.value(
        "(() => { const begun = performance.now(); refresh(Object.assign(view, { text: 'guest-49', sort: 'slowest' })); \
         return performance.now() - begun; })()",
    );
    assert!(took.as_f64().unwrap() < 1000.0, "filtering took {took} ms");
    shows(&browser, "100 of 5,000");
    browser.keys("/");
    browser.keys("guest-4999");
    browser.until("document.querySelectorAll('.card').length === 1");
    assert_eq!(browser.console(), Vec::<String>::new());
}
