//! `nightreel scan`: a manifest of a folder of pictures. Asks nobody, makes no ledger, and changes no original.

use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use crate::catalogue::{self, SceneWarning};
use crate::config::Settings;
use crate::domain::{AccountName, Effect, ImageSource, Images};
use crate::scan::{self, Bars, Copies, Existing, Order, Pairing, Remedy, ScanError, Scanned, Shape, Small, UnfitImage};

use super::super::args::{Colour, Fit, Global, PairBy, Scan};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::{terminal, wiring};

/// Names that are told of each reason.
const SHOWN: usize = 10;

/// What is printed for programs.
#[derive(Debug, Serialize)]
struct Printed<'a> {
    rows: usize,
    images: usize,
    copies: usize,
    unfit: Vec<serde_json::Value>,
    unpaired: Vec<&'a str>,
    turned: &'a [String],
    passed_over: &'a [String],
    warnings: &'a [SceneWarning],
    manifest: &'a Path,
}

pub(in crate::cli) async fn scan(args: &Scan, global: &Global, settings: &Settings) -> Result<Exit, Failure> {
    if global.json && args.out.is_none() {
        return Err(Failure::new(Exit::Usage, "standard output takes the manifest or the JSON, not both")
            .hint("name a file for the manifest: --out FILE"));
    }
    let out = args.out.as_deref().map(wiring::absolute).transpose()?;
    if let Some(out) = out.as_deref().filter(|out| out.exists() && !args.force) {
        return Err(is_there(out));
    }
    let warnings = scenes(args)?;
    let order = order(args, settings, out.as_deref())?;
    let scanned = tokio::task::spawn_blocking(move || scan::scan(&order)).await;
    let scanned = scanned.map_err(|error| Failure::new(Exit::Internal, error))??;
    let mut told: String = warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    told.push_str(&text(&scanned, args));
    if scanned.rows.is_empty() {
        let unfit = json!({ "rows": 0, "unfit": unfit(&scanned.unfit) });
        let words = match scanned.images {
            0 => "there is no image in what was named".to_owned(),
            images => format!("none of {} could have a row; no manifest was written", counted(images, "image")),
        };
        return Err(Failure::new(Exit::Usage, words).details(told, unfit));
    }
    match &out {
        Some(out) => to_file(&scanned, out, args)?,
        None => scanned.write(terminal::Document).map_err(|error| Failure::new(Exit::Unwritable, error))?,
    }
    if let Some(manifest) = out.as_deref().filter(|_| global.json) {
        terminal::json(&Printed {
            rows: scanned.rows.len(),
            images: scanned.images,
            copies: scanned.copies,
            unfit: unfit(&scanned.unfit),
            unpaired: scanned.unpaired.iter().map(|unpaired| unpaired.image.as_str()).collect(),
            turned: &scanned.turned,
            passed_over: &scanned.passed_over,
            warnings: &warnings,
            manifest,
        });
    }
    if !global.quiet {
        let rows = counted(scanned.rows.len(), "row");
        told.push_str(&format!("{} seen, {rows} written", counted(scanned.images, "image")));
        if let (Some(folder), true) = (&args.fix, scanned.copies > 0) {
            let copies = if scanned.copies == 1 { "1 fit copy" } else { &format!("{} fit copies", scanned.copies) };
            told.push_str(&format!(", {copies} in {}", folder.display()));
        }
        told.push('\n');
        if let Some(out) = &args.out {
            told.push_str(&format!("next: nightreel check {}\n", out.display()));
        }
    }
    terminal::err(&told);
    Ok(Exit::Done)
}

fn order(args: &Scan, settings: &Settings, out: Option<&Path>) -> Result<Order, Failure> {
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let bars = match args.pad_colour {
        Some(Colour::White) => Bars::White,
        Some(Colour::Black) | None => Bars::Black,
    };
    let shape = match args.fit {
        Some(Fit::Crop) => Shape::Crop,
        Some(Fit::Pad) | None => Shape::Pad(bars),
    };
    let small = if args.upscale { Small::Enlarge } else { Small::Leave };
    let copies = args.fix.as_deref().map(|folder| {
        // Made before anything is looked for, so that it is known for what it is by whatever name it is reached.
        std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        Ok::<_, Failure>(Copies { folder: wiring::absolute(folder)?, shape, small, existing })
    });
    let folder = out.and_then(Path::parent).map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    Ok(Order {
        arguments: args.images.clone(),
        scenes: args.scenes.clone(),
        pairing: args.pair.map(|by| match by {
            PairBy::ByName => Pairing::ByName,
            PairBy::ByOrder => Pairing::ByOrder,
        }),
        duration: args.duration.clone(),
        account: args.account.as_deref().map(AccountName::new).transpose()?,
        copies: copies.transpose()?,
        output_tree: wiring::tree(&settings.out)?,
        beside: wiring::absolute(&folder)?,
    })
}

