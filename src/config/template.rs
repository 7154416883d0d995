//! A `nightreel.toml` that says of every setting what it is for and what it is when nobody sets it.

use super::setting::Key;

/// A setting as the file shows it: its value where none is set, or an example where there is none; and what it is for.
struct Line {
    key: Key,
    value: &'static str,
    words: &'static str,
}

const fn line(key: Key, value: &'static str, words: &'static str) -> Line {
    Line { key, value, words }
}

/// What stands above the tables.
const GENERAL: [(&str, &[Line]); 8] = [
    (
        "The remote",
        &[
            line(
                Key::Gateway,
                "\"kling\"",
                "simulator, kling, cometapi, kkiai, kling-compatible, fal or wavespeed. No default: an example.",
            ),
            line(
                Key::BaseUrl,
                "\"https://gateway.example/kling\"",
                "Where the API is, up to what stands before /v1. Needed by kling-compatible; the others know theirs. An example.",
            ),
            line(
                Key::Region,
                "\"singapore\"",
                "Where Kling is: singapore or beijing. Keys of one are unknown to the other.",
            ),
            line(
                Key::Account,
                "\"kling\"",
                "A name for the account, which watches its tasks; not with [[account]] tables. Default: from the gateway. An example.",
            ),
        ],
    ),
    (
        "Who asks. A key itself never stands here: a variable or a file that only you can read (chmod 600) holds it.\n\
         # Without any of these, NIGHTREEL_API_KEY is read, or NIGHTREEL_ACCESS_KEY with NIGHTREEL_SECRET_KEY.",
        &[
            line(Key::KeyFile, "\"/home/me/.nightreel-key\"", "The file of an API key."),
            line(Key::KeyEnv, "\"NIGHTREEL_API_KEY\"", "The variable of an API key."),
            line(
                Key::AccessKeyFile,
                "\"/home/me/.nightreel-access-key\"",
                "The file of an access key, which goes with a secret key.",
            ),
            line(Key::AccessKeyEnv, "\"NIGHTREEL_ACCESS_KEY\"", "The variable of an access key."),
            line(Key::SecretKeyFile, "\"/home/me/.nightreel-secret-key\"", "The file of its secret key."),
            line(Key::SecretKeyEnv, "\"NIGHTREEL_SECRET_KEY\"", "The variable of its secret key."),
            line(
                Key::AccountTokenFile,
                "\"/home/me/.nightreel-token\"",
                "The file of a token for the account's own pages (cometapi), for rescue.",
            ),
            line(Key::AccountTokenEnv, "\"NIGHTREEL_ACCOUNT_TOKEN\"", "The variable of such a token."),
        ],
    ),
    (
        "How fast",
        &[
            line(
                Key::Rate,
                "\"60/min\"",
                "Requests that may be paid, in a time: 20/min, 5/s, 300/h. Never passed, also after a restart.",
            ),
            line(Key::InFlight, "5", "Parallel generations. Your plan says how many; fewer are learned from refusals."),
            line(
                Key::Probe,
                "false",
                "Find a free slot by sending the next row (kling). Only where in_flight is all that the account allows.",
            ),
            line(Key::Weight, "1", "An account's share of rows that several could send at the same moment."),
            line(
                Key::Pool,
                "\"studio\"",
                "Accounts of one pool share their parallel generations. Default: none. An example.",
            ),
            line(Key::RequestTimeout, "\"2m\"", "How long an answer is waited for before a row is in doubt."),
            line(
                Key::MinPoll,
                "\"2s\"",
                "The shortest span between two questions about one task. Default: 10s at cometapi and kkiai.",
            ),
            line(Key::SettleAfter, "\"60s\"", "How long a row in doubt must be quiet before its absence counts."),
            line(
                Key::Deadline,
                "\"24h\"",
                "Then a task is stuck: kept, asked for again by the next run, not paid again.",
            ),
            line(Key::Downloads, "4", "Parallel downloads."),
            line(Key::MaxVideo, "\"1GiB\"", "The largest video that is taken."),
            line(
                Key::PrivateLinks,
                "false",
                "Links may lead to private networks, which else only those of a gateway that is there itself may.",
            ),
        ],
    ),
    (
        "Money",
        &[
            line(
                Key::Budget,
                "50",
                "The most that may be paid in all runs of a batch, in the currency of the prices. Default: no limit. An example.",
            ),
            line(Key::Canary, "2", "Rows of each scene that must be made before the rest of it is sent; 0 for none."),
            line(
                Key::MaxFailures,
                "\"50%\"",
                "How many of the last tasks may fail before their scene or account is paused; or off.",
            ),
            line(
                Key::InDoubt,
                "\"hold\"",
                "Rows that stay in doubt: hold them for you, or resend them, which may pay twice.",
            ),
        ],
    ),
    (
        "Where to",
        &[
            line(
                Key::Out,
                "\"videos\"",
                "The output tree: a folder, or s3://BUCKET/PREFIX, gs:// or az:// where nightreel was built for them.",
            ),
            line(
                Key::Name,
                "\"{scene}/{id}.mp4\"",
                "How videos are named: also {batch} {duration} {model} {mode} and your own columns.",
            ),
            line(
                Key::State,
                "\"state/nightreel.db\"",
                "The ledger: keep it, on a local disk. Without it, rows are paid again. Or postgres://USER@HOST/DATABASE, for many machines.",
            ),
            line(
                Key::ImagesVia,
                "\"off\"",
                "Where local images are lent to the remote by signed links: s3://BUCKET/PREFIX, gs:// or az://; or off: within requests.",
            ),
            line(Key::ImagesFor, "\"24h\"", "How long such a link is good, up to 7d."),
            line(Key::Stages, "\"all\"", "What of the work a run or worker does: all, submit,watch or collect."),
        ],
    ),
    (
        "A night's hours, in local time",
        &[
            line(
                Key::Until,
                "\"06:00\"",
                "A run ends then; sends nothing that would not be made in time. Default: no end. An example.",
            ),
            line(Key::MaxRuntime, "\"8h\"", "The longest that a run goes on. Default: no end. An example."),
            line(Key::Window, "\"22:00-06:00\"", "A run sends only within it. Default: at all times. An example."),
        ],
    ),
    (
        "Watching a run on a page",
        &[
            line(Key::Dashboard, "\"127.0.0.1:8787\"", "Where it is shown. Default: nowhere. An example."),
            line(
                Key::DashboardHosts,
                "\"night.example\"",
                "Further names under which it is reached, with commas between. An example.",
            ),
            line(
                Key::DashboardTokenFile,
                "\"/home/me/.nightreel-page\"",
                "The file of what visitors must show, needed off loopback. An example.",
            ),
            line(
                Key::CallbackUrl,
                "\"https://night.example/hook\"",
                "The public address that leads there, for remotes to call. An example.",
            ),
            line(
                Key::WebhookSecretFile,
                "\"/home/me/.nightreel-webhook\"",
                "The file of what callbacks are signed with. An example.",
            ),
            line(Key::WebhookSecretEnv, "\"NIGHTREEL_WEBHOOK_SECRET\"", "The variable of it."),
        ],
    ),
    (
        "Further",
        &[
            line(
                Key::Parameters,
                "\"preset\"",
                "Which of duration, model and mode are sent: preset (as the gateway's page says), all or none.",
            ),
            line(Key::LogFormat, "\"text\"", "How logs are written: text or json."),
        ],
    ),
];

