//! The page: one HTML file with its style and its script in it, which runs nothing else and fetches nothing from outside.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::domain::Digest;

/// The page's name.
pub(super) const INDEX: &str = "index.html";

/// The other documents of a gallery.
pub(super) const OTHERS: [&str; 3] = ["data.js", "results.csv", "results.json"];

const FRAME: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// The script, in the order in which it is read.
const SCRIPT: [&str; 5] = [
    include_str!("rows.js"),
    include_str!("charts.js"),
    include_str!("card.js"),
    include_str!("grid.js"),
    include_str!("page.js"),
];
/// What shows that a page is one of ours.
const MARK: &str = "<meta name=\"generator\" content=\"nightreel\">";

/// The page. What it shows comes from `data.js` beside it.
pub(super) fn page() -> String {
    let script = format!("\"use strict\";\n{}", SCRIPT.concat());
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Digest::of(text.as_bytes()).as_bytes()));
    // `file:` is what `'self'` does not cover where a page is opened from a folder. Neither lets anything in from outside.
    let policy = format!(
        "default-src 'none'; script-src 'self' file: {}; style-src {}; img-src 'self' file:; media-src 'self' file:; \
         base-uri 'none'; form-action 'none'",
        hash(&script),
        hash(STYLE)
    );
    FRAME
        .replace("<!--mark-->", MARK)
        .replace("<!--policy-->", &policy)
        .replace("/*style*/", STYLE)
        .replace("/*script*/", &script)
}

/// Whether a file is such a page, of any version.
pub(super) fn is_ours(page: &[u8]) -> bool {
    page.windows(MARK.len()).any(|part| part == MARK.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_names_nothing_outside() {
        let page = page();
        assert!(is_ours(page.as_bytes()) && !is_ours(b"<html>"));
        for left in ["<!--mark-->", "<!--policy-->", "/*style*/", "/*script*/"] {
            assert!(!page.contains(left), "{left}");
        }
        // The name of SVG's namespace is no address that is asked for.
        let named = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!named.contains("http://") && !named.contains("https://"), "it names an address");
        assert_eq!(page.matches("</script>").count(), 2, "the script would end too early");
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!page.contains(way), "{way} could make markup of a row's text");
        }
    }
}
