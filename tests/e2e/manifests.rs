//! Manifests with everything wrong in them, and what is said of each.

use std::fs;
use std::io::Write;
use std::process::Command;

use serde_json::Value;

use crate::support::{World, interrupt};

/// A PNG's signature and header, enough to say its size.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

fn images(world: &World) {
    world.write("i/good.png", png(400, 400));
    world.write("i/small.png", png(299, 400));
    world.write("i/long.png", png(300, 800));
    world.write("i/wide.png", png(2000, 400));
    world.write("i/empty.png", "");
    world.write("i/text.jpg", "this is not a picture");
    world.write("i/page.jpg", "<!doctype html><p>404");
    world.write("i/webp.jpg", b"RIFF\0\0\0\0WEBPVP8 ");
    world.write("i/gif.png", b"GIF89a\x90\x01\x90\x01");
    world.write("i/heic.jpg", b"\0\0\0\x18ftypheic\0\0\0\0");
    world.write("i/cut.png", b"\x89PNG\r\n\x1a\n\0\0");
    world.write("i/cut.jpg", [0xFF, 0xD8, 0xFF, 0xE0, 0, 16]);
    let mut large = png(400, 400);
    large.resize(10_000_001, 0);
    world.write("i/large.png", large);
}

/// Forty rows with one mistake each: the row, the column that it is told at.
const MISTAKES: [(&[u8], &str); 40] = [
    (b"a01,,i/good.png,5,,,,", "scene"),
    (b"a02,Hug Pro,i/good.png,5,,,,", "scene"),
    (b"a03,hug-pro,i/good.png,5,,,,", "scene"),
    (b"a04,\xff\xfe,i/good.png,5,,,,", "scene"),
    (b"a05,squish,,5,,,,", "images"),
    (b"a06,squish,i/missing.png,5,,,,", "images"),
    (b"a07,squish,i,5,,,,", "images"),
    (b"a08,squish,i/empty.png,5,,,,", "images"),
    (b"a09,squish,i/small.png,5,,,,", "images"),
    (b"a10,squish,i/long.png,5,,,,", "images"),
    (b"a11,squish,i/wide.png,5,,,,", "images"),
    (b"a12,squish,i/text.jpg,5,,,,", "images"),
    (b"a13,squish,i/page.jpg,5,,,,", "images"),
    (b"a14,squish,i/webp.jpg,5,,,,", "images"),
    (b"a15,squish,i/gif.png,5,,,,", "images"),
    (b"a16,squish,i/heic.jpg,5,,,,", "images"),
    (b"a17,squish,i/cut.png,5,,,,", "images"),
    (b"a18,squish,i/cut.jpg,5,,,,", "images"),
    (b"a19,squish,i/large.png,5,,,,", "images"),
    (b"a20,squish,i/good.png|i/good.png|i/good.png,5,,,,", "images"),
    (b"a21,squish,i/good.png|,5,,,,", "images"),
    (b"a22,squish,|i/good.png,5,,,,", "images"),
    (b"a23,squish,i/good.png|i/small.png,5,,,,", "images"),
    (b"a24,squish,https://,5,,,,", "images"),
    (b"a25,squish,https://a b/c.jpg,5,,,,", "images"),
    (b"a26,squish,ftp://example.com/c.jpg,5,,,,", "images"),
    (b"a27,squish,file:///etc/passwd,5,,,,", "images"),
    (b"a28,squish,data:image/png;base64 iVBORw0KGgo=,5,,,,", "images"),
    (b"a29,squish,i/good.png,7,,,,", "duration"),
    (b"a30,squish,i/good.png,5s,,,,", "duration"),
    (b"a31,squish,i/good.png,5,,turbo,,", "mode"),
    (b"a32,squish,i/good.png,5,,,../up.mp4,", "output"),
    (b"a33,squish,i/good.png,5,,,/etc/cron.d/x,", "output"),
    (b"a34,squish,i/good.png,5,,,.hidden,", "output"),
    (b"a35,squish,i/good.png,5,,,a\\b.mp4,", "output"),
    (b"a36,squish,i/good.png,5", ""),
    (b"a37,squish,i/good.png,5,,,,,more", ""),
    (b"\"a\x07\",squish,i/good.png,5,,,,", "id"),
    (b"good,squish,https://example.com/other.jpg,5,,,other.mp4,", "id"),
    (b"a40,squish,https://example.com/again.jpg,5,,,GOOD.mp4,", "output"),
];

