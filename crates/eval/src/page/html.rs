//! The report as one self-contained HTML file.

use super::prose::prose;
use super::{Page, account, examples, origins, systems};
use crate::decision::{Decision, Ruling};
use crate::verdict::Verdict;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");

/// Returns the report as one self-contained file: no script, no network, for light and dark screens
/// and for paper. Escapes everything that comes from data.
pub fn html(page: &Page) -> String {
    let assessment = page.assessment;
    let title = assessment.verdict.as_ref().map_or("Evaluation".to_owned(), |decision| {
        format!("{}: {} against {}", decision.ruling, decision.system, decision.baseline)
    });
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Keeps the browser from requesting an icon.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Whetstone evaluation" }
                    p.soft { (assessment.queries()) " queries, " (assessment.report.runs.len()) " runs, primary measure " code { (assessment.primary) } }
                }
                main {
                    @if let Some(decision) = &assessment.verdict { (verdict(decision)) }
                    @if let Some(recommendation) = &assessment.recommendation {
                        section.recommendation { p { strong { "Recommendation: " } (prose(&recommendation.text)) "." } }
                    }
                    (warnings(&assessment.warnings))
                    (systems::section(assessment))
                    @if let Some(why) = page.why { (account::sections(why, assessment)) }
                    @if let Some(calibration) = page.calibration { (account::calibration(calibration)) }
                    @if let Some(why) = page.why { (examples::section(why, assessment)) }
                    (origins::section(page))
                }
                (footer(page))
            }
        }
    };
    markup.into_string()
}

fn verdict(decision: &Decision) -> Markup {
    let tone = match decision.ruling {
        Ruling::Given(Verdict::Ship) => "ship",
        Ruling::Given(Verdict::DontShip) => "dont",
        Ruling::Given(Verdict::NotEnoughQueries { .. }) => "few",
        Ruling::Withheld(_) => "none",
    };
    html! {
        section class={ "verdict " (tone) } {
            strong { (decision.ruling) }
            p { (prose(&decision.reason)) "." }
        }
    }
}

fn warnings(warnings: &[String]) -> Markup {
    html! {
        @if !warnings.is_empty() {
            ul.warnings { @for warning in warnings { li { (prose(warning)) } } }
        }
    }
}

fn footer(page: &Page) -> Markup {
    let config = &page.assessment.config;
    html! {
        footer {
            p {
                "The rule of the verdict, in this order: fewer than " (config.min_queries) " queries are not enough; DON'T SHIP \
                 where the interval of the difference lies wholly below " (config.worthwhile_gain) "; SHIP where p, after \
                 Holm's correction, is at most " (config.alpha) " and the interval lies wholly above 0; else not enough \
                 queries. p is the paired randomisation test's (" (config.permutations) " permutations), intervals are \
                 bootstrapped (BCa, " (config.resamples) " resamples), seed " (config.seed) ". Stars: * 0.05, ** 0.01, *** \
                 0.001."
            }
            p { "Whetstone " (env!("CARGO_PKG_VERSION")) }
        }
    }
}
