//! Keyword queries for text without spaces between its words: Chinese, Japanese, Thai and the like.
//! Terms are the runs between signs, small words and changes of script; no dictionary is needed.

use super::Candidate;
use crate::chunk::sentences;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;
use whetstone_records::{Language, Passage};

/// Chinese characters that mostly join terms.
const JOINING: &str =
    "的了是在和与及或为以于对从到把被这那有不也就都而且其之将由並并與為於對從這會会可";
/// Vowels of Thai and Lao that are written before their syllable.
const LEADING_VOWELS: [char; 10] = ['เ', 'แ', 'โ', 'ใ', 'ไ', 'ເ', 'ແ', 'ໂ', 'ໃ', 'ໄ'];
/// Those that are written behind their consonant and cannot begin a syllable.
const FOLLOWING_VOWELS: [char; 7] = ['ะ', 'า', 'ำ', 'ๅ', 'າ', 'ຳ', 'ຽ'];
/// Letters of the longest term, of one script and of those that write syllables with several.
const MAX_LETTERS: usize = 6;
const MAX_SYLLABIC_LETTERS: usize = 8;
/// Terms of a query, and the share of a sentence's letters that they may be: less than what is
/// taken for a copy.
const TERMS: usize = 3;
const SENTENCE_FRACTION: f64 = 0.6;

/// Letters of the shortest part of a sentence, except for its last.
const MIN_CLAUSE_LETTERS: usize = 40;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Han,
    Katakana,
    /// Endings and small words of Japanese.
    Hiragana,
    /// Thai, Lao, Khmer, Burmese.
    SouthEastAsian,
    /// With spaces.
    Other,
}

fn script(c: char) -> Script {
    match c as u32 {
        0x3400..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff | 0x3005..=0x3007 => Script::Han,
        0x30a0..=0x30ff | 0x31f0..=0x31ff | 0xff66..=0xff9f => Script::Katakana,
        0x3040..=0x309f => Script::Hiragana,
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff => Script::SouthEastAsian,
        _ => Script::Other,
    }
}

/// Whether most letters of a text belong to a script without spaces.
pub(crate) fn is_unspaced(text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic());
    let (all, unspaced) = letters.fold((0, 0), |(all, unspaced), c| {
        (all + 1, unspaced + usize::from(script(c) != Script::Other))
    });
    unspaced * 2 > all
}

/// In how many passages each term occurs.
#[derive(Default)]
pub struct UnspacedTerms {
    passages: usize,
    frequency: HashMap<String, usize>,
}

impl UnspacedTerms {
    pub fn of(corpus: &[Passage]) -> Self {
        let unspaced = corpus.par_iter().filter(|passage| is_unspaced(&passage.text));
        let terms: Vec<HashSet<String>> = unspaced
            .map(|passage| terms(&passage.full_text()).map(str::to_owned).collect())
            .collect();
        let passages = terms.len();
        let mut frequency = HashMap::new();
        for term in terms.into_iter().flatten() {
            *frequency.entry(term).or_default() += 1;
        }
        Self { passages, frequency }
    }

    fn weight(&self, term: &str) -> f32 {
        let frequency = self.frequency.get(term).copied().unwrap_or(0);
        let rare = ((self.passages as f32 + 1.0) / (frequency as f32 + 0.5)).ln();
        rare * (term.graphemes(true).count() as f32).sqrt()
    }

    /// A query for each sentence: the title's terms, then the sentence's heaviest in their order.
    pub(super) fn candidates(&self, passage: &Passage, title: &str) -> Vec<Candidate> {
        let title: Vec<&str> = self.heaviest(terms(title).collect(), 1, usize::MAX);
        let spans = sentences(&passage.text, Language::Other).into_iter();
        let spans = spans.flat_map(|span| clauses(&passage.text, span)).enumerate();
        let candidate = |(source, span): (usize, Range<usize>)| {
            let sentence = &passage.text[span];
            let letters = sentence.unicode_words().count() as f64 * SENTENCE_FRACTION;
            let chosen = self.heaviest(terms(sentence).collect(), TERMS, letters as usize);
            let merit = chosen.iter().map(|term| self.weight(term)).sum::<f32>();
            let named = title.iter().filter(|name| !chosen.contains(name));
            let words: Vec<&str> = named.chain(&chosen).copied().collect();
            (chosen.len() > 1 || words.len() > 1).then(|| Candidate {
                style: "keywords",
                text: words.join(" "),
                source,
                merit,
            })
        };
        spans.filter_map(candidate).collect()
    }

