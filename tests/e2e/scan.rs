//! A folder of pictures becomes a manifest that can be checked and run.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use raster::{DynamicImage, ImageFormat, Rgb, RgbImage};

use crate::support::{Ran, World, files};

/// The photographs of the demonstration, below `photos/` of a world.
fn photos(world: &World) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/photos");
    for name in files(&from).iter().filter(|name| *name != "ORIGIN.md") {
        world.write(&format!("photos/{name}"), fs::read(from.join(name)).unwrap());
    }
}

/// Red to the left, blue to the right.
fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let colour = |x, _| if x < width / 2 { Rgb([250, 0, 0]) } else { Rgb([0, 0, 250]) };
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, colour)).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A JPEG that is to be turned by a quarter, clockwise.
fn turned(width: u32, height: u32) -> Vec<u8> {
    let jpeg = picture(width, height, ImageFormat::Jpeg);
    let exif = b"\xFF\xE1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    [&jpeg[..2], exif, &jpeg[2..]].concat()
}

fn scan(world: &World, args: &[&str]) -> Ran {
    world.nightreel(&[&["scan"], args].concat())
}

#[test]
fn a_folder_of_photographs_becomes_a_manifest_that_runs() {
    let world = World::new(&[]);
    photos(&world);
    world.write("photos/anna & ben/IMG_2.webp", picture(500, 400, ImageFormat::WebP));
    world.write("photos/anna & ben/IMG_10.jpg", turned(600, 400));
    world.write("photos/anna & ben/wide.png", picture(1200, 300, ImageFormat::Png));
    world.write("photos/anna & ben/tiny.png", picture(100, 100, ImageFormat::Png));
    let half = picture(800, 600, ImageFormat::Jpeg);
    world.write("photos/half.jpg", &half[..half.len() / 2]);
    world.write("photos/notes.txt", "not a picture");
    world.write("photos/.DS_Store", "");

    let args =
        ["photos", "--scene", "balloon_parade", "--scene", "snowglobe", "--duration", "5", "--out", "wedding.csv"];
    let told = scan(&world, &args).exits(0);
    for said in [
        "no row: 1 image (neither JPEG nor PNG)\n  photos/anna & ben/IMG_2.webp: the file is a WebP image\n",
        "no row: 1 image (too long: sides that differ by 2.5 times at the most)\n  photos/anna & ben/wide.png",
        "no row: 1 image (broken)\n  photos/half.jpg: the file ends before its image does\n",
        "stored turned: 1 image (whether the remote turns them is not known)\n  photos/anna & ben/IMG_10.jpg\n",
        "passed over: 1 file or link\n  photos/notes.txt\n",
        "hint: add --fix fixed/ to have fit copies of 3 images written there, and named instead\n",
        "hint: add --fix fixed/ --upscale to have 1 image enlarged\n",
        "13 images seen, 18 rows written\nnext: nightreel check wedding.csv\n",
    ] {
        assert!(told.err.contains(said), "{said}\n---\n{}", told.err);
    }
    let there = scan(&world, &args).exits(2);
    assert!(there.err.contains("--force"), "{}", there.err);

    let fix = ["--fix", "photos/fixed", "--upscale", "--fit", "crop", "--force", "--json"];
    let told = scan(&world, &[&args[..], &fix].concat()).exits(0).json();
    assert_eq!((&told["rows"], &told["copies"], &told["images"]), (&24.into(), &4.into(), &13.into()), "{told:#}");
    assert_eq!(told["unfit"].as_array().unwrap().len(), 1);
    assert_eq!((&told["unfit"][0]["image"], &told["unfit"][0]["kind"]), (&"photos/half.jpg".into(), &"broken".into()));
    let copies = ["IMG_10.jpg", "IMG_2.jpg", "tiny.jpg", "wide.jpg"].map(|name| format!("anna & ben/{name}"));
    assert_eq!(files(&world.path("photos/fixed")), copies);
    let upright = raster::open(world.path("photos/fixed/anna & ben/IMG_10.jpg")).unwrap().to_rgb8();
    assert_eq!(upright.dimensions(), (400, 600));
    assert!(upright.get_pixel(200, 50).0[0] > 200, "red is above now");

    let text = fs::read_to_string(world.path("wedding.csv")).unwrap();
    let order: Vec<&str> = text.lines().filter_map(|line| line.split(',').next()).collect();
    assert_eq!(order[..4], ["id", "IMG_2-balloon_parade", "IMG_2-snowglobe", "IMG_10-balloon_parade"], "{text}");
    assert!(text.contains("\nIMG_2-snowglobe,snowglobe,photos/fixed/anna & ben/IMG_2.jpg,5\n"), "{text}");
    // Once more: the copies are kept, and are not scanned themselves.
    let again = scan(&world, &[&args[..], &fix].concat()).exits(0).json();
    assert_eq!(again, told);

    let check = world.nightreel(&["check", "wedding.csv"]).exits(0);
    assert!(check.out.starts_with("wedding.csv: 24 rows, no problems\n"), "{}", check.out);
    world.run(&["wedding.csv"]).exits(0);
    world.paid_once(24);
}

