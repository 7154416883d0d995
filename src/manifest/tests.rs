//! Whole files in, rows and problems out.

use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8]) -> (Vec<Row>, Vec<Problem>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.csv");
    std::fs::write(&path, bytes).unwrap();
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    match Manifest::open(&path).unwrap() {
        Opened::Bad(found) => problems = found,
        Opened::Manifest(mut manifest) => {
            while let Some(record) = manifest.next_record() {
                match record {
                    Record::Row(row) => rows.push(*row),
                    Record::Bad(found) => problems.extend(found),
                }
            }
        }
    }
    (rows, problems)
}

/// Line and column of each problem.
fn places(text: &str) -> Vec<(u64, String)> {
    read(text.as_bytes()).1.into_iter().map(|problem| (problem.line, problem.column)).collect()
}

#[test]
fn a_row_is_read_whatever_wrote_the_file() {
    let plain =
        "scene,images,duration,note\nhug_pro, a.jpg | b.jpg ,5,\"two\nlines, quoted\"\nsquish,http://x/a.jpg,,z\n";
    let (rows, problems) = read(plain.as_bytes());
    assert_eq!(problems, []);
    assert_eq!(rows[0].images, [RawImage::Path("a.jpg".into()), RawImage::Path("b.jpg".into())]);
    assert_eq!((rows[0].duration.as_deref(), rows[0].own[0].as_str()), (Some("5"), "two\nlines, quoted"));
    assert_eq!((rows[0].line, rows[1].line), (2, 4), "a quoted newline counts");
    let dressed = format!("\u{feff}{}", plain.replace('\n', "\r\n"));
    let (again, problems) = read(dressed.as_bytes());
    assert_eq!(problems, []);
    assert_eq!((again[0].line, again[1].line), (2, 4), "with a BOM and CRLF");
    assert_eq!(again[1].images, rows[1].images);
}

#[test]
fn blank_lines_are_passed_over_and_counted() {
    let (rows, problems) = read(b"scene,images,duration\n\n\nsquish,a.jpg,5\n\nsquish,b.jpg,5");
    assert_eq!(problems, []);
    assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [4, 6]);
}

#[test]
fn every_problem_of_a_row_is_told_at_its_column() {
    let text = "scene,images,duration,id,mode,output\nBad Scene,a|b|c,7,x,turbo,../up.mp4\n,,,,,\nok,,5,,,\n";
    let columns = ["scene", "images", "duration", "mode", "output"].map(|column| (2, column.to_owned()));
    assert_eq!(places(text)[..5], columns);
    assert_eq!(places(text)[5..], [(4, "images".to_owned())]);
}

#[test]
fn bytes_that_are_not_text_are_a_problem_of_their_cell() {
    let (rows, problems) = read(b"scene,images,duration\nsqu\xffish,a.jpg,5\nsquish,b.jpg,5\n");
    assert_eq!((problems[0].line, problems[0].column.as_str()), (2, "scene"));
    assert_eq!(rows.len(), 1, "reading goes on");
}

#[test]
fn a_header_is_understood_or_explained() {
    assert_eq!(places("")[0], (1, String::new()));
    assert_eq!(places("scene,images,duration\n")[0], (2, String::new()));
    assert_eq!(places("scene;images;duration\n")[0], (1, String::new()));
    assert_eq!(places("scene,image,duration\nx,y,5\n")[0], (1, "images".into()));
    assert_eq!(places("scene,images,duration,scene\n")[0], (1, "scene".into()));
    assert_eq!(places("scene,images,duration,outptu\n")[0], (1, "outptu".into()));
    assert_eq!(places("scene,images,duration,state\n")[0], (1, "state".into()));
    let problem = &read(b"Scene,images,duration\nx,y,5\n").1[0];
    assert!(problem.expected.contains("did you mean it by \"Scene\""), "{}", problem.expected);
}

#[test]
fn a_row_with_too_few_or_too_many_cells_is_told() {
    assert_eq!(
        places("scene,images,duration\na,b\nsquish,a.jpg,5\na,b,5,c\n"),
        [(2, String::new()), (4, String::new())]
    );
}

#[test]
fn a_quote_that_is_never_closed_is_told_where_it_begins_and_does_not_take_the_memory() {
    let mut text = b"scene,images,duration\nsquish,a.jpg,5\nsquish,\"b.jpg,5\n".to_vec();
    text.resize(4 << 20, b'x');
    let (rows, problems) = read(&text);
    assert_eq!((rows.len(), problems.len(), problems[0].line), (1, 1, 3), "{problems:?}");
    assert!(problems[0].found.contains("quote"), "{problems:?}");
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut file = b"scene,images,duration\n".to_vec();
        file.extend(&bytes);
        read(&file);
        read(&bytes);
    }
}
