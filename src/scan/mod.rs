//! From a folder of pictures to a manifest: finds images, judges them by the remote's rules, makes fit copies where asked, and
//! gives every row an id. Sends nothing, and changes no original.

mod copy;
mod find;
mod geometry;
mod glob;
mod names;
mod natural;
mod pair;
mod reason;
mod room;
mod rows;
#[cfg(test)]
mod tests;
mod whole;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::domain::{AccountName, Digest};
use crate::image::{Inspector, Unfit};

use self::copy::Unmade;
use self::find::{Apart, Candidate};
use self::names::Named;
use self::room::Room;

pub use self::pair::Pairing;
pub use self::reason::{Reason, Remedy};
pub use self::rows::ScannedRow;

/// What is to be scanned, and for what.
#[derive(Debug, Clone)]
pub struct Order {
    /// Folders, files, and patterns of files.
    pub arguments: Vec<PathBuf>,
    /// Every image, or pair, is for each of these.
    pub scenes: Vec<String>,
    /// How images are paired, for scenes that take two.
    pub pairing: Option<Pairing>,
    /// `5` or `10`, for every row.
    pub duration: Option<String>,
    /// The only account that may send the rows.
    pub account: Option<AccountName>,
    /// Where fit copies go, and what they are like; without it none are made.
    pub copies: Option<Copies>,
    /// Where videos go: not walked, unless it is named.
    pub output_tree: PathBuf,
    /// The folder in which the manifest will lie. Its paths are relative to it.
    pub beside: PathBuf,
}

/// What fit copies are like.
#[derive(Debug, Clone)]
pub struct Copies {
    /// Where they go. Not walked.
    pub folder: PathBuf,
    /// What becomes of an image that is too long.
    pub shape: Shape,
    /// What becomes of an image that is too small.
    pub small: Small,
    /// What becomes of another file in a copy's place.
    pub existing: Existing,
}

/// What becomes of an image that is too long for its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// It gets bars.
    Pad(Bars),
    /// Its middle is kept.
    Crop,
}

/// The colour of bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bars {
    /// Black.
    Black,
    /// White.
    White,
}

/// What becomes of an image that is too small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Small {
    /// It stays unfit.
    Leave,
    /// It is enlarged.
    Enlarge,
}

/// What becomes of a file that stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays.
    Keep,
    /// It is replaced.
    Replace,
}

/// What a scan came to.
#[derive(Debug)]
pub struct Scanned {
    /// The manifest's rows, image by image, each with every scene.
    pub rows: Vec<ScannedRow>,
    /// How many images were looked at.
    pub images: usize,
    /// Images that have no row because of what they are.
    pub unfit: Vec<UnfitImage>,
    /// Images that have no row because they have no partner.
    pub unpaired: Vec<Unpaired>,
    /// Images in rows that are stored other than they are to be seen. Whether the remote turns them is not known.
    pub turned: Vec<String>,
    /// Copies that rows name.
    pub copies: usize,
    /// What was seen and not looked at.
    pub passed_over: Vec<String>,
    duration: Option<String>,
    account: Option<AccountName>,
}

/// An image without a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfitImage {
    /// The file.
    pub image: String,
    /// Why.
    pub reason: Reason,
}

/// An image without a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpaired {
    /// The file.
    pub image: String,
    /// Its partner, when there is one that has no row.
    pub partner: Option<String>,
}

/// A scan could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// An argument names nothing.
    #[error("{path}: there is no such file or folder")]
    Missing {
        /// The argument.
        path: PathBuf,
    },
    /// A pattern is that of no image.
    #[error("{pattern}: no image has such a name")]
    NothingMatches {
        /// The pattern.
        pattern: PathBuf,
    },
    /// An argument cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The argument.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// An argument lies in the folder for copies.
    #[error("{path} lies in the folder for fit copies, which is not scanned")]
    AmongCopies {
        /// The argument.
        path: PathBuf,
    },
    /// A copy cannot be written.
    #[error("{path} cannot be written")]
    Unwritable {
        /// The copy.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// An image that may have a row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ready {
    /// As the manifest names it.
    cell: String,
    digest: Digest,
    is_copy: bool,
    is_turned: bool,
}

