//! Units become pieces of at most so many tokens.

use super::Cutting;
use super::document::{Section, Unit};
use super::sentences::sentences;
use crate::config::ChunkConfig;
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;
use whetstone_records::Language;

/// No token of a vocabulary is longer than this, in bytes.
const MAX_TOKEN_BYTES: usize = 64;
/// Characters that make a token where the tokenizer does not say.
const CHARS_PER_TOKEN: usize = 4;

/// A passage to be: a slice of the document's text and the section that names it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    pub span: Range<usize>,
    pub section: usize,
}

/// Where the tokens of a text are, so that any slice of it is counted without being tokenized
/// again.
pub(crate) struct TokenMap {
    starts: Vec<usize>,
}

impl TokenMap {
    /// Takes the byte span of every token of the whole text, in order.
    ///
    /// A tokenizer makes one token of any run of letters that it has no pieces for, be it a page of
    /// Thai, and none of the marks that it strips. Such text counts by its length, or passages would
    /// have no bounds.
    pub fn new(text: &str, offsets: &[(usize, usize)]) -> Self {
        let mut starts = Vec::with_capacity(offsets.len());
        let ends = offsets.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
        let before = offsets.first().map_or(text.len(), |(start, _)| *start);
        count_letters(text, 0..before, &mut starts);
        for ((start, _), end) in offsets.iter().zip(ends) {
            starts.push(*start);
            count_letters(text, *start..end, &mut starts);
        }
        Self { starts }
    }

    /// The number of tokens that begin in the span.
    pub fn count(&self, span: &Range<usize>) -> usize {
        self.index(span.end) - self.index(span.start)
    }

    fn index(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start < byte)
    }
}

/// Adds a token for every few letters of a stretch that is too long for one.
fn count_letters(text: &str, stretch: Range<usize>, starts: &mut Vec<usize>) {
    if stretch.len() > MAX_TOKEN_BYTES {
        let letters = text.get(stretch.clone()).unwrap_or_default().char_indices();
        let letters = letters.filter(|(_, c)| !c.is_whitespace());
        let rest = letters.step_by(CHARS_PER_TOKEN).skip(1);
        starts.extend(rest.map(|(at, _)| stretch.start + at));
    }
}

/// Packs the units of each section into pieces of at most `passage-tokens`, the next one beginning
/// with the last whole sentences of the one before, up to `overlap-tokens`.
pub(crate) fn pack(
    text: &str,
    sections: Vec<Section>,
    tokens: &TokenMap,
    cutting: Cutting,
) -> Vec<Piece> {
    let Cutting { config, language } = cutting;
    let limit = (config.passage_tokens, language);
    let mut pieces = Vec::new();
    for (index, units) in join_short(sections, tokens, config.min_tokens) {
        let units: Vec<Unit> =
            units.into_iter().flat_map(|unit| cut_long(text, unit, tokens, limit)).collect();
        let spans = pack_section(&units, tokens, config);
        pieces.extend(spans.into_iter().map(|span| Piece { span, section: index }));
    }
    pieces
}

/// Sections that are too short to stand alone go with the next one, and at the end with the one
/// before.
fn join_short(
    sections: Vec<Section>,
    tokens: &TokenMap,
    min_tokens: usize,
) -> Vec<(usize, Vec<Unit>)> {
    let mut joined: Vec<(usize, Vec<Unit>)> = Vec::new();
    let mut short: Vec<Unit> = Vec::new();
    let mut short_index = 0;
    for (index, section) in
        sections.into_iter().enumerate().filter(|(_, section)| !section.units.is_empty())
    {
        short.extend(section.units);
        short_index = index;
        if tokens_of(&short, tokens) >= min_tokens {
            joined.push((index, std::mem::take(&mut short)));
        }
    }
    match joined.last_mut() {
        Some((_, units)) => units.extend(short),
        None if !short.is_empty() => joined.push((short_index, short)),
        None => {}
    }
    joined
}

fn tokens_of(units: &[Unit], tokens: &TokenMap) -> usize {
    units.iter().map(|unit| tokens.count(&unit.span)).sum()
}

