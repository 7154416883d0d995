//! Fit copies of images: upright, not too large, of an aspect that the remote takes, as JPEG or PNG. Never changes an
//! original.

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use raster::codecs::jpeg::JpegEncoder;
use raster::codecs::png::PngEncoder;
use raster::imageops::{self, FilterType};
use raster::metadata::Orientation;
use raster::{DynamicImage, ImageDecoder, ImageEncoder, ImageReader, Limits, Luma, Pixel, Rgb, Rgba, RgbaImage};

use crate::image::{MOST_BYTES, Unfit};

use super::geometry::Geometry;
use super::reason::Reason;
use super::room::Room;
use super::whole::is_whole;
use super::{Bars, Copies, Existing, ScanError, Shape};

/// The most pixels of an image that a copy is made of.
pub(super) const MOST_PIXELS: u64 = 200_000_000;
/// The largest file that a copy is made of, in bytes.
pub(super) const MOST_READ: u64 = 100_000_000;
/// Qualities of JPEG, tried until the file is small enough.
const QUALITIES: [u8; 3] = [92, 85, 78];
/// What a decoder may claim for itself, in bytes.
const DECODER: u64 = 2 << 30;

/// An image in memory, with what has to be kept of its file.
struct Decoded {
    image: DynamicImage,
    orientation: Orientation,
    /// What its colours mean.
    profile: Option<Vec<u8>>,
}

/// Why no copy was made.
pub(super) enum Unmade {
    /// Because of the image.
    Image(Reason),
    /// Because of the place.
    Place(ScanError),
}

impl From<Reason> for Unmade {
    fn from(reason: Reason) -> Self {
        Self::Image(reason)
    }
}

/// Whether an image is stored other than it is to be seen.
pub(super) fn is_turned(bytes: &[u8]) -> bool {
    let orientation = || {
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
        reader.into_decoder().ok()?.orientation().ok()
    };
    catch_unwind(AssertUnwindSafe(orientation)).ok().flatten().is_some_and(|turn| turn != Orientation::NoTransforms)
}

/// Makes a fit copy below the folder of copies: `stem` with the ending that it gets. Gives where it is. Blocks.
pub(super) fn make(source: &Path, stem: &Path, copies: &Copies, room: &Room) -> Result<PathBuf, Unmade> {
    let unreadable = |error: std::io::Error| Reason::Unfit(Unfit::Unreadable(error.to_string()));
    let size = fs::metadata(source).map_err(unreadable)?.len();
    if size > MOST_READ {
        return Err(Reason::TooManyPixels { pixels: 0 }.into());
    }
    let bytes = fs::read(source).map_err(unreadable)?;
    if !is_whole(&bytes) {
        return Err(Reason::CutShort.into());
    }
    let (encoded, ending) = catch_unwind(AssertUnwindSafe(|| encoded(&bytes, copies, room)))
        .unwrap_or_else(|_| Err(Reason::Undecodable("the decoder broke off".to_owned())))?;
    drop(bytes);
    let mut name = stem.as_os_str().to_owned();
    name.push(ending);
    write(&copies.folder, Path::new(&name), &encoded, copies.existing)
}

/// The bytes of the copy, and the ending of its name.
fn encoded(bytes: &[u8], copies: &Copies, room: &Room) -> Result<(Vec<u8>, &'static str), Reason> {
    let words = |error: raster::ImageError| Reason::Undecodable(error.to_string());
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| words(error.into()))?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(DECODER);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(words)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MOST_PIXELS {
        return Err(Reason::TooManyPixels { pixels });
    }
    let _held = room.take(decoder.total_bytes());
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten();
    let image = DynamicImage::from_decoder(decoder).map_err(words)?;
    let Decoded { image, profile, .. } = fit(Decoded { image, orientation, profile }, copies).map_err(Reason::Unfit)?;
    small_enough(image, profile, MOST_BYTES).map_err(words)
}

/// Scaled, upright, on its canvas, in eight bits.
fn fit(decoded: Decoded, copies: &Copies) -> Result<Decoded, Unfit> {
    let Decoded { mut image, orientation, profile } = decoded;
    let lies = matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    let (width, height) = if lies { (image.height(), image.width()) } else { (image.width(), image.height()) };
    let upright = Geometry::of(width, height, copies.shape, copies.small)?;
    let stored = if lies { upright.turned() } else { upright };
    if stored.cut != (image.width(), image.height()) {
        let ((width, height), (wide, high)) = (stored.cut, (image.width(), image.height()));
        image = image.crop_imm((wide - width) / 2, (high - height) / 2, width, height);
    }
    // Smaller first: everything after it works on less.
    let (width, height) = stored.scaled;
    if (width, height) != (image.width(), image.height()) {
        let is_enlarged = width > image.width() || height > image.height();
        image = if is_enlarged {
            image.resize_exact(width, height, FilterType::CatmullRom)
        } else {
            image.thumbnail_exact(width, height)
        };
    }
    image.apply_orientation(orientation);
    let mut image = plain(image);
    if (image.width(), image.height()) != upright.canvas {
        image = padded(&image, upright.canvas, copies.shape);
    }
    Ok(Decoded { image, orientation: Orientation::NoTransforms, profile })
}

