//! Whether a file is on a network share, where locks and WAL's shared memory do not hold between machines.

use std::path::Path;

/// Whether a file or folder that exists is on a network share. What cannot be told is let through: the lock is the second line
/// of defence.
#[must_use]
#[cfg(target_os = "linux")]
pub fn is_on_network(path: &Path) -> bool {
    /// NFS, SMB, CIFS, SMB2, Coda, AFS, Ceph, 9P, as `statfs(2)` names them.
    const NETWORK: [u64; 8] =
        [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x7375_7245, 0x5346_414F, 0x00C3_6400, 0x0102_1997];
    /// Anything that a program serves: a disk of another system's, or a share.
    const FUSE: u64 = 0x6573_5546;
    let kind = rustix::fs::statfs(path).ok().and_then(|about| u64::try_from(about.f_type).ok());
    match kind {
        Some(FUSE) => is_served_from_elsewhere(path),
        Some(kind) => NETWORK.contains(&kind),
        None => false,
    }
}

/// Whether the file is on a network share: not told on this system.
#[must_use]
#[cfg(not(target_os = "linux"))]
pub const fn is_on_network(_path: &Path) -> bool {
    false
}

/// The same of a file that a program serves, which the list of mounts names.
#[cfg(target_os = "linux")]
fn is_served_from_elsewhere(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(about), Ok(mounts)) = (path.metadata(), std::fs::read_to_string("/proc/self/mountinfo")) else {
        return false;
    };
    let device = (rustix::fs::major(about.dev()), rustix::fs::minor(about.dev()));
    is_a_share(&mounts, device)
}

/// Programs that serve what is on another machine.
#[cfg(any(target_os = "linux", test))]
const PROGRAMS: [&str; 32] = [
    "sshfs",
    "s3fs",
    "rclone",
    "davfs",
    "davfs2",
    "wdfs",
    "glusterfs",
    "ceph",
    "ceph-fuse",
    "cephfs",
    "nfs",
    "nfs-ganesha",
    "fuse-nfs",
    "smbnetfs",
    "curlftpfs",
    "gcsfuse",
    "gcsf",
    "goofys",
    "mountpoint-s3",
    "geesefs",
    "blobfuse",
    "blobfuse2",
    "juicefs",
    "seaweedfs",
    "s3ql",
    "mfs",
    "lizardfs",
    "beegfs",
    "hdfs",
    "gvfsd-fuse",
    "kio-fuse",
    "google-drive-ocamlfuse",
];

/// Whether the file system of a device is a share, by a list of mounts as `/proc/self/mountinfo` has it.
#[cfg(any(target_os = "linux", test))]
fn is_a_share(mounts: &str, (major, minor): (u32, u32)) -> bool {
    let device = format!("{major}:{minor}");
    mounts.lines().any(|line| {
        // What a name holds of spaces is written as `\040`.
        let Some((place, about)) = line.split_once(" - ") else { return false };
        let mut about = about.split(' ');
        let (kind, source) = (about.next().unwrap_or_default(), about.next().unwrap_or_default());
        // `fuse.sshfs`; where a kind tells no program, the source may: `sshfs#host:`, `mountpoint-s3`, `https://host/dav`.
        let by_kind = kind.split_once('.').map(|(_, program)| program).unwrap_or_default();
        let by_source = source.split('#').next().unwrap_or_default();
        let named = |program: &str| PROGRAMS.contains(&program.to_ascii_lowercase().as_str());
        place.split(' ').nth(2) == Some(device.as_str())
            && (named(by_kind) || named(by_source) || source.contains("://"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_that_a_program_serves_are_told_from_disks_that_it_serves() {
        let mounts = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 22 0:50 / /mnt/far rw,nosuid,nodev,relatime shared:3 - fuse.sshfs me@far:/home/me rw,user_id=0,group_id=0
41 22 0:51 / /mnt/disk\\040-\\040one rw,relatime shared:4 master:1 - fuseblk /dev/sdb1 rw,allow_other
42 22 0:52 / /mnt/ntfs rw,relatime - fuse.ntfs-3g /dev/sdc1 rw
43 22 0:53 / /mnt/cloud rw,relatime - fuse.rclone remote: rw
44 22 0:54 / /mnt/dav rw,relatime - fuse https://dav.example/me rw
45 22 0:55 / /mnt/s3 ro,relatime - fuse mountpoint-s3 ro
46 22 0:56 / /mnt/old rw,relatime - fuse sshfs#me@far: rw
47 22 0:57 / /mnt/plain rw,relatime - fuse bindfs rw
48 22 0:5 / /mnt/odd rw - fuse.S3FS bucket rw
a line without sense
";
        let shares: Vec<u32> = (0..60).filter(|minor| is_a_share(mounts, (0, *minor))).collect();
        assert_eq!(shares, [5, 50, 53, 54, 55, 56]);
        assert!(!is_a_share(mounts, (254, 0)) && !is_a_share(mounts, (50, 0)) && !is_a_share("", (0, 50)));
    }

    #[test]
    fn a_folder_of_this_machine_is_no_share() {
        assert!(!is_on_network(tempfile::tempdir().unwrap().path()));
        assert!(!is_on_network(Path::new("/nowhere/at/all")));
    }
}
