"""Pairs of questions that read alike and ask for different things, made by rule or written down."""

from __future__ import annotations

from itertools import combinations

WRITTEN = """
How many days until Christmas? | How many weeks until Christmas?
convert five miles to km | convert six miles to km
convert twenty one miles | convert twenty two miles
it costs 5 dollars right? | it costs 5 euros right?
meeting on monday at noon | meeting on tuesday at noon
weather in may in rome | weather in june in rome
can i eat before the test | can i eat after the test
how do i enable dark mode | how do i disable dark mode
how do i turn on wifi | how do i turn off wifi
are hamsters allowed to eat garlic | can hamsters eat grapes
is it possible to open an account | can i open a savings
how do i renew my work permit | how do i renew my work visa
how much does a parking permit cost | how much does a parking ticket cost
how do i allow cookies in chrome | how do i delete cookies in chrome
what does the policy allow | what does the policy cover
darf ich im park grillen | ist es erlaubt im park zu zelten
who is the president of france | who is the president of spain
what is the capital of france | what is the capital of germany
is gpt-4 better | is gpt-5 better
install python 3.11 on mac | install python 3.12 on mac
is it possible to fly | is it impossible to fly
was he happy | was he unhappy
connect the printer | disconnect the printer
which phone is cheaper | which phone is more expensive
show all users | show some users
when did napoleon die | where did napoleon die
what is my name | what is your name
how old are you | how old am i
transfer money to my account | transfer money from my account
is vitamin c good for me | is vitamin d good for me
is vitamin a good for me | is vitamin d good for me
did alice hit bob | did bob hit alice
flight from berlin to paris | flight from paris to berlin
fly to paris from berlin | fly to berlin from paris
Wie viele Tage hat der März? | Wie viele Tage hat der April?
Wie aktiviere ich den Dunkelmodus? | Wie deaktiviere ich den Dunkelmodus?
Darf ich vor dem Essen schwimmen? | Darf ich nach dem Essen schwimmen?
Ist das Produkt sicher? | Ist das Produkt unsicher?
Wie ist das Wetter morgen in Köln? | Wie ist das Wetter heute in Köln?
Ich habe das Paket erhalten | Ich habe das Paket nicht erhalten
Kostet das fünf Euro? | Kostet das sechs Euro?
Zug von Köln nach Bonn | Zug von Bonn nach Köln
Wie kündige ich meinen Vertrag? | Wie verlängere ich meinen Vertrag?
Quelle est la capitale de la France ? | Quelle est la capitale de l'Espagne ?
¿Cuál es la capital de Francia? | ¿Cuál es la capital de España?
法国的首都是什么 | 德国的首都是什么
Какая столица Франции? | Какая столица Испании?
qual e la capitale della francia | qual e la capitale della spagna
paris weather | london weather
world war i causes | world war ii causes
run main.py | run test.py
open https://a.com/x | open https://a.com/y
how do I use foo_bar() | how do I use foo_baz()
what does rm -rf do | what does rm -r do
is -5 bigger than 3 | is 5 bigger than 3
call me at 5pm | call me at 5am
remind me at 10:30 | remind me at 10:45
send $5 | send $50
mix 5 ml water | mix 5 l water
is 1.000 euro a lot | is 1 euro a lot
my neighbour hit my car | I hit my neighbour's car
what can I do for you | what can you do for me
she is older than him, by how much | he is older than her, by how much
kann mein Chef mich anrufen | kann ich meinen Chef anrufen
wen hat Anna eingeladen | wer hat Anna eingeladen
ist ihr Konto gesperrt | ist sein Konto gesperrt
can my child open an account | can I open an account
book a ticket for my mother | book a ticket for me
recipes with sugar | sugar-free recipes
welche Gerichte enthalten Gluten | welche Gerichte sind glutenfrei
my card has arrived | my card has yet to arrive
the app works on my phone | the app fails to work on my phone
what should I eat before surgery | what should I avoid eating before surgery
I can see the balance | I can hardly see the balance
er isst viel Fleisch | er isst kaum Fleisch
few people voted, why | many people voted, why
the weather this week | the weather next week
sales last quarter | sales this quarter
in 2 days | 2 days ago
is smoking allowed | was smoking allowed
what was the deadline | what will be the deadline
war der Laden offen | ist der Laden offen
can I cancel my order | must I cancel my order
darf ich den Hund mitnehmen | muss ich den Hund mitnehmen
may I smoke | do I have to smoke
up to 10 guests | more than 10 guests
how does iphone 15 charge | how does iphone 15 pro charge
what is the difference between == and === | what is the difference between = and ==
what is 10/2 | what is 10*2
what does != mean | what does == mean
regex that matches \\d+ | regex that matches \\d*
A+ grade | A- grade
how can I join the family plan | I would like to leave the family plan
how do I merge two PDF files | can you help me split PDF files
translate to french: the cat sleeps | translate to french: the cats sleep
übersetze ins Englische: der Hund schläft | übersetze ins Englische: die Hunde schlafen
how many letters are in banana | how many letters are in bananas
these shoes are too big, can I get a smaller size | these shoes are too small, can I get a bigger size
make a table with rows for months and columns for cities | make a table with columns for months and rows for cities
darf ich in der Probezeit krank sein | darf ich nach der Probezeit krank sein
is it a and b | is it a or b
do all birds fly | do no birds fly
only adults may enter | all adults may enter
does everyone pay tax | does nobody pay tax
at least 5 people | at most 5 people
more than 5 people | less than 5 people
increase the volume | decrease the volume
hard boiled egg time | soft boiled egg time
I am a vegan | I am not a vegan
I've never paid | I've always paid
how do i cancel my order | how do i place my order
how long is the flight | how much is the flight
recipes with nuts | recipes without nuts
translate hello to french | translate hello to german
explain c++ | explain c#
explain java | explain javascript
samsung galaxy s21 price | samsung galaxy s22 price
who was born first, Anna or Ben | who was born last, Anna or Ben
best restaurants in Rome | best restaurants in Milan
who is the mother of the king | who is the father of the king
Was kostet ein halbes Kilo? | Was kostet ein Kilo?
should I buy tesla stock | should I sell tesla stock
is it legal to park here | is it illegal to park here
Compare A to B | Compare B to A
subtract 3 from 5 | subtract 5 from 3
open the door | close the door
is paris bigger than rome | is rome bigger than paris
schedule it for the 3rd | schedule it for the 4th
play the third song | play the fourth song
half a cup | a quarter cup
set alarm for 7 | set alarm for seventeen
ein Drittel | ein Viertel
two thirds of 90 | one third of 90
my left knee hurts | my right knee hurts
my knee hurts in the morning | my knee hurts in the evening
how do you say dog in french | how do you say cat in french
I weigh 80 kg | I weigh 80 lb
how hot is 30 celsius | how hot is 30 fahrenheit
what happened in 1914 | what happened in 1941
"""