fn pack_section(units: &[Unit], tokens: &TokenMap, config: &ChunkConfig) -> Vec<Range<usize>> {
    let span = |range: Range<usize>| units[range.start].span.start..units[range.end - 1].span.end;
    let mut pieces: Vec<Range<usize>> = Vec::new();
    // Units start..end are in the present piece; those from `new` on were in none before.
    let (mut start, mut new) = (0, 0);
    while new < units.len() {
        let mut end = new + 1;
        while end < units.len() && tokens.count(&span(start..end + 1)) <= config.passage_tokens {
            end += 1;
        }
        let rest = end == units.len() && tokens.count(&span(new..end)) < config.min_tokens;
        // What stands between them, such as headings without text, may be long.
        let fits = |last: &Range<usize>| {
            let joined = last.start..units[end - 1].span.end;
            tokens.count(&joined) <= config.passage_tokens + config.min_tokens
        };
        match pieces.last_mut() {
            Some(last) if rest && fits(last) => last.end = units[end - 1].span.end,
            _ => pieces.push(span(start..end)),
        }
        new = end;
        start = new;
        while start > 0
            && new < units.len()
            && !units[start - 1].solid
            && tokens.count(&span(start - 1..new)) <= config.overlap_tokens
            && tokens.count(&span(start - 1..new + 1)) <= config.passage_tokens
        {
            start -= 1;
        }
    }
    pieces
}

/// A unit that alone exceeds the limit, cut at the best places: lines of code or table, sentences,
/// words.
fn cut_long(
    text: &str,
    unit: Unit,
    tokens: &TokenMap,
    (limit, language): (usize, Language),
) -> Vec<Unit> {
    if tokens.count(&unit.span) <= limit {
        return vec![unit];
    }
    let slice = &text[unit.span.clone()];
    let parts = if unit.solid { lines(slice) } else { sentences(slice, language) };
    let parts = if parts.len() > 1 { parts } else { words(slice) };
    let parts = if parts.len() > 1 { parts } else { letters(slice) };
    let parts = if parts.len() > 1 { parts } else { characters(slice) };
    let mut units: Vec<Unit> = Vec::new();
    for part in parts {
        let span = unit.span.start + part.start..unit.span.start + part.end;
        match units.last_mut() {
            Some(last) if tokens.count(&(last.span.start..span.end)) <= limit => {
                last.span.end = span.end
            }
            _ => units.push(Unit { span, solid: unit.solid }),
        }
    }
    // A sentence or line may still be longer than the limit; a single character cannot be cut.
    units
        .into_iter()
        .flat_map(|part| {
            let smaller = part.span.len() < unit.span.len();
            match smaller {
                true => cut_long(text, part, tokens, (limit, language)),
                false => vec![part],
            }
        })
        .collect()
}

fn lines(text: &str) -> Vec<Range<usize>> {
    let mut at = 0;
    let spans = text.split_inclusive('\n').map(|line| {
        let span = at..at + line.trim_end().len();
        at += line.len();
        span
    });
    spans.filter(|span| !span.is_empty()).collect()
}

fn words(text: &str) -> Vec<Range<usize>> {
    text.split_whitespace()
        .map(|word| {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            start..start + word.len()
        })
        .collect()
}

/// Letters with the marks that are set on them.
fn letters(text: &str) -> Vec<Range<usize>> {
    text.grapheme_indices(true).map(|(start, letter)| start..start + letter.len()).collect()
}

