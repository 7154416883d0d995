//! `nightreel completions` and `nightreel man`: what shells and `man` need, made from the command line itself.

use serde_json::json;

use super::super::args::{self, Completions, Global, Man};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::terminal;

pub(in crate::cli) fn completions(args: &Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::for_shells(), "nightreel", &mut script);
    let script = String::from_utf8(script).map_err(|error| Failure::new(Exit::Internal, error))?;
    terminal::out(&script);
    Ok(Exit::Done)
}

pub(in crate::cli) fn man(args: &Man, global: &Global) -> Result<Exit, Failure> {
    let unwritable = |error: std::io::Error| {
        Failure::new(Exit::Unwritable, format!("{}: {error}", args.dir.display()))
            .hint("name a folder that you can write")
    };
    std::fs::create_dir_all(&args.dir).map_err(unwritable)?;
    let mut command = args::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    for page in std::iter::once(&command).chain(command.get_subcommands().filter(|verb| !verb.is_hide_set())) {
        let source = format!("nightreel {}", env!("CARGO_PKG_VERSION"));
        let page =
            clap_mangen::Man::new(page.clone().version(env!("CARGO_PKG_VERSION"))).source(source).manual("nightreel");
        pages.push(page.generate_to(&args.dir).map_err(unwritable)?.display().to_string());
    }
    if global.json {
        terminal::json(&json!({ "pages": pages }));
    } else if !global.quiet {
        terminal::out(&format!(
            "{} pages written to {}\nread them with: man {}\n",
            pages.len(),
            args.dir.display(),
            pages[0]
        ));
    }
    Ok(Exit::Done)
}