    /// Different terms of the largest weights, in their order, of so many letters together.
    fn heaviest<'t>(&self, terms: Vec<&'t str>, count: usize, letters: usize) -> Vec<&'t str> {
        let mut order: Vec<usize> = (0..terms.len()).collect();
        order.sort_by(|a, b| {
            self.weight(terms[*b]).total_cmp(&self.weight(terms[*a])).then(a.cmp(b))
        });
        let mut seen = HashSet::new();
        let mut left = letters;
        order.retain(|at| {
            let length = terms[*at].graphemes(true).count();
            let fits = length <= left && seen.insert(terms[*at]);
            left -= if fits { length } else { 0 };
            fits
        });
        order.truncate(count);
        order.sort_unstable();
        order.into_iter().map(|at| terms[at]).collect()
    }
}

/// The parts of a sentence. Thai and its neighbours set spaces between clauses and no full stop, so
/// that a paragraph is one sentence; clauses go together until they are long enough for a query.
fn clauses(text: &str, sentence: Range<usize>) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut at = sentence.start;
    for clause in text[sentence].split_inclusive(' ') {
        let end = at + clause.len();
        let is_long = |part: &Range<usize>| {
            text[part.clone()].unicode_words().count() >= MIN_CLAUSE_LETTERS
                && clause.chars().any(|c| script(c) == Script::SouthEastAsian)
        };
        match parts.last_mut() {
            Some(last) if !is_long(last) => last.end = end,
            _ => parts.push(at..end),
        }
        at = end;
    }
    parts
}

/// The terms of a text, in order.
fn terms(text: &str) -> impl Iterator<Item = &str> {
    let is_japanese = text.chars().any(|c| script(c) == Script::Hiragana);
    let mut runs: Vec<&str> = Vec::new();
    let mut before: Option<Script> = None;
    for (at, letter) in text.grapheme_indices(true) {
        let c = letter.chars().next().unwrap_or(' ');
        let kind = script(c);
        let joins = kind == Script::Hiragana || (!is_japanese && JOINING.contains(c));
        let here = (c.is_alphanumeric() && !joins).then_some(kind);
        match (before, here) {
            (Some(before), Some(kind)) if before == kind => {
                let start = runs.pop().map_or(at, |run| at - run.len());
                runs.push(&text[start..at + letter.len()]);
            }
            (_, Some(_)) => runs.push(&text[at..at + letter.len()]),
            _ => {}
        }
        before = here;
    }
    runs.into_iter().map(cut).filter(|term| term.graphemes(true).count() > 1)
}

/// The end of a long run, in Thai from where a syllable begins.
fn cut(run: &str) -> &str {
    let is_syllabic = script(run.chars().next().unwrap_or(' ')) == Script::SouthEastAsian;
    // As the filters count them, where some vowels of Thai are letters of their own.
    let letters: Vec<(usize, &str)> = match is_syllabic {
        true => run.unicode_word_indices().collect(),
        false => run.grapheme_indices(true).collect(),
    };
    let start = match script(run.chars().next().unwrap_or(' ')) {
        Script::Other => 0,
        Script::SouthEastAsian => {
            let first = letters.len().saturating_sub(MAX_SYLLABIC_LETTERS);
            let begins = |at: &usize| letters[*at].1.starts_with(LEADING_VOWELS);
            let next = (first..letters.len().saturating_sub(2)).find(begins);
            let no_vowel = |at: &usize| !letters[*at].1.starts_with(FOLLOWING_VOWELS);
            let start = next.or_else(|| (first..letters.len()).find(no_vowel)).unwrap_or(first);
            if first == 0 { 0 } else { start }
        }
        _ => letters.len().saturating_sub(MAX_LETTERS),
    };
    &run[letters[start].0..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_stand_between_signs_small_words_and_other_scripts() {
        let found = |text: &'static str| terms(text).collect::<Vec<_>>();
        assert_eq!(
            found("暖房の戻り温度は45度、VX-40のポンプ。"),
            ["暖房", "温度", "45", "VX", "40", "ポンプ"]
        );
        assert_eq!(found("水泵的安全阀在三巴打开。"), ["水泵", "安全阀", "三巴打开"]);
        // By letters as they are compared with the passage, where a vowel may count alone.
        let long = found("สายไฟที่ชำรุดโดยช่างผู้ชำนาญ");
        assert!(long[0].unicode_words().count() <= MAX_SYLLABIC_LETTERS, "{long:?}");
        assert_eq!(found("ภายสามสิบวินาที"), ["มสิบวินาที"], "begins with no vowel");
        let text = "ปั๊มน้ำรุ่นนี้ออกแบบมาสำหรับบ้านพักอาศัยขนาดกลาง ก่อนใช้งานครั้งแรกต้องเติมน้ำให้เต็ม หากเปิดเครื่อง";
        let parts = clauses(text, 0..text.len());
        assert!(parts.len() > 1 && parts.last().unwrap().end == text.len(), "{parts:?}");
        assert!(is_unspaced("暖房の VX-40") && is_unspaced("วาล์วเปิด") && !is_unspaced("펌프 밸브"));
    }
}
