//! The object sink over a store in memory: the contract of all sinks, and what only a store can do to it.

use std::path::Path as FilePath;

use futures::TryStreamExt;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutOptions};
use tempfile::TempDir;

use super::*;
use crate::domain::Digest;
use crate::sink::contract::{self, key, names, put, tiny_video};

/// A sink with parts of `part` bytes below `prefix`.
fn tree(prefix: &str, part: usize) -> (TempDir, Arc<dyn ObjectStore>, ObjectSink) {
    let spool = TempDir::new().unwrap();
    let address = Address::of(FilePath::new(&format!("s3://videos/{prefix}"))).unwrap().unwrap();
    let bucket = Bucket { part, ..Bucket::new(Arc::new(InMemory::new()), &address) };
    let store = Arc::clone(&bucket.store);
    let sink = ObjectSink { bucket: Arc::new(bucket), spool: spool.path().join("made/when/needed") };
    (spool, store, sink)
}

fn spooled(sink: &ObjectSink) -> usize {
    std::fs::read_dir(&sink.spool).map_or(0, Iterator::count)
}

async fn objects(store: &dyn ObjectStore) -> Vec<String> {
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    listed.into_iter().map(|object| object.location.to_string()).collect()
}

#[tokio::test]
async fn the_object_sink_keeps_the_contract() {
    for (prefix, part) in [("", bucket::PART), ("wedding/2026", bucket::PART), ("wedding", 64 * 1024)] {
        let (_folder, _store, sink) = tree(prefix, part);
        contract::keeps_the_contract(&sink).await;
        assert_eq!(spooled(&sink), 0, "partial files are left over");
        sink.ready().await.unwrap();
    }
}

#[tokio::test]
async fn a_video_says_its_digest_and_one_that_does_not_is_read() {
    let (_folder, store, sink) = tree("wedding", 1000);
    let (small, large) = (tiny_video(10), tiny_video(5000));
    for (name, video) in [("small ~1.mp4", &small), ("large.mp4", &large)] {
        put(&sink, &key(name), "nr-1", video).await.unwrap();
        let seen = sink.bucket.see(name).await.unwrap().unwrap();
        assert_eq!(seen, Seen { bytes: video.len() as u64, sha256: Some(Digest::of(video)) });
        let bytes = store.get(&Path::parse(format!("wedding/{name}")).unwrap()).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes, *video);
    }
    store.put(&Path::from("wedding/foreign.mp4"), large.clone().into()).await.unwrap();
    assert_eq!(sink.bucket.see("foreign.mp4").await.unwrap().unwrap().sha256, None);
    let found = sink.look(&key("foreign.mp4")).await.unwrap();
    assert_eq!(found, Found::File { sha256: Digest::of(&large), bytes: large.len() as u64 });
}

#[tokio::test]
async fn large_videos_say_their_digest_at_azure_too_which_takes_it_last() {
    let (_folder, store, mut sink) = tree("wedding", 1000);
    // Azure's own client, which nobody is asked by: it says itself how it takes parts.
    let azure = MicrosoftAzureBuilder::new().with_account("night").with_container_name("videos");
    let azure = Arc::new(azure.with_access_key("c2VjcmV0").build().unwrap());
    sink.bucket = Arc::new(Bucket { parts: azure, ..(*sink.bucket).clone() });
    let video = tiny_video(5000);
    put(&sink, &key("large.mp4"), "nr-1", &video).await.unwrap();
    let seen = sink.bucket.see("large.mp4").await.unwrap().unwrap();
    assert_eq!(seen, Seen { bytes: video.len() as u64, sha256: Some(Digest::of(&video)) });
    let long = vec![7; 5000];
    sink.document("results.csv", &mut |file| file.write_all(&long)).await.unwrap();
    assert_eq!(sink.peek("results.csv").await.unwrap(), Some(long));
    // A foreign object is left alone even so, and nothing is left over.
    store.put(&Path::from("wedding/b.mp4"), Bytes::from_static(b"not ours").into()).await.unwrap();
    assert_eq!(put(&sink, &key("b.mp4"), "nr-2", &video).await.unwrap().key.as_str(), "b~2.mp4");
    assert_eq!(spooled(&sink), 0);
}

