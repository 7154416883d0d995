//! `nightreel scenes`: the scenes that are known, what the vendor's pages say of them, what they probably cost. Reads
//! nothing but what is compiled in.

use comfy_table::{CellAlignment, Table, presets};
use jiff::civil::Date;
use serde::Serialize;

use crate::catalogue::{self, PriceTable, Scene, Sureness, UnitsGuess};
use crate::domain::{Currency, Money, Price, Units};

use super::super::args::{Global, Scenes};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::terminal;

/// What is printed for programs.
#[derive(Debug, Serialize)]
struct Listing<'a> {
    scenes: Vec<Line<'a>>,
    /// Scenes of such a name that are not on the vendor's newest pages, and were not asked for.
    hidden: usize,
    currency: Currency,
    unit_price: Money,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    scene: &'a str,
    images: u8,
    standing: &'static str,
    discontinued: Option<Date>,
    /// For five seconds.
    units: Units,
    price: Money,
    sure: Sureness,
}

pub(in crate::cli) fn scenes(args: &Scenes, global: &Global) -> Result<Exit, Failure> {
    let word = args.word.as_deref().unwrap_or_default();
    let found = catalogue::search(word);
    if found.is_empty() {
        return Err(nothing(word));
    }
    let (listed, hidden): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|scene| args.gone || scene.standing.is_listed());
    let list = PriceTable::kling_list();
    if global.json {
        let scenes = listed.into_iter().map(|scene| line(scene, list.unit_price)).collect();
        let (currency, unit_price) = (list.currency, list.unit_price);
        terminal::json(&Listing { scenes, hidden: hidden.len(), currency, unit_price });
    } else {
        terminal::out(&text(&listed, hidden.len(), &list));
    }
    Ok(Exit::Done)
}

/// What five seconds of a scene cost where nothing else is asked for.
fn guess(scene: &Scene) -> UnitsGuess {
    catalogue::default_units(&scene.name, None, None, None)
}

fn line(scene: &Scene, unit_price: Money) -> Line<'_> {
    let UnitsGuess { units, sure } = guess(scene);
    Line {
        scene: &scene.name,
        images: scene.images,
        standing: scene.standing.word(),
        discontinued: scene.standing.discontinued(),
        units,
        price: units * unit_price,
        sure,
    }
}

/// For people.
fn text(listed: &[&Scene], hidden: usize, list: &PriceTable) -> String {
    let price = |amount| Price { amount, currency: list.currency.clone() };
    let mut text = String::new();
    if !listed.is_empty() {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["scene", "images", "standing", "units", "price"]);
        for scene in listed {
            let UnitsGuess { units, sure } = guess(scene);
            let about = if sure == Sureness::Guessed { "~" } else { "" };
            let (images, standing) = (scene.images.to_string(), scene.standing.to_string());
            let cost = price(units * list.unit_price);
            table.add_row([scene.name.clone(), images, standing, format!("{about}{units}"), format!("{about}{cost}")]);
        }
        let numbers = [1, 3, 4];
        for (at, column) in table.column_iter_mut().enumerate() {
            if numbers.contains(&at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        text.push_str(&format!("{table}\n\n"));
    }
    let noun = if listed.len() == 1 { "scene" } else { "scenes" };
    text.push_str(&format!("{} {noun}", listed.len()));
    if hidden > 0 {
        text.push_str(&format!("; {hidden} more that the vendor's newest pages do not have: add --gone"));
    }
    text.push('\n');
    if !listed.is_empty() {
        let unit = price(list.unit_price);
        text.push_str(&format!(
            "units and prices are for 5 seconds at the vendor's list price of {unit} a unit; ~ is a guess\n"
        ));
    }
    text
}

fn nothing(word: &str) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("no scene that nightreel knows has {word:?} in its name"));
    let near = catalogue::near(word);
    if near.is_empty() {
        failure.hint("it may be new: a scene that is not listed can be sent all the same")
    } else {
        failure.hint(format!("did you mean {}?", near.join(", ")))
    }
}
