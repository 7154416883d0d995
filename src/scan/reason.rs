//! Why an image has no row, in words for people, and what can be done about it.

use std::fmt;

use crate::image::Unfit;

use super::copy::{MOST_PIXELS, MOST_READ};

/// Why an image has no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The remote would not take it.
    Unfit(Unfit),
    /// The file ends before its image does.
    CutShort,
    /// A manifest cannot hold its path.
    Unnameable,
    /// It has more pixels, or its file more bytes, than a copy is made of.
    TooManyPixels {
        /// In the image.
        pixels: u64,
    },
    /// No copy could be made: what the decoder said.
    Undecodable(String),
    /// Another file stands where its copy would go.
    CopyTaken {
        /// That file.
        path: String,
    },
    /// It is the same image as another one.
    Repeated {
        /// That one.
        of: String,
    },
}

/// What can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// A fit copy.
    Copy,
    /// A fit copy, enlarged.
    EnlargedCopy,
    /// Writing over what stands where the copy would go.
    Replace,
    /// Nothing from here.
    None,
}

impl Reason {
    /// What images with this reason have in common.
    #[must_use]
    pub fn heading(&self) -> &'static str {
        match self {
            Self::Unfit(Unfit::Missing | Unfit::NotAFile | Unfit::Unreadable(_)) => "cannot be read",
            Self::Unfit(Unfit::Empty) => "empty",
            Self::Unfit(Unfit::TooLarge(_)) => "too large: at most 10 MB",
            Self::Unfit(Unfit::OtherFormat(_)) => "neither JPEG nor PNG",
            Self::Unfit(Unfit::TooSmall(..)) => "too small: at least 300 pixels on each side",
            Self::Unfit(Unfit::TooLong(..)) => "too long: sides that differ by 2.5 times at the most",
            Self::Unfit(Unfit::Broken) | Self::CutShort | Self::Undecodable(_) => "broken",
            Self::Unnameable => "a name that a manifest cannot hold",
            Self::TooManyPixels { .. } => "too many pixels for a copy: at most 200 million, in at most 100 MB",
            Self::CopyTaken { .. } => "another file stands where the copy would go",
            Self::Repeated { .. } => "the same image as another one, which has its row",
        }
    }

    /// What can be done about it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Unfit(Unfit::TooSmall(..)) => Remedy::EnlargedCopy,
            Self::Unfit(Unfit::TooLarge(bytes)) if *bytes <= MOST_READ => Remedy::Copy,
            Self::Unfit(Unfit::TooLong(..)) => Remedy::Copy,
            Self::Unfit(Unfit::OtherFormat(Some(format)))
                if ["WebP", "GIF", "BMP", "TIFF"].iter().any(|known| format.contains(known)) =>
            {
                Remedy::Copy
            }
            Self::CopyTaken { .. } => Remedy::Replace,
            Self::Unfit(
                Unfit::Missing
                | Unfit::NotAFile
                | Unfit::Unreadable(_)
                | Unfit::Empty
                | Unfit::TooLarge(_)
                | Unfit::OtherFormat(_)
                | Unfit::Broken,
            )
            | Self::CutShort
            | Self::Unnameable
            | Self::TooManyPixels { .. }
            | Self::Undecodable(_)
            | Self::Repeated { .. } => Remedy::None,
        }
    }

    /// A word for programs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unfit(Unfit::Missing | Unfit::NotAFile | Unfit::Unreadable(_)) => "unreadable",
            Self::Unfit(Unfit::Empty) => "empty",
            Self::Unfit(Unfit::TooLarge(_)) => "too_large",
            Self::Unfit(Unfit::OtherFormat(_)) => "other_format",
            Self::Unfit(Unfit::TooSmall(..)) => "too_small",
            Self::Unfit(Unfit::TooLong(..)) => "too_long",
            Self::Unfit(Unfit::Broken) | Self::CutShort | Self::Undecodable(_) => "broken",
            Self::Unnameable => "unnameable",
            Self::TooManyPixels { .. } => "too_many_pixels",
            Self::CopyTaken { .. } => "copy_taken",
            Self::Repeated { .. } => "repeated",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::CutShort => f.write_str("the file ends before its image does"),
            Self::Unnameable => {
                f.write_str("its path has a |, ends with a space, or is not UTF-8; give it another name")
            }
            Self::TooManyPixels { pixels } if *pixels > MOST_PIXELS => {
                write!(f, "the image has {} million pixels", pixels / 1_000_000)
            }
            Self::TooManyPixels { .. } => write!(f, "the file has more than {} MB", MOST_READ / 1_000_000),
            Self::Undecodable(words) => write!(f, "the image cannot be decoded: {words}"),
            Self::CopyTaken { path } => write!(f, "{path} is there already, and is another file"),
            Self::Repeated { of } => write!(f, "the same image as {of}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{LEAST_PIXELS, MOST_ASPECT, MOST_BYTES};

    #[test]
    fn headings_say_the_limits_that_hold() {
        let heading = |unfit| Reason::Unfit(unfit).heading();
        assert!(heading(Unfit::TooLarge(1)).contains(&format!("{} MB", MOST_BYTES / 1_000_000)));
        assert!(heading(Unfit::TooSmall(1, 1)).contains(&format!("{LEAST_PIXELS} pixels")));
        assert!(heading(Unfit::TooLong(1, 1)).contains(&format!("{MOST_ASPECT} times")));
        let pixels = Reason::TooManyPixels { pixels: 0 };
        assert!(pixels.heading().contains(&format!("{} million", MOST_PIXELS / 1_000_000)));
        assert!(pixels.heading().contains(&format!("{} MB", MOST_READ / 1_000_000)));
    }
}
