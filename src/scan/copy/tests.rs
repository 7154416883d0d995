//! Copies of images that are made here: turned, long, large, small, transparent, broken.

use raster::codecs::webp::WebPEncoder;
use raster::{ImageFormat, RgbImage};

use super::super::{Existing, Small};
use super::*;
use crate::image::Inspector;

const PAD: Shape = Shape::Pad(Bars::White);

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn copies(&self, shape: Shape, small: Small) -> Copies {
        Copies { folder: self.0.path().join("fixed"), shape, small, existing: Existing::Keep }
    }

    /// The copy of an image, which has to be one that a remote takes.
    fn copy(&self, bytes: &[u8], copies: &Copies) -> Result<PathBuf, Reason> {
        let source = self.0.path().join("source");
        fs::write(&source, bytes).unwrap();
        fs::create_dir_all(&copies.folder).unwrap();
        match make(&source, Path::new("deep/a.b"), copies, &Room::new()) {
            Ok(copy) => {
                Inspector::new().inspect(&copy).unwrap();
                assert_eq!(fs::read(&source).unwrap(), bytes, "the original was changed");
                Ok(copy)
            }
            Err(Unmade::Image(reason)) => Err(reason),
            Err(Unmade::Place(error)) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        }
    }

    fn copied(&self, bytes: &[u8], shape: Shape) -> (String, DynamicImage) {
        let copy = self.copy(bytes, &self.copies(shape, Small::Leave)).unwrap();
        let name = copy.file_name().unwrap().to_string_lossy().into_owned();
        (name, raster::open(copy).unwrap())
    }
}

/// Red in its upper left quarter, blue elsewhere.
fn quarter(width: u32, height: u32) -> DynamicImage {
    let colour = |x, y| if x < width / 2 && y < height / 2 { Rgb([250, 0, 0]) } else { Rgb([0, 0, 250]) };
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, colour))
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A JPEG that says how it is to be turned.
fn turned(image: &DynamicImage, orientation: u8) -> Vec<u8> {
    let exif =
        [&b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..], &[orientation, 0, 0, 0, 0, 0, 0, 0]].concat();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let jpeg = encoded(image, ImageFormat::Jpeg);
    [&jpeg[..2], &[0xFF, 0xE1], &length, &exif, &jpeg[2..]].concat()
}

fn is_red(image: &DynamicImage, x: u32, y: u32) -> bool {
    let [red, _, blue] = image.to_rgb8().get_pixel(x, y).0;
    red > 200 && blue < 60
}

/// What no encoder makes small.
fn noise(width: u32, height: u32) -> RgbImage {
    let mut random = fastrand::Rng::with_seed(7);
    RgbImage::from_fn(width, height, |_, _| Rgb([random.u8(..), random.u8(..), random.u8(..)]))
}

#[test]
fn a_turned_image_is_set_upright_and_says_nothing_of_it_any_more() {
    for (orientation, (x, y)) in [(6, (350, 50)), (8, (50, 550)), (3, (350, 350)), (2, (350, 50)), (5, (50, 50))] {
        let stored = if orientation == 3 || orientation == 2 { quarter(400, 400) } else { quarter(600, 400) };
        let bytes = turned(&stored, orientation);
        assert!(is_turned(&bytes), "{orientation}");
        let (name, copy) = Folder::new().copied(&bytes, PAD);
        assert_eq!(name, "a.b.jpg");
        let lies = stored.width() != stored.height();
        assert_eq!((copy.width(), copy.height()), (400, if lies { 600 } else { 400 }), "{orientation}");
        assert!(is_red(&copy, x, y) && !is_red(&copy, copy.width() - x, copy.height() - y), "{orientation}");
        assert!(!is_turned(&encoded(&copy, ImageFormat::Jpeg)));
    }
    assert!(!is_turned(&encoded(&quarter(400, 400), ImageFormat::Jpeg)));
    assert!(!is_turned(&turned(&quarter(400, 400), 1)));
    assert!(!is_turned(b"nothing"));
}

