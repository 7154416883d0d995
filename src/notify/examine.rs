//! What can be said of whom a run would tell, without telling anybody; and a test that tells them.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::post::Body;
use super::{Address, Kind, Message, Notifier, Occasion, Settings};

/// What a test says.
const TEST: &str = "nightreel doctor: this is a test; no run started or ended";

/// Someone whom a run would tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// What it is, in one word.
    pub who: &'static str,
    /// Who it is and of what it is told; of an address only its host.
    pub words: String,
    /// What makes it doubtful that it hears, with what to do.
    pub doubts: Vec<(String, String)>,
}

/// Whom a run would tell. Sends nothing, and runs no command.
#[must_use]
pub fn examine(settings: &Settings) -> Vec<Examined> {
    let mut found = Vec::new();
    let on: Vec<&str> = settings.on.iter().map(|occasion| occasion.word()).collect();
    let on = on.join(", ");
    if let Some(address) = &settings.webhook {
        let host = address.host();
        let word = settings.kind.word();
        let mut doubts: Vec<_> = clear_text(address).into_iter().collect();
        let meant = [("hooks.slack.com", Kind::Slack), ("ntfy.sh", Kind::Ntfy)];
        if let Some((_, kind)) = meant.into_iter().find(|(of, kind)| host == *of && *kind != settings.kind) {
            let doubt = format!("{host} does not understand kind {word:?}");
            doubts.push((doubt, format!("kind = {:?} in [notify]", kind.word())));
        }
        found.push(Examined { who: "webhook", words: format!("{word} to {host}, of {on}"), doubts });
    }
    if let Some(address) = &settings.ping {
        let doubts = clear_text(address).into_iter().collect();
        found.push(Examined { who: "ping", words: format!("{}, of every start and end", address.host()), doubts });
    }
    if let Some(command) = &settings.command {
        let doubts = not_runnable(command).into_iter().collect();
        found.push(Examined { who: "command", words: format!("{}, of {on}", first_word(command)), doubts });
    }
    found
}

/// An address that is a secret should not be shown to everyone on the way.
fn clear_text(address: &Address) -> Option<(String, String)> {
    let url = address.url(None)?;
    let host = address.host();
    let here = super::post::is_loopback(&host);
    (url.scheme() == "http" && !here).then(|| {
        let doubt =
            format!("the address at {host} is no https:// one: whoever is between can read it, and write there");
        (doubt, "name it with https:// in [notify]".to_owned())
    })
}

/// The program that a command begins with, as far as it can be told from here; else all that is told of it.
fn first_word(command: &str) -> &str {
    program(command).unwrap_or("a script")
}

/// The word that a shell would look a program up by, where nothing has to be expanded for that.
fn program(command: &str) -> Option<&str> {
    let is_assignment = |word: &&str| {
        word.split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    };
    // What is set for it may have spaces in quotes: then nothing is known.
    let word = command.split_whitespace().find(|word| !is_assignment(word))?;
    let before = &command[..command.find(word)?];
    let is_plain = |text: &str, more: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    (is_plain(word, "_-./+@") && is_plain(before, "_-./+@=:, \t\n")).then_some(word)
}

/// Why a command would not run: the shell cannot read it, or does not find what it begins with.
fn not_runnable(command: &str) -> Option<(String, String)> {
    let hint = "put `command` in [notify] right; sh -c '…' runs it by hand".to_owned();
    let shell = |words: &[&str]| {
        let mut shell = Command::new("/bin/sh");
        shell.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        shell.status()
    };
    match shell(&["-n", "-c", command]) {
        Ok(status) if status.success() => {}
        Ok(_) => return Some(("the shell does not understand the command".to_owned(), hint)),
        Err(error) => {
            return Some((format!("/bin/sh cannot be run: {error}"), "install a shell, or use a webhook".to_owned()));
        }
    }
    let program = program(command)?;
    let why = if program.contains('/') {
        match std::fs::metadata(program) {
            Ok(about) if about.is_file() && about.permissions().mode() & 0o111 != 0 => return None,
            Ok(_) => format!("{program} is not executable"),
            Err(_) => format!("there is no {program}"),
        }
    } else {
        // Builtins and words of the shell's own are found, too.
        let found = shell(&["-c", "command -v \"$1\"", "sh", program]).is_ok_and(|status| status.success());
        if found {
            return None;
        }
        format!("no {program} is in the PATH")
    };
    let hint = if why.ends_with("executable") { format!("chmod +x {program}") } else { hint };
    Some((why, hint))
}