#[test]
fn a_manifest_on_standard_output_is_that_and_nothing_else() {
    let world = World::new(&[]);
    photos(&world);
    let ran = scan(&world, &["photos/[a-c]*.jpg", "photos/moose.jpg", "--scene", "sqiush", "--quiet"]).exits(0);
    assert_eq!(
        ran.out,
        "id,scene,images,duration\n\
         astronaut,sqiush,photos/astronaut.jpg,\n\
         coffee,sqiush,photos/coffee.jpg,\n\
         moose,sqiush,photos/moose.jpg,\n"
    );
    assert!(ran.err.starts_with("warning: ") && ran.err.contains("did you mean \"squish\"?"), "{}", ran.err);
    assert!(!world.path("state").exists(), "a ledger was made");
}

#[test]
fn paths_are_relative_to_where_the_manifest_lies() {
    let world = World::new(&[]);
    photos(&world);
    world.write("lists/keep", "");
    scan(&world, &["photos/cat.png", "--scene", "dj_pet", "--out", "lists/pets.csv", "--account", "studio"]).exits(0);
    let text = fs::read_to_string(world.path("lists/pets.csv")).unwrap();
    assert_eq!(text, "id,scene,images,duration,account\ncat,dj_pet,../photos/cat.png,,studio\n");
    world.nightreel(&["check", "lists/pets.csv", "--gateway", "simulator"]);
    let problems = world.nightreel(&["check", "lists/pets.csv", "--json"]).json();
    assert!(!problems.to_string().contains("does not exist"), "{problems:#}");
}

#[test]
fn couples_are_paired_by_their_names_and_run() {
    let world = World::new(&[]);
    for (at, name) in ["anna-1", "anna-2", "ben_left", "ben_right", "mia-1", "solo"].into_iter().enumerate() {
        let width = 400 + u32::try_from(at).unwrap();
        world.write(&format!("couples/{name}.jpg"), picture(width, 400, ImageFormat::Jpeg));
    }
    let args = ["couples", "--scene", "hug_pro", "--pair", "by-name", "--out", "couples.csv"];
    let told = scan(&world, &args).exits(0);
    let left_over = "no row: 2 images (without a partner)\n  couples/mia-1.jpg\n  couples/solo.jpg\n";
    assert!(told.err.contains(left_over), "{}", told.err);
    assert_eq!(
        fs::read_to_string(world.path("couples.csv")).unwrap(),
        "id,scene,images,duration\n\
         anna,hug_pro,couples/anna-1.jpg|couples/anna-2.jpg,\n\
         ben,hug_pro,couples/ben_left.jpg|couples/ben_right.jpg,\n"
    );
    world.run(&["couples.csv"]).exits(0);
    world.paid_once(2);
    let neighbours = scan(&world, &["couples", "--scene", "my_own", "--two", "--pair", "by-order"]).exits(0);
    assert!(neighbours.out.contains("\nmia-1-solo,my_own,couples/mia-1.jpg|couples/solo.jpg,\n"), "{}", neighbours.out);
}

#[test]
fn what_does_not_go_together_ends_with_what_to_type() {
    let world = World::new(&[]);
    photos(&world);
    world.write("empty/notes.txt", "");
    for (args, said) in [
        (&["photos", "--scene", "hug_pro"][..], "--pair by-name"),
        (&["photos", "--scene", "squish", "--pair", "by-order"], "leave --pair out"),
        (&["photos", "--scene", "my_own", "--pair", "by-order"], "add --two"),
        (&["photos", "--scene", "squish", "--scene", "hug_pro"], "make two manifests"),
        (&["photos", "--scene", "squish", "--scene", "hug_pro", "--pair", "by-name"], "make two manifests"),
        (&["photos", "--scene", "squish", "--two"], "leave --two out"),
        (&["photos", "--scene", "Hug-Pro"], "did you mean hug_pro?"),
        (&["photos", "--scene", "squish", "--scene", "squish"], "stands twice"),
        (&["photos", "--scene", "squish", "--json"], "--out FILE"),
        (&["photos", "--scene", "squish", "--upscale"], "--fix"),
        (&["photos", "--scene", "squish", "--fix", "photos"], "name another folder with --fix"),
        (&["nowhere", "--scene", "squish"], "no such file or folder"),
        (&["photos/*.gif", "--scene", "squish"], "no image has such a name"),
        (&["empty", "--scene", "squish"], "there is no image in what was named"),
        (&["empty/notes.txt", "--scene", "squish"], "no manifest was written"),
    ] {
        let ran = scan(&world, args).exits(2);
        assert!(ran.err.contains(said), "{args:?}: {said}\n---\n{}", ran.err);
        assert!(args.contains(&"--json") || ran.out.is_empty(), "{args:?}: {}", ran.out);
    }
}
