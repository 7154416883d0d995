//! What size a fit copy has: arithmetic only, in whole pixels.

use crate::image::{LEAST_PIXELS, MOST_ASPECT, Unfit};

use super::{Shape, Small};

/// The longest side of a copy, in pixels: more than the remote's videos have, and it fits into the largest file.
pub(super) const LONGEST: u32 = 4096;

/// The middle of the image is cut out, scaled, and put into the middle of a canvas. Sizes are width and height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) cut: (u32, u32),
    pub(super) scaled: (u32, u32),
    pub(super) canvas: (u32, u32),
}

impl Geometry {
    /// The geometry of an upright image of this size, or why it cannot be made fit.
    pub(super) fn of(width: u32, height: u32, shape: Shape, small: Small) -> Result<Self, Unfit> {
        let (short, long) = (width.min(height), width.max(height));
        let is_small = (short as usize) < LEAST_PIXELS;
        if short == 0 || (is_small && small == Small::Leave) {
            return Err(Unfit::TooSmall(width as usize, height as usize));
        }
        // The cut, and what the canvas would be without scaling.
        let (cut, shorter) = match shape {
            Shape::Pad(_) => (long, short.max(shortest_for(long))),
            Shape::Crop => (long.min(longest_for(short)), short),
        };
        let least = u32::try_from(LEAST_PIXELS).unwrap_or(u32::MAX);
        let (by, of) = if cut > LONGEST {
            (LONGEST, cut)
        } else if shorter < least {
            (least, shorter)
        } else {
            (1, 1)
        };
        // The short side is rounded up and the long one down: what was within the aspect stays within it.
        let scale = |side: u32| u64::from(side) * u64::from(by);
        let pixels = |side: u64| u32::try_from(side).unwrap_or(u32::MAX);
        let scaled = (pixels(scale(short).div_ceil(u64::from(of))), pixels(scale(cut) / u64::from(of)));
        let canvas = match shape {
            Shape::Pad(_) => (scaled.0.max(shortest_for(scaled.1)).max(least), scaled.1),
            Shape::Crop => scaled,
        };
        let turn = |(short, long): (u32, u32)| if width < height { (short, long) } else { (long, short) };
        Ok(Self { cut: turn((short, cut)), scaled: turn(scaled), canvas: turn(canvas) })
    }

    /// The same of an image that lies on its side.
    pub(super) fn turned(self) -> Self {
        let turn = |(width, height): (u32, u32)| (height, width);
        Self { cut: turn(self.cut), scaled: turn(self.scaled), canvas: turn(self.canvas) }
    }
}

/// The shortest side that may go with a long one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a side over 2.5 is a side")]
fn shortest_for(long: u32) -> u32 {
    (f64::from(long) / MOST_ASPECT).ceil() as u32
}

/// The longest side that may go with a short one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, far above any image")]
fn longest_for(short: u32) -> u32 {
    (f64::from(short) * MOST_ASPECT).floor() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Bars;
    use super::*;

    fn of(width: u32, height: u32, shape: Shape) -> [(u32, u32); 3] {
        let Geometry { cut, scaled, canvas } = Geometry::of(width, height, shape, Small::Leave).unwrap();
        [cut, scaled, canvas]
    }

    #[test]
    fn what_fits_keeps_its_size_and_what_is_long_is_padded_or_cropped() {
        assert_eq!(of(400, 1000, Shape::Pad(Bars::Black)), [(400, 1000); 3]);
        assert_eq!(of(3000, 600, Shape::Pad(Bars::Black)), [(3000, 600), (3000, 600), (3000, 1200)]);
        assert_eq!(of(3000, 600, Shape::Crop), [(1500, 600); 3]);
        assert_eq!(of(600, 1501, Shape::Pad(Bars::Black)), [(600, 1501), (600, 1501), (601, 1501)]);
        assert_eq!(of(8192, 6144, Shape::Pad(Bars::Black)), [(8192, 6144), (4096, 3072), (4096, 3072)]);
        assert_eq!(of(20000, 300, Shape::Crop), [(750, 300); 3]);
        assert_eq!(of(20000, 1000, Shape::Pad(Bars::Black)), [(20000, 1000), (4096, 205), (4096, 1639)]);
    }

    #[test]
    fn small_images_are_enlarged_only_when_asked() {
        assert_eq!(Geometry::of(299, 400, Shape::Pad(Bars::Black), Small::Leave), Err(Unfit::TooSmall(299, 400)));
        assert_eq!(Geometry::of(0, 400, Shape::Pad(Bars::Black), Small::Enlarge), Err(Unfit::TooSmall(0, 400)));
        let enlarged = Geometry::of(150, 200, Shape::Pad(Bars::Black), Small::Enlarge).unwrap();
        assert_eq!((enlarged.scaled, enlarged.canvas), ((300, 400), (300, 400)));
    }

    proptest! {
        #[test]
        fn whatever_comes_out_is_fit(width in 1_u32..70_000, height in 1_u32..70_000, crop in any::<bool>()) {
            let shape = if crop { Shape::Crop } else { Shape::Pad(Bars::Black) };
            let Geometry { cut, scaled, canvas } = Geometry::of(width, height, shape, Small::Enlarge).unwrap();
            let (short, long) = (canvas.0.min(canvas.1), canvas.0.max(canvas.1));
            prop_assert!(short as usize >= LEAST_PIXELS && long <= LONGEST, "{canvas:?}");
            prop_assert!(f64::from(long) <= f64::from(short) * MOST_ASPECT, "{canvas:?}");
            prop_assert!(cut.0 <= width && cut.1 <= height && cut.0 > 0 && cut.1 > 0, "{cut:?}");
            prop_assert!(scaled.0 <= canvas.0 && scaled.1 <= canvas.1, "{scaled:?} {canvas:?}");
            prop_assert!(scaled.0 == canvas.0 || scaled.1 == canvas.1, "one side is filled: {scaled:?} {canvas:?}");
            match shape {
                Shape::Pad(_) => prop_assert_eq!(cut, (width, height)),
                Shape::Crop => prop_assert_eq!(scaled, canvas),
            }
        }
    }
}