/// Whether the scenes go together, and with `--pair`; and what is to be told of them.
fn scenes(args: &Scan) -> Result<Vec<SceneWarning>, Failure> {
    let usage = |words: String| Failure::new(Exit::Usage, words);
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '\'';
    let (mut ones, mut twos, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for (at, scene) in args.scenes.iter().enumerate() {
        if scene.is_empty() || scene.len() > 100 || !scene.chars().all(is_name) {
            let failure = usage(format!("no scene has such a name: {scene:?}"));
            return Err(match catalogue::like(scene) {
                Some(like) => failure.hint(format!("did you mean {like}?")),
                None => failure.hint("nightreel scenes lists those that are known"),
            });
        }
        if args.scenes[..at].contains(scene) {
            return Err(usage(format!("{scene} stands twice")).hint("name each scene once"));
        }
        let known = catalogue::find(scene);
        let takes_two = known.map_or(args.two, |known| known.images == 2);
        let some = || ImageSource::Url(String::new());
        let images = if takes_two { Images::Two(some(), some()) } else { Images::One(some()) };
        let effect = Effect { scene: scene.clone(), images, duration: None, model: None, mode: None };
        warnings.extend(catalogue::warnings(&effect));
        if takes_two { twos.push(scene.as_str()) } else { ones.push(scene.as_str()) }
    }
    if args.two && args.scenes.iter().all(|scene| catalogue::find(scene).is_some()) {
        return Err(usage("--two is for scenes that nightreel does not know, and it knows these".to_owned())
            .hint("leave --two out"));
    }
    match (&ones[..], &twos[..], args.pair) {
        ([], _, Some(_)) | (_, [], None) => Ok(warnings),
        (_, [two, ..], None) => {
            let failure = usage(format!("{two} takes two images"));
            Err(failure.hint(if ones.is_empty() {
                "say how they are paired: --pair by-name (anna-1.jpg with anna-2.jpg) or --pair by-order (neighbours)"
                    .to_owned()
            } else {
                apart(&ones, &twos)
            }))
        }
        ([one, ..], [], Some(_)) => {
            let failure = usage(format!("{one} takes one image, and --pair is for scenes that take two"));
            let is_known = catalogue::find(one).is_some();
            Err(failure.hint(if is_known {
                "leave --pair out"
            } else {
                "leave --pair out, or add --two if it takes two"
            }))
        }
        ([one, ..], [..], Some(_)) => {
            Err(usage(format!("{one} takes one image, and --pair is for scenes that take two"))
                .hint(apart(&ones, &twos)))
        }
    }
}

/// What to type when some scenes take one image, and others two.
fn apart(ones: &[&str], twos: &[&str]) -> String {
    let flags = |scenes: &[&str]| scenes.iter().map(|scene| format!(" --scene {scene}")).collect::<String>();
    let (ones, twos) = (flags(ones), flags(twos));
    format!("make two manifests: nightreel scan …{ones}, and nightreel scan …{twos} --pair by-name (or by-order)")
}

fn to_file(scanned: &Scanned, out: &Path, args: &Scan) -> Result<(), Failure> {
    let failed = |error: std::io::Error| unwritable(out, &error);
    let folder = out.parent().unwrap_or_else(|| Path::new("."));
    let readable = std::fs::Permissions::from_mode(0o666);
    let mut draft = tempfile::Builder::new().permissions(readable).tempfile_in(folder).map_err(failed)?;
    scanned.write(BufWriter::new(draft.as_file_mut())).map_err(|error| failed(error.into()))?;
    draft.as_file().sync_all().map_err(failed)?;
    let named = if args.force { draft.persist(out) } else { draft.persist_noclobber(out) };
    match named {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(is_there(out)),
        Err(error) => Err(failed(error.error)),
    }
}

fn is_there(out: &Path) -> Failure {
    Failure::new(Exit::Usage, format!("{} is there already", out.display()))
        .hint("name another file, or add --force to write over it")
}

fn unwritable(place: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Unwritable, format!("{} cannot be written: {error}", place.display()))
}