#[test]
fn a_long_image_gets_bars_or_loses_its_ends() {
    let bytes = encoded(&quarter(1200, 300), ImageFormat::Png);
    let (_, padded) = Folder::new().copied(&bytes, PAD);
    assert_eq!((padded.width(), padded.height()), (1200, 480));
    let at = |y| padded.to_rgb8().get_pixel(100, y).0;
    assert!(at(10).iter().all(|shade| *shade > 240), "white above: {:?}", at(10));
    assert!(is_red(&padded, 100, 120) && at(470).iter().all(|shade| *shade > 240));
    let (_, cropped) = Folder::new().copied(&bytes, Shape::Crop);
    assert_eq!((cropped.width(), cropped.height()), (750, 300));
    assert!(is_red(&cropped, 360, 50) && !is_red(&cropped, 390, 50), "the middle is kept");
    // One that is long and turned: the bars are at its sides.
    let (_, both) = Folder::new().copied(&turned(&quarter(1200, 300), 6), PAD);
    assert_eq!((both.width(), both.height()), (480, 1200));
    assert!(is_red(&both, 350, 100) && !is_red(&both, 20, 100));
}

#[test]
fn a_large_image_becomes_small_enough_however_noisy_it_is() {
    let mut transparent = DynamicImage::ImageRgb8(noise(500, 300)).into_rgba8();
    transparent.get_pixel_mut(0, 0).0[3] = 0;
    for image in [DynamicImage::ImageRgb8(noise(500, 300)), DynamicImage::ImageRgba8(transparent)] {
        let (bytes, _) = small_enough(image.clone(), None, 60_000).unwrap();
        let copy = raster::load_from_memory(&bytes).unwrap();
        assert!(bytes.len() <= 60_000 && copy.width() < 500 && copy.color() == image.color(), "{}", bytes.len());
        assert!(copy.width() * 3 <= copy.height() * 5, "{} x {}", copy.width(), copy.height());
        let (bytes, _) = small_enough(image.clone(), None, MOST_BYTES).unwrap();
        assert_eq!(raster::load_from_memory(&bytes).unwrap().width(), 500);
    }
    // Many bytes and many pixels.
    let mut bytes = encoded(&DynamicImage::new_luma8(4200, 1700), ImageFormat::Png);
    bytes.resize(10_000_001, 0);
    let (_, copy) = Folder::new().copied(&bytes, PAD);
    assert_eq!((copy.width(), copy.height(), copy.color()), (4096, 1658, raster::ColorType::L8));
}

#[test]
fn what_is_transparent_stays_so_and_what_only_could_be_becomes_a_jpeg() {
    let mut image = quarter(400, 300).into_rgba8();
    let lossless = |image: &RgbaImage| {
        let mut bytes = Vec::new();
        image.write_with_encoder(WebPEncoder::new_lossless(&mut bytes)).unwrap();
        bytes
    };
    let (name, _) = Folder::new().copied(&lossless(&image), PAD);
    assert_eq!(name, "a.b.jpg");
    image.get_pixel_mut(300, 200).0[3] = 10;
    let (name, copy) = Folder::new().copied(&lossless(&image), PAD);
    assert_eq!((name.as_str(), copy.to_rgba8().get_pixel(300, 200).0[3]), ("a.b.png", 10));
}

#[test]
fn other_formats_become_jpeg_and_small_ones_are_enlarged_when_asked() {
    for format in [ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::Tiff] {
        let (name, copy) = Folder::new().copied(&encoded(&quarter(400, 300), format), PAD);
        assert_eq!((name.as_str(), copy.width()), ("a.b.jpg", 400), "{format:?}");
        assert!(is_red(&copy, 50, 50) && !is_red(&copy, 350, 50), "{format:?}");
    }
    let folder = Folder::new();
    let small = encoded(&quarter(100, 150), ImageFormat::Png);
    let leave = folder.copy(&small, &folder.copies(PAD, Small::Leave));
    assert_eq!(leave, Err(Reason::Unfit(Unfit::TooSmall(100, 150))));
    let enlarged = folder.copy(&small, &folder.copies(PAD, Small::Enlarge)).unwrap();
    assert_eq!(raster::image_dimensions(enlarged).unwrap(), (300, 450));
}

