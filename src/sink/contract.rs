//! What every sink must do: run by each member of the family against an empty tree.

use bytes::Bytes;
use futures::TryStreamExt;

use super::{Found, Sink, SinkError};
use crate::domain::{Artifact, Digest, OutputKey};

/// The smallest file that passes for a whole video, with this many bytes of pictures.
pub(crate) fn tiny_video(pictures: usize) -> Vec<u8> {
    let mut video = Vec::new();
    for (kind, body) in [(b"ftyp", b"isom\0\0\0\0".to_vec()), (b"moov", vec![7; 16])] {
        video.extend(u32::try_from(8 + body.len()).unwrap().to_be_bytes());
        video.extend(kind);
        video.extend(body);
    }
    video.extend(u32::try_from(8 + pictures).unwrap().to_be_bytes());
    video.extend(b"mdat");
    video.extend((0..pictures).map(|at| u8::try_from(at * at % 251).unwrap()));
    video
}

pub(crate) fn key(text: &str) -> OutputKey {
    OutputKey::new(text).unwrap()
}

pub(crate) async fn put(sink: &dyn Sink, key: &OutputKey, owner: &str, video: &[u8]) -> Result<Artifact, SinkError> {
    let mut partial = sink.begin(key, owner).await?;
    partial.restart(None).await?;
    partial.append(Bytes::copy_from_slice(video)).await?;
    partial.finish(Some(video.len() as u64)).await
}

pub(crate) async fn names(sink: &dyn Sink) -> Vec<String> {
    let mut names = Vec::new();
    sink.walk(&mut |name| names.push(name)).await.unwrap();
    names.sort();
    names
}

/// The whole suite.
pub(crate) async fn keeps_the_contract(sink: &dyn Sink) {
    a_video_is_there_only_when_it_is_whole(sink).await;
    a_dropped_partial_goes_on_with_its_version(sink).await;
    what_is_no_video_leaves_nothing(sink).await;
    two_videos_of_one_name_are_both_kept(sink).await;
    a_document_is_replaced_and_not_listed(sink).await;
}

async fn a_video_is_there_only_when_it_is_whole(sink: &dyn Sink) {
    let (key, video) = (key("hug/anna 1.mp4"), tiny_video(700_000));
    let mut partial = sink.begin(&key, "nr-1").await.unwrap();
    partial.restart(Some("\"v1\"".to_owned())).await.unwrap();
    for chunk in video.chunks(60_000) {
        partial.append(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    assert_eq!(partial.held(), video.len() as u64);
    assert_eq!(sink.look(&key).await.unwrap(), Found::Missing);
    assert_eq!(names(sink).await, Vec::<String>::new());
    let artifact = partial.finish(None).await.unwrap();
    let (sha256, bytes) = (Digest::of(&video), video.len() as u64);
    assert_eq!(artifact, Artifact { key: key.clone(), bytes, sha256 });
    assert_eq!(sink.look(&key).await.unwrap(), Found::File { sha256, bytes });
    assert_eq!(names(sink).await, ["hug/anna 1.mp4"]);
    let part: Vec<Bytes> = sink.read(&artifact, 100..99_999).await.unwrap().unwrap().try_collect().await.unwrap();
    assert_eq!(part.concat(), video[100..99_999]);
    let longer = Artifact { bytes: bytes + 1, ..artifact };
    assert!(sink.read(&longer, 0..10).await.unwrap().is_none(), "it is not as long as it was");
}

async fn a_dropped_partial_goes_on_with_its_version(sink: &dyn Sink) {
    let (key, video) = (key("resumed.mp4"), tiny_video(1000));
    let mut partial = sink.begin(&key, "nr-a1").await.unwrap();
    partial.restart(Some("\"v1\"".to_owned())).await.unwrap();
    partial.append(Bytes::copy_from_slice(&video[..400])).await.unwrap();
    drop(partial);
    let other = sink.begin(&key, "nr-a2").await.unwrap();
    assert_eq!((other.held(), other.validator()), (0, None), "another attempt's bytes");
    drop(other);
    let mut partial = sink.begin(&key, "nr-a1").await.unwrap();
    assert_eq!((partial.held(), partial.validator()), (400, Some("\"v1\"")));
    partial.append(Bytes::copy_from_slice(&video[400..])).await.unwrap();
    let artifact = partial.finish(Some(video.len() as u64)).await.unwrap();
    assert_eq!(artifact.sha256, Digest::of(&video));

    let partial = sink.begin(&key, "nr-a1").await.unwrap();
    assert_eq!((partial.held(), partial.validator()), (0, None), "nothing is left of a finished one");
}

async fn what_is_no_video_leaves_nothing(sink: &dyn Sink) {
    let (key, video) = (key("page.mp4"), tiny_video(100));
    for (bytes, expected) in [
        (&b"<html>sorry</html>"[..], None),
        (&video[..video.len() - 1], None),
        (&video[..], Some(video.len() as u64 + 1)),
        (b"", None),
    ] {
        let mut partial = sink.begin(&key, "nr-p").await.unwrap();
        assert_eq!(partial.held(), 0);
        partial.restart(Some("\"v1\"".to_owned())).await.unwrap();
        partial.append(Bytes::copy_from_slice(bytes)).await.unwrap();
        assert!(matches!(partial.finish(expected).await, Err(SinkError::NotAVideo { .. })));
        assert_eq!(sink.look(&key).await.unwrap(), Found::Missing);
    }
}

async fn two_videos_of_one_name_are_both_kept(sink: &dyn Sink) {
    let key = key("same.mp4");
    for (size, name) in [(10, "same.mp4"), (20, "same~2.mp4"), (30, "same~3.mp4"), (20, "same~2.mp4")] {
        assert_eq!(put(sink, &key, "nr-s", &tiny_video(size)).await.unwrap().key.as_str(), name);
    }
    let sha256 = Digest::of(&tiny_video(10));
    assert!(matches!(sink.look(&key).await.unwrap(), Found::File { sha256: found, .. } if found == sha256));
}

async fn a_document_is_replaced_and_not_listed(sink: &dyn Sink) {
    let before = names(sink).await;
    for text in ["a,b\n", "c\n"] {
        sink.document("results.csv", &mut |file| file.write_all(text.as_bytes())).await.unwrap();
    }
    let broken = sink.document("results.csv", &mut |_| Err(std::io::ErrorKind::StorageFull.into())).await;
    assert!(matches!(broken, Err(SinkError::Full)));
    assert_eq!(names(sink).await, before);
    assert_eq!(sink.peek("results.csv").await.unwrap().as_deref(), Some(&b"c\n"[..]));
    assert!(matches!(sink.look(&key("results.csv")).await.unwrap(), Found::File { bytes: 2, .. }));
    sink.document("report/index.html", &mut |file| file.write_all(b"<!doctype html>")).await.unwrap();
    sink.document("report/other.html", &mut |file| file.write_all(b"<!doctype html>")).await.unwrap();
    let mut listed = before;
    listed.push("report/other.html".to_owned());
    listed.sort();
    assert_eq!(names(sink).await, listed, "only the report's own files are nightreel's");
    sink.forget("results.csv").await.unwrap();
    sink.forget("results.csv").await.unwrap();
    assert_eq!(sink.peek("results.csv").await.unwrap(), None);
}