impl From<ScanError> for Failure {
    fn from(error: ScanError) -> Self {
        match &error {
            ScanError::Unwritable { .. } => Self::new(Exit::Unwritable, error).hint("make room, or name another --fix"),
            ScanError::Missing { .. } => Self::new(Exit::Usage, error).hint("name the folder that the pictures are in"),
            ScanError::AmongCopies { .. } => Self::new(Exit::Usage, error).hint("name another folder with --fix"),
            ScanError::NothingMatches { .. } => {
                Self::new(Exit::Usage, error).hint("patterns have * ? [a-z] and ** for any folders; capitals count")
            }
            ScanError::Unreadable { .. } => Self::new(Exit::Usage, error),
        }
    }
}

fn unfit(images: &[UnfitImage]) -> Vec<serde_json::Value> {
    let value =
        |one: &UnfitImage| json!({ "image": one.image, "kind": one.reason.word(), "why": one.reason.to_string() });
    images.iter().map(value).collect()
}

/// What has no row, and what to do about it; for people.
fn text(scanned: &Scanned, args: &Scan) -> String {
    let mut text = String::new();
    let mut headings: Vec<&str> = Vec::new();
    for one in &scanned.unfit {
        if !headings.contains(&one.reason.heading()) {
            headings.push(one.reason.heading());
        }
    }
    for heading in headings {
        let group: Vec<&UnfitImage> = scanned.unfit.iter().filter(|one| one.reason.heading() == heading).collect();
        text.push_str(&format!("no row: {} ({heading})\n", counted(group.len(), "image")));
        let lines = group.iter().map(|one| format!("{}: {}", one.image, one.reason));
        text.push_str(&listed(lines.collect()));
    }
    if !scanned.unpaired.is_empty() {
        text.push_str(&format!("no row: {} (without a partner)\n", counted(scanned.unpaired.len(), "image")));
        let lines = scanned.unpaired.iter().map(|one| match &one.partner {
            Some(partner) => format!("{}: its partner {partner} has no row", one.image),
            None => one.image.clone(),
        });
        text.push_str(&listed(lines.collect()));
    }
    if !scanned.turned.is_empty() {
        let turned = counted(scanned.turned.len(), "image");
        text.push_str(&format!("stored turned: {turned} (whether the remote turns them is not known)\n"));
        text.push_str(&listed(scanned.turned.clone()));
    }
    if !scanned.passed_over.is_empty() {
        text.push_str(&format!("passed over: {}\n", counted(scanned.passed_over.len(), "file or link")));
        text.push_str(&listed(scanned.passed_over.clone()));
    }
    text.push_str(&advice(scanned, args));
    text
}

/// What to type.
fn advice(scanned: &Scanned, args: &Scan) -> String {
    let count = |remedy| scanned.unfit.iter().filter(|one| one.reason.remedy() == remedy).count();
    let (copied, enlarged) = (count(Remedy::Copy), count(Remedy::EnlargedCopy));
    let mut text = String::new();
    if args.fix.is_none() && copied + scanned.turned.len() > 0 {
        let images = counted(copied + scanned.turned.len(), "image");
        text.push_str(&format!(
            "hint: add --fix fixed/ to have fit copies of {images} written there, and named instead\n"
        ));
    }
    if enlarged > 0 {
        let flags = if args.fix.is_some() { "--upscale" } else { "--fix fixed/ --upscale" };
        text.push_str(&format!("hint: add {flags} to have {} enlarged\n", counted(enlarged, "image")));
    }
    if count(Remedy::Replace) > 0 {
        text.push_str("hint: add --force to write over what stands where copies go\n");
    }
    text
}

fn listed(lines: Vec<String>) -> String {
    let more = lines.len().saturating_sub(SHOWN);
    let mut text: String = lines.into_iter().take(SHOWN).map(|line| format!("  {line}\n")).collect();
    if more > 0 {
        text.push_str(&format!("  … and {more} more\n"));
    }
    text
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {}", noun.replacen(" or ", "s or ", 1) + "s") }
}
