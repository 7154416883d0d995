//! The order in which a person would list files: `img2` before `img10`, whatever the case.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::path::Path;

/// Compares two paths part by part.
pub(super) fn paths(one: &Path, other: &Path) -> Ordering {
    let text = |part: &OsStr| part.to_string_lossy().into_owned();
    let mut others = other.iter();
    for part in one {
        let Some(against) = others.next() else { return Ordering::Greater };
        match names(&text(part), &text(against)) {
            Ordering::Equal => {}
            decided => return decided,
        }
    }
    if others.next().is_some() { Ordering::Less } else { one.cmp(other) }
}

/// Compares two names: digits as numbers of any length, letters whatever their case. Only equal names are equal.
fn names(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    while let (Some(first), Some(second)) = (left.chars().next(), right.chars().next()) {
        let decided = if first.is_ascii_digit() && second.is_ascii_digit() {
            let (number, against) = (digits(&mut left), digits(&mut right));
            number.len().cmp(&against.len()).then_with(|| number.cmp(against))
        } else {
            left = &left[first.len_utf8()..];
            right = &right[second.len_utf8()..];
            first.to_lowercase().cmp(second.to_lowercase())
        };
        if decided != Ordering::Equal {
            return decided;
        }
    }
    left.len().cmp(&right.len()).then_with(|| one.cmp(other))
}

/// Takes the digits that a text begins with, and gives them without leading zeros.
fn digits<'a>(text: &mut &'a str) -> &'a str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits.trim_start_matches('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers_and_case_does_not_count() {
        let sorted = [
            "a/2.jpg",
            "a/10.jpg",
            "img1.jpg",
            "IMG2.jpg",
            "img02.jpg",
            "img2b.jpg",
            "img10.jpg",
            "img99999999999999999999998.jpg",
            "img99999999999999999999999.jpg",
            "über.jpg",
        ];
        let mut shuffled = sorted;
        shuffled.reverse();
        shuffled.sort_by(|one, other| paths(Path::new(one), Path::new(other)));
        assert_eq!(shuffled, sorted);
        assert_eq!(paths(Path::new("a"), Path::new("a/b")), Ordering::Less);
        assert_eq!(paths(Path::new("a"), Path::new("a")), Ordering::Equal);
    }
}