/// In eight bits, with alpha only where something can be seen through.
fn plain(image: DynamicImage) -> DynamicImage {
    if image.color().has_alpha() {
        let image = image.into_rgba8();
        if image.pixels().any(|pixel| pixel.0[3] < u8::MAX) {
            return DynamicImage::ImageRgba8(image);
        }
        return DynamicImage::ImageRgb8(DynamicImage::ImageRgba8(image).into_rgb8());
    }
    if image.color().has_color() {
        DynamicImage::ImageRgb8(image.into_rgb8())
    } else {
        DynamicImage::ImageLuma8(image.into_luma8())
    }
}

/// In the middle of a canvas.
fn padded(image: &DynamicImage, canvas: (u32, u32), shape: Shape) -> DynamicImage {
    let bar = match shape {
        Shape::Pad(Bars::White) => u8::MAX,
        Shape::Pad(Bars::Black) | Shape::Crop => 0,
    };
    match image {
        DynamicImage::ImageLuma8(image) => DynamicImage::ImageLuma8(on_canvas(image, canvas, Luma([bar]))),
        DynamicImage::ImageRgb8(image) => DynamicImage::ImageRgb8(on_canvas(image, canvas, Rgb([bar; 3]))),
        other => {
            let image: RgbaImage = other.to_rgba8();
            DynamicImage::ImageRgba8(on_canvas(&image, canvas, Rgba([bar, bar, bar, u8::MAX])))
        }
    }
}

fn on_canvas<P: Pixel<Subpixel = u8>>(
    image: &raster::ImageBuffer<P, Vec<u8>>,
    (width, height): (u32, u32),
    bars: P,
) -> raster::ImageBuffer<P, Vec<u8>> {
    let mut canvas = raster::ImageBuffer::from_pixel(width, height, bars);
    let (x, y) = ((width - image.width()) / 2, (height - image.height()) / 2);
    imageops::replace(&mut canvas, image, x.into(), y.into());
    canvas
}

/// Encoded, at a lower quality or a smaller size where the file would have more than `most` bytes.
fn small_enough(
    mut image: DynamicImage,
    profile: Option<Vec<u8>>,
    most: u64,
) -> Result<(Vec<u8>, &'static str), raster::ImageError> {
    // A profile of other colours than those that are written (of a print, say) would say something wrong.
    let space: &[u8] = if image.color().has_color() { b"RGB " } else { b"GRAY" };
    let profile = profile.filter(|profile| profile.get(16..20) == Some(space));
    let has_alpha = image.color().has_alpha();
    loop {
        for quality in if has_alpha { &[0][..] } else { &QUALITIES[..] } {
            let mut bytes = Vec::new();
            if has_alpha {
                encode(&image, PngEncoder::new(&mut bytes), profile.as_deref())?;
            } else {
                encode(&image, JpegEncoder::new_with_quality(&mut bytes, *quality), profile.as_deref())?;
            }
            if bytes.len() as u64 <= most {
                return Ok((bytes, if has_alpha { ".png" } else { ".jpg" }));
            }
        }
        // The short side rounded up, the long one down: the aspect does not grow.
        let smaller = |side: u32, other: u32| if side < other { side.div_ceil(5) * 4 } else { side / 5 * 4 };
        let (width, height) = (image.width(), image.height());
        image = image.thumbnail_exact(smaller(width, height), smaller(height, width));
    }
}

fn encode(image: &DynamicImage, mut encoder: impl ImageEncoder, profile: Option<&[u8]>) -> raster::ImageResult<()> {
    if let Some(profile) = profile {
        // An encoder that keeps no profiles leaves the colours as most would read them.
        drop(encoder.set_icc_profile(profile.to_vec()));
    }
    image.write_with_encoder(encoder)
}

/// Puts a copy in its place, whole or not at all. One that is there already with the same bytes is kept.
fn write(folder: &Path, name: &Path, bytes: &[u8], existing: Existing) -> Result<PathBuf, Unmade> {
    let target = folder.join(name);
    let failed = |source| Unmade::Place(ScanError::Unwritable { path: target.clone(), source });
    let parent = target.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(failed)?;
    let (real, root) = (parent.canonicalize().map_err(failed)?, folder.canonicalize().map_err(failed)?);
    if !real.starts_with(&root) {
        let words = "a symbolic link leads out of the folder for fit copies";
        return Err(failed(std::io::Error::other(words)));
    }
    let target = real.join(target.file_name().unwrap_or_default());
    let taken = || Unmade::Image(Reason::CopyTaken { path: folder.join(name).display().to_string() });
    let failed = |source| Unmade::Place(ScanError::Unwritable { path: target.clone(), source });
    if fs::symlink_metadata(&target).is_ok() {
        if fs::read(&target).is_ok_and(|there| there == bytes) {
            return Ok(target);
        }
        if existing == Existing::Keep {
            return Err(taken());
        }
    }
    let readable = fs::Permissions::from_mode(0o666);
    let mut draft = tempfile::Builder::new()
        .prefix(".")
        .suffix(".part")
        .permissions(readable)
        .tempfile_in(&real)
        .map_err(failed)?;
    draft.write_all(bytes).and_then(|()| draft.as_file().sync_all()).map_err(failed)?;
    match existing {
        Existing::Replace => draft.persist(&target).map_err(|error| failed(error.error))?,
        Existing::Keep => draft.persist_noclobber(&target).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => taken(),
            _ => failed(error.error),
        })?,
    };
    Ok(target)
}

#[cfg(test)]
mod tests;
