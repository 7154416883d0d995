//! Whether a JPEG or a PNG is all there: a photograph that was half copied has a good header, and would be paid for.

/// Whether a file goes on to the end of its image. What is built strangely counts as whole: that is for decoders to judge.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    match bytes {
        [0xFF, 0xD8, ..] => is_whole_jpeg(bytes),
        [0x89, b'P', b'N', b'G', ..] => is_whole_png(bytes),
        _ => true,
    }
}

/// Segments to the first scan, and an end marker somewhere after it. Metadata before it may have an image of its own,
/// whose end does not count.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        let Some(&first) = bytes.get(at) else { return false };
        if first != 0xFF {
            return true;
        }
        let Some(&marker) = bytes.get(at + 1) else { return false };
        match marker {
            0xFF => at += 1,
            0x01 | 0xD0..=0xD8 => at += 2,
            0xDA => return bytes[at..].windows(2).any(|pair| pair == [0xFF, 0xD9]),
            0xD9 => return true,
            _ => {
                let Some(length) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
}

fn is_whole_png(bytes: &[u8]) -> bool {
    let mut at = 8;
    loop {
        let Some(chunk) = bytes.get(at..at + 8) else { return false };
        if &chunk[4..] == b"IEND" {
            return true;
        }
        let length = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]) as usize;
        at = at.saturating_add(length).saturating_add(12);
        if at > bytes.len() {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_copied_image_is_told_from_a_whole_one() {
        let photos = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/photos");
        let mut seen = 0;
        for entry in std::fs::read_dir(photos).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "md") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            assert!(is_whole(&bytes), "{}", path.display());
            let mut longer = bytes.clone();
            longer.extend(b"something that a camera adds");
            assert!(is_whole(&longer), "{}", path.display());
            for part in [9, 20, bytes.len() / 2, bytes.len() - 20] {
                assert!(!is_whole(&bytes[..part]), "{} of {}", part, path.display());
            }
            seen += 1;
        }
        assert_eq!(seen, 8);
    }

    #[test]
    fn the_end_of_a_thumbnail_is_not_the_end_of_the_image() {
        let thumbnail = [0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9];
        let mut bytes = [&[0xFF, 0xD8][..], &thumbnail, &[0xFF, 0xDA, 0, 2, 1, 2, 3]].concat();
        assert!(!is_whole(&bytes));
        bytes.extend([0xFF, 0xD9]);
        assert!(is_whole(&bytes));
    }
}