/// Scans. Blocks, on as many threads as there are cores; memory is bounded whatever is found.
pub fn scan(order: &Order) -> Result<Scanned, ScanError> {
    let copies = order.copies.as_ref();
    let apart = Apart { output_tree: order.output_tree.clone(), copies: copies.map(|copies| copies.folder.clone()) };
    let found = find::find(&order.arguments, &apart)?;
    let judged = judge_all(&found.images, order)?;
    let mut scanned = Scanned {
        rows: Vec::new(),
        images: found.images.len(),
        unfit: Vec::new(),
        unpaired: Vec::new(),
        turned: Vec::new(),
        copies: 0,
        passed_over: found.passed_over,
        duration: order.duration.clone(),
        account: order.account.clone(),
    };
    match order.pairing {
        None => scanned.singles(&found.images, judged, &order.scenes),
        Some(pairing) => scanned.pairs(&found.images, judged, pairing, &order.scenes),
    }
    Ok(scanned)
}

impl Scanned {
    /// A row for each image and scene; the same image under two names has one.
    fn singles(&mut self, images: &[Candidate], judged: Vec<Result<Ready, Reason>>, scenes: &[String]) {
        let ids = names::ids(&images.iter().map(|image| named(image, None)).collect::<Vec<_>>());
        let mut seen: HashMap<Digest, String> = HashMap::new();
        for ((image, judged), id) in images.iter().zip(judged).zip(ids) {
            let judged = judged.and_then(|ready| match seen.get(&ready.digest) {
                Some(of) => Err(Reason::Repeated { of: of.clone() }),
                None => Ok(ready),
            });
            match judged {
                Ok(ready) => {
                    seen.insert(ready.digest, shown(image));
                    self.take(image, &ready);
                    self.rows.extend(rows::rows(&id, scenes, &[&ready.cell]));
                }
                Err(reason) => self.unfit.push(UnfitImage { image: shown(image), reason }),
            }
        }
    }

    /// A row for each pair and scene. Images are paired before they are judged: one that is unfit moves no other.
    fn pairs(&mut self, images: &[Candidate], judged: Vec<Result<Ready, Reason>>, pairing: Pairing, scenes: &[String]) {
        let paths: Vec<PathBuf> = images.iter().map(|image| image.path.clone()).collect();
        let (pairs, left_over) = pair::pairs(&paths, pairing);
        let named: Vec<Named> = pairs.iter().map(|pair| named(&images[pair.left], Some(&pair.name))).collect();
        let ids = names::ids(&named);
        let mut unpaired: Vec<(usize, Option<usize>)> = Vec::new();
        for (pair, id) in pairs.iter().zip(ids) {
            match (&judged[pair.left], &judged[pair.right]) {
                (Ok(left), Ok(right)) => {
                    self.take(&images[pair.left], left);
                    self.take(&images[pair.right], right);
                    self.rows.extend(rows::rows(&id, scenes, &[&left.cell, &right.cell]));
                }
                (Ok(_), Err(_)) => unpaired.push((pair.left, Some(pair.right))),
                (Err(_), Ok(_)) => unpaired.push((pair.right, Some(pair.left))),
                (Err(_), Err(_)) => {}
            }
        }
        unpaired.extend(left_over.into_iter().filter(|at| judged[*at].is_ok()).map(|at| (at, None)));
        unpaired.sort_unstable();
        self.unpaired = unpaired
            .into_iter()
            .map(|(at, partner)| Unpaired {
                image: shown(&images[at]),
                partner: partner.map(|partner| shown(&images[partner])),
            })
            .collect();
        let unfit = images
            .iter()
            .zip(judged)
            .filter_map(|(image, judged)| judged.err().map(|reason| UnfitImage { image: shown(image), reason }));
        self.unfit.extend(unfit);
    }

    /// Counts an image that has a row.
    fn take(&mut self, image: &Candidate, ready: &Ready) {
        self.copies += usize::from(ready.is_copy);
        if ready.is_turned {
            self.turned.push(shown(image));
        }
    }
}

