//! `nightreel receipt`: what each request was thought to cost against what it did cost. Reads only, also beside a run.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::config::Settings;
use crate::domain::{AccountName, Price, TaskId, Units};
use crate::gateway::{Gateway, Told};
use crate::pace::Clock;
use crate::report::{Costs, Receipt, Terms};
use crate::store::Store;

use super::super::args::{self, Global};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::terminal;
use super::super::wiring::{self, Opened};

/// Between two questions to one account: it is in no hurry, and the runs of others are.
const BETWEEN: Duration = Duration::from_secs(1);
/// How often a page is asked for before it is given up.
const TRIES: u32 = 3;
/// Pages that are asked for at the most: half a million charges and more.
const PAGES: usize = 2000;
/// How far a remote's clock may be behind ours.
const SLACK: SignedDuration = SignedDuration::from_mins(5);
/// Charges for unknown tasks that are named in the terminal.
const SHOWN: usize = 20;

/// What is printed for programs.
#[derive(Debug, Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    receipt: &'a Receipt,
    /// Where the CSV is.
    csv: Option<&'a Path>,
}

/// What an account did not tell.
struct Gap {
    words: String,
    exit: Exit,
}

/// Where the CSV goes.
enum Place {
    File(PathBuf),
    Output,
    Nowhere,
}

pub(in crate::cli) async fn receipt(
    args: &args::Receipt,
    global: &Global,
    settings: &Settings,
) -> Result<Exit, Failure> {
    let place = match args.out.as_deref() {
        Some(dash) if dash.as_os_str() == "-" && global.json => {
            return Err(Failure::new(Exit::Usage, "standard output takes the CSV or the JSON, not both")
                .hint("name a file for the CSV: --out FILE"));
        }
        Some(dash) if dash.as_os_str() == "-" => Place::Output,
        Some(file) => Place::File(wiring::absolute(file)?),
        None if global.json || terminal::is_read_by_a_person() => Place::Nowhere,
        None => Place::Output,
    };
    let store = wiring::must_read(settings).await?;
    let mut terms = terms(args, settings, store.as_ref()).await?;
    let mut gaps = Vec::new();
    if args.settle {
        gaps = settle(settings, &store, &mut terms).await?;
    }
    let is_settled = terms.charges.is_some();
    let mut receipt = match &place {
        Place::File(file) => to_file(store.as_ref(), terms, file).await?,
        Place::Output => Receipt::write(store.as_ref(), terms, terminal::Document).await?,
        Place::Nowhere => Receipt::write(store.as_ref(), terms, std::io::sink()).await?,
    };
    let exit = gaps.iter().map(|gap| gap.exit).find(|exit| *exit != Exit::Done).unwrap_or(Exit::Done);
    receipt.notes = gaps.into_iter().map(|gap| gap.words).collect();
    if global.json {
        let csv = if let Place::File(file) = &place { Some(file.as_path()) } else { None };
        terminal::json(&Printed { receipt: &receipt, csv });
    } else if let Place::Output = place {
        // Beside the document, only what it cannot say.
        terminal::err(&strays(&receipt));
    } else {
        terminal::tell(&text(&receipt, &place, is_settled));
    }
    Ok(exit)
}

/// What the receipt is for, and the prices that its accounts have in the settings.
async fn terms(args: &args::Receipt, settings: &Settings, store: &dyn Store) -> Result<Terms, Failure> {
    let batch = wiring::named_batch(store, args.batch.as_deref()).await?.map(|batch| batch.id);
    let known: Vec<AccountName> = store.accounts().await?.into_iter().map(|account| account.name).collect();
    let mut accounts = Vec::new();
    for name in args.account.iter().flat_map(|names| names.split(',')) {
        let wanted = known.iter().find(|known| known.as_str() == name.trim()).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(AccountName::as_str).collect();
            Failure::new(Exit::Usage, format!("the ledger knows no account named {name:?}"))
                .hint(format!("it knows: {}", names.join(", ")))
        })?;
        accounts.push(wanted.clone());
    }
    let unit_prices = known.into_iter().filter_map(|name| {
        let prices = match settings.accounts.as_slice() {
            // Settings without a table are for whatever account there is.
            [only] if only.name.is_none() || args.account.is_some() => &only.prices,
            several => &several.iter().find(|account| account.name.as_ref() == Some(&name))?.prices,
        };
        Some((name, Price { amount: prices.unit_price, currency: prices.currency.clone() }))
    });
    Ok(Terms { batch, accounts, unit_prices: unit_prices.collect(), charges: None })
}

async fn to_file(store: &dyn Store, terms: Terms, file: &Path) -> Result<Receipt, Failure> {
    let unwritable = |error: std::io::Error| {
        Failure::new(Exit::Unwritable, format!("{}: {error}", file.display())).hint("name another place with --out")
    };
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    // A document like any other, where drafts are usually their owner's alone.
    let readable = std::fs::Permissions::from_mode(0o666);
    let mut draft = tempfile::Builder::new().permissions(readable).tempfile_in(folder).map_err(unwritable)?;
    let mut lines = BufWriter::new(draft.as_file_mut());
    let receipt = Receipt::write(store, terms, &mut lines).await?;
    lines.flush().map_err(unwritable)?;
    drop(lines);
    draft.persist(file).map_err(|failed| unwritable(failed.error))?;
    Ok(receipt)
}

