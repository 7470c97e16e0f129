"""Words whose exchange changes what is asked, in English and German, and words whose presence changes nothing.

A facet holds values; each value is a row of spellings that mean the same. Two turns must name the same values of every
strict facet.
"""

from __future__ import annotations

from decimal import Decimal


def _split(words: str) -> list[str]:
    return words.split()


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _named(*rows: str) -> dict[str, str]:
    """Each spelling by the first of its row."""
    return {spelling: row.split()[0] for row in rows for spelling in row.split()}


def _values(facet: str, rows: str) -> dict[str, str]:
    """Spelling to ``facet:value``, the value being the first spelling of its row."""
    table: dict[str, str] = {}
    for row in rows.split("\n"):
        spellings = row.split()
        table.update((spelling, f"{facet}:{spellings[0]}") for spelling in spellings)
    return table


FILLER = _words(
    # English
    "a an the is are was were be been being am do does did doing have has had having of to in on at for from by with "
    "about into and or but if then than so as it its it's this that these those there here i i'm im i'd i've i'll me my "
    "mine myself you your you're yours he she his her him they them their we us our what what's whats which who whom whose "
    "when where why how how's can could will would shall should may might must just some any very really much many way "
    "ways get got please pls plz thanks thank hi hello hey ok okay kindly tell let know need want like quick question "
    "help give show up down off out more most s t re ve ll d m don "
    # German
    "der die das den dem des ein eine einen einem einer eines ist sind war waren sein bin bist hat habe haben hatte zu zum "
    "zur im ins am an auf aus bei mit nach von vom für fuer und oder aber wenn dann als so wie es ich mich mir mein meine "
    "meinen meinem meiner du dich dir dein deine sie ihr ihre ihnen er ihm ihn wir uns unser was wer wen wem wo wann warum "
    "wieso welche welcher welches kann kannst können könnte könnten will möchte würde soll sollte muss man mal bitte danke "
    "hallo gibt gib sag zeig sehr viel viele einfach da hier dass ob denn doch"
)
"""Words that carry grammar or manners; the rest of a turn is its content."""

FRAMES = _words("allow able possibl permit suppos erlaubt möglich darf dürfen")
"""Stems that only ask whether: *can hamsters eat*, *are hamsters allowed to eat*."""

GERMAN = _words(
    "der die das den dem ein eine einen einem einer ist sind nicht kein keine und oder wie ich mich mir mein meine wer wo "
    "wann warum welche welcher welches kann können für mit von zu zum zur im auf aus bei nach wird werden bitte gibt sich "
    "wenn dass viel viele über heute morgen wieviel wo finde mache macht"
)
ENGLISH = _words(
    "the a an is are was were be been does did i i'm my your how what what's which who where when why can could should "
    "would will to of for with from it this that these and or not have has had please if there get got tell much many need "
    "want hi hello hey thanks into than by at my give help make show find set let use using do you me we our they say said "
    "does write explain list change meaning between best good code was question count days translate calculate weather"
)
FOREIGN = _words(
    # French, Spanish, Italian, Portuguese, Dutch, Polish, Swedish, Turkish
    "le les des du et est une dans pour qui que quoi quel quelle comment pourquoi où sur avec au aux ce cette je tu il nous "
    "vous pas el los las y en un por para con como cual cuál qué cómo dónde cuándo mi su lo gli che di per non sono una del "
    "della nel come perché cosa dove quando os ao da em um uma não meu minha qual onde het een van dat niet op te ik je wat "
    "hoe waar voor met zijn w z na się jest co jak gdzie czy nie i att och på är jag vad hur inte som ett bir ve mi ne için "
    "nasil bu es la"
) - {"i", "me", "as"}
"""Words of grammar, by which a language is told."""

NEGATIONS = _words(
    "not no never none nothing nobody neither nor without cannot except excluding unless lack lacking non "
    "hardly barely scarcely seldom rarely avoid avoids avoiding avoided kaum selten vermeiden vermeide "
    "nicht kein keine keinen keinem keiner keines nie niemals nichts niemand weder ohne außer ausser "
    "ne pas jamais sin jamás nunca senza mai não sem geen niet nooit zonder nie bez inte ikke ej не нет без"
)
CONTRACTED = _words(
    "can cant won wont don dont doesn doesnt isn isnt aren arent didn didnt shouldn shouldnt wouldn wouldnt wasn wasnt "
    "haven havent hasn hasnt couldn couldnt weren werent hadn hadnt mustn mustnt ain aint"
) - {"can", "won", "don"}
"""Contractions of ``not`` as typed without an apostrophe."""
NEGATING = frozenset(
    tuple(pair.split())
    for pair in (
        "yet to",
        "refuse to",
        "refuses to",
        "refused to",
        "free of",
        "free from",
        "fail to",
        "fails to",
        "failed to",
        "failing to",
        "frei von",
    )
)
"""Two words that negate together."""

