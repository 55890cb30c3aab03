//! Draws `loss.svg` and `dev.svg` from log.jsonl.

use crate::error::Result;
use crate::log::LogLine;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;
use whetstone_records::{AtomicFile, RunDir};

const SIZE: (u32, u32) = (840, 420);
const BLUE_LINE: RGBColor = RGBColor(31, 111, 235);
const GRAY_LINE: RGBColor = RGBColor(150, 150, 150);
const ORANGE_LINE: RGBColor = RGBColor(219, 109, 40);

/// One line of a plot.
struct Series {
    name: &'static str,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Writes both plots into the run's folder.
pub(crate) fn write(run: &Path, lines: &[LogLine]) -> Result<()> {
    let steps: Vec<(f64, f64)> = lines
        .iter()
        .filter_map(|line| match line {
            LogLine::Step { step, loss, .. } => Some((*step as f64, f64::from(*loss))),
            LogLine::Dev { .. } => None,
        })
        .collect();
    let smooth = moving_average(&steps, (steps.len() / 20).max(1));
    let loss = [
        Series { name: "each step", color: GRAY_LINE, points: steps },
        Series { name: "moving average", color: BLUE_LINE, points: smooth },
    ];
    let dev = |of: fn(f64, Option<f64>) -> Option<f64>| -> Vec<(f64, f64)> {
        lines
            .iter()
            .filter_map(|line| match line {
                LogLine::Dev { step, dev_ndcg_at_10, general_ndcg_at_10 } => {
                    Some((*step as f64, of(*dev_ndcg_at_10, *general_ndcg_at_10)?))
                }
                LogLine::Step { .. } => None,
            })
            .collect()
    };
    let dev = [
        Series { name: "dev", color: BLUE_LINE, points: dev(|own, _| Some(own)) },
        Series { name: "general", color: ORANGE_LINE, points: dev(|_, general| general) },
    ];
    for (file, title, series) in
        [(RunDir::LOSS_PLOT, "training loss", loss), (RunDir::DEV_PLOT, "nDCG@10", dev)]
    {
        let series: Vec<Series> =
            series.into_iter().filter(|series| !series.points.is_empty()).collect();
        if !series.is_empty() {
            AtomicFile::write_all_to(&run.join(file), svg(title, &series).as_bytes())?;
        }
    }
    Ok(())
}

/// Returns the mean of each point and up to `window - 1` points before it.
fn moving_average(points: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    (0..points.len())
        .map(|end| {
            let part = &points[(end + 1).saturating_sub(window)..=end];
            (points[end].0, part.iter().map(|point| point.1).sum::<f64>() / part.len() as f64)
        })
        .collect()
}

fn svg(title: &str, series: &[Series]) -> String {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        draw(&area, title, series).expect("drawing into a string does not fail");
    }
    text
}

type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(area: &DrawingArea<SVGBackend, Shift>, title: &str, series: &[Series]) -> Drawn {
    area.fill(&WHITE)?;
    let all = || series.iter().flat_map(|series| &series.points);
    let last = all().map(|point| point.0).fold(1.0, f64::max);
    let (low, high) = all()
        .fold((f64::MAX, f64::MIN), |(low, high), point| (low.min(point.1), high.max(point.1)));
    let margin = ((high - low) * 0.05).max(1e-3);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..last, low - margin..high + margin)?;
    let step = |value: &f64| format!("{value:.0}");
    chart
        .configure_mesh()
        .x_desc("step")
        .x_label_formatter(&step)
        .light_line_style(WHITE)
        .draw()?;
    for Series { name, color, points } in series {
        let style = color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(GRAY_LINE)
        .draw()?;
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_looks_back_only() {
        let points = [(1.0, 4.0), (2.0, 2.0), (3.0, 0.0)];
        assert_eq!(moving_average(&points, 2), [(1.0, 4.0), (2.0, 3.0), (3.0, 1.0)]);
    }

    #[test]
    fn plots_are_written_for_what_the_log_has() {
        let run = tempfile::tempdir().unwrap();
        let step = |step, loss| LogLine::Step {
            step,
            epoch: 1,
            loss,
            lr: 1e-4,
            grad_norm: 1.0,
            pairs: 4,
            tokens: 90,
        };
        write(run.path(), &[step(1, 0.7), step(2, 0.5)]).unwrap();
        let loss = std::fs::read_to_string(run.path().join("loss.svg")).unwrap();
        assert!(
            loss.starts_with("<svg")
                && loss.contains("training loss")
                && loss.contains("<polyline")
        );
        assert!(!run.path().join("dev.svg").exists());
        let dev = LogLine::Dev { step: 2, dev_ndcg_at_10: 0.6, general_ndcg_at_10: Some(0.5) };
        write(run.path(), &[step(1, 0.7), dev]).unwrap();
        assert!(std::fs::read_to_string(run.path().join("dev.svg")).unwrap().contains("general"));
    }
}