#[tokio::test]
async fn a_crash_between_putting_and_recording_is_recognised() {
    let (_folder, store, sink) = tree("wedding", 1000);
    for (name, video) in [("a.mp4", tiny_video(50)), ("b.mp4", tiny_video(5000))] {
        // With its digest, as nightreel puts it; and without, as it may have been copied there.
        let first = put(&sink, &key(name), "nr-1", &video).await.unwrap();
        assert_eq!(put(&sink, &key(name), "nr-1", &video).await.unwrap(), first);
        let path = Path::parse(format!("wedding/{name}")).unwrap();
        store.put_opts(&path, video.clone().into(), PutOptions::default()).await.unwrap();
        assert_eq!(put(&sink, &key(name), "nr-1", &video).await.unwrap(), first);
    }
    assert_eq!(objects(store.as_ref()).await, ["wedding/a.mp4", "wedding/b.mp4"]);
}

#[tokio::test]
async fn a_foreign_object_is_never_touched() {
    let (_folder, store, sink) = tree("", 1000);
    for (name, given, size) in
        [("a.mp4", "a~2.mp4", 50), ("b.mp4", "b~2.mp4", 5000), ("results.csv", "results~2.csv", 5)]
    {
        store.put(&Path::from(name), Bytes::from_static(b"not ours").into()).await.unwrap();
        let artifact = put(&sink, &key(name), "nr-1", &tiny_video(size)).await.unwrap();
        assert_eq!(artifact.key.as_str(), given);
        assert_eq!(store.get(&Path::from(name)).await.unwrap().bytes().await.unwrap(), &b"not ours"[..]);
    }
}

#[tokio::test]
async fn what_an_earlier_process_began_is_given_up() {
    let (_folder, _store, sink) = tree("wedding", 1000);
    let (key, video) = (key("a.mp4"), tiny_video(5000));
    let path = sink.bucket.path("a.mp4").unwrap();
    let begun = sink.bucket.parts.create_multipart(&path).await.unwrap();
    let spooled = Spooled::begin(sink.spool.clone(), "s3://videos/wedding/a.mp4", "nr-1").await.unwrap();
    spooled.note(format!("{path}\n{begun}\n")).await.unwrap();
    drop(spooled);
    put(&sink, &key, "nr-1", &video).await.unwrap();
    let put = sink.bucket.parts.put_part(&path, &begun, 0, Bytes::from_static(b"x").into()).await;
    assert!(put.is_err(), "it can still be gone on with");
    assert_eq!(self::spooled(&sink), 0);
    assert_eq!(names(&sink).await, ["a.mp4"]);
}

#[tokio::test]
async fn a_video_is_read_in_parts_while_it_is_as_long_as_it_was() {
    let (_folder, _store, sink) = tree("wedding", 1000);
    let video = tiny_video(5000);
    let artifact = put(&sink, &key("a.mp4"), "nr-1", &video).await.unwrap();
    let read: Vec<Bytes> = sink.read(&artifact, 100..300).await.unwrap().unwrap().try_collect().await.unwrap();
    assert_eq!(read.concat(), video[100..300]);
    let other = Artifact { bytes: artifact.bytes + 1, ..artifact };
    assert!(sink.read(&other, 0..1).await.unwrap().is_none());
}

#[tokio::test]
async fn documents_are_peeked_at_and_forgotten() {
    let (_folder, store, sink) = tree("wedding", 1000);
    assert_eq!(sink.peek("results.csv").await.unwrap(), None);
    let long = vec![7; 5000];
    sink.document("results.csv", &mut |file| file.write_all(&long)).await.unwrap();
    assert_eq!(sink.peek("results.csv").await.unwrap(), Some(long));
    sink.forget("results.csv").await.unwrap();
    sink.forget("results.csv").await.unwrap();
    assert_eq!(objects(store.as_ref()).await, Vec::<String>::new());
}

#[test]
fn a_client_does_not_show_itself() {
    let (_folder, _store, sink) = tree("wedding", 1000);
    assert_eq!(format!("{:?}", sink.bucket), "Bucket(\"s3://videos/wedding\")");
}