NUMBERS: dict[str, Decimal] = {
    word: Decimal(value)
    for value, words in enumerate(
        _split(
            "zero,null one,eins two,zwei,zwo three,drei four,vier five,fünf,fuenf six,sechs seven,sieben eight,acht nine,neun "
            "ten,zehn eleven,elf twelve,zwölf,zwoelf thirteen,dreizehn fourteen,vierzehn fifteen,fünfzehn sixteen,sechzehn "
            "seventeen,siebzehn eighteen,achtzehn nineteen,neunzehn"
        )
    )
    for word in words.split(",")
    if word not in {"one", "null"}  # as often a pronoun, and no value at all
}
TENS: dict[str, Decimal] = {
    word: Decimal(20 + 10 * tens)
    for tens, words in enumerate(
        _split(
            "twenty,zwanzig thirty,dreißig,dreissig forty,vierzig fifty,fünfzig,fuenfzig sixty,sechzig seventy,siebzig "
            "eighty,achtzig ninety,neunzig"
        )
    )
    for word in words.split(",")
}
NUMBERS |= {
    f"{ones}und{tens}": TENS[tens] + value
    for tens in TENS
    for ones, value in (NUMBERS | {"ein": Decimal(1)}).items()
    if value < 10
}
SCALES: dict[str, Decimal] = {
    word: Decimal(value)
    for value, words in (
        (12, "dozen dutzend"), (100, "hundred hundert"), (10**3, "thousand tausend k"), (10**5, "lakh lakhs"),
        (10**6, "million millions millionen"), (10**7, "crore crores"), (10**9, "billion billions milliarde milliarden"),
        (10**12, "trillion trillions"),
    )
    for word in words.split()
}  # fmt: skip
ORDINALS: dict[str, Decimal] = {
    word: Decimal(value)
    for value, words in enumerate(
        _split(
            "first,erste,ersten,erster,erstes second,zweite,zweiten,zweiter third,dritte,dritten,dritter "
            "fourth,vierte,vierten fifth,fünfte,fünften sixth,sechste,sechsten seventh,siebte,siebten eighth,achte,achten "
            "ninth,neunte,neunten tenth,zehnte,zehnten"
        ),
        start=1,
    )
    for word in words.split(",")
}
FRACTIONS: dict[str, Decimal] = {
    word: Decimal(value)
    for value, words in (
        ("0.5", "half halb halbe halben halbes halber halbem hälfte"), ("0.25", "quarter viertel"), ("1", "once einmal"), ("2", "twice double zweimal doppelt"),
        ("3", "thrice triple dreimal iii"), ("2", "ii"), ("4", "iv"), ("7", "vii"), ("8", "viii"), ("9", "ix"),
    )
    for word in words.split()
}  # fmt: skip
"""Shares, multiples and Roman numerals that are no other word."""

STRICT: dict[str, str] = {
    **_values(
        "unit",
        """second seconds sec secs sekunde sekunden
minute minutes min mins minuten
hour hours hr hrs stunde stunden
day days tag tage tagen
week weeks woche wochen
month months monat monate monaten
year years yr yrs jahr jahre jahren
decade decades jahrzehnt jahrzehnte
century centuries jahrhundert jahrhunderte
millisecond milliseconds ms millisekunde millisekunden
millimeter millimeters millimetre millimetres mm
centimeter centimeters centimetre centimetres cm zentimeter
kilometer kilometers kilometre kilometres km kms
meter meters metre metres
mile miles meile meilen
inch inches zoll
feet foot ft fuß
yard yards
gram grams gramme gramm
milligram milligrams mg milligramm
kilogram kilograms kilo kilos kg kgs kilogramm
pound pounds lb lbs pfund
ounce ounces oz unze unzen
tonne tonnes ton tons
liter liters litre litres
milliliter milliliters millilitre ml
gallon gallons gal
celsius °c
fahrenheit °f
kelvin
percent % prozent pct
kilobyte kilobytes kb
megabyte megabytes mb
gigabyte gigabytes gb
terabyte terabytes tb
watt watts
kilowatt kilowatts kw
volt volts
acre acres
hectare hectares hektar
mph
cent cents
calorie calories kcal kalorien""",
    ),
    **_values(
        "currency",
        """usd $ dollar dollars us$
eur € euro euros
gbp £ sterling quid
inr ₹ rupee rupees
jpy ¥ yen
chf franken francs franc
cad
aud
cny yuan rmb
btc bitcoin bitcoins
eth ethereum
rub ruble rubles
pln zloty
sek krona
mxn peso pesos""",
    ),
    **_values(
        "weekday",
        """monday mon montag
tuesday tue tues dienstag
wednesday wed mittwoch
thursday thu thur thurs donnerstag
friday fri freitag
saturday samstag sonnabend
sunday sonntag
weekend weekends wochenende
weekday weekdays""",
    ),
    **_values(
        "month",
        """january jan januar
february feb februar
march märz
april apr
june jun juni
july jul juli
august aug
september sept sep
october oct oktober
november nov
december dec dezember""",
    ),
    **_values(
        "day",
        """today todays today's heute tonight
tomorrow tomorrows tomorrow's tmrw morgen
yesterday yesterdays yesterday's gestern
overmorrow übermorgen
vorgestern""",
    ),
    **_values("model", "pro\nmini\nultra\nlite\nxl\nsenior sr\njunior jr"),
    **_values("season", "spring frühling\nsummer sommer\nautumn herbst\nwinter"),
}  # fmt: skip
"""Spelling to ``facet:value``; both turns must name the same values."""

