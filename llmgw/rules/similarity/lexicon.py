"""Words whose exchange changes what is asked, in English and German, and words whose presence changes nothing.

A facet holds values; each value is a row of spellings that mean the same. Two turns must name the same values of every
strict facet. Of two opposites only the exchange counts: naming one where the other turn names neither is left to the score.
"""

from __future__ import annotations

from decimal import Decimal


def _split(words: str) -> list[str]:
    return words.split()


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


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
    "nicht kein keine keinen keinem keiner keines nie niemals nichts niemand weder ohne außer ausser "
    "ne pas jamais sin jamás nunca senza mai não sem geen niet nooit zonder nie bez inte ikke ej не нет без"
)
CONTRACTED = _words(
    "can cant won wont don dont doesn doesnt isn isnt aren arent didn didnt shouldn shouldnt wouldn wouldnt wasn wasnt "
    "haven havent hasn hasnt couldn couldnt weren werent hadn hadnt mustn mustnt ain aint"
) - {"can", "won", "don"}
"""Contractions of ``not`` as typed without an apostrophe."""

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
    **_values("season", "spring frühling\nsummer sommer\nautumn herbst\nwinter"),
}  # fmt: skip
"""Spelling to ``facet:value``; both turns must name the same values."""

OPPOSED: tuple[tuple[frozenset[str], frozenset[str]], ...] = tuple(
    (frozenset(left.split(",")), frozenset(right.split(",")))
    for left, right in (
        pair.split("/")
        for pair in _split(
            "best/worst good,great/bad,terrible better/worse increase,raise,increasing,raising/decrease,reduce,lower,decreasing,reducing,lowering "
            "gain,gaining/lose,losing,lost buy,buying,purchase,bought/sell,selling,sold male,man,men,boy,boys/female,woman,women,girl,girls "
            "husband,husbands/wife,wives mother,mom,mum/father,dad brother,brothers/sister,sisters son,sons/daughter,daughters "
            "before,prior/after,following start,starting,begin,launch/stop,stopping,end,quit,finish earliest,first/latest,last high/low higher/lower highest/lowest "
            "hot,hotter,warm/cold,colder,cool enable,enabled,enabling/disable,disabled,disabling on/off open,opened,opening/close,closed,closing "
            "import,importing/export,exporting add,adding/remove,removing,delete,deleting install,installing/uninstall,uninstalling "
            "allow,allowed,unblock,permit/block,blocked,deny,forbid,prevent,ban include,including/exclude,excluding maximum,max,maximize/minimum,min,minimize "
            "more/less,fewer most/least,fewest advantage,advantages,pros,benefits/disadvantage,disadvantages,cons,drawbacks positive/negative "
            "legal/illegal true/false correct,right/incorrect,wrong left/right north,northern/south,southern east,eastern/west,western front/back "
            "upload,uploading/download,downloading encode,encoding/decode,decoding encrypt,encrypting,encryption/decrypt,decrypting,decryption "
            "compress,compression/decompress,decompression serialize/deserialize push/pull send,sending,sent/receive,receiving,received "
            "lend,lending/borrow,borrowing win,winning/lose,losing love/hate like/dislike rich/poor young/old new,newest/old,oldest "
            "long,longer,longest/short,shorter,shortest fast,faster,fastest,quickly/slow,slower,slowest,slowly big,bigger,biggest,large,larger,largest/small,smaller,smallest,tiny "
            "early,earlier/late,later easy,easiest/hard,difficult,hardest free/paid public/private online/offline day/night inside,indoor,indoors/outside,outdoor,outdoors "
            "internal/external upper/lower top/bottom ascending,asc/descending,desc read,reading/write,writing client/server "
            "create,creating/delete,deleting,destroy grow/shrink possible/impossible safe/unsafe,dangerous healthy/unhealthy able/unable weight/height alive/dead "
            "accept,accepted,approve,approved/reject,rejected,decline,declined pass,passed/fail,failed hire/fire strong/weak cheap,cheapest,cheaper/expensive,costly "
            "simple/complex lock,locked,locking/unlock,unlocked,unlocking activate,activated,activating/deactivate,deactivated,cancel freeze,frozen,freezing/unfreeze,unfrozen "
            "above,over/below,under in/out up/down with/without all,every,everyone/none,some,few,any always/never,sometimes both/either,neither minimum/maximum "
            "subscribe/unsubscribe follow/unfollow load/unload mount/unmount do/undo pack/unpack zip/unzip wrap/unwrap mute/unmute pin/unpin "
            "connect,connected/disconnect,disconnected appear/disappear agree/disagree visible/invisible valid/invalid complete/incomplete formal/informal "
            "direct/indirect secure/insecure active/inactive credit/debit deposit/withdraw,withdrawal income/expense profit/loss "
            "arrive,arrival,arriving/depart,departure,departing,leave,leaving import/export input/output horizontal/vertical row,rows/column,columns "
            "breakfast/lunch,dinner lunch/dinner,breakfast morning/evening,afternoon,night am/pm parent,parents/child,children "
            "synchronous,sync/asynchronous,async static/dynamic local/remote,global odd/even singular/plural "
            "increase/reduction encrypt/hash next/previous,last prev,previous/next employer/employee teacher/student "
            # German
            "beste,besten,bester,bestes/schlechteste,schlechtesten,schlimmste gut,gute,guten/schlecht,schlechte,schlechten besser/schlechter "
            "erhöhen,steigern/senken,verringern,reduzieren kaufen,kauf/verkaufen,verkauf mann,männer,männlich/frau,frauen,weiblich mutter/vater "
            "bruder/schwester sohn/tochter vor,vorher,bevor/nach,nachher,nachdem starten,anfangen,beginnen/stoppen,beenden,aufhören "
            "hoch,hohe,hohen,höher/niedrig,niedrige,tief,niedriger heiß,warm/kalt,kühl aktivieren,einschalten,anschalten,aktiviere/deaktivieren,ausschalten,abschalten,deaktiviere "
            "an,ein/aus,ab öffnen,öffne/schließen,schliessen,schließe importieren/exportieren hinzufügen/entfernen,löschen "
            "installieren,installiere/deinstallieren,deinstalliere erlauben,zulassen/verbieten,sperren,blockieren maximal,maximum,höchstens/minimal,minimum,mindestens "
            "mehr/weniger meiste,meisten/wenigsten vorteil,vorteile/nachteil,nachteile legal/illegal wahr/falsch richtig/falsch links/rechts "
            "norden/süden osten/westen hochladen/herunterladen,runterladen verschlüsseln/entschlüsseln senden,schicken/empfangen,erhalten "
            "gewinnen/verlieren zunehmen/abnehmen lieben/hassen reich/arm jung,junge/alt,alte neu,neue,neuen/alt,alte,alten lang,lange,länger/kurz,kurze,kürzer "
            "schnell,schneller/langsam,langsamer groß,große,größer,größte/klein,kleine,kleiner,kleinste früh,früher/spät,später leicht,einfach/schwer,schwierig "
            "kostenlos,gratis/kostenpflichtig öffentlich/privat tag/nacht innen,drinnen/außen,draußen oben/unten aufsteigend/absteigend lesen/schreiben "
            "möglich/unmöglich sicher/unsicher,gefährlich gesund/ungesund stark/schwach billig,günstig/teuer immer/nie,manchmal alle,jeder/keine,einige,manche "
            "annehmen/ablehnen sperren/entsperren über/unter mit/ohne erste,ersten/letzte,letzten ankommen,ankunft/abfahren,abfahrt,abflug morgens/abends "
            "verbinden/trennen anmelden/abmelden"
        )
    )
)
"""Opposites; a turn of the one side never answers a turn of the other."""

