//! The closed lists of English words that the built-in generator uses.

use std::collections::HashSet;
use std::sync::LazyLock;

/// A list of words, made once.
type List = LazyLock<HashSet<&'static str>>;

/// Words that carry no topic.
pub static STOP_WORDS: List = LazyLock::new(|| {
    "a about above answering anybody anyone anything myself thanks themselves yourself after again against all almost along already also although always am among an and another any \
     are as at away be because been before being below between both but by can cannot could dated did do does done down \
     during each either else ended etc even ever every excluding few for from further had has have having he hence her here his \
     how however i if in including instead into is it its itself just least less like many may me might more moreover most \
     much must my neither no nor not nothing now of off often on once one only or other others otherwise our out \
     over own per quite rather regarding relating same shall she should since so some somebody someone something soon still such than that \
     the their them then there thereby therefore these they this those though through thus to together too toward \
     towards two under until up upon us used using very via was we well were what whatever when where whereas \
     whether which while who whom whose why will with within without would yes yet you your"
        .split_whitespace()
        .collect()
});

/// Prepositions, at which a phrase is cut.
pub static PREPOSITIONS: List = LazyLock::new(|| {
    "about above across after against along among apart around as at before behind below besides between beyond \
     by concerning despite during except excluding following for from in including inside into like near of on onto outside over per regarding relating since than \
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
    "billion eight eleven fifteen fifty five forty four half hundred million nine ninety seven six sixty ten thirty thousand \
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
    "become been begun bought brought built come done drawn found given gone grown had held kept known led lost \
     made met paid put run seen sent set shown sold spent taken thrown told worn written"
        .split_whitespace()
        .collect()
});

/// Verbs that say little without what follows them.
pub static LIGHT_VERBS: List = LazyLock::new(|| {
    "affect agree allow anticipate appear arise assume be become believe come consider contain continue depend do \
     enjoy exceed expect fall feel get give go grow guess happen hate have hear hope imagine include intend involve \
     keep know last lie like look love mean mention need note notice occur pass put receive recommend refer relate remain remember \
     represent require result rise run say see seem show stand stay suggest tell tend think turn understand want \
     weigh wish work"
        .split_whitespace()
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

/// Words that a person who types leaves out before a noun.
pub static ARTICLES: List = LazyLock::new(|| {
    "a an her his its my our the their these this those your".split_whitespace().collect()
});

/// Words before a verb.
pub static BEFORE_VERBS: List = LazyLock::new(|| {
    "can can't cannot could didn't doesn't don't he i it let may might must not please shall she should that they \
     to we which who will won't would you"
        .split_whitespace()
        .collect()
});

/// Words that only a verb follows.
pub static BEFORE_ACTIONS: List = LazyLock::new(|| {
    "can can't cannot could couldn't didn't doesn't don't i might must shall should they we will won't would you"
        .split_whitespace()
        .collect()
});

/// Nouns that end like verbs.
pub static NOUNS_IN_ING: List = LazyLock::new(|| {
    "accounting bearing beginning bottling brewing building casing ceiling clothing coating cooking cooling drawing \
     dressing drilling earning engineering evening financing fitting funding heating holding housing king licensing \
     lighting listing malting manufacturing marketing meeting metering morning offering opening packaging pairing \
     piping planning plating plumbing pricing rating reading recycling ring saving setting shipping spring string \
     testing training warning welding wiring wing"
        .split_whitespace()
        .collect()
});

/// Nouns that end like adverbs.
pub static NOUNS_IN_LY: List = LazyLock::new(|| {
    "anomaly assembly barley belly butterfly family italy july multiply reply supply"
        .split_whitespace()
        .collect()
});

/// Adjectives that a noun phrase can't end in.
pub static NOT_HEADS: List = LazyLock::new(|| {
    "able afterwards ahead alike apart available aware away back bad best better big close common correct cool cold dark different difficult dry due easy \
     equal exact following free fresh full general good great hard high hot huge ideal important large likely low \
     main necessary new nice old only open payable possible potential present previous proper ready real recent \
     regular related relative responsible right same short significant similar simple single special specific \
     standard strong subject such sure true typical unable unlikely useful warm weak wet wide worse worth wrong \
     young"
        .split_whitespace()
        .collect()
});

/// Adjectives that narrow nothing down.
pub static DULL: List = LazyLock::new(|| {
    "additional aka amazing appropriate available basic best big bit certain clear closest complete current different easy entire \
     essential exact excellent existing following full further good great huge important individual initial \
     interesting key large likely main major necessary new nice numerous obvious old original overall particular \
     perfect popular possible potential present previous primary proper real reasonable recent related relevant \
     respective serious significant similar simple special specific substantial such suitable sure true typical \
     unique unusual useful usual various wide wonderful"
        .split_whitespace()
        .collect()
});

/// Nouns that mean something only beside what was said before.
pub static VAGUE: List = LazyLock::new(|| {
    "accordance addition anywhere hundreds majority multiples ones thousands advance amount answer approach area article aspect basis bit bottom bunch case cause chance \
     choice comment consideration contrast couple course decision degree detail difference edit effect end event \
     everything example experience extent fact factor feel feeling few figure form front fun ground group guess guy half hand \
     idea impact information instance interest issue item job kind lack level line list look lot love manner matter \
     meaning method middle mind moment name nature need note nothing number occasion one opinion option order other \
     page paragraph past pair period person place plan point position possibility post principle problem process \
     purpose question range reason reference regard relation respect response result role rule same search section \
     sense sentence sentences series set side similarity situation sort source stage start step stuff subject table \
     term text thing think thought time title top topic trouble try turn type use user value variety version view way \
     wife word work world year amounts answers approaches areas aspects basics cases comments details differences \
     examples facts factors figures folks forms groups guys hands ideas instances issues items kinds levels lines \
     lists lots matters methods months names needs notes numbers opinions options others pages pairs parts people \
     periods places points possibilities posts problems purposes questions ranges reasons results rules sections \
     services sides sorts sources stages steps terms things thoughts times types uses users values ways words years"
        .split_whitespace()
        .collect()
});

/// Verbs that a function's summary begins with, in their base form.
pub static CODE_VERBS: List = LazyLock::new(|| {
    "add append apply assert assign attach build calculate check clean clear close collect compile compute \
     concatenate configure connect construct convert copy count create cut decode decorate decrypt define delete \
     deserialize detect determine disable disconnect display do download draw dump encode encrypt ensure estimate \
     evaluate execute export extract fetch fill filter find fit flatten flush format generate get give grab group \
     guess handle import indent initialize insert install inspect interpolate iterate join keep kill list load \
     locate log look lookup make map mark match merge modify move multiply normalize notify open order pack pad \
     parse pause perform pick plot pop populate post prepare pretty print process pull push put query raise read \
     rebuild receive recursively redirect reduce refresh register release reload remove rename render reorder \
     replace request reset resize resolve restart restore retrieve return reverse rotate round run sample save \
     scale scan schedule search select send serialize set setup show shuffle sleep solve sort split start stop \
     store stream strip submit subtract sum swap sync synchronize tag test tokenize toggle trace train transform \
     translate traverse trim truncate try unpack update upload use validate verify view visualize wait walk warn \
     wrap write yield zip"
        .split_whitespace()
        .collect()
});

/// Titles of people, about whom nobody asks what they are.
pub static BEFORE_NAMES: List =
    LazyLock::new(|| "dr miss mr mrs ms professor sir".split_whitespace().collect());
