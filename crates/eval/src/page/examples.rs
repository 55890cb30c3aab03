//! The section on the queries that changed most.

use super::prose::{signed, tone, value};
use crate::assess::Assessment;
use crate::why::{Change, MovedPassage, Piece, Why};
use maud::{Markup, html};

/// The queries that changed most, with their passages.
pub(crate) fn section(why: &Why, assessment: &Assessment) -> Markup {
    let measure = assessment.primary.to_string();
    let lists = [("Greatest losses", &why.changes.worst), ("Greatest gains", &why.changes.best)];
    html! {
        section {
            h2 { "Examples" }
            p.soft.small { "Ranks under " code { (why.baseline) } " and " code { (why.system) } "; words of the query are marked." }
            @for (title, changes) in lists {
                h3 { (title) }
                @if changes.is_empty() { p.soft { "None." } }
                @for change in changes { (example(change, &measure)) }
            }
        }
    }
}

fn example(change: &Change, measure: &str) -> Markup {
    let difference = change.system - change.baseline;
    html! {
        article {
            h4 { @if change.text.is_empty() { "Query " (change.query_id) } @else { (change.text) } }
            p.numbers.small.soft {
                (measure) " " (value(change.baseline)) " → " (value(change.system)) " "
                span class=(tone(difference)) { "(" (signed(difference)) ")" }
                @if let Some(style) = &change.style { ", " (style) }
                @if !change.text.is_empty() { ", query " (change.query_id) }
            }
            @for passage in &change.passages { (moved(passage)) }
        }
    }
}

fn moved(passage: &MovedPassage) -> Markup {
    let rank = |rank: Option<usize>| rank.map_or("not ranked".to_owned(), |rank| rank.to_string());
    html! {
        div.passage {
            div.move {
                (rank(passage.before)) " → " (rank(passage.after))
                @match passage.grade {
                    Some(grade) if grade > 0 => span class="tag yes" { "relevant, grade " (grade) },
                    Some(_) => span.tag { "judged not relevant" },
                    None => span.tag { "not judged" },
                }
            }
            div.text {
                @if !passage.title.is_empty() { div.title { (pieces(&passage.title)) } }
                @if passage.snippet.is_empty() { div { "passage " (passage.passage_id) } } @else { div { (pieces(&passage.snippet)) } }
            }
        }
    }
}

fn pieces(pieces: &[Piece]) -> Markup {
    html! {
        @for piece in pieces {
            @if piece.is_query_term { mark { (piece.text) } } @else { (piece.text) }
        }
    }
}
