//! The section on where the numbers come from.

use super::Page;
use maud::{Markup, html};
use whetstone_records::Manifest;

/// Shows where the numbers come from: files with digests, and the stages that made them.
pub(crate) fn section(page: &Page) -> Markup {
    html! {
        section {
            h2 { "Provenance" }
            div.scroll { table {
                thead { tr { th { "file" } th.left { "path" } th.left { "SHA-256" } } }
                tbody { @for origin in page.origins { tr {
                    td.wrap { (origin.role) } td.left.wrap { code { (origin.path) } } td.left { code { (short(&origin.digest)) } }
                } } }
            } }
            @if !page.made_by.is_empty() {
                h3 { "Made by" }
                div.scroll { table {
                    thead { tr { th { "stage" } th { "version" } th.left { "config" } th { "wall s" } th.left { "counts and notes" } th.left { "manifest" } } }
                    tbody { @for (path, manifest) in page.made_by { (made_by(path, manifest)) } }
                } }
            }
        }
    }
}

fn made_by(path: &str, manifest: &Manifest) -> Markup {
    let counts = manifest.counts.iter().filter(|(_, count)| **count > 0);
    let counts = counts.map(|(name, count)| format!("{name} {count}"));
    let told: Vec<String> = counts.chain(manifest.notes.iter().cloned()).collect();
    html! {
        tr {
            td { (manifest.stage) } td { (manifest.version) } td.left { code { (short(&manifest.config)) } }
            td { (format!("{:.1}", manifest.wall_s)) }
            td.left.wrap { (told.join(", ")) } td.left.wrap { code { (path) } }
        }
    }
}

/// Returns the first digits of a digest, enough to tell files apart.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
