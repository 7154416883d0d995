//! A network share that a program serves: this test is the program, and speaks as much of FUSE as it takes to make a file there.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::{FdFlags, fcntl_setfd};

use crate::support::World;

const NOT_THERE: i32 = -2;
const NOT_ABLE: i32 = -38;

/// A share that is mounted, where this machine lets us.
struct Share(PathBuf);

impl Share {
    fn new(path: PathBuf, kind: &str) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let device = File::options().read(true).write(true).open("/dev/fuse").ok()?;
        // `mount` is to have it, too.
        fcntl_setfd(&device, FdFlags::empty()).ok()?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let mut mount = Command::new("mount");
        mount.args(["-i", "-t", kind, "-o", &options, "me@far:/home/me"]).arg(&path);
        if !mount.output().ok()?.status.success() {
            return None;
        }
        fcntl_setfd(&device, FdFlags::CLOEXEC).ok()?;
        std::thread::spawn(move || serve(device));
        Some(Self(path))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Answers until nobody is there to ask.
fn serve(mut device: File) {
    let mut asked = vec![0; 256 * 1024];
    let mut is_made = false;
    while let Ok(read) = device.read(&mut asked) {
        let number = |at: usize| u32::from_le_bytes(asked[at..at + 4].try_into().unwrap());
        let node = number(16);
        let (error, told) = match number(4) {
            // Forgetting is not answered.
            2 | 42 => continue,
            26 => (0, opening()),
            3 => (0, [&[0; 16][..], &about(node)].concat()),
            17 => (
                0,
                [&words(&[1 << 20, 0, 1 << 20, 0, 1 << 20, 0, 999, 0, 999, 0, 4096, 255, 4096]), &[0; 28][..]].concat(),
            ),
            1 if is_made && asked[40..read].starts_with(b"ledger.db\0") => (0, entry()),
            1 => (NOT_THERE, Vec::new()),
            35 => {
                is_made = true;
                (0, [entry(), vec![0; 16]].concat())
            }
            14 | 27 => (0, vec![0; 16]),
            18 | 25 | 29 => (0, Vec::new()),
            _ => (NOT_ABLE, Vec::new()),
        };
        let length = 16 + u32::try_from(told.len()).unwrap();
        let head = [length.to_le_bytes(), error.to_le_bytes()].concat();
        // Who hung up needs no answer.
        drop(device.write(&[&head, &asked[8..16], &told].concat()));
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The protocol that is spoken.
fn opening() -> Vec<u8> {
    [words(&[7, 31, 0, 0, 0, 4096, 1]), vec![0; 36]].concat()
}

/// The folder, or the file in it.
fn about(node: u32) -> Vec<u8> {
    let mode = if node == 1 { 0o40755 } else { 0o100_600 };
    [words(&[node, 0]), vec![0; 52], words(&[mode, 1]), vec![0; 20]].concat()
}

/// The file, as a look for it brings it.
fn entry() -> Vec<u8> {
    [words(&[2, 0]), vec![0; 32], about(2)].concat()
}

fn refuses_a_ledger_on(folder: &Path, world: &World) {
    let manifest = world.manifest("m.csv", 1);
    let ledger = folder.join("ledger.db");
    let ledger = ledger.to_str().unwrap();
    let ran = world.nightreel(&world.kling(&[manifest.to_str().unwrap(), "--state", ledger])).exits(2);
    assert!(ran.err.contains("on a local disk, not on a network file system"), "{}", ran.err);
    assert!(ran.err.contains("--state PATH"), "{}", ran.err);
    assert_eq!(world.tasks().len(), 0);
}

#[test]
fn a_ledger_on_a_share_that_a_program_serves_is_refused_with_what_to_do() {
    let world = World::new(&[]);
    let Some(share) = Share::new(world.path("share"), "fuse.sshfs") else {
        println!("no share can be mounted here: that was not tried");
        return;
    };
    refuses_a_ledger_on(&share.0, &world);
}