QUESTIONS: dict[str, str] = _named(
    "who wer whom whose",
    "wen wem",
    "when wann",
    "where wo",
    "why warum wieso weshalb",
    "how wie",
    "what was which welche welcher welches what's whats",
)
MEASURES = _words("many much long often old far big tall fast lange oft alt weit groß viel viele hoch")
"""What makes another question of ``how``."""
PERSONS: dict[str, str] = _named(
    "i me my mine myself i'm i'd i've i'll im we us our ours ich mich mir mein meine meinen meinem meiner wir uns unser",
    "you your yours yourself u du dich dir dein deine deinen",
    "he him his er ihm ihn", "she her hers", "they them their theirs",
)  # fmt: skip
OWNERS = _words(
    "my mine your yours his her hers their theirs our ours mein meine meinen meinem meiner dein deine deinen deinem"
)
"""Words that say whose."""
TOWARDS = _words(
    "to into from up down on off out by with without before after until since during against above below under "
    "ab auf zu zum zur nach von vom aus vor bis seit gegen mit ohne"
)
"""Words of direction whose exchange turns round what is asked."""
LINKS: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (_words("and und"), _words("or oder")),
    (_words("in im during within während"), _words("before after vor nach")),
)
"""Words of grammar of which the one side asks for something else than the other where all else is the same."""

VERBATIM = _words(
    "translate translates translated translating translation spell spelt spelled spelling proofread conjugate conjugated plural "
    "singular rhyme rhymes rhyming paraphrase rephrase reword rewrite pronounce pronounced pronunciation syllables letters "
    "übersetze übersetzen übersetzt übersetzung buchstabiere buchstabiert konjugiere plural singular reimt umformulieren "
    "formuliere korrekturlesen"
)
"""Words that ask for work on the very words beside them."""
TENSES: dict[str, str] = _named(
    "is are am do does ist sind bin bist",
    "was were did had war waren warst hatte hatten wurde wurden",
    "will wird werden werde",
    "can could may might kann können könnte könnten darf dürfen dürfte",
    "must should shall ought muss müssen soll sollen sollte sollten",
)
"""When something is, was, will, may or must be, by the first verb of grammar that says so."""
TURNS_OF_TIME = frozenset({"is was", "was will", "can must"})
"""Pairs of these that ask for different things where all else is the same."""
SHIFTS: dict[str, str] = _named(
    "next coming upcoming following nächste nächsten nächstes nächster kommende kommenden",
    "last past previous letzte letzten letztes letzter vergangene vergangenen vorige vorigen",
)
"""Words that move a span of time away from the present one."""
SPANS = _words("quarter quarters semester term night nights morning evening quartal nacht abend")
"""Spans of time that are no unit."""
BOUNDS: dict[str, str] = {
    words: row.split(",")[0]
    for row in (
        "more than,mehr als,over,above,über",
        "at least,minimum of,mindestens",
        "less than,fewer than,weniger als,under,below,unter",
        "at most,up to,maximum of,höchstens,bis zu",
    )
    for words in row.split(",")
}
"""What makes a bound of the number that follows."""
KIN = _words(
    "mother mothers mom mum mommy mummy father fathers dad daddy parent parents child children kid kids son sons daughter "
    "daughters brother brothers sister sisters wife husband spouse girlfriend boyfriend friend friends partner colleague "
    "neighbour neighbor boss mutter mama vater papa eltern kinder sohn söhne tochter töchter bruder brüder schwester "
    "schwestern ehefrau ehemann freundin freund freunde kollege kollegin nachbar nachbarin chef chefin"
)
"""Other people than who asks: what holds for them need not hold for oneself."""

DIRECTIONS = _words(
    "from to into onto than over by versus vs against before after until of with without using for between in on "
    "von nach zu zum zur aus in als gegen vor bis mit ohne für an auf zwischen statt"
)
"""Words that give the word after them a part to play."""
