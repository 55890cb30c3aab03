//! The sections that explain the verdict.

use super::plot;
use super::prose::{prose, share, signed, tone, value};
use crate::assess::Assessment;
use crate::calibration::Calibration;
use crate::why::{
    DepthPoint, ScoreDistribution, Slice, SliceGroup, Sweep, Truncation, Unjudged, Why,
};
use maud::{Markup, html};

/// Returns the sections that explain the verdict: query by query, slices, depth, scores,
/// truncation, judgements.
pub(crate) fn sections(why: &Why, assessment: &Assessment) -> Markup {
    let measure = assessment.primary.to_string();
    html! {
        section {
            h2 { "Query by query" }
            p { (prose(&why.first_stage.in_words())) }
            div.figures {
                figure {
                    (plot::differences(&why.differences, &measure))
                    figcaption { (prose(&format!("`{}` − `{}`", why.system, why.baseline))) }
                }
                @for sweep in why.depth.iter().filter(|sweep| sweep.system == why.system) {
                    figure { (plot::depth(sweep, &measure)) figcaption { (depth_caption(sweep)) } }
                }
            }
        }
        (depth(why, &measure))
        (scores(&why.scores))
        (slices(&why.slices))
        @if let Some(truncation) = &why.truncation { (self::truncation(truncation)) }
        (unjudged(&why.unjudged))
    }
}

fn depth_caption(sweep: &Sweep) -> Markup {
    html! {
        "Reranking only so many of the first candidates; the point's label is the depth. "
        @match sweep.knee {
            Some(knee) => { "The knee is at " strong { (knee) } ": 95 % of the greatest gain." }
            None => "No depth gains anything over the first stage.",
        }
    }
}

fn depth(why: &Why, measure: &str) -> Markup {
    html! {
        @for sweep in &why.depth {
            section {
                h2 { "How deep to rerank: " (sweep.system) }
                @if sweep.system != why.system {
                    div.figures { figure { (plot::depth(sweep, measure)) figcaption { (depth_caption(sweep)) } } }
                }
                div.scroll { table {
                    thead { tr { th { "candidates reranked" } th { (measure) } th { "gain" } th { "pairs for a query" } th { "ms for a query" } } }
                    tbody { @for point in &sweep.points { (depth_row(sweep, point)) } }
                } }
            }
        }
    }
}

fn depth_row(sweep: &Sweep, point: &DepthPoint) -> Markup {
    let is_knee = sweep.knee == Some(point.depth);
    let gain = point.value - sweep.points[0].value;
    html! {
        tr class=(if is_knee { "chosen" } else { "" }) {
            td { @if point.depth == 0 { "none" } @else { (point.depth) } @if is_knee { " (knee)" } }
            td { (value(point.value)) }
            td class=(tone(gain)) { @if point.depth > 0 { (signed(gain)) } }
            td { (format!("{:.1}", point.pairs_per_query)) }
            td { @match point.ms_per_query { Some(ms) => (format!("{ms:.0}")), None => "–" } }
        }
    }
}

fn scores(distributions: &[ScoreDistribution]) -> Markup {
    html! {
        @if !distributions.is_empty() {
            section {
                h2 { "Scores" }
                p.small { span class="key k-system" {} "relevant passages" span class="key k-baseline" {} "others, judged or not" }
                div.figures {
                    @for one in distributions {
                        figure {
                            (plot::scores(one))
                            figcaption { code { (one.run) } ": a relevant passage scores higher than another with probability " (format!("{:.3}", one.auc)) ", over all queries together." }
                        }
                    }
                }
            }
        }
    }
}

fn slices(groups: &[SliceGroup]) -> Markup {
    html! {
        @if !groups.is_empty() {
            section {
                h2 { "Where it changed" }
                p.soft.small { "Intervals are of each slice alone, not corrected for how many there are: places to look, not findings." }
                div.scroll { table {
                    thead { tr { th { "queries" } th { "count" } th { "baseline" } th { "system" } th { "difference" } th { "interval" } th { "wins" } th { "losses" } } }
                    @for group in groups {
                        tbody {
                            tr { th colspan="8" { "by " (group.by) } }
                            @for slice in &group.slices { (slice_row(slice)) }
                        }
                    }
                } }
            }
        }
    }
}

fn slice_row(slice: &Slice) -> Markup {
    html! {
        tr {
            td.wrap { (slice.name) }
            td { (slice.queries) } td { (value(slice.baseline)) } td { (value(slice.system)) }
            td class=(tone(slice.difference)) { (signed(slice.difference)) }
            td { @if let Some(interval) = slice.interval { (signed(interval.low)) " to " (signed(interval.high)) } @else { "–" } }
            td { (slice.wins) } td { (slice.losses) }
        }
    }
}

fn truncation(found: &Truncation) -> Markup {
    html! {
        section {
            h2 { "Truncation" }
            p { (prose(&found.in_words())) }
        }
    }
}

fn unjudged(runs: &[Unjudged]) -> Markup {
    let Some(first) = runs.first() else { return html! {} };
    html! {
        section {
            h2 { "Judgements" }
            p.soft.small {
                "A passage that nobody has judged counts as not relevant. Where a system brings up passages that no other \
                 found, that is unfair to it."
            }
            div.scroll { table {
                thead { tr {
                    th { "run" } th { "judged in the first " (first.depth) } th { "unjudged" } th { "queries with one above the first relevant" }
                } }
                tbody { @for run in runs { tr {
                    td { (run.run) }
                    td { (share(run.passages - run.unjudged, run.passages)) } td { (run.unjudged) } td { (run.before_the_first_relevant) }
                } } }
            } }
        }
    }
}

/// Says whether the probabilities can be believed.
pub(crate) fn calibration(calibration: &Calibration) -> Markup {
    let caption = format!(
        "{}; calibration error on dev {:.3}, of the raw logits {:.3}",
        calibration.scaling, calibration.ece_after, calibration.ece_before
    );
    html! {
        section {
            h2 { "Calibration" }
            div.figures { figure { (plot::reliability(&calibration.bins_after)) figcaption { (prose(&caption)) } } }
        }
    }
}
