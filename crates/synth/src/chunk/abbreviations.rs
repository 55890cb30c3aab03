//! Abbreviations after which a full stop does not end the sentence, by language, in lower case.

use whetstone_records::Language;

const ENGLISH: &[&str] = &[
    "al", "approx", "art", "ca", "cf", "ch", "dr", "eq", "eqs", "e.g", "etc", "ex", "fig", "figs",
    "i.e", "incl", "jr", "max", "min", "mr", "mrs", "ms", "no", "nos", "p", "pp", "prof", "ref",
    "refs", "resp", "sec", "sect", "sp", "spp", "sr", "st", "tab", "viz", "vol", "vs",
];
const GERMAN: &[&str] = &[
    "abb", "abs", "allg", "art", "bd", "bspw", "bzgl", "bzw", "ca", "d.h", "dgl", "dr", "ebd",
    "einschl", "etc", "evtl", "exkl", "f", "ff", "geb", "gem", "ggf", "i.d.r", "inkl", "kap",
    "max", "min", "mind", "nr", "o.ä", "o.g", "prof", "s", "s.o", "s.u", "sog", "st", "std", "str",
    "tab", "tel", "u.a", "u.u", "usf", "usw", "u", "v.a", "vgl", "z", "z.b", "z.t", "zzgl",
];
const SPANISH: &[&str] = &[
    "aprox", "art", "arts", "av", "avda", "cap", "cf", "d", "dr", "dra", "ed", "ej", "etc", "fig",
    "figs", "máx", "mín", "núm", "núms", "p", "p.ej", "pág", "págs", "pp", "prof", "ref", "sr",
    "sra", "sres", "srta", "tel", "ud", "uds", "vol", "vs",
];
const FRENCH: &[&str] = &[
    "al", "art", "av", "bd", "cf", "chap", "dr", "env", "etc", "ex", "fig", "m", "max", "min",
    "mm", "no", "p", "p.ex", "pp", "pr", "réf", "st", "ste", "tab", "tél", "vol",
];
const ITALIAN: &[&str] = &[
    "art", "artt", "c.a", "ca", "cap", "cfr", "dott", "ecc", "es", "fig", "ing", "max", "min", "n",
    "nr", "p", "p.es", "pag", "pagg", "pp", "prof", "rif", "sig", "sigg", "tab", "tel", "vol",
];
const PORTUGUESE: &[&str] = &[
    "aprox", "art", "arts", "cap", "cf", "dr", "dra", "etc", "ex", "fig", "máx", "mín", "n", "núm",
    "p", "p.ex", "pág", "págs", "pp", "prof", "ref", "sr", "sra", "tel", "vol",
];
const DUTCH: &[&str] = &[
    "a.u.b", "afb", "art", "bijv", "blz", "b.v", "ca", "cf", "d.w.z", "dr", "e.d", "enz", "evt",
    "excl", "fig", "hfst", "incl", "ing", "ir", "m.b.t", "max", "mevr", "mr", "min", "nl", "nr",
    "o.a", "p", "prof", "resp", "st", "tel", "vgl",
];
const SCANDINAVIAN: &[&str] = &[
    "bl.a", "ca", "dr", "dvs", "eks", "etc", "f.eks", "fig", "forts", "inkl", "jf", "jfr", "kap",
    "kl", "maks", "max", "min", "mv", "nr", "osv", "o.l", "pga", "resp", "s", "st", "t.ex", "tlf",
];
const RUSSIAN: &[&str] = &[
    "г", "гл", "гг", "др", "им", "макс", "мин", "напр", "п", "пп", "пр", "рис", "с", "см", "ср",
    "стр", "т.д", "т.е", "т.к", "т.п", "табл", "тел", "ул",
];

/// Returns the list of a language; that of English where it has none.
pub(super) fn of(language: Language) -> &'static [&'static str] {
    match language {
        Language::German => GERMAN,
        Language::Spanish => SPANISH,
        Language::French => FRENCH,
        Language::Italian => ITALIAN,
        Language::Portuguese => PORTUGUESE,
        Language::Dutch => DUTCH,
        Language::Danish | Language::Norwegian | Language::Swedish => SCANDINAVIAN,
        Language::Russian => RUSSIAN,
        _ => ENGLISH,
    }
}

/// Whether a full stop after a short number makes an ordinal of it: `am 3. Oktober`.
pub(super) fn has_dotted_ordinals(language: Language) -> bool {
    matches!(
        language,
        Language::German
            | Language::Danish
            | Language::Norwegian
            | Language::Hungarian
            | Language::Turkish
    )
}