const CAPABILITIES: [Line; 4] = [
    line(Key::Find, "false", "Look a task up by external_task_id."),
    line(
        Key::Unique,
        "false",
        "Refuse an external_task_id that it has already. Say true only where you know: rows are sent again on its strength.",
    ),
    line(Key::List, "false", "List tasks with their external_task_id."),
    line(Key::Many, "false", "Tell of twenty tasks in one request (GET /tasks)."),
];

const PRICES: [Line; 3] = [
    line(Key::Currency, "\"USD\"", "What prices and budget are in."),
    line(Key::UnitPrice, "0.14", "The price of one of Kling's units."),
    line(
        Key::DefaultPrice,
        "0.28",
        "The price of any effect, instead of units times `unit`. Default: none. An example.",
    ),
];

const NOTIFY: [Line; 5] = [
    line(Key::NotifyUrl, "\"https://hooks.example/night\"", "What is posted to; or NIGHTREEL_NOTIFY_URL. An example."),
    line(Key::NotifyKind, "\"json\"", "In which shape: json, slack or ntfy."),
    line(
        Key::NotifyPing,
        "\"https://ping.example/night\"",
        "Pinged with /start, then itself for success, or /fail; or NIGHTREEL_NOTIFY_PING. An example.",
    ),
    line(
        Key::NotifyCommand,
        "\"mail -s \\\"$NIGHTREEL_SUMMARY\\\" me\"",
        "A shell's command, with NIGHTREEL_EVENT, NIGHTREEL_SUMMARY and NIGHTREEL_EXIT_CODE. Sees no key. An example.",
    ),
    line(
        Key::NotifyOn,
        "\"end,pause,failures\"",
        "Of what url and command are told. Pings are of every start and end.",
    ),
];

const TAIL: &str = "
# The price of scenes, of their lengths and modes: \"scene\", \"scene/10\", \"scene/pro\", \"scene/pro/10\". Examples.
#[prices.scenes]
#hug_pro = 0.49
#\"hug_pro/10\" = 0.98

