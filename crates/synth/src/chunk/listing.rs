//! The files of a corpus folder, and why some of them are passed over.

use crate::error::{Error, Result};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use whetstone_records::Input;

/// A readable file of the corpus folder.
pub(crate) struct Source {
    /// Path below the folder, with `/`; bytes that are no UTF-8 are written `%E9`.
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
    /// A link to nowhere, or round in a circle.
    BrokenLink,
    LinkedFolder,
    Unreadable,
    TooLarge,
    /// A pipe, socket or device.
    NoFile,
    /// Its name is that of another file, once what is no UTF-8 is written out.
    SameName,
    /// A page that leads to another one.
    Redirect,
}

impl Skip {
    /// The name in the manifest's counts.
    pub fn count_name(self) -> &'static str {
        match self {
            Skip::OtherExtension => "skipped-other-extension",
            Skip::Binary => "skipped-binary",
            Skip::NotUtf8 => "skipped-not-utf8",
            Skip::Empty => "skipped-empty",
            Skip::BrokenLink => "skipped-broken-link",
            Skip::LinkedFolder => "skipped-linked-folder",
            Skip::Unreadable => "skipped-unreadable",
            Skip::TooLarge => "skipped-too-large",
            Skip::NoFile => "skipped-no-file",
            Skip::SameName => "skipped-same-name",
            Skip::Redirect => "skipped-redirect",
        }
    }

    /// The reason in words.
    pub fn reason(self) -> &'static str {
        match self {
            Skip::OtherExtension => {
                "neither Markdown (.md, .markdown, .mdx), .txt nor HTML (.html, .htm)"
            }
            Skip::Binary => "binary",
            Skip::NotUtf8 => "not UTF-8",
            Skip::Empty => "no text in it",
            Skip::BrokenLink => "a link that leads nowhere",
            Skip::LinkedFolder => "a link to a folder",
            Skip::Unreadable => "it cannot be read",
            Skip::TooLarge => "more than 64 MiB",
            Skip::NoFile => "neither a file nor a folder",
            Skip::SameName => "another file has its name",
            Skip::Redirect => "it only leads to another page",
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
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if prefix.is_empty() => return Err(Error::io("list", &folder)(error)),
                Err(_) => {
                    listing.skipped.push((prefix, Skip::Unreadable));
                    continue;
                }
            };
            for entry in entries {
                let entry = entry.map_err(Error::io("list", &folder))?;
                let file_name = entry.file_name();
                // Hidden ones are not even looked at: an editor's lock is a link to nowhere.
                if file_name.as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                let name = format!("{prefix}{}", readable(&file_name));
                match kind_of(&entry.path()) {
                    Ok(Entry::File) => listing.push(name, entry.path()),
                    Ok(Entry::Folder)
                        if out.is_some() && entry.path().canonicalize().ok() == out => {}
                    Ok(Entry::Folder) => folders.push((entry.path(), format!("{name}/"))),
                    Err(skip) => listing.skipped.push((name, skip)),
                }
            }
        }
        listing.sort();
        Ok(listing)
    }

    fn push(&mut self, name: String, path: PathBuf) {
        let kinds = ["md", "mdx", "markdown", "txt", "html", "htm"];
        if kinds.contains(&extension(&path).as_str()) {
            self.sources.push(Source { name, path });
        } else {
            self.skipped.push((name, Skip::OtherExtension));
        }
    }

    /// Brings all into the order of their names, and leaves one file to a name.
    fn sort(&mut self) {
        // Of two the one that is named so comes first.
        self.sources.sort_by_cached_key(|source| {
            (source.name.clone(), source.path.to_str().is_none(), source.path.clone())
        });
        let mut seen = HashSet::new();
        let skipped = &mut self.skipped;
        self.sources.retain(|source| {
            let fresh = seen.insert(source.name.clone());
            if !fresh {
                skipped.push((source.name.clone(), Skip::SameName));
            }
            fresh
        });
        skipped.sort();
    }

    /// Digests all names and contents. What cannot be read is skipped later.
    pub fn digest(&self, role: &str) -> Input {
        let files = self.sources.iter().map(|source| (source.name.as_str(), source.path.as_path()));
        Input::of_files(role, files)
    }
}

enum Entry {
    File,
    Folder,
}

fn kind_of(path: &Path) -> Result<Entry, Skip> {
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|kind| kind.is_symlink());
    match std::fs::metadata(path) {
        Ok(kind) if kind.is_file() => Ok(Entry::File),
        Ok(kind) if kind.is_dir() && is_link => Err(Skip::LinkedFolder),
        Ok(kind) if kind.is_dir() => Ok(Entry::Folder),
        Ok(_) => Err(Skip::NoFile),
        Err(error) if is_link && error.kind() != ErrorKind::PermissionDenied => {
            Err(Skip::BrokenLink)
        }
        Err(_) => Err(Skip::Unreadable),
    }
}

/// The name with bytes that are no UTF-8 written `%E9`, so that different names stay different.
fn readable(name: &OsStr) -> String {
    let mut readable = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        readable += chunk.valid();
        chunk.invalid().iter().for_each(|byte| readable += &format!("%{byte:02X}"));
    }
    readable
}

pub(crate) fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(listing: &Listing) -> Vec<&str> {
        listing.sources.iter().map(|source| source.name.as_str()).collect()
    }

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
        assert_eq!(names(&listing), ["a.HTML", "b/1.txt", "b/2.md"]);
        let skipped: Vec<&str> = listing.skipped.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(skipped, ["b/logo.png", "c.pdf"]);
        let before = listing.digest("corpus");
        std::fs::write(at("b/1.txt"), "changed").unwrap();
        assert_ne!(listing.digest("corpus").digest, before.digest);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_nowhere_and_in_circles_stop_nothing() {
        use std::os::unix::{fs::symlink, net::UnixListener};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a.md"), "x").unwrap();
        symlink("kim@host.4711:1690000000", at(".#a.md")).unwrap();
        symlink("nowhere.md", at("gone.md")).unwrap();
        symlink("circle.md", at("circle.md")).unwrap();
        symlink(folder.path(), at("up")).unwrap();
        symlink("a.md", at("b.md")).unwrap();
        // Reading a pipe or socket would wait for ever.
        let _socket = UnixListener::bind(at("socket.md")).unwrap();
        let listing = Listing::of(folder.path(), &at("out")).unwrap();
        assert_eq!(names(&listing), ["a.md", "b.md"]);
        let skipped = [
            ("circle.md", Skip::BrokenLink),
            ("gone.md", Skip::BrokenLink),
            ("socket.md", Skip::NoFile),
            ("up", Skip::LinkedFolder),
        ];
        assert_eq!(listing.skipped, skipped.map(|(name, skip)| (name.to_owned(), skip)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_no_utf8_stay_apart() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let names_of_files: [&[u8]; 4] = [b"caf\xe9.md", b"caf\xe8.md", b"x%E9.md", b"x\xe9.md"];
        for name in names_of_files {
            std::fs::write(folder.path().join(OsStr::from_bytes(name)), "x").unwrap();
        }
        let listing = Listing::of(folder.path(), Path::new("nowhere")).unwrap();
        assert_eq!(names(&listing), ["caf%E8.md", "caf%E9.md", "x%E9.md"]);
        assert_eq!(listing.skipped, [("x%E9.md".to_owned(), Skip::SameName)]);
        assert!(listing.sources[2].path.to_str().is_some(), "the name as it is comes first");
    }
}
