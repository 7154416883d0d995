//! Ledgers, configurations and manifests that nobody meant to write, or that somebody did.

use std::fs;
use std::process::Output;

use super::Night;
use crate::support::World;

/// What a command came to: in words, by a code that is documented.
#[track_caller]
fn in_words(what: &str, output: &Output) -> i32 {
    let err = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code().unwrap_or_else(|| panic!("{what}: {}: {err}", output.status));
    assert!((0..=11).contains(&code), "{what}: {code}: {err}");
    assert!(code == 0 || err.contains("error: "), "{what}: {code}: {err}");
    assert!(!err.contains("panicked"), "{what}: {err}");
    code
}

#[test]
fn a_ledger_that_was_garbled_anywhere_is_told_in_words_or_read_as_far_as_it_goes() {
    let world = World::new(&["--fault", "fail=0.3"]);
    let manifest = world.manifest("m.csv", 12);
    let run = world.run(&[manifest.to_str().unwrap(), "--canary", "0", "--max-failures", "off", "--no-report"]);
    assert!([Some(0), Some(3)].contains(&run.code), "{run:?}");
    world.nightreel(&["export", "whole.db"]).exits(0);
    let whole = fs::read(world.path("whole.db")).unwrap();
    let mut garbled: Vec<(String, Vec<u8>)> = Vec::new();
    // Places all over the file, the same ones each time; what stands there is turned around.
    for step in 0..24_usize {
        let mut bytes = whole.clone();
        let at = (step * 7919 + 13) * 37 % bytes.len();
        for byte in bytes.iter_mut().skip(at).take(1 + step * 5) {
            *byte = !*byte;
        }
        garbled.push((format!("{} bytes at {at}", 1 + step * 5), bytes));
    }
    for part in [0, 1, 16, 100, 4096, whole.len() / 2, whole.len() - 1] {
        garbled.push((format!("the first {part} bytes"), whole[..part].to_vec()));
    }
    let page = 4096;
    for number in [1, 2, 5] {
        let mut bytes = whole.clone();
        bytes[number * page..(number + 1) * page].fill(0);
        garbled.push((format!("page {number} of zeroes"), bytes));
    }
    garbled.push(("a text of the same beginning".to_owned(), [&whole[..100], "x".repeat(10_000).as_bytes()].concat()));
    let mut refused = 0;
    for (what, bytes) in garbled {
        fs::write(world.path("garbled.db"), bytes).unwrap();
        for args in [&["status", "--state", "garbled.db"][..], &["logs", "row1", "--state", "garbled.db"]] {
            in_words(&what, &world.command(args).output().unwrap());
        }
        let import = ["import", "garbled.db", "--state", "taken/ledger.db"];
        if in_words(&what, &world.command(&import).output().unwrap()) == 0 {
            fs::remove_dir_all(world.path("taken")).unwrap();
        } else {
            refused += 1;
            assert!(!world.path("taken/ledger.db").exists(), "{what}: half a ledger was left");
        }
    }
    assert!(refused >= 8, "only {refused} were refused");
}

#[test]
fn a_configuration_of_any_kind_is_told_in_words() {
    let world = World::new(&[]);
    for (what, text) in [
        ("deep", format!("a = {}", "[".repeat(100_000)).into_bytes()),
        ("deep tables", format!("[{}a]\nb = 1\n", "a.".repeat(20_000)).into_bytes()),
        ("large", "# \n".repeat(1_000_000).into_bytes()),
        ("no text", vec![0xff; 1000]),
        ("with NUL", b"rate = \"\0\"\n".to_vec()),
        ("with an order", b"rate = \"\x1b[2J\"\nstate = \"\\u001b[2J\"\n".to_vec()),
        ("with the same name twice", b"rate = \"1/s\"\nrate = \"2/s\"\n".to_vec()),
        ("with numbers", b"in_flight = 99999999999999999999999\n".to_vec()),
        ("with instants", b"until = 1979-05-27T07:32:00Z\n".to_vec()),
    ] {
        world.write("bad.toml", text);
        let output = world.command(&["status", "--config", "bad.toml"]).output().unwrap();
        assert_eq!(in_words(what, &output), 2, "{what}");
        assert!(!output.stderr.contains(&0x1b), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.len() < 4000, "{what}: {} bytes were said", output.stderr.len());
    }
    // What never ends is not read to its end.
    let output = world.command(&["status", "--config", "/dev/zero"]).output().unwrap();
    assert_eq!(in_words("/dev/zero", &output), 2);
}

#[test]
fn a_manifest_of_any_kind_is_rejected_in_words_and_a_picture_that_is_none_with_it() {
    let remote = super::Remote::playing(|_, _| Ok(()));
    let night = Night::at(&remote, "kling", 1);
    let head = "scene,images,duration\n";
    // A picture that says it is larger than any, one that ends within its header, a pipe, a folder, a link to nowhere.
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff\x08\x02\0\0\0";
    fs::write(night.path("huge.png"), png).unwrap();
    fs::write(night.path("cut.jpg"), [0xff, 0xd8, 0xff, 0xe1, 0xff, 0xff]).unwrap();
    fs::create_dir(night.path("folder.png")).unwrap();
    std::os::unix::fs::symlink("nowhere", night.path("link.png")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", night.path("zero.png")).unwrap();
    for (what, text) in [
        ("one endless line", "x".repeat(3 << 20).into_bytes()),
        ("a million columns", format!("{head}{}\n", ",".repeat(1_000_000)).into_bytes()),
        ("an open quote", format!("{head}squish,\"{}", "x\n".repeat(1 << 20)).into_bytes()),
        ("no text", vec![0x80; 100_000]),
        ("orders", format!("{head}sq\x1b[2Juish,a\x07.jpg,5\n").into_bytes()),
        ("paths that lead nowhere", format!("{head}squish,{}/etc/passwd,5\n", "../".repeat(2000)).into_bytes()),
        (
            "pictures that are none",
            format!("{head}squish,huge.png,5\nsquish,cut.jpg,5\nsquish,folder.png,\nsquish,link.png,\n").into_bytes(),
        ),
        ("a picture without end", format!("{head}squish,zero.png,5\n").into_bytes()),
    ] {
        fs::write(night.path("m.csv"), text).unwrap();
        let output = night.command(&night.flags(&[])).output().unwrap();
        assert!([2, 7].contains(&in_words(what, &output)), "{what}");
        let orders = |bytes: &[u8]| bytes.iter().any(|byte| *byte < 0x20 && *byte != b'\n');
        assert!(!orders(&output.stdout) && !orders(&output.stderr), "{what}");
    }
    assert_eq!(remote.asked().len(), 0, "something was sent");
}
