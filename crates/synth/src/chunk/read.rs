use super::document::{Document, Outline};
use super::{html, markdown, plain};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use whetstone_records::{DocumentId, sha256_bytes, sha256_file};

/// A readable file of the corpus folder.
pub(crate) struct Source {
    /// Path below the folder, with `/`.
    pub name: String,
    pub path: PathBuf,
}

/// Why a file gave no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Skip {
    OtherExtension,
    Binary,
    NotUtf8,
    Empty,
}

impl Skip {
    /// The name in the manifest's counts.
    pub fn count_name(self) -> &'static str {
        match self {
            Skip::OtherExtension => "skipped-other-extension",
            Skip::Binary => "skipped-binary",
            Skip::NotUtf8 => "skipped-not-utf8",
            Skip::Empty => "skipped-empty",
        }
    }

    /// The reason in words.
    pub fn reason(self) -> &'static str {
        match self {
            Skip::OtherExtension => "neither .md, .txt nor .html",
            Skip::Binary => "binary",
            Skip::NotUtf8 => "not UTF-8",
            Skip::Empty => "no text in it",
        }
    }
}

/// What a folder holds: sources in order of their names, and files that are passed over.
#[derive(Default)]
pub(crate) struct Listing {
    pub sources: Vec<Source>,
    pub skipped: Vec<(String, Skip)>,
}

impl Listing {
    /// Lists `folder` recursively, without hidden entries, linked folders and the folder `out`.
    pub fn of(folder: &Path, out: &Path) -> Result<Self> {
        let out = out.canonicalize().ok();
        let mut listing = Self::default();
        let mut folders = vec![(folder.to_path_buf(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            for entry in std::fs::read_dir(&folder).map_err(Error::io("list", &folder))? {
                let entry = entry.map_err(Error::io("list", &folder))?;
                let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
                let linked = entry.file_type().map_err(Error::io("read", &path))?.is_symlink();
                let kind = std::fs::metadata(&path).map_err(Error::io("read", &path))?;
                if name.starts_with('.') || (linked && kind.is_dir()) {
                    continue;
                }
                let name = format!("{prefix}{name}");
                if !kind.is_dir() {
                    listing.push(name, path);
                } else if out.is_none() || path.canonicalize().ok() != out {
                    folders.push((path, format!("{name}/")));
                }
            }
        }
        listing.sources.sort_by(|a, b| a.name.cmp(&b.name));
        listing.skipped.sort();
        Ok(listing)
    }

    fn push(&mut self, name: String, path: PathBuf) {
        if matches!(extension(&path).as_str(), "md" | "txt" | "html" | "htm") {
            self.sources.push(Source { name, path });
        } else {
            self.skipped.push((name, Skip::OtherExtension));
        }
    }

    /// Returns a digest of all names and contents.
    pub fn digest(&self) -> Result<String> {
        let mut lines = String::new();
        for source in &self.sources {
            lines += &format!("{} {}\n", sha256_file(&source.path)?, source.name);
        }
        Ok(sha256_bytes(lines.as_bytes()))
    }
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Reads one source and finds where it may be cut.
pub(crate) fn read_document(source: &Source) -> Result<Result<Document, Skip>> {
    let bytes = std::fs::read(&source.path).map_err(Error::io("read", &source.path))?;
    Ok(document_of(&source.name, bytes))
}

/// Makes a document of a file's name and bytes.
pub(crate) fn document_of(name: &str, bytes: Vec<u8>) -> Result<Document, Skip> {
    // UTF-16 is full of zero bytes too, but its mark tells that it is text.
    if bytes.contains(&0) && !bytes.starts_with(&[0xff, 0xfe]) && !bytes.starts_with(&[0xfe, 0xff])
    {
        return Err(Skip::Binary);
    }
    let mut text = String::from_utf8(bytes).map_err(|_| Skip::NotUtf8)?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    let path = Path::new(name);
    let outline = match extension(path).as_str() {
        "md" => markdown::outline(&text),
        "txt" => plain::outline(&text),
        _ => {
            let (extracted, outline) = html::extract(&text);
            text = extracted;
            outline
        }
    };
    let Outline { title, sections } = outline;
    if sections.iter().all(|section| section.units.is_empty()) {
        return Err(Skip::Empty);
    }
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Document { id: DocumentId::new(name), title: title.unwrap_or_else(stem), text, sections })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_in_order_of_names_without_what_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in
            ["b/2.md", "b/1.txt", "a.HTML", ".hidden/x.md", "out/y.md", "c.pdf", "b/logo.png"]
        {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), name).unwrap();
        }
        let listing = Listing::of(folder.path(), &at("out")).unwrap();
        let names: Vec<&str> = listing.sources.iter().map(|source| source.name.as_str()).collect();
        assert_eq!(names, ["a.HTML", "b/1.txt", "b/2.md"]);
        let skipped: Vec<&str> = listing.skipped.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(skipped, ["b/logo.png", "c.pdf"]);
        let before = listing.digest().unwrap();
        std::fs::write(at("b/1.txt"), "changed").unwrap();
        assert_ne!(listing.digest().unwrap(), before);
    }

    #[test]
    fn files_without_readable_text_are_told_apart() {
        let skip = |name: &str, bytes: &[u8]| document_of(name, bytes.to_vec()).err();
        assert_eq!(skip("a.md", b"\x7fELF\0\0"), Some(Skip::Binary));
        assert_eq!(skip("a.md", b"caf\xe9"), Some(Skip::NotUtf8));
        assert_eq!(skip("a.txt", b"\xff\xfea\0b\0"), Some(Skip::NotUtf8));
        assert_eq!(skip("a.md", b" \n# only a heading\n"), Some(Skip::Empty));
        assert_eq!(skip("a.html", b"<nav>Home</nav>"), Some(Skip::Empty));
        assert_eq!(skip("a.md", "\u{feff}# Café\n\nText.".as_bytes()), None);
    }

    #[test]
    fn a_document_without_a_title_is_named_by_its_file() {
        assert_eq!(
            document_of("x/valve-list.md", b"Text.".to_vec()).ok().unwrap().title,
            "valve-list"
        );
    }
}
