//! What is to become a manifest, and what is to become of images that the remote would not take.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Flags of `scan`.
#[derive(Debug, Args)]
pub(crate) struct Scan {
    /// Folders, files, and patterns of files (in quotes): photos/ 'more/**/*.jpg'
    #[arg(required = true)]
    pub(crate) images: Vec<PathBuf>,
    /// Every image is for this scene; may stand several times
    #[arg(long = "scene", value_name = "SCENE", required = true)]
    pub(crate) scenes: Vec<String>,
    /// Put two images into each row, for scenes that take two
    #[arg(long, value_name = "BY")]
    pub(crate) pair: Option<PairBy>,
    /// A scene that nightreel does not know takes two images
    #[arg(long)]
    pub(crate) two: bool,
    /// Seconds of every row: 5 or 10
    #[arg(long, value_name = "SECONDS", value_parser = ["5", "10"])]
    pub(crate) duration: Option<String>,
    /// The only account that may send the rows
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<String>,
    /// Write the manifest to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write over files that are there: the manifest, and fit copies
    #[arg(long)]
    pub(crate) force: bool,
    /// Write fit copies into this folder: upright, at most 4096 pixels and 10 MB, JPEG (PNG where they are transparent)
    #[arg(long, value_name = "DIR", help_heading = "Fit copies")]
    pub(crate) fix: Option<PathBuf>,
    /// Images that are too long get bars, or keep their middle only [default: pad]
    #[arg(long, value_name = "HOW", requires = "fix", help_heading = "Fit copies")]
    pub(crate) fit: Option<Fit>,
    /// The bars' colour [default: black]
    #[arg(long, value_name = "COLOUR", requires = "fix", help_heading = "Fit copies")]
    pub(crate) pad_colour: Option<Colour>,
    /// Enlarge images that are too small
    #[arg(long, requires = "fix", help_heading = "Fit copies")]
    pub(crate) upscale: bool,
}

/// How images are paired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PairBy {
    ByName,
    ByOrder,
}

/// What becomes of images that are too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fit {
    Pad,
    Crop,
}

/// The colour of bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    Black,
    White,
}