fn characters(text: &str) -> Vec<Range<usize>> {
    text.char_indices().map(|(start, c)| start..start + c.len_utf8()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::document::Outline;
    use crate::chunk::markdown;

    /// A token is a run of non-space characters.
    fn token_map(text: &str) -> TokenMap {
        TokenMap::new(
            text,
            &words(text).into_iter().map(|span| (span.start, span.end)).collect::<Vec<_>>(),
        )
    }

    fn pack_markdown(
        text: &str,
        passage_tokens: usize,
        overlap_tokens: usize,
        min_tokens: usize,
    ) -> Vec<&str> {
        let config =
            ChunkConfig { passage_tokens, overlap_tokens, min_tokens, ..ChunkConfig::default() };
        let (_, blocks) = markdown::read(text, 0);
        let language = Language::English;
        let sections = Outline::of(text, &blocks, language).sections;
        let cutting = Cutting { config: &config, language };
        let pieces = pack(text, sections, &token_map(text), cutting);
        pieces.into_iter().map(|piece| &text[piece.span]).collect()
    }

    const STORY: &str = "a1 a2 a3 a4. B1 b2 b3 b4. C1 c2 c3 c4. D1 d2 d3 d4. E1 e2 e3 e4.";

    #[test]
    fn whole_sentences_fill_a_passage_and_the_next_repeats_the_last() {
        let expected =
            ["a1 a2 a3 a4. B1 b2 b3 b4.", "B1 b2 b3 b4. C1 c2 c3 c4.", "C1 c2 c3 c4. D1 d2 d3 d4."];
        assert_eq!(pack_markdown(STORY, 9, 4, 2)[..3], expected);
        assert_eq!(pack_markdown(STORY, 9, 0, 2)[..2], [expected[0], expected[2]]);
    }

    #[test]
    fn a_short_tail_joins_the_passage_before_it() {
        let text = "a1 a2 a3 a4. B1 b2 b3 b4. C1 c2.";
        assert_eq!(pack_markdown(text, 8, 0, 3), [text]);
        assert_eq!(pack_markdown(text, 8, 0, 2), ["a1 a2 a3 a4. B1 b2 b3 b4.", "C1 c2."]);
    }

    #[test]
    fn a_line_without_tokens_is_cut_by_its_letters_and_keeps_their_marks() {
        let unknown = "วาล์วนิรภัยเปิดที่สามบาร์".repeat(12_000);
        let marks = format!("e{} end.", "\u{301}".repeat(300_000));
        for text in [unknown.as_str(), marks.as_str()] {
            let pieces = pack_markdown(text, 50, 0, 0);
            assert!(pieces.iter().all(|piece| piece.chars().count() <= 204), "{}", pieces.len());
        }
        let pieces = pack_markdown(&unknown, 50, 0, 0);
        let torn = |piece: &&&str| piece.starts_with(['\u{e47}', '\u{e48}', '\u{e4c}', '\u{e34}']);
        assert_eq!(pieces.iter().filter(torn).count(), 0);
        assert_eq!(pieces.concat(), unknown);
    }

    #[test]
    fn a_short_tail_far_below_stays_alone() {
        let headings = "## H\n\n".repeat(40);
        let text = format!("a1 a2 a3 a4. B1 b2 b3 b4.\n\n{headings}C1 c2.\n");
        assert_eq!(pack_markdown(&text, 8, 0, 3), ["a1 a2 a3 a4. B1 b2 b3 b4.", "C1 c2."]);
    }

    #[test]
    fn no_passage_crosses_a_heading_unless_its_section_is_too_short() {
        let text = "# T\n\nShort.\n\n## A\n\nOne two three four.\n\n## B\n\nFive six seven eight.\n\n## C\n\nNine.";
        let expected =
            ["Short.\n\n## A\n\nOne two three four.", "Five six seven eight.\n\n## C\n\nNine."];
        assert_eq!(pack_markdown(text, 50, 0, 3), expected);
    }

    #[test]
    fn a_code_block_is_torn_only_where_it_alone_is_too_long() {
        let text = "Before it comes this.\n\n```\na b\nc d\n```\n\nAfter it comes that.";
        let expected = ["Before it comes this.", "```\na b\nc d\n```", "After it comes that."];
        assert_eq!(pack_markdown(text, 6, 3, 0), expected);
        let expected =
            ["Before it comes", "this.", "```\na b", "c d\n```", "After it comes", "that."];
        assert_eq!(pack_markdown(text, 3, 0, 0), expected);
    }

    #[test]
    fn every_word_is_in_a_passage_and_none_is_too_long() {
        let text = format!("{STORY} {}", "word ".repeat(300));
        for limit in 3..40 {
            let passages = pack_markdown(&text, limit, limit / 3, 0);
            assert!(passages.iter().all(|passage| words(passage).len() <= limit));
            let mut end = 0;
            for passage in passages {
                let start = passage.as_ptr() as usize - text.as_ptr() as usize;
                assert!(start <= end || text[end..start].trim().is_empty());
                end = start + passage.len();
            }
            assert!(text[end..].trim().is_empty());
        }
    }
}