/// Asks the accounts what they charged since the first of the requests was sent. Gives what could not be learned.
async fn settle(settings: &Settings, store: &Arc<dyn Store>, terms: &mut Terms) -> Result<Vec<Gap>, Failure> {
    let opened = Opened::to_read(Arc::clone(store));
    let first = Receipt::write(store.as_ref(), terms.clone(), std::io::sink()).await?.first_sent;
    let mut charges = HashMap::new();
    terms.charges = Some(HashMap::new());
    let Some(first) = first else { return Ok(Vec::new()) };
    let from = first.saturating_sub(SLACK).unwrap_or(first);
    let remotes = wiring::remotes(settings, &opened).await?;
    let mut gaps = Vec::new();
    for lane in &remotes.lanes {
        let name = &lane.account.name;
        let span = (from, opened.clock.now());
        gaps.extend(ask(lane.gateway.as_ref(), &opened.clock, span, name, &mut charges).await);
    }
    remotes.shutdown().await;
    terms.charges = Some(charges);
    Ok(gaps)
}

/// Asks one account, page by page. Gives what it did not tell.
async fn ask(
    gateway: &dyn Gateway,
    clock: &Clock,
    span: (Timestamp, Timestamp),
    name: &AccountName,
    charges: &mut HashMap<(AccountName, TaskId), Units>,
) -> Option<Gap> {
    let gap = |words: String, exit| Some(Gap { words, exit });
    let mut next: Option<String> = None;
    let mut tries = 0;
    let mut unread = 0;
    let mut pages = 0;
    loop {
        match gateway.charges(span, next.as_deref()).await {
            Told::Answer(page) => {
                for charge in page.charges {
                    match charge.units.parse::<Units>() {
                        Ok(units) => *charges.entry((name.clone(), charge.task)).or_default() += units,
                        Err(_) => unread += 1,
                    }
                }
                (tries, pages, next) = (0, pages + 1, page.next);
                if next.is_none() || pages >= PAGES {
                    let words = format!("{name}: {unread} of its charges are no plain amounts, and were left out");
                    return if unread > 0 { gap(words, Exit::Done) } else { None };
                }
            }
            Told::Unclear { words } => {
                tries += 1;
                if tries >= TRIES {
                    return gap(format!("{name} did not tell all of its charges: {words}"), Exit::Paused);
                }
            }
            Told::Paused(pause) => return gap(format!("{name} did not tell what it charged: {pause}"), Exit::Paused),
            Told::NotOffered => {
                let words = format!("{name} cannot be asked what it charged: what its tasks said is all there is");
                return gap(words, Exit::Done);
            }
        }
        clock.sleep(BETWEEN).await;
    }
}

/// For people.
fn text(receipt: &Receipt, place: &Place, is_settled: bool) -> String {
    let mut table = Table::new();
    let header = ["scene", "requests", "made", "failed", "estimate", "actual", "difference"];
    table.load_style(presets::NOTHING).set_header(header);
    for scene in &receipt.scenes {
        table.add_row(cells(&scene.scene, &scene.costs));
    }
    for total in &receipt.total {
        table.add_row(cells("in all", total));
    }
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    let mut text = format!("{table}\n");
    for (word, list) in [
        ("failed but charged", &receipt.failed_but_charged),
        ("made, not collected", &receipt.made_not_collected),
        ("in doubt", &receipt.in_doubt),
    ] {
        text.push_str(&format!("{word}: {}\n", sums(list)));
    }
    let unknown: u64 = receipt.total.iter().map(|total| total.unknown).sum();
    if unknown > 0 {
        let hint = if is_settled { "" } else { " (--settle asks the accounts)" };
        let words = if unknown == 1 { "1 request".to_owned() } else { format!("{unknown} requests") };
        text.push_str(&format!("what {words} cost is not known{hint}: the difference is that of the others\n"));
    }
    text.push_str(&strays(receipt));
    match place {
        Place::File(file) => text.push_str(&format!("one line a request: {}\n", file.display())),
        Place::Output | Place::Nowhere => {
            text.push_str("as CSV, one line a request: nightreel receipt --out receipt.csv\n");
        }
    }
    text
}

fn cells(name: &str, costs: &Costs) -> [String; 7] {
    let amount = |amount| match &costs.currency {
        Some(currency) => format!("{currency} {amount}"),
        None => String::new(),
    };
    let is_known = costs.unknown < costs.requests && costs.currency.is_some();
    let actual = if is_known { amount(costs.actual) } else { String::new() };
    let difference = if is_known { costs.difference.clone() } else { String::new() };
    let counts = [costs.requests, costs.made, costs.failed].map(|count| count.to_string());
    let [requests, made, failed] = counts;
    [name.to_owned(), requests, made, failed, amount(costs.estimate), actual, difference]
}

/// `2 requests, about USD 0.56, charged USD 0.28`.
fn sums(list: &[Costs]) -> String {
    let requests: u64 = list.iter().map(|costs| costs.requests).sum();
    let mut words = if requests == 1 { "1 request".to_owned() } else { format!("{requests} requests") };
    for costs in list {
        let Some(currency) = &costs.currency else { continue };
        words.push_str(&format!(", about {currency} {}", costs.estimate));
        if costs.unknown < costs.requests {
            words.push_str(&format!(", charged {currency} {}", costs.actual));
        }
    }
    words
}

/// What no line of the receipt says.
fn strays(receipt: &Receipt) -> String {
    let mut text: String = receipt.notes.iter().map(|note| format!("{note}\n")).collect();
    let strays = &receipt.stray_charges;
    for stray in strays.iter().take(SHOWN) {
        let cost = stray.actual.as_ref().map_or_else(String::new, |price| format!(", {price}"));
        text.push_str(&format!(
            "charged for no row: {} at {}: {} units{cost}\n",
            stray.task_id, stray.account, stray.units
        ));
    }
    if strays.len() > SHOWN {
        text.push_str(&format!("… and {} more\n", strays.len() - SHOWN));
    }
    if !strays.is_empty() {
        text.push_str("next: nightreel rescue   (looks for tasks that no row knows)\n");
    }
    text
}