/// Tells everybody, whatever they are to be told of otherwise, that this is a test. What went wrong with each is in the answer.
/// A ping goes to `/log`, which says nothing of a run (as healthchecks.io documents it).
pub async fn rehearse(notifier: &Notifier) -> Vec<(&'static str, Option<String>)> {
    let settings = &notifier.settings;
    let message =
        Message { occasion: Occasion::Test, text: TEST.to_owned(), summary: TEST.to_owned(), exit_code: None };
    let ping = async {
        let address = settings.ping.as_ref()?;
        let body = Body::Text { text: TEST.to_owned(), headers: &[] };
        Some(("ping", notifier.post("ping", address, Some("log"), &body).await))
    };
    let webhook = async {
        settings.webhook.as_ref()?;
        Some(("webhook", notifier.webhook(&message).await))
    };
    let command = async {
        settings.command.as_ref()?;
        Some(("command", notifier.command(&message).await))
    };
    let (webhook, ping, command) = futures::future::join3(webhook, ping, command).await;
    [webhook, ping, command].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &Settings) -> Vec<Examined> {
        examine(settings)
    }

    #[test]
    fn a_command_that_could_not_run_is_doubted_and_none_is_run() {
        let folder = tempfile::tempdir().unwrap();
        let ran = folder.path().join("ran");
        let script = folder.path().join("tell.sh");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        let script = script.display().to_string();
        for (command, program, doubt) in [
            (format!("touch {}", ran.display()), "touch", None),
            ("mail -s \"$NIGHTREEL_SUMMARY\" | nonsense (".to_owned(), "mail", Some("does not understand")),
            ("tell-nobody-at-all me".to_owned(), "tell-nobody-at-all", Some("no tell-nobody-at-all is in the PATH")),
            (format!("{script} me"), script.as_str(), Some("is not executable")),
            (format!("{script}.gone"), &format!("{script}.gone"), Some("there is no ")),
            ("A=1 B=2 echo told".to_owned(), "echo", None),
            ("if true; then echo told; fi".to_owned(), "if", None),
            ("A=\"1 tell-nobody\" echo".to_owned(), "a script", None),
            ("$TELL me".to_owned(), "a script", None),
            ("(cd /; echo told)".to_owned(), "a script", None),
        ] {
            let settings = Settings { command: Some(command.clone()), ..Settings::default() };
            let [one] = &of(&settings)[..] else { panic!("{command}") };
            assert_eq!(one.words, format!("{program}, of end, pause, failures"), "{command}");
            let doubts: Vec<&str> = one.doubts.iter().map(|(doubt, _)| doubt.as_str()).collect();
            match doubt {
                None => assert!(doubts.is_empty(), "{command}: {doubts:?}"),
                Some(part) => assert!(doubts.len() == 1 && doubts[0].contains(part), "{command}: {doubts:?}"),
            }
        }
        assert!(!ran.exists(), "a command was run");
    }

    #[test]
    fn addresses_are_told_by_their_host_and_doubted_where_they_are_read_or_not_understood() {
        let address = |text: &str| Some(text.parse().unwrap());
        let settings = Settings {
            webhook: address("https://hooks.slack.com/services/recognisable"),
            ping: address("http://hc.example/recognisable"),
            on: vec![Occasion::End],
            ..Settings::default()
        };
        let found = of(&settings);
        let words: Vec<(&str, &str)> = found.iter().map(|one| (one.who, one.words.as_str())).collect();
        assert_eq!(
            words,
            [("webhook", "json to hooks.slack.com, of end"), ("ping", "hc.example, of every start and end")]
        );
        assert_eq!(found[0].doubts[0].1, "kind = \"slack\" in [notify]");
        assert!(found[1].doubts[0].0.contains("no https://"), "{found:?}");
        assert!(!format!("{found:?}").contains("recognisable"));
        let fine = Settings {
            webhook: address("https://hooks.slack.com/services/x"),
            kind: Kind::Slack,
            ping: address("http://127.0.0.1:9/x"),
            ..Settings::default()
        };
        assert!(of(&fine).iter().all(|one| one.doubts.is_empty()));
        assert_eq!(of(&Settings::default()), []);
    }
}
