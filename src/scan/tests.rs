//! A scan as a whole, over images of which only headers are there.

use std::fs;

use super::*;

/// A PNG of this size with nothing in it, and a byte that makes it differ.
fn png(width: u32, height: u32, byte: u8) -> Vec<u8> {
    let chunk = |name: &[u8], content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length, name, content, &[0; 4]].concat()
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header), &chunk(b"IDAT", &[byte]), &chunk(b"IEND", &[])].concat()
}

struct Home(tempfile::TempDir);

impl Home {
    fn with(files: &[(&str, Vec<u8>)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        Self(home)
    }

    fn scan(&self, pairing: Option<Pairing>, scenes: &[&str]) -> Scanned {
        scan(&Order {
            arguments: vec![self.0.path().join("p")],
            scenes: scenes.iter().map(|scene| (*scene).to_owned()).collect(),
            pairing,
            duration: Some("5".to_owned()),
            account: Some(AccountName::new("studio").unwrap()),
            copies: None,
            output_tree: self.0.path().join("videos"),
            beside: self.0.path().to_path_buf(),
        })
        .unwrap()
    }

    fn manifest(&self, pairing: Option<Pairing>, scenes: &[&str]) -> String {
        let mut text = Vec::new();
        self.scan(pairing, scenes).write(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}

#[test]
fn every_image_has_a_row_with_every_scene_in_natural_order() {
    let home = Home::with(&[
        ("p/img10.png", png(400, 400, 1)),
        ("p/img2.png", png(400, 400, 2)),
        ("p/b/img2.png", png(400, 400, 3)),
        ("p/a, b/c.png", png(400, 400, 4)),
    ]);
    assert_eq!(
        home.manifest(None, &["squish", "dj_pet"]),
        "id,scene,images,duration,account\n\
         c-squish,squish,\"p/a, b/c.png\",5,studio\n\
         c-dj_pet,dj_pet,\"p/a, b/c.png\",5,studio\n\
         b-img2-squish,squish,p/b/img2.png,5,studio\n\
         b-img2-dj_pet,dj_pet,p/b/img2.png,5,studio\n\
         p-img2-squish,squish,p/img2.png,5,studio\n\
         p-img2-dj_pet,dj_pet,p/img2.png,5,studio\n\
         img10-squish,squish,p/img10.png,5,studio\n\
         img10-dj_pet,dj_pet,p/img10.png,5,studio\n"
    );
}

#[test]
fn what_is_unfit_or_stands_twice_has_no_row_and_says_why() {
    let whole = png(400, 400, 1);
    let home = Home::with(&[
        ("p/a.png", whole.clone()),
        ("p/again.png", whole.clone()),
        ("p/half.png", whole[..whole.len() - 8].to_vec()),
        ("p/long.png", png(400, 1001, 1)),
        ("p/pi|pe.png", png(400, 400, 2)),
        ("p/small.png", png(200, 200, 1)),
        ("p/text.jpg", b"hello".to_vec()),
    ]);
    let scanned = home.scan(None, &["squish"]);
    assert_eq!(scanned.rows.len(), 1);
    let kinds: Vec<&str> = scanned.unfit.iter().map(|one| one.reason.word()).collect();
    assert_eq!(kinds, ["repeated", "broken", "too_long", "unnameable", "too_small", "other_format"]);
}

#[test]
fn an_unfit_image_takes_only_its_own_partner_with_it() {
    let home = Home::with(&[
        ("p/1.png", png(400, 400, 1)),
        ("p/2.png", png(200, 200, 2)),
        ("p/3.png", png(400, 400, 3)),
        ("p/4.png", png(400, 400, 4)),
        ("p/5.png", png(400, 400, 5)),
    ]);
    let scanned = home.scan(Some(Pairing::ByOrder), &["hug_pro"]);
    assert_eq!(scanned.rows.iter().map(|row| row.images.join("|")).collect::<Vec<_>>(), ["p/3.png|p/4.png"]);
    let told: Vec<(bool, bool)> = scanned
        .unpaired
        .iter()
        .map(|one| (one.image.ends_with("1.png"), one.partner.as_ref().is_some_and(|with| with.ends_with("2.png"))))
        .collect();
    assert_eq!(told, [(true, true), (false, false)]);
    assert_eq!(scanned.unfit.len(), 1);
}

#[test]
fn copies_of_images_with_one_name_do_not_meet() {
    let at = |within: &str| Candidate { path: within.into(), shown: within.into(), within: within.into() };
    let images = ["a.webp", "A.bmp", "b/a.gif", "c.d.jpg", "a.webp"].map(at);
    let stems: Vec<String> = stems(&images).iter().map(|stem| stem.display().to_string()).collect();
    assert_eq!(stems, ["a.webp", "A.bmp", "b/a", "c.d", "a.webp-2"]);
}