#[test]
fn what_the_colours_mean_is_kept() {
    let mut profile = vec![0; 128];
    profile[16..20].copy_from_slice(b"RGB ");
    let with = |profile: &[u8]| {
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new(&mut bytes);
        encoder.set_icc_profile(profile.to_vec()).unwrap();
        quarter(1200, 400).write_with_encoder(encoder).unwrap();
        let folder = Folder::new();
        let copy = folder.copy(&bytes, &folder.copies(PAD, Small::Leave)).unwrap();
        ImageReader::open(copy).unwrap().into_decoder().unwrap().icc_profile().unwrap()
    };
    assert_eq!(with(&profile), Some(profile.clone()));
    profile[16..20].copy_from_slice(b"CMYK");
    assert_eq!(with(&profile), None);
}

#[test]
fn what_is_broken_or_monstrous_is_told_and_nothing_is_written() {
    let folder = Folder::new();
    let copies = folder.copies(PAD, Small::Leave);
    let jpeg = encoded(&noise(1200, 300).into(), ImageFormat::Jpeg);
    assert_eq!(folder.copy(&jpeg[..jpeg.len() / 2], &copies), Err(Reason::CutShort));
    for format in [ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Tiff] {
        let whole = encoded(&noise(400, 300).into(), format);
        let half = folder.copy(&whole[..whole.len() / 2], &copies);
        assert!(matches!(half, Err(Reason::Undecodable(_))), "{format:?}: {half:?}");
    }
    assert!(matches!(folder.copy(b"GIF89a", &copies), Err(Reason::Undecodable(_))));
    let mut monster = encoded(&quarter(400, 300), ImageFormat::Bmp);
    monster[18..22].copy_from_slice(&20_000_u32.to_le_bytes());
    monster[22..26].copy_from_slice(&20_000_u32.to_le_bytes());
    assert_eq!(folder.copy(&monster, &copies), Err(Reason::TooManyPixels { pixels: 400_000_000 }));
    assert!(!copies.folder.join("deep").exists());
}

#[test]
fn a_copy_that_is_there_is_kept_and_another_file_is_not_written_over() {
    let folder = Folder::new();
    let mut copies = folder.copies(PAD, Small::Leave);
    let bytes = encoded(&quarter(1200, 300), ImageFormat::Png);
    let copy = folder.copy(&bytes, &copies).unwrap();
    let made = fs::metadata(&copy).unwrap().modified().unwrap();
    assert_eq!(folder.copy(&bytes, &copies), Ok(copy.clone()));
    assert_eq!(fs::metadata(&copy).unwrap().modified().unwrap(), made);
    fs::write(&copy, "mine").unwrap();
    assert!(matches!(folder.copy(&bytes, &copies), Err(Reason::CopyTaken { .. })));
    assert_eq!(fs::read(&copy).unwrap(), b"mine");
    copies.existing = Existing::Replace;
    assert_eq!(folder.copy(&bytes, &copies), Ok(copy.clone()));
    assert_eq!(fs::read_dir(copy.parent().unwrap()).unwrap().count(), 1, "no draft is left");
}

#[test]
fn no_copy_goes_through_a_link_out_of_its_folder() {
    let folder = Folder::new();
    let copies = folder.copies(PAD, Small::Leave);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir_all(&copies.folder).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), copies.folder.join("deep")).unwrap();
    let source = folder.0.path().join("a.png");
    fs::write(&source, encoded(&quarter(1200, 300), ImageFormat::Png)).unwrap();
    let made = make(&source, Path::new("deep/a"), &copies, &Room::new());
    assert!(matches!(made, Err(Unmade::Place(ScanError::Unwritable { .. }))));
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
