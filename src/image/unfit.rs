//! Why an image cannot be sent, in words for people.

use std::fmt;

use super::{LEAST_PIXELS, MOST_ASPECT, MOST_BYTES};

/// Why an image cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// There is no such file.
    Missing,
    /// It is a folder, or another thing that is no file.
    NotAFile,
    /// The system will not let it be read.
    Unreadable(String),
    /// It has no bytes.
    Empty,
    /// It has too many bytes.
    TooLarge(u64),
    /// It is neither JPEG nor PNG; what it looks like, where that is known.
    OtherFormat(Option<&'static str>),
    /// Its header cannot be read.
    Broken,
    /// Too few pixels on a side.
    TooSmall(usize, usize),
    /// Too long for its width, or too wide for its height.
    TooLong(usize, usize),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the file does not exist"),
            Self::NotAFile => f.write_str("this is not a file"),
            Self::Unreadable(words) => write!(f, "the file cannot be read: {words}"),
            Self::Empty => f.write_str("the file is empty"),
            Self::TooLarge(bytes) => write!(f, "the file is too large: {:.1} MB", *bytes as f64 / 1e6),
            Self::OtherFormat(Some(format)) => write!(f, "the file is {format}"),
            Self::OtherFormat(None) => f.write_str("the file is no image that can be sent"),
            Self::Broken => f.write_str("the image is broken: its header cannot be read"),
            Self::TooSmall(width, height) => write!(f, "the image is too small: {width} x {height} pixels"),
            Self::TooLong(width, height) => write!(f, "the image is too long for its width: {width} x {height} pixels"),
        }
    }
}

impl Unfit {
    /// What would be accepted.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::Missing | Self::NotAFile | Self::Unreadable(_) => {
                "an image file; paths are relative to the manifest's folder".to_owned()
            }
            Self::Empty | Self::OtherFormat(_) | Self::Broken => {
                "a whole JPEG or PNG file, whatever its name ends with".to_owned()
            }
            Self::TooLarge(_) => format!("at most {} MB", MOST_BYTES / 1_000_000),
            Self::TooSmall(..) => format!("at least {LEAST_PIXELS} pixels on each side"),
            Self::TooLong(..) => format!("sides that differ by {MOST_ASPECT} times at the most"),
        }
    }
}
