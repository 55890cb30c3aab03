//! Where sentences end.

use super::abbreviations;
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;
use whetstone_records::Language;

/// Returns the sentences of a paragraph as byte spans without surrounding white space.
///
/// Unicode's sentence boundaries (UAX 29), where a line break is a space and abbreviations and
/// initials do not end a sentence.
pub(crate) fn sentences(text: &str, language: Language) -> Vec<Range<usize>> {
    // One byte for one byte, so that offsets stay what they are.
    let flat: String = text.chars().map(|c| if c == '\n' || c == '\r' { ' ' } else { c }).collect();
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for (start, piece) in flat.split_sentence_bound_indices() {
        let end = start + piece.len();
        // Markdown's `**Name.** Text`: the marks after the full stop belong to what they close.
        let marks = piece.len() - piece.trim_start_matches(['*', '_', '`']).len();
        let closes = marks > 0
            && spans.last().is_some_and(|last| !flat[..last.end].ends_with(char::is_whitespace));
        let start = if closes { start + marks } else { start };
        let piece = &flat[start..end];
        if let (true, Some(last)) = (closes, spans.last_mut()) {
            last.end = start;
            // A name in bold stays with what is said of it.
            open |= flat[last.clone()].trim_start().starts_with("**");
        }
        match spans.last_mut() {
            Some(last) if open => last.end = end,
            _ => spans.push(start..end),
        }
        open = ends_in_abbreviation(piece, language);
    }
    spans.retain_mut(|span| {
        let slice = &flat[span.clone()];
        let start = span.start + slice.len() - slice.trim_start().len();
        *span = start..(span.start + slice.trim_end().len()).max(start);
        span.start < span.end
    });
    spans
}

fn ends_in_abbreviation(piece: &str, language: Language) -> bool {
    let Some(rest) = piece.trim_end().strip_suffix('.') else { return false };
    let word = rest
        .rsplit(|c: char| c.is_whitespace() || "([\"'“‘".contains(c))
        .next()
        .unwrap_or_default();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    let ordinal = (1..=2).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_digit())
        && abbreviations::has_dotted_ordinals(language);
    initial || ordinal || abbreviations::of(language).contains(&word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        split_in(Language::English, text)
    }

    fn split_in(language: Language, text: &str) -> Vec<&str> {
        sentences(text, language).into_iter().map(|span| &text[span]).collect()
    }

    #[test]
    fn sentences_end_at_full_stops_but_not_in_numbers_and_abbreviations() {
        let text =
            "Set 3.5 bar, e.g. by hand. See Fig. A of J. Smith et al. Then wait! Is it warm?  Yes.";
        assert_eq!(
            split(text),
            [
                "Set 3.5 bar, e.g. by hand.",
                "See Fig. A of J. Smith et al. Then wait!",
                "Is it warm?",
                "Yes."
            ]
        );
    }

    #[test]
    fn a_name_in_bold_stays_with_what_is_said_of_it() {
        assert_eq!(
            split("**P-11, dry.** The pump stops. *Wait.* Go."),
            ["**P-11, dry.** The pump stops.", "*Wait.*", "Go."]
        );
    }

    #[test]
    fn a_line_break_does_not_end_a_sentence() {
        assert_eq!(
            split("Close the valve\nof the unit.\r\nWait."),
            ["Close the valve\nof the unit.", "Wait."]
        );
    }

    #[test]
    fn other_scripts_are_cut_as_well() {
        assert_eq!(split("バルブを閉める。待つ。"), ["バルブを閉める。", "待つ。"]);
    }

    #[test]
    fn every_language_has_its_own_abbreviations() {
        let german = "Am 3. Oktober, d.h. morgen, ist bzw. Wird geprüft. Siehe Abb. A.";
        assert_eq!(
            split_in(Language::German, german),
            ["Am 3. Oktober, d.h. morgen, ist bzw. Wird geprüft.", "Siehe Abb. A."]
        );
        let spanish = "Véase la pág. A. El Sr. Gil cierra la válvula. ¿Está fría?";
        assert_eq!(
            split_in(Language::Spanish, spanish),
            ["Véase la pág. A. El Sr. Gil cierra la válvula.", "¿Está fría?"]
        );
        let chinese = "先打开阀门。然后等待！水热吗？完。";
        let found = split_in(Language::Chinese, chinese);
        assert_eq!(found, ["先打开阀门。", "然后等待！", "水热吗？", "完。"]);
    }
}