# --- Several accounts, one table each; it has every setting from gateway to prices. An example.

#[[account]]
#name = \"studio\"
#gateway = \"kling\"
#key_file = \"/home/me/.studio-key\"
#in_flight = 20
#rate = \"60/min\"
";

/// The whole file. What is `chosen` is set; everything else stands in it commented out.
#[must_use]
pub fn template(chosen: &[(Key, String)]) -> String {
    let mut text = "\
# nightreel: flags go over NIGHTREEL_* variables, and those over this file. An unknown name is an error.
# A setting whose line begins with # is as if it were not there; its value is the default, unless it says: an example.
"
    .to_owned();
    for (heading, lines) in GENERAL {
        text.push_str(&format!("\n# --- {heading}\n"));
        text.extend(lines.iter().map(|line| shown(line, chosen)));
    }
    let tables: [(&str, &str, &[Line]); 3] = [
        ("What a kling-compatible gateway can do; the others are known", "capabilities", &CAPABILITIES),
        ("What effects cost at the account: for estimates and the budget", "prices", &PRICES),
        ("Who is told of a run: a webhook, a ping, a command", "notify", &NOTIFY),
    ];
    for (heading, table, lines) in tables {
        text.push_str(&format!("\n# --- {heading}\n\n#[{table}]\n"));
        text.extend(lines.iter().map(|line| shown(line, chosen)));
    }
    text + TAIL
}

/// What a setting is for, and its line.
fn shown(line: &Line, chosen: &[(Key, String)]) -> String {
    let word = line.key.word();
    let name = word.rsplit('.').next().unwrap_or(word);
    let set = chosen.iter().find(|(key, _)| *key == line.key).map(|(_, value)| literal(value));
    let (mark, value) = set.as_deref().map_or(("#", line.value), |value| ("", value));
    format!("\n# {}\n{mark}{name} = {value}\n", line.words)
}

/// A value as TOML: a whole number, or a text.
fn literal(value: &str) -> String {
    if value.parse::<u32>().is_ok_and(|number| number.to_string() == value) {
        return value.to_owned();
    }
    let mut text = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => text.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => text.push(c),
        }
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use super::super::{Layer, Settings};
    use super::*;

    fn settled(text: &str) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nightreel.toml");
        std::fs::write(&path, text).unwrap();
        Settings::settle(&[Layer::from_file(&path).unwrap()]).unwrap()
    }

    /// The same with every line that is commented out.
    fn uncommented(text: &str) -> String {
        let of = |line: &str| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        };
        text.lines().map(of).collect()
    }

    #[test]
    fn every_setting_stands_in_it_with_what_it_is_for() {
        let text = uncommented(&template(&[]));
        for key in Key::ALL {
            let name = key.word().rsplit('.').next().unwrap();
            assert!(text.contains(&format!("\n{name} = ")), "{name}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 140));
    }

    #[test]
    fn its_values_are_the_defaults_and_every_line_is_valid() {
        // One account is named by itself, or several by their tables.
        let every = uncommented(&template(&[])).replacen("\naccount = \"kling\"\n", "\n", 1);
        let (nothing, all) = (settled(&template(&[])), settled(&every));
        let (one, other) = (&nothing.accounts[0], &all.accounts[0]);
        assert_eq!((one.in_flight, one.min_poll, one.preset), (5, None, None));
        assert_eq!((other.region, other.request_timeout, other.weight), (one.region, one.request_timeout, one.weight));
        assert_eq!((other.in_doubt, other.parameters), (one.in_doubt, one.parameters));
        assert_eq!(other.prices.unit_price, one.prices.unit_price);
        assert_eq!((&all.out, &all.state, &all.name), (&nothing.out, &nothing.state, &nothing.name));
        assert_eq!((all.settle_after, all.deadline), (nothing.settle_after, nothing.deadline));
        assert_eq!((all.downloads, all.log_format), (nothing.downloads, nothing.log_format));
        assert_eq!(other.lends, one.lends);
        assert_eq!((all.max_video, other.private_links), (nothing.max_video, one.private_links));
        assert_eq!(format!("{:?}", all.caution), format!("{:?}", nothing.caution));
    }

    #[test]
    fn what_is_chosen_is_set_and_read_back_as_it_was_said() {
        let chosen = [
            (Key::Gateway, "kling".to_owned()),
            (Key::InFlight, "7".to_owned()),
            (Key::Out, "my \"videos\" \\ here".to_owned()),
        ];
        let settings = settled(&template(&chosen));
        assert_eq!((settings.accounts[0].in_flight, settings.out.to_str()), (7, Some("my \"videos\" \\ here")));
        assert_eq!(settings.accounts[0].preset.map(crate::gateway::Preset::word), Some("kling"));
    }
}
