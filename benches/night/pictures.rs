//! What memory local images take on their way: 200 of 8 MB, 16 requests at once.

use std::fs;
use std::io::Write;

use super::rig::{self, Remote, measured};

const IMAGES: usize = 200;
const BYTES: usize = 8_000_000;

pub(crate) fn run() {
    let remote = Remote::start(&["--task-time", "50ms..150ms", "--in-flight", "none"]);
    let mut manifest = "id,scene,images,duration\n".to_owned();
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(BYTES).collect();
    for image in 0..IMAGES {
        let mut file = fs::File::create(remote.path(&format!("{image}.png"))).unwrap();
        // What says that it is a picture, and that it is another one.
        file.write_all(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\0\0\0\x04\0\x08\x02\0\0\0\0\0\0\0").unwrap();
        file.write_all(&(image as u64).to_le_bytes()).unwrap();
        file.write_all(&noise[..BYTES - 41]).unwrap();
        manifest.push_str(&format!("row{image},squish,{image}.png,5\n"));
    }
    fs::write(remote.path("night.csv"), manifest).unwrap();
    let flags = ["--rate", "100000/s", "--in-flight", "16", "--min-poll", "100ms", "--canary", "0"];
    let usage = measured(&mut remote.run("kling", &flags), &remote.path("log"));
    let stats = remote.stats();
    assert!(usage.ok && Remote::count(&stats, &["charged"]) == IMAGES as u64, "{stats}");
    rig::head(&["images", "images/s", "CPU an image", "peak memory"]);
    rig::line(&[
        format!("{IMAGES} of {} MB", BYTES / 1_000_000),
        format!("{:.1}", usage.per_second(IMAGES as f64)),
        format!("{:.1} ms", usage.cpu_ms_per(IMAGES)),
        format!("{:.1} MiB", usage.peak_mib()),
    ]);
}