/// Judges all images, on all cores, in order.
fn judge_all(images: &[Candidate], order: &Order) -> Result<Vec<Result<Ready, Reason>>, ScanError> {
    let (inspector, room) = (Inspector::new(), Room::new());
    let stems = stems(images);
    let next = AtomicUsize::new(0);
    let judged = Mutex::new(Vec::with_capacity(images.len()));
    let failed = Mutex::new(None);
    let beside = order.beside.canonicalize().unwrap_or_else(|_| order.beside.clone());
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(images.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(image), Some(stem)) = (images.get(at), stems.get(at)) else { return };
                    match judge(image, stem, order.copies.as_ref(), &beside, &inspector, &room) {
                        Ok(ready) => judged.lock().unwrap_or_else(PoisonError::into_inner).push((at, Ok(ready))),
                        Err(Unmade::Image(reason)) => {
                            judged.lock().unwrap_or_else(PoisonError::into_inner).push((at, Err(reason)));
                        }
                        Err(Unmade::Place(error)) => {
                            // A disk that is full is full for all of them.
                            next.store(images.len(), Ordering::Relaxed);
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut judged = judged.into_inner().unwrap_or_else(PoisonError::into_inner);
    judged.sort_unstable_by_key(|(at, _)| *at);
    Ok(judged.into_iter().map(|(_, judged)| judged).collect())
}

fn judge(
    image: &Candidate,
    stem: &Path,
    copies: Option<&Copies>,
    beside: &Path,
    inspector: &Inspector,
    room: &Room,
) -> Result<Ready, Unmade> {
    let cell = rows::cell(&image.path, beside).ok_or(Reason::Unnameable)?;
    let (verdict, is_turned) = look(&image.path, inspector);
    let copies = match (verdict, copies) {
        (Ok(_), Some(copies)) if is_turned => copies,
        (Ok(digest), _) => return Ok(Ready { cell, digest, is_copy: false, is_turned }),
        (Err(reason), Some(copies)) if matches!(reason.remedy(), Remedy::Copy | Remedy::EnlargedCopy) => copies,
        (Err(reason), _) => return Err(reason.into()),
    };
    let copy = copy::make(&image.path, stem, copies, room)?;
    let cell = rows::cell(&copy, beside).ok_or(Reason::Unnameable)?;
    // Judged like any other: what was made here has no privilege.
    let made = inspector.inspect(&copy).map_err(Reason::Unfit)?;
    Ok(Ready { cell, digest: made.digest, is_copy: true, is_turned: false })
}

/// Whether the remote would take an image, and whether it is stored other than it is to be seen.
fn look(path: &Path, inspector: &Inspector) -> (Result<Digest, Reason>, bool) {
    let inspected = match inspector.inspect(path) {
        Ok(inspected) => inspected,
        Err(unfit) => return (Err(Reason::Unfit(unfit)), false),
    };
    match std::fs::read(path) {
        Err(error) => (Err(Reason::Unfit(Unfit::Unreadable(error.to_string()))), false),
        Ok(bytes) if whole::is_whole(&bytes) => (Ok(inspected.digest), copy::is_turned(&bytes)),
        Ok(_) => (Err(Reason::CutShort), false),
    }
}

/// Where the copy of each image goes, without its ending: as the image lies below its argument. What would be the same has the
/// image's ending in it, and a number after that.
fn stems(images: &[Candidate]) -> Vec<PathBuf> {
    let folded = |path: &Path| path.to_string_lossy().to_lowercase();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for image in images {
        *counts.entry(folded(&image.within.with_extension(""))).or_default() += 1;
    }
    let mut taken = HashSet::new();
    images
        .iter()
        .map(|image| {
            let stem = image.within.with_extension("");
            let base = if counts.get(&folded(&stem)) == Some(&1) { stem } else { image.within.clone() };
            let mut free = base.clone();
            let mut number = 2;
            while !taken.insert(folded(&free)) {
                free = PathBuf::from(format!("{}-{number}", base.display()));
                number += 1;
            }
            free
        })
        .collect()
}

fn named(image: &Candidate, pair: Option<&str>) -> Named {
    let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let stem = pair.map_or_else(|| text(image.path.file_stem()), ToOwned::to_owned);
    Named { stem, folder: text(image.path.parent().and_then(Path::file_name)) }
}

fn shown(image: &Candidate) -> String {
    image.shown.display().to_string()
}
