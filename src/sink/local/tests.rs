//! The local sink: the contract of all sinks, and what only a file system can do to it.

use std::fs;
use std::os::unix::fs::symlink;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::domain::Artifact;
use crate::sink::contract::{self, key, names, put, tiny_video};

fn tree() -> (TempDir, LocalSink) {
    let folder = TempDir::new().unwrap();
    let sink = LocalSink::new(folder.path().join("made/when/needed"));
    (folder, sink)
}

fn hidden(sink: &LocalSink) -> Vec<String> {
    let entries = fs::read_dir(&sink.root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter(|name| name.starts_with('.')).collect()
}

#[tokio::test]
async fn the_local_sink_keeps_the_contract() {
    let (_folder, sink) = tree();
    contract::keeps_the_contract(&sink).await;
    assert_eq!(hidden(&sink), Vec::<String>::new(), "partial files are left over");
}

#[tokio::test]
async fn nothing_is_made_before_the_first_byte() {
    let (_folder, sink) = tree();
    assert_eq!(names(&sink).await, Vec::<String>::new());
    assert_eq!(sink.look(&key("a/b.mp4")).await.unwrap(), Found::Missing);
    assert!(!sink.root.exists(), "looking made the tree");
    drop(sink.begin(&key("b.mp4"), "nr-1").await.unwrap());
    assert_eq!(hidden(&sink), Vec::<String>::new());
}

#[tokio::test]
async fn a_crash_between_naming_and_recording_is_recognised() {
    let (_folder, sink) = tree();
    let (key, video) = (key("a.mp4"), tiny_video(50));
    fs::create_dir_all(&sink.root).unwrap();
    fs::write(sink.root.join("a.mp4"), &video).unwrap();
    // The version's file is removed after the naming: a crash leaves it.
    fs::write(sink.root.join(".a.mp4.nr-1.part.of"), "\"v1\"").unwrap();
    let artifact = put(&sink, &key, "nr-1", &video).await.unwrap();
    assert_eq!(artifact, Artifact { key, bytes: video.len() as u64, sha256: Digest::of(&video) });
    assert_eq!(names(&sink).await, ["a.mp4"]);
    assert_eq!(hidden(&sink), Vec::<String>::new());
}

#[tokio::test]
async fn a_foreign_file_is_never_touched() {
    let (folder, sink) = tree();
    fs::create_dir_all(sink.root.join("c.mp4")).unwrap();
    fs::write(sink.root.join("a.mp4"), "not ours").unwrap();
    fs::write(folder.path().join("elsewhere"), tiny_video(5)).unwrap();
    symlink(folder.path().join("elsewhere"), sink.root.join("b.mp4")).unwrap();
    for (name, given) in
        [("a.mp4", "a~2.mp4"), ("b.mp4", "b~2.mp4"), ("c.mp4", "c~2.mp4"), ("results.csv", "results~2.csv")]
    {
        let artifact = put(&sink, &key(name), "nr-1", &tiny_video(5)).await.unwrap();
        assert_eq!(artifact.key.as_str(), given);
    }
    assert_eq!(fs::read(sink.root.join("a.mp4")).unwrap(), b"not ours");
    assert!(sink.root.join("b.mp4").is_symlink());
}

#[tokio::test]
async fn no_link_leads_out_of_the_tree() {
    let (folder, sink) = tree();
    fs::create_dir_all(&sink.root).unwrap();
    symlink(folder.path(), sink.root.join("out")).unwrap();
    fs::write(sink.root.join("file"), "").unwrap();
    for name in ["out/a.mp4", "file/a.mp4"] {
        assert!(matches!(sink.begin(&key(name), "nr-1").await, Err(SinkError::Unwritable { .. })), "{name}");
    }
    assert!(matches!(sink.look(&key("out/made")).await, Err(SinkError::Unwritable { .. })));
    assert!(matches!(sink.begin(&key("a.mp4"), "../x").await, Err(SinkError::Unwritable { .. })));

    let linked = LocalSink::new(sink.root.join("out"));
    put(&linked, &key("a.mp4"), "nr-1", &tiny_video(5)).await.unwrap();
    assert!(folder.path().join("a.mp4").exists(), "the root itself may be a link");
}

#[tokio::test]
async fn bytes_of_no_known_version_are_not_gone_on_with() {
    let (_folder, sink) = tree();
    let key = key("a.mp4");
    let mut partial = sink.begin(&key, "nr-1").await.unwrap();
    partial.append(Bytes::from_static(b"first")).await.unwrap();
    drop(partial);
    let mut partial = sink.begin(&key, "nr-1").await.unwrap();
    assert_eq!((partial.held(), partial.validator()), (5, None));
    partial.restart(Some("\"v2\"".to_owned())).await.unwrap();
    drop(partial);
    // Killed here, the file of the new version is empty: nothing of the old one can be joined to it.
    assert_eq!(fs::read(sink.root.join(".a.mp4.nr-1.part")).unwrap(), b"");
    assert_eq!(fs::read(sink.root.join(".a.mp4.nr-1.part.of")).unwrap(), b"\"v2\"\n");
}

#[tokio::test]
async fn a_version_of_which_a_crash_left_a_part_is_none() {
    let (_folder, sink) = tree();
    let key = key("a.mp4");
    let mut partial = sink.begin(&key, "nr-1").await.unwrap();
    partial.restart(Some("\"v1\"".to_owned())).await.unwrap();
    partial.append(Bytes::from_static(b"first")).await.unwrap();
    drop(partial);
    let of = sink.root.join(".a.mp4.nr-1.part.of");
    for (left, version) in [("\"v1\"\n", Some("\"v1\"")), ("\"v1\"", None), ("\"v", None), ("\n", None), ("", None)] {
        fs::write(&of, left).unwrap();
        let partial = sink.begin(&key, "nr-1").await.unwrap();
        assert_eq!((partial.held(), partial.validator()), (5, version), "{left:?}");
    }
}

#[tokio::test]
async fn one_partial_file_has_one_writer() {
    let (_folder, sink) = tree();
    let key = key("a.mp4");
    let mut first = sink.begin(&key, "nr-1").await.unwrap();
    first.restart(None).await.unwrap();
    assert!(matches!(sink.begin(&key, "nr-1").await, Err(SinkError::Unwritable { .. })));
}

#[tokio::test]
async fn the_longest_names_work() {
    let (_folder, sink) = tree();
    let key = key(&format!("{}.mp4", "é".repeat(98)));
    let owner = "n".repeat(64);
    assert_eq!(put(&sink, &key, &owner, &tiny_video(1)).await.unwrap().key, key);
    let second = put(&sink, &key, &owner, &tiny_video(2)).await.unwrap().key;
    assert!(second.as_str().ends_with("~2.mp4"), "{second}");
}

#[test]
fn a_full_disk_is_told_from_a_closed_one() {
    for (error, full) in [
        (rustix::io::Errno::NOSPC, true),
        (rustix::io::Errno::DQUOT, true),
        (rustix::io::Errno::ACCESS, false),
        (rustix::io::Errno::ROFS, false),
    ] {
        let error = failed(Path::new("x"), error.into());
        assert_eq!(matches!(error, SinkError::Full), full, "{error:?}");
    }
}
