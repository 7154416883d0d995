//! `nightreel init`: writes a `nightreel.toml` with a word on every setting, from flags or by asking. Writes no key.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::config::{Key, Layer, Settings, template};
use crate::gateway::Preset;
use crate::report::story::quoted;

use super::super::args::{Global, Init};
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::terminal;

/// What is set in the file.
type Chosen = Vec<(Key, String)>;

pub(in crate::cli) fn init(args: &Init, global: &Global) -> Result<Exit, Failure> {
    let path = global.config.clone().unwrap_or_else(|| "nightreel.toml".into());
    if path.exists() && !args.force {
        return Err(Failure::new(
            Exit::Usage,
            format!("{}: there is such a file already; it was left as it is", path.display()),
        )
        .hint("to replace it: --force; to write another one: --config PATH"));
    }
    let flags: Chosen = [
        (Key::Gateway, &args.gateway),
        (Key::BaseUrl, &args.base_url),
        (Key::KeyFile, &args.key_file),
        (Key::Rate, &args.rate),
        (Key::InFlight, &args.in_flight),
        (Key::Out, &args.out),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value.clone()?)))
    .collect();
    let asks = flags.is_empty() && !global.json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let chosen = if asks { ask(&mut std::io::stdin().lock())? } else { flags };
    fits(&chosen)?;
    write(&path, &template(&chosen))?;
    if global.json {
        terminal::json(&json!({ "file": path, "set": chosen.iter().map(|(key, _)| key.word()).collect::<Vec<_>>() }));
    } else if !global.quiet {
        terminal::tell(&format!("{} is written\n{}", path.display(), next(&chosen)));
    }
    Ok(Exit::Done)
}

/// Whether the settings would be accepted, and none looks like a key.
fn fits(chosen: &Chosen) -> Result<(), Failure> {
    let flags = chosen.iter().map(|(key, value)| (*key, Some(value.clone())));
    Settings::settle(&[Layer::default(), Layer::default(), Layer::from_flags(flags)])?;
    let key_file = chosen.iter().find(|(key, _)| *key == Key::KeyFile);
    if key_file.is_some_and(|(_, path)| !path.contains('/')) {
        // What was said is not repeated: it may be the key itself.
        return Err(Failure::new(Exit::Usage, "the key file is not a path with a / in it")
            .hint("a key itself never goes into nightreel.toml: name the file that holds it, such as ./kling.key"));
    }
    Ok(())
}

/// Asks a person for the settings that most people set.
fn ask(answers: &mut impl BufRead) -> Result<Chosen, Failure> {
    let mut chosen = Chosen::new();
    let kinds = Preset::ALL.map(Preset::word).join(", ");
    terminal::err("Enter takes what stands in [brackets].\n");
    question(answers, &mut chosen, Key::Gateway, &format!("which gateway ({kinds})"), Some("kling"))?;
    let gateway = chosen.first().map(|(_, gateway)| gateway.clone()).unwrap_or_default();
    if gateway == Preset::KlingCompatible.word() {
        question(answers, &mut chosen, Key::BaseUrl, "where its API is, up to what stands before /v1", None)?;
    }
    if gateway != Preset::Simulator.word() {
        let words = "the path of the file with the key, not the key itself; nothing for NIGHTREEL_API_KEY";
        question(answers, &mut chosen, Key::KeyFile, words, None)?;
    }
    question(answers, &mut chosen, Key::Rate, "how many requests may be paid in a time", Some("60/min"))?;
    question(answers, &mut chosen, Key::InFlight, "how many generations at once", Some("5"))?;
    question(answers, &mut chosen, Key::Out, "where videos go", Some("videos"))?;
    Ok(chosen)
}

/// Asks until the answer would be accepted. No answer takes the default, or sets nothing.
fn question(
    answers: &mut impl BufRead,
    chosen: &mut Chosen,
    key: Key,
    words: &str,
    default: Option<&str>,
) -> Result<(), Failure> {
    loop {
        terminal::err(&format!("{words}{}: ", default.map_or_else(String::new, |default| format!(" [{default}]"))));
        let mut answer = String::new();
        let read = answers.read_line(&mut answer).map_err(|error| Failure::new(Exit::Usage, error))?;
        if read == 0 {
            return Err(Failure::new(Exit::Interrupted, "no further answer came; nothing was written"));
        }
        let said = answer.trim();
        let Some(value) = Some(said).filter(|said| !said.is_empty()).or(default) else { return Ok(()) };
        // No shell has looked at it.
        let value = match (value.strip_prefix("~/"), std::env::var("HOME")) {
            (Some(rest), Ok(home)) => format!("{home}/{rest}"),
            _ => value.to_owned(),
        };
        let mut with = chosen.clone();
        with.push((key, value));
        match fits(&with) {
            Ok(()) => {
                *chosen = with;
                return Ok(());
            }
            Err(failure) => terminal::err(&failure.text()),
        }
    }
}

/// Writes the file under its name once it is whole and was read back.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let unwritable = |error: std::io::Error| Failure::new(Exit::Unwritable, format!("{}: {error}", path.display()));
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Into::into);
    let mut draft =
        tempfile::Builder::new().prefix(".nightreel-").suffix(".part").tempfile_in(folder).map_err(unwritable)?;
    draft.write_all(text.as_bytes()).and_then(|()| draft.as_file().sync_all()).map_err(unwritable)?;
    let layer = Layer::from_file(draft.path()).map_err(|error| Failure::new(Exit::Internal, error))?;
    Settings::settle(&[layer])?;
    draft.persist(path).map(drop).map_err(|failed| unwritable(failed.error))
}

/// What to type next, first of all where the key is still to be put into its file.
fn next(chosen: &Chosen) -> String {
    let value = |wanted: Key| chosen.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value.as_str());
    let mut text = String::new();
    match value(Key::KeyFile) {
        Some(file) if !Path::new(file).exists() => text.push_str(&format!(
            "the key file is not there yet; type this, then the key, Enter and Ctrl-D:\n  (umask 077 && cat > {})\n",
            quoted(file)
        )),
        None if value(Key::Gateway).is_some_and(|gateway| gateway != Preset::Simulator.word()) => {
            text.push_str("the key is read from NIGHTREEL_API_KEY, or from the file that key_file names\n");
        }
        Some(_) | None => {}
    }
    text + "next:\n  nightreel doctor   (are key, reach and disk all right?)\n  nightreel check MANIFEST   (spends nothing)\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_asked_until_the_answer_would_be_accepted() {
        let mut answers = "klng\nkling\nsk-5eed5eed\n./kling.key\nfast\n20/min\n\n\n".as_bytes();
        let chosen = ask(&mut answers).unwrap();
        let chosen: Vec<_> = chosen.iter().map(|(key, value)| (key.word(), value.as_str())).collect();
        assert_eq!(
            chosen,
            [
                ("gateway", "kling"),
                ("key_file", "./kling.key"),
                ("rate", "20/min"),
                ("in_flight", "5"),
                ("out", "videos")
            ]
        );
        assert_eq!(ask(&mut "kling\n".as_bytes()).unwrap_err().exit, Exit::Interrupted);
    }
}