SAME = """
How do I reset my password? | how can i reset my password
What is the capital of France? | what's the capital of france please
Hi, what is the weather in Paris in August? | what is the weather like in Paris in August thanks
convert five miles to km | please convert 5 miles to kilometers
Wie setze ich mein Passwort zurück? | Bitte, wie kann ich mein Passwort zurücksetzen?
Wie ist das Wetter in Köln? | Hallo, wie ist denn das Wetter in Köln bitte?
how do i cancel my order | can you tell me how to cancel my order
Who wrote Dune? | tell me who wrote Dune please
can you stop my card | could you please stop my card
is the fee for credit/debit cards 5 % + 1 $ | please, is the fee for credit/debit cards 5 % + 1 $
why did my payment fail & what now | why did my payment fail and what now
what is 2+2= | what is 2 + 2
will it rain in Rome | does it rain in Rome
"""

SLOTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("what can I buy for {} euros in Rome", ("five", "six", "15", "twenty-one", "twenty-two", "2,000", "2000000", "half a million")),
    ("how heavy is a box of 12 {}", ("kg", "lb", "grams", "tonnes", "ounces", "milligrams")),
    ("how long is a rope of 12 {}", ("km", "miles", "cm", "feet", "yards", "inches")),
    ("what is 100 {} worth today", ("dollars", "euros", "yen", "pounds sterling", "swiss francs", "rupees", "bitcoin")),
    ("is the museum open on {}", ("monday", "tuesday", "thursday", "saturday", "the weekend")),
    ("how cold does Oslo get in {}", ("january", "february", "august", "october", "spring", "winter")),
    ("book a table for {}", ("today", "tomorrow", "friday", "1 May", "2 May", "May 2027", "8pm", "8am", "20:15", "20:45")),
    ("may I drink coffee {} the operation", ("before", "after", "during")),
    ("how do I {} notifications", ("enable", "disable", "mute", "unmute")),
    ("how do I {} the app", ("install", "uninstall", "update")),
    ("how do I turn the heater {}", ("on", "off", "up", "down")),
    ("is this plant {}", ("safe", "unsafe", "not safe", "poisonous")),
    ("was the answer {}", ("correct", "incorrect", "complete", "incomplete")),
    ("which laptop is {}", ("faster", "slower", "cheaper", "more expensive", "lighter", "heavier")),
    ("what are the {} of nuclear power", ("advantages", "disadvantages", "pros", "cons", "costs")),
    ("do {} cats like water", ("all", "some", "no")),
    ("what is the population of {}", ("France", "Spain", "Peru", "Berlin", "California", "Texas")),
    ("how old was {} in 1900", ("Einstein", "Curie", "Freud", "Picasso")),
    ("how much memory has the {}", ("iPhone 14", "iPhone 15", "iPhone 15 Pro", "Pixel 8", "Galaxy S23", "Galaxy S24")),
    ("what is new in python {}", ("3.11", "3.12", "2.7", "3.11.4", "3.11.5")),
    ("write hello world in {}", ("Python", "Java", "JavaScript", "Rust", "Go", "C++", "C#", "C")),
    ("what does {} do", ("git reset --hard", "git reset --soft", "rm -r", "chmod 755", "chmod 644", "os.path.join", "os.path.split")),
    ("open {} and read it", ("https://a.example/x", "https://a.example/y", "/etc/hosts", "/etc/passwd", "main.py", "test.py")),
    ("who {} the telephone", ("invented", "sold", "stole")),
    ("{} did the war begin", ("when", "where", "why", "how")),
    ("how {} is the bridge", ("long", "old", "high", "wide")),
    ("{} name again", ("what is my", "what is your", "what is his", "what is her")),
    ("das Paket wiegt {} Kilo", ("zwei", "drei", "zwölf", "einundzwanzig", "22", "ein halbes")),
    ("hat der Laden am {} offen", ("Montag", "Dienstag", "Sonntag", "1. Mai", "2. Mai")),
    ("wie kalt ist es im {}", ("Januar", "August", "Winter", "Sommer")),
    ("darf ich {} dem Sport essen", ("vor", "nach")),
    ("wie kann ich das Licht {}", ("einschalten", "ausschalten", "dimmen")),
    ("ist der Pilz {}", ("giftig", "ungiftig", "nicht giftig", "essbar")),
    ("was kostet eine Wohnung in {}", ("Köln", "Bonn", "Berlin", "Wien")),
    ("{} Vögel können fliegen", ("alle", "keine", "manche")),
    ("quelle est la capitale de la {}", ("France", "Suisse", "Chine")),
    ("cuál es la capital de {}", ("Francia", "Italia", "Perú")),
    ("jaka jest stolica {}", ("Francji", "Polski", "Czech")),
    ("{}の首都はどこですか", ("日本", "中国", "韓国")),
    ("ما هي عاصمة {}", ("فرنسا", "مصر", "اليابان")),
)  # fmt: skip


def _rows(text: str) -> list[tuple[str, str]]:
    return [
        (one.strip(), other.strip())
        for one, _, other in (line.partition(" | ") for line in text.strip().splitlines())
    ]


def near_misses() -> list[tuple[str, str]]:
    """Written ones, and every two fillings of a slot."""
    made = [
        (text.format(one), text.format(other))
        for text, words in SLOTS
        for one, other in combinations(words, 2)
    ]
    return _rows(WRITTEN) + made


def paraphrases() -> list[tuple[str, str]]:
    return _rows(SAME)
