//! Layers over one another, and what is said of values that are wrong.

use super::*;
use crate::gateway::{Credentials, Overrides, Parameters, Preset, Region, Spec, build};
use crate::pace::Clock;
use crate::pipeline::InDoubt;

fn file(text: &str) -> Result<Layer, LayerError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightreel.toml");
    std::fs::write(&path, text).unwrap();
    Layer::from_file(&path)
}

fn variables(pairs: &[(&str, &str)]) -> Result<Layer, LayerError> {
    Layer::from_variables(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = file("rate = \"20/min\"\nin_flight = 7\nout = \"a\"\n[capabilities]\nlist = true\n").unwrap();
    let environment = variables(&[("NIGHTREEL_RATE", "5/s"), ("NIGHTREEL_OUT", "b"), ("HOME", "/")]).unwrap();
    let flags = Layer::from_flags([(Key::Out, Some("c".to_owned())), (Key::State, None)]);
    let settings = Settings::settle(&[file, environment, flags]).unwrap();
    let account = &settings.accounts[0];
    assert_eq!((account.in_flight, account.rate.to_string().as_str()), (7, "5/s"));
    assert_eq!(settings.out, PathBuf::from("c"));
    assert_eq!((account.overrides.list, account.overrides.find), (Some(true), None));
}

#[test]
fn an_unknown_setting_is_an_error_with_a_suggestion() {
    let error = file("rate = \"1/s\"\nin_fligth = 3\n").unwrap_err().to_string();
    assert!(error.contains("nightreel.toml:2: \"in_fligth\" is not a setting; did you mean \"in_flight\"?"), "{error}");
    let error = variables(&[("NIGHTREEL_RAET", "1/s")]).unwrap_err().to_string();
    assert!(error.contains("did you mean \"NIGHTREEL_RATE\"?"), "{error}");
    assert!(variables(&[("NIGHTREEL_API_KEY", "k")]).is_ok());
}

#[test]
fn a_wrong_value_is_told_with_its_place_and_what_would_be_accepted() {
    let cases = [
        ("rate = \"fast\"", "20/min"),
        ("in_flight = 0", "from 1 to"),
        ("settle_after = \"soon\"", "60s"),
        ("gateway = \"klingon\"", "kling-compatible"),
        ("in_doubt = \"pray\"", "hold or resend"),
        ("[capabilities]\nfind = \"maybe\"", "true or false"),
        ("budget = \"much\"", "12.50"),
        ("until = \"dawn\"", "06:00"),
        ("window = \"22:00\"", "22:00-06:00"),
        ("max_runtime = \"long\"", "24h"),
        ("[notify]\nkind = \"pigeon\"", "json, slack or ntfy"),
        ("[notify]\non = \"end,dawn\"", "end, pause and failures"),
        ("canary = -1", "0 to 1000"),
        ("max_video = \"much\"", "1GiB"),
        ("max_video = 0", "1GiB"),
        ("private_links = \"perhaps\"", "true or false"),
        ("max_failures = \"all\"", "or off"),
        ("[prices.scenes]\nhug = \"free\"", "0.28"),
        ("[prices.scenes]\n\"hug/10/pro\" = 1", "scene/pro/10"),
    ];
    for (text, expected) in cases {
        let error = Settings::settle(&[file(text).unwrap()]).unwrap_err().to_string();
        assert!(error.contains("nightreel.toml:") && error.contains(expected), "{error}");
    }
    assert!(file("rate = [1]").is_err());
}

const ACCOUNTS: &str = r#"
rate = "30/min"
canary = 3
[prices]
unit = 0.13

[[account]]
name = "direct"
gateway = "kling"
access_key_env = "NIGHTREEL_TEST_ACCESS"
secret_key_env = "NIGHTREEL_TEST_SECRET"
in_flight = 20
weight = 3
[account.prices.scenes]
hug_pro = 0.49

[[account]]
name = "spare"
gateway = "simulator"
rate = "5/s"
in_doubt = "resend"
pool = "studio"
"#;

#[test]
fn accounts_have_their_own_settings_over_those_of_the_file_and_under_the_flags() {
    let text = ACCOUNTS
        .replace("access_key_env = \"NIGHTREEL_TEST_ACCESS\"\nsecret_key_env = \"NIGHTREEL_TEST_SECRET\"\n", "");
    let flags = Layer::from_flags([(Key::InFlight, Some("7".to_owned()))]);
    let settings = Settings::settle(&[file(&text).unwrap(), Layer::default(), flags]).unwrap();
    let [direct, spare] = settings.accounts.as_slice() else { panic!("{settings:?}") };
    assert_eq!((direct.rate.to_string(), spare.rate.to_string()), ("30/min".into(), "5/s".into()));
    assert_eq!((direct.in_flight, spare.in_flight, direct.weight, spare.weight), (7, 7, 3, 1));
    assert_eq!((direct.in_doubt, spare.in_doubt), (InDoubt::Hold, InDoubt::Resend));
    assert_eq!(spare.pool.as_deref(), Some("studio"));
    assert_eq!(direct.prices.per_scene["hug_pro"].to_string(), "0.49");
    assert!(spare.prices.per_scene.is_empty() && spare.prices.unit_price.to_string() == "0.13");
    assert_eq!(settings.caution.canary, 3);
    // A gateway that is named on the command line is another account.
    let file = file(&text).unwrap();
    let flags = Layer::from_flags([(Key::Gateway, Some("simulator".to_owned()))]);
    let settings = Settings::settle(&[file, Layer::default(), flags]).unwrap();
    assert_eq!((settings.accounts.len(), settings.accounts[0].in_flight), (1, 5));
}

#[test]
fn some_accounts_can_be_chosen_and_a_missing_credential_is_told_without_guessing() {
    // Nothing is read before it is needed.
    let settings = Settings::settle(&[file(ACCOUNTS).unwrap()]).unwrap();
    let missing = settings.accounts[0].spec(crate::gateway::Preset::Kling, None).unwrap_err();
    let why = std::error::Error::source(&missing).unwrap().to_string();
    assert_eq!(why, "the variable NIGHTREEL_TEST_ACCESS is not set");
    let text = ACCOUNTS.replace("access_key_env", "#").replace("secret_key_env", "#");
    let choose = |names: &str| {
        let flags = Layer::from_flags([(Key::Account, Some(names.to_owned()))]);
        Settings::settle(&[file(&text).unwrap(), Layer::default(), flags])
    };
    assert_eq!(choose("spare").unwrap().accounts.len(), 1);
    assert_eq!(choose("direct, spare").unwrap().accounts.len(), 2);
    assert!(choose("spear").unwrap_err().to_string().contains("one of direct, spare"));
}

#[test]
fn an_address_that_is_none_is_not_repeated() {
    let error = Settings::settle(&[file("[notify]\nping = \"recognisable\"").unwrap()]).unwrap_err().to_string();
    assert!(error.contains("nightreel.toml:2: what is set for notify.ping") && !error.contains("recog"), "{error}");
    let broken = file("out = \"videos\"\n[notify]\nping = https://recognisable\n").unwrap_err().to_string();
    assert!(broken.contains("line 3") && !broken.contains("recog"), "{broken}");
    let settings = Settings::settle(&[file(ACCOUNTS).unwrap()]).unwrap();
    let is_withheld =
        |settings: &Settings, name: &str| settings.notify.withheld.iter().any(|withheld| withheld == name);
    for secret in ["NIGHTREEL_TEST_SECRET", "NIGHTREEL_API_KEY", "NIGHTREEL_NOTIFY_URL", "PGPASSWORD"] {
        assert!(is_withheld(&settings, secret), "{secret}");
    }
    // A command may ask how the ledger stands, unless its address gives a password away.
    for (at, secret) in [("state/night.db", false), ("postgres://night@db/n", false), ("postgres://n:pw@db/n", true)] {
        let settings = Settings::settle(&[file(&format!("state = {at:?}")).unwrap()]).unwrap();
        assert_eq!(is_withheld(&settings, "NIGHTREEL_STATE"), secret, "{at}");
    }
}

#[test]
fn what_is_wrong_with_an_account_is_told_at_its_table() {
    for (text, expected) in [
        ("rate = \"1/s\"\n\n[[account]]\ngateway = \"kling\"\n", "nightreel.toml:3: the account has no name"),
        ("[[account]]\nname = \"a\"\n", "nightreel.toml:1: account a names no gateway"),
        (
            "[[account]]\nname = \"a\"\ngateway = \"kling\"\n[[account]]\nname = \"a\"\ngateway = \"kling\"\n",
            "two accounts have the name a",
        ),
    ] {
        let error = Settings::settle(&[file(text).unwrap()]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = file("[[account]]\nname = \"a\"\nout = \"x\"\n").unwrap_err().to_string();
    assert!(error.contains("nightreel.toml:3: \"out\" is not for one account"), "{error}");
}

#[test]
fn sizes_are_read_as_people_write_them() {
    for (text, bytes) in [("1", 1), ("500MB", 500_000_000), ("1 GiB", 1 << 30), ("64mib", 64 << 20), ("7kb", 7000)] {
        assert_eq!(parse_size(text), Some(bytes), "{text}");
    }
    for bad in ["", "0", "-1", "1.5GB", "GB", "1TB", "99999999999999999999", "1099511627777", "1 G"] {
        assert_eq!(parse_size(bad), None, "{bad}");
    }
}

#[test]
fn nothing_that_a_panic_could_print_shows_a_secret() {
    let secret = "recognisable-5eed";
    let text = format!("[notify]\nurl = \"http://h/{secret}\"\nping = \"http://h/{secret}\"\n");
    let layers = [file(&text).unwrap(), variables(&[("NIGHTREEL_NOTIFY_URL", &format!("http://h/{secret}"))]).unwrap()];
    let settings = Settings::settle(&layers).unwrap();
    let credentials =
        [Credentials::Key(secret.into()), Credentials::AccessKey { access: secret.into(), secret: secret.into() }];
    let gateways = credentials.iter().flat_map(|credentials| {
        let presets = Preset::ALL.into_iter();
        presets.filter_map(|preset| {
            let spec = Spec {
                preset,
                base_url: Some("http://127.0.0.1:9".to_owned()),
                region: Region::default(),
                credentials: credentials.clone(),
                account_token: Some(secret.into()),
                overrides: Overrides::default(),
                parameters: Parameters::default(),
                request_timeout: Duration::from_secs(1),
            };
            let shown = format!("{spec:?}");
            build(spec, Clock::system()).ok().map(|built| format!("{shown} {:?} {}", built.gateway, built.base_url))
        })
    });
    let gateways: Vec<String> = gateways.collect();
    assert!(gateways.len() >= 7, "{}", gateways.len());
    let shown = format!("{layers:?} {settings:#?} {credentials:?} {gateways:?}");
    assert!(!shown.contains(secret), "{shown}");
}