QUESTIONS: dict[str, str] = {
    spelling: row.split()[0]
    for row in (
        "who wer whom whose wen wem",
        "when wann",
        "where wo",
        "why warum wieso weshalb",
        "how wie",
        "what was which welche welcher welches what's whats",
    )
    for spelling in row.split()
}
MEASURES = _words("many much long often old far big tall fast lange oft alt weit groß viel viele hoch")
"""What makes another question of ``how``."""
PERSONS: dict[str, str] = {
    spelling: row.split()[0]
    for row in (
        "i me my mine myself i'm i'd i've i'll im we us our ours ich mich mir mein meine meinen meinem meiner wir uns unser",
        "you your yours yourself u du dich dir dein deine deinen",
        "he him his er ihm ihn", "she her hers", "they them their theirs",
    )
    for spelling in row.split()
}  # fmt: skip
OWNERS = _words(
    "my mine your yours his her hers their theirs our ours mein meine meinen meinem meiner dein deine deinen deinem"
)
"""Words that say whose."""
TOWARDS = _words(
    "to into from up down on off out by with without before after until since during against above below under "
    "zu zum zur nach von vom aus vor bis seit gegen mit ohne"
)
"""Words of direction whose exchange turns round what is asked."""

PREFIXES = (
    "un",
    "dis",
    "in",
    "im",
    "ir",
    "il",
    "non",
    "de",
    "mis",
    "anti",
    "a",
    "ent",
    "ver",
    "re",
    "over",
    "under",
    "pre",
    "post",
)
"""What, put before a word, may turn it round."""

DIRECTIONS = _words(
    "from to into onto than over by versus vs against before after until of with without using for between in on "
    "von nach zu zum zur aus in als gegen vor bis mit ohne für an auf zwischen statt"
)
"""Words that give the word after them a part to play."""
