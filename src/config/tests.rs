//! Layers over one another, and what is said of values that are wrong.

use super::*;

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
    assert_eq!((settings.in_flight, settings.rate.to_string().as_str()), (7, "5/s"));
    assert_eq!(settings.out, PathBuf::from("c"));
    assert!(settings.capabilities.list && !settings.capabilities.find);
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
    ];
    for (text, expected) in cases {
        let error = Settings::settle(&[file(text).unwrap()]).unwrap_err().to_string();
        assert!(error.contains("nightreel.toml:") && error.contains(expected), "{error}");
    }
    assert!(file("rate = [1]").is_err());
}
