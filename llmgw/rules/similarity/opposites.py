"""Words that turn a question round when one is put in the place of the other, in English and German.

Only the exchange counts: naming one where the other turn names neither is left to the score.
"""

from __future__ import annotations

_ROWS = (
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
    "hide,hiding,hidden,hides/unhide,reveal join,joining,joined/leave,leaving merge,merging,combine/split,splitting "
    "expand,expanding/collapse,collapsing attach/detach tighten/loosen fill/empty inflate/deflate plug/unplug "
    "upgrade,upgrading/downgrade,downgrading promote/demote pause,pausing/resume,resuming archive/unarchive "
    "login,signin,logon/logout,signout,logoff success,successful,succeed,succeeded/fail,failed,failure,unsuccessful "
    "much,many/little,few often,frequently/seldom,rarely bright,brighter/dark,darker,dim loud,louder/quiet,quieter "
    "wet/dry full/empty heavy,heavier/light,lighter thick,thicker/thin,thinner wide,wider/narrow,narrower deep,deeper/shallow "
    "hard,harder/soft,softer clean/dirty happy/sad rise,rising,rises/fall,falling,falls,drop cause,causes/cure,cures "
    "born,birth/died,death married/single,divorced,unmarried guilty/innocent attack/defend encourage/discourage "
    "buyer,buyers/seller,sellers lender/borrower landlord,landlords/tenant,tenants sender/recipient,receiver plus,add/minus,subtract "
    "multiply,multiplied,times/divide,divided clockwise/counterclockwise,anticlockwise sunrise/sunset noon,midday/midnight "
    "senior/junior ancient/modern temporary/permanent optional,voluntary/mandatory,required,compulsory,obligatory "
    "domestic/foreign,international gross/net fixed/variable raw/cooked near,nearest,closest/far,farthest,furthest "
    "allowed/obliged exactly/least,most approximately/exactly daily/weekly,monthly,yearly,annual,annually,hourly "
    "weekly/monthly,yearly,annual,biweekly monthly/yearly,annual,quarterly,annually quarterly/yearly,annual,annually "
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
    "verbinden/trennen anmelden,einloggen/abmelden,ausloggen beitreten/verlassen,austreten hell,heller/dunkel,dunkler laut,lauter/leise,leiser "
    "zusammenführen/teilen,trennen anzeigen,einblenden/ausblenden,verbergen viel,viele/wenig,wenige oft,häufig/selten "
    "mieter/vermieter käufer/verkäufer absender/empfänger freiwillig,optional/pflicht,verpflichtend,obligatorisch "
    "darf,dürfen/muss,müssen sein,seine,seinen,seinem,seiner/ihr,ihre,ihren,ihrem,ihrer vormittag/nachmittag,abend mittags/mitternacht "
    "täglich,tägliche/wöchentlich,wöchentliche,monatlich,monatliche,jährlich,jährliche wöchentlich/monatlich,jährlich "
    "monatlich,monatliche/jährlich,jährliche geboren,geburt/gestorben,starb,tod steigen,steigt/fallen,fällt,sinken,sinkt "
    "voll/leer dick/dünn breit/schmal schwer/leicht nass/trocken verheiratet/ledig,geschieden genau/mindestens,höchstens"
)
OPPOSED: tuple[tuple[frozenset[str], frozenset[str]], ...] = tuple(
    (frozenset(left.split(",")), frozenset(right.split(",")))
    for left, right in (pair.split("/") for pair in _ROWS.split())
)
"""Opposites; a turn of the one side never answers a turn of the other."""

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
