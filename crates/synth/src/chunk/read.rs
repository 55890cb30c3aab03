//! One file becomes a document.

use super::document::{Document, Titles};
use super::listing::{Skip, Source, extension};
use super::{front_matter, html, markdown, plain};
use std::io::Read;
use std::path::Path;
use whetstone_records::{DocumentId, open_file};

/// Largest file that is read, in bytes. The page of an HTML file takes many times its size.
const MAX_BYTES: u64 = 64 << 20;
/// Shortest data in an address that is cut out of a text, in bytes.
const MIN_DATA_BYTES: usize = 64;
/// Longest text of a page that leads to another one, in bytes.
const MAX_REDIRECT_BYTES: usize = 400;

/// Reads one source and finds where it may be cut.
pub(crate) fn read_document(source: &Source) -> Result<Document, Skip> {
    let mut bytes = Vec::new();
    let file = open_file(&source.path).map_err(|_| Skip::Unreadable)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|_| Skip::Unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Skip::TooLarge);
    }
    document_of(&source.name, bytes)
}

/// Makes a document of a file's name and bytes.
pub(crate) fn document_of(name: &str, bytes: Vec<u8>) -> Result<Document, Skip> {
    // UTF-16 is full of zero bytes too, but its mark tells that it is text.
    if bytes.contains(&0) && !bytes.starts_with(&[0xff, 0xfe]) && !bytes.starts_with(&[0xfe, 0xff])
    {
        return Err(Skip::Binary);
    }
    let mut source = String::from_utf8(bytes).map_err(|_| Skip::NotUtf8)?;
    if source.starts_with('\u{feff}') {
        source.remove(0);
    }
    let source = without_controls(source);
    let front = front_matter::read(&source);
    let mut titles = Titles { front: front.title, head: None };
    let extension = extension(Path::new(name));
    let is_html = !matches!(extension.as_str(), "md" | "mdx" | "markdown" | "txt");
    let (text, blocks) = if is_html {
        let page = html::extract(&source[front.end..]);
        if page.redirects && page.text.len() <= MAX_REDIRECT_BYTES {
            return Err(Skip::Redirect);
        }
        titles.head = page.title;
        (page.text, page.blocks)
    } else {
        let source = without_data(source, front.end);
        match extension.as_str() {
            "md" | "mdx" | "markdown" => markdown::read(&source, front.end),
            _ => {
                let blocks = plain::read(&source, front.end);
                (source, blocks)
            }
        }
    };
    if blocks.iter().all(|block| block.is_heading()) {
        return Err(Skip::Empty);
    }
    Ok(Document { id: DocumentId::new(name), titles, text, blocks, is_html })
}

/// The text without signs for terminals, and with the line ends of old Macs as others write them.
fn without_controls(text: String) -> String {
    let is_sign = |c: char| c.is_control() && !"\n\r\t\u{c}\u{85}".contains(c);
    let old_ends = text.contains('\r') && !text.contains('\n');
    if !old_ends && !text.contains(is_sign) {
        return text;
    }
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // `ESC [ 31 m` sets a colour.
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                while chars.next_if(|c| c.is_ascii_digit() || ";?".contains(*c)).is_some() {}
                chars.next_if(char::is_ascii_alphabetic);
            }
            '\r' if old_ends => kept.push('\n'),
            c if is_sign(c) => {}
            c => kept.push(c),
        }
    }
    kept
}

