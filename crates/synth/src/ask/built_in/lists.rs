//! The closed lists of English words that the built-in generator uses.

use std::collections::HashSet;
use std::sync::LazyLock;

/// A list of words, made once.
type List = LazyLock<HashSet<&'static str>>;

/// Words that carry no topic.
pub static STOP_WORDS: List = LazyLock::new(|| {
    "a about above after again against all almost along already also although always am among an and another any \
     are as at away be because been before being below between both but by can cannot could did do does done down \
     during each either else etc even ever every few for from further had has have having he hence her here his \
     how however i if in instead into is it its itself just least less like many may me might more moreover most \
     much must my neither no nor not nothing now of off often on once one only or other others otherwise our out \
     over own per quite rather same shall she should since so some somebody something soon still such than that \
     the their them then there thereby therefore these they this those though through thus to together too toward \
     towards two under until up upon us used using very via was we well were what whatever when where whereas \
     whether which while who whom whose why will with within without would yet you your"
        .split_whitespace()
        .collect()
});

/// Prepositions, at which a phrase is cut.
pub static PREPOSITIONS: List = LazyLock::new(|| {
    "about above across after against along among apart around as at before behind below besides between beyond \
     by despite during except following for from in inside into like near of on onto outside over per since than \
     through throughout to toward towards under unlike until upon using via with within without"
        .split_whitespace()
        .collect()
});

/// Words that refer to an earlier text. A question with one of them cannot be understood alone.
pub static ANAPHORS: List = LazyLock::new(|| {
    "above aforementioned below both former he her here him his it its itself latter said she such their them \
     these they this those"
        .split_whitespace()
        .collect()
});

/// Words that stand before a noun.
pub static DETERMINERS: List = LazyLock::new(|| {
    "a all an any each every no one our some the your".split_whitespace().collect()
});

/// Common words that nobody searches for.
pub static PLAIN_WORDS: List = LazyLock::new(|| {
    "able actual allowed become becomes better called came case certain come comes common commonly concerns day \
     days different done enough etc example explain first fixed found general get gets give given gives go goes \
     good happened hour hours important keep kept kind know known large last later leave left lies little long \
     look made make makes matter means meant minute minutes month months need needs never new next normal others \
     part parts people place put rest right said say second separate served set several short shown shows single \
     small take taken takes thing things third time told turn usually way week weeks went whole year years"
        .split_whitespace()
        .collect()
});

/// Numbers as words.
pub static NUMBERS: List = LazyLock::new(|| {
    "eight eleven fifteen fifty five forty four half hundred nine ninety seven six sixty ten thirty thousand \
     three twelve twenty twice two"
        .split_whitespace()
        .collect()
});

/// Units that are not plural nouns.
pub static UNITS: List = LazyLock::new(|| {
    "a cm g gw hz kda kg km kv kw kwh l l/min m m/s ma mg mg/l minus ml mm mw mwh n nm v w µs/cm"
        .split_whitespace()
        .collect()
});

/// Adjectives that follow a measure: `100 mm high`.
pub static MEASURES: List =
    LazyLock::new(|| "broad deep heavy high long old tall thick wide".split_whitespace().collect());

/// Words that belong to a number and are dropped with it.
pub static QUALIFIERS: List = LazyLock::new(|| {
    "about approximately around at exactly further least less more most nearly never no not only roughly some \
     than up"
        .split_whitespace()
        .collect()
});

/// Words at the start of a sentence that can be dropped.
pub static OPENERS: List = LazyLock::new(|| {
    "additionally also and but consequently conversely finally furthermore hence here however importantly indeed \
     instead interestingly moreover notably or overall recently similarly so specifically surprisingly then \
     therefore thus together"
        .split_whitespace()
        .collect()
});

/// Verbs that report what the clause after `that` says.
pub static REPORTING: List = LazyLock::new(|| {
    "conclude concluded confirmed demonstrate demonstrated demonstrates discovered established evidence find \
     found hypothesis hypothesized imply indicate indicated indicates note observed propose report reported \
     reveal revealed show showed shown shows speculate suggest suggested suggests"
        .split_whitespace()
        .collect()
});

/// Words that cannot begin a subject.
pub static NO_SUBJECT: List = LazyLock::new(|| {
    "except given provided all also although and another anybody because but do each either even every everybody everything here how i \
     if many most neither nobody none not nothing once one only or others otherwise please so some somebody that \
     then there though thus to unless we what when whenever where whether which while who why"
        .split_whitespace()
        .collect()
});

/// Words that begin an instruction to the reader, besides the base forms of the known verbs.
pub static ORDERS: List = LazyLock::new(|| {
    "ask avoid book choose close consider drain halve lengthen mention note press pull push read repeat ring \
     shorten stick tick try wait widen wipe write"
        .split_whitespace()
        .collect()
});

/// Auxiliaries, which swap places with the subject in a question.
pub static AUXILIARIES: List = LazyLock::new(|| {
    "are can could had has have is may might must shall should was were will would"
        .split_whitespace()
        .collect()
});

/// Participles that do not end in `ed` or `en`.
pub static PARTICIPLES: List = LazyLock::new(|| {
    "become been begun come done found gone had led made met run shown".split_whitespace().collect()
});

/// Verbs that say little without what follows them.
pub static LIGHT_VERBS: List = LazyLock::new(|| {
    "appear arise become come fall get go grow happen have last lie look mean remain result rise run see show \
     stand stay tell turn weigh work"
        .split_whitespace()
        .collect()
});

/// Verbs whose preposition belongs in the question.
pub static VERBS_WITH_PREPOSITION: List = LazyLock::new(|| {
    "apply to, belong to, bind to, contribute to, correlate with, depend on, differ from, interact with, lead to, \
     protect from, refer to, respond to, suffer from, wait for"
        .split(", ")
        .collect()
});

/// Verbs that are inflected by rule.
pub static REGULAR_VERBS: List = LazyLock::new(|| {
    "accelerate accept activate affect allow alter answer appear apply assume attenuate average belong block call \
     carry cause change charge check clear collect compare confer confirm connect contain contribute control \
     correlate count cover create cure decrease delay deliver demand demonstrate depend deserve determine differ \
     disappear display drop elevate eliminate enable encode end enhance enter exceed exhibit explain express \
     extend fail feed fill follow generate handle happen help identify impair improve include increase indicate \
     induce influence inhibit initiate interact involve join last learn lift limit link look lower maintain mark \
     measure mediate modify modulate need offer open owe own participate pass pay permit play poll predict \
     prevent produce promote propose protect provide reach receive recommend record reduce refer regulate release \
     remain remove replace report represent repress require resist respond restart restore result return reveal \
     reverse save send serve settle show slow start stay stimulate stop store suffer support suppress survive \
     switch target tolerate trigger turn use vary visit wait warm weigh work yield"
        .split_whitespace()
        .collect()
});