#[test]
fn forty_mistakes_are_each_told_at_their_place_and_nothing_is_sent() {
    let world = World::new(&[]);
    images(&world);
    let mut text = b"id,scene,images,duration,model,mode,output,note\n".to_vec();
    text.extend(b"good,squish,i/good.png,5,,,good.mp4,\"a note\nof two lines\"\n");
    for (row, _) in MISTAKES {
        text.extend(row);
        text.push(b'\n');
    }
    let manifest = world.write("m.csv", &text);
    let manifest = manifest.to_str().unwrap();
    let checked = world.nightreel(&["check", manifest, "--json"]).exits(7).json();
    let told: Vec<(u64, String)> = checked["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| (problem["line"].as_u64().unwrap(), problem["column"].as_str().unwrap().to_owned()))
        .collect();
    let expected: Vec<(u64, String)> =
        MISTAKES.iter().enumerate().map(|(at, (_, column))| (at as u64 + 4, (*column).to_owned())).collect();
    assert_eq!(told, expected, "{:#}", checked["problems"]);
    assert_eq!(checked["problem_count"], 40);
    for problem in checked["problems"].as_array().unwrap() {
        let said = |key: &str| problem[key].as_str().is_some_and(|words| !words.is_empty());
        assert!(said("what") && said("expected"), "{problem}");
    }
    let shown = world.nightreel(&["check", manifest]).exits(7);
    assert_eq!(shown.err.lines().filter(|line| line.starts_with("line ")).count(), 20);
    assert!(shown.err.contains("… and 20 more"), "{}", shown.err);
    world.run(&[manifest]).exits(7);
    assert_eq!(world.stats()["creations"], 0);
}

#[test]
fn identical_rows_without_ids_are_told_and_order_does_not_matter() {
    let world = World::new(&[]);
    images(&world);
    let rows = ["squish,https://example.com/1.jpg,5", "squish,i/good.png,5", "hug_pro,i/good.png|https://e.com/2.jpg,"];
    let text = |rows: &[&str]| format!("scene,images,duration\n{}\n", rows.join("\n"));
    world.write("m.csv", text(&[rows[0], rows[1], rows[2], rows[0]]));
    let told = world.nightreel(&["check", "m.csv"]).exits(7);
    assert!(told.err.contains("line 5: the row asks for the same video as line 2"), "{}", told.err);
    world.write("m.csv", text(&rows));
    world.run(&["m.csv"]).exits(0);
    // Another order, another name for the same picture, and one row more.
    fs::rename(world.path("i/good.png"), world.path("i/renamed.png")).unwrap();
    let renamed = rows.map(|row| row.replace("good", "renamed"));
    world.write("m.csv", text(&[&renamed[2], "expansion,i/renamed.png,5", &renamed[0], &renamed[1]]));
    let check: Value = world.nightreel(&["check", "m.csv", "--json"]).exits(0).json();
    assert_eq!((&check["done"], &check["new"], &check["changed"]), (&3.into(), &1.into(), &0.into()), "{check}");
    world.run(&["m.csv"]).exits(0);
    world.paid_once(4);
}

#[test]
fn own_columns_are_carried_through_to_the_results() {
    let world = World::new(&[]);
    world.write(
        "m.csv",
        "\u{feff}guest,id,scene,images,duration\r\n\"Anna, \"\"A\"\"\",anna,squish,https://e.com/a.jpg,5\r\n",
    );
    world.run(&["m.csv", "--name", "{guest}/{id}.mp4"]).exits(0);
    let results = world.results("videos");
    assert_eq!(results["anna"]["guest"], "Anna, \"A\"");
    assert_eq!(results["anna"]["file"], "Anna, -A-/anna.mp4");
    world.paid_once(1);
}

#[test]
fn the_demo_manifest_has_no_problem() {
    let world = World::new(&[]);
    for name in ["demo.csv", "example.csv"] {
        let manifest = format!("{}/manifests/{name}", env!("CARGO_MANIFEST_DIR"));
        world.nightreel(&["check", &manifest]).exits(0);
    }
}

/// A manifest is read twice: to judge it, and to act on it. What is saved in between, or cannot be read the second time, is neither sent
/// without having been judged nor taken for rows that were taken out.
#[test]
fn a_manifest_that_changes_while_it_is_read_loses_no_row() {
    let world = World::new(&["--task-time", "300ms..400ms", "--in-flight", "1"]);
    let manifest = world.manifest("m.csv", 6);
    let text = fs::read_to_string(&manifest).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let args = world.kling(&[manifest.to_str().unwrap(), "--in-flight", "1", "--settle-after", "1s"]);
    let run = world.command(&args).spawn().unwrap();
    world.until_made(1);
    interrupt(run);
    let planned = world.status()["planned"].as_u64().unwrap();
    assert!(planned >= 3, "{planned}");

    // The last row is taken out. The second time some more are not there yet, or one of them cannot be read.
    let judged = lines[..6].concat();
    let cut = lines[..3].concat();
    let torn = judged.replace("row3,squish", "row3,squish squash");
    for (again, words) in [(cut, "changed while it was read: it had 5 rows, and then 2"), (torn, "line 5, scene")] {
        let made = world.tasks().len();
        // Each pipe waits until it is opened; what stands in its place by then is opened next.
        for pipe in ["m.csv", "next"] {
            drop(fs::remove_file(world.path(pipe)));
            assert!(Command::new("mkfifo").arg(world.path(pipe)).status().unwrap().success());
        }
        world.write("again", again);
        let run = world.command(&args).spawn().unwrap();
        for next in ["next", "again"] {
            let mut pipe = fs::File::options().write(true).open(&manifest).unwrap();
            fs::rename(world.path(next), &manifest).unwrap();
            pipe.write_all(judged.as_bytes()).unwrap();
        }
        let output = run.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{told}");
        assert!(told.contains(words) && told.contains("nothing was submitted"), "{told}");
        assert_eq!((world.status()["planned"].as_u64(), world.tasks().len()), (Some(planned), made), "{told}");
    }

    fs::write(&manifest, judged).unwrap();
    world.nightreel(&args).exits(0);
    world.paid_once(5);
}