/// The text without the data of `data:` addresses, wherever they stand.
fn without_data(text: String, start: usize) -> String {
    let mut kept = String::new();
    let mut copied = 0;
    let mut at = start;
    while let Some(found) = text[at..].find("data:") {
        let begin = at + found;
        let ends = |c: char| c.is_whitespace() || ")>\"'`|\\]}".contains(c);
        let length = text[begin..].find(ends).unwrap_or(text.len() - begin);
        let address = &text[begin..begin + length];
        let is_data = address.split_once(',').is_some_and(|(kind, data)| {
            let kind = kind.trim_start_matches("data:");
            let known = kind.contains('/') || kind.contains(";base64") || kind.contains("charset=");
            known && data.len() >= MIN_DATA_BYTES
        });
        if is_data {
            kept += &text[copied..begin];
            copied = begin + length;
        }
        at = begin + length.max("data:".len());
    }
    if copied == 0 {
        return text;
    }
    kept + &text[copied..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_readable_text_are_told_apart() {
        let skip = |name: &str, bytes: &[u8]| document_of(name, bytes.to_vec()).err();
        assert_eq!(skip("a.md", b"\x7fELF\0\0"), Some(Skip::Binary));
        assert_eq!(skip("a.md", b"caf\xe9"), Some(Skip::NotUtf8));
        assert_eq!(skip("a.txt", b"\xff\xfea\0b\0"), Some(Skip::NotUtf8));
        assert_eq!(skip("a.md", b" \n# only a heading\n"), Some(Skip::Empty));
        assert_eq!(skip("a.md", b"<!-- nothing -->\n\n<img src=x>\n"), Some(Skip::Empty));
        assert_eq!(skip("a.html", b"<nav>Home</nav>"), Some(Skip::Empty));
        assert_eq!(skip("a.md", "\u{feff}# Café\n\nText.".as_bytes()), None);
        let moved =
            b"<meta http-equiv='refresh' content='0; url=b.html'><p>Moved to <a href=b.html>b</a>";
        assert_eq!(skip("a.html", moved), Some(Skip::Redirect));
    }

    #[test]
    fn a_file_too_large_for_a_document_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.txt");
        let file = std::fs::File::create(&path).unwrap();
        let source = Source { name: "log.txt".into(), path };
        for (bytes, skip) in [(MAX_BYTES, Skip::Binary), (MAX_BYTES + 1, Skip::TooLarge)] {
            // Zeros, which take no room on the disk.
            file.set_len(bytes).unwrap();
            assert_eq!(read_document(&source).err(), Some(skip));
        }
    }

    #[test]
    fn front_matter_is_no_text_behind_a_byte_order_mark_and_in_every_format() {
        for (name, text) in [
            ("a.md", "\u{feff}---\ntitle: Pumps\n---\nText."),
            ("a.md", "+++\ntitle = 'Pumps'\n+++\n\nText."),
            ("a.html", "---\ntitle: Pumps\n---\n<title>x</title><p>Text."),
            ("a.txt", "---\ntitle: Pumps\n---\nText."),
        ] {
            let document = document_of(name, text.into()).unwrap();
            assert_eq!(document.titles.front.as_deref(), Some("Pumps"), "{text:?}");
            let texts: Vec<&str> =
                document.blocks.iter().map(|block| &document.text[block.span.clone()]).collect();
            assert_eq!(texts.concat().trim(), "Text.");
        }
    }

    #[test]
    fn signs_for_terminals_are_no_text_and_a_return_ends_a_line() {
        let text = |name: &str, text: &str| document_of(name, text.into()).unwrap().text;
        assert_eq!(
            text("a.txt", "\u{1b}[1;31mRed\u{1b}[0m \u{7}valve\u{1b}.\tOpen."),
            "Red valve.\tOpen."
        );
        assert_eq!(text("a.md", "# Head\r\rText.\r"), "# Head\n\nText.\n");
        assert_eq!(text("a.md", "# Head\r\nText.\r\n"), "# Head\r\nText.\r\n");
    }

    #[test]
    fn data_in_addresses_is_no_text_in_any_file() {
        let data = "QUJD".repeat(10_000);
        let css = format!("a {{ background: url(data:image/png;base64,{data}) }}");
        let svg = format!("url('data:image/svg+xml,{}')", "%3Csvg".repeat(30));
        let text = format!(
            "Before.\n\n```css\n{css}\n{svg}\n```\n\n![The plan](data:image/png;base64,{data})\n\nAfter data: see, it stays."
        );
        for name in ["a.md", "a.txt"] {
            let document = document_of(name, text.clone().into()).unwrap();
            assert!(document.text.len() < 250, "{}", document.text);
            for kept in ["Before.", "The plan", "After data: see, it stays.", "background: url()"] {
                assert!(document.text.contains(kept), "{}", document.text);
            }
        }
    }
}
