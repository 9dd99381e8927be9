"""Short German stories from a hand-checked lexicon: gender, case, adjective endings and verb position all matter.

Each story has one person and one thing that return in later sentences, so that its beginning helps to predict its
end: he or she, `dem Korb` and `den Korb`, the name of the animal. What is free is which words fill the places.
"""

import math
import random
import re
from dataclasses import dataclass, field
from functools import cached_property

from moe_lessons.text.grammars.base import Choices, Document, words


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """The words a story may use. Nouns carry the article that gives their gender; adjectives are stems that take
    -e, -en, -er, -es without any other change."""

    women: tuple[str, ...] = words(
        "Anna Berta Carla Dora Elena Frieda Greta Hanna Ida Julia Katrin Lena Maria Nina Olga Paula "
        "Rita Sara Tina Ute Vera Wilma Agnes Brigitte Clara Edith Helga Inge Lotte Marta Rosa Sofia"
    )
    men: tuple[str, ...] = words(
        "Anton Bruno Carl David Emil Felix Georg Hans Igor Jakob Karl Leo Martin Nils Otto Paul "
        "Ralf Simon Tom Udo Viktor Walter Albert Bernd Dieter Erik Fritz Heinz Jonas Kurt Lukas Oskar"
    )
    months: tuple[str, ...] = words(
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
    )
    days: tuple[int, int] = (1, 28)
    hours: tuple[int, int] = (6, 19)
    minutes: tuple[int, int] = (10, 59)
    motions: tuple[str, ...] = words("ging lief eilte rannte spazierte schlich wanderte schlenderte")
    goals: tuple[str, ...] = words(
        "in den Garten, in den Park, in den Wald, in den Hof, in die Stadt, ins Dorf, in den Hafen, in die Altstadt,"
        "auf den Markt, auf den Schulhof, auf den Spielplatz, auf den Hügel, auf die Wiese, auf die Brücke,"
        "auf das Feld, auf den Friedhof, an den Strand, an den See, an den Fluss, ans Ufer, an den Bach,"
        "zum Bahnhof, zum Schloss, zum Turm, zum Rathaus, zum Brunnen, zur Burg, zur Mühle, zur Kirche,"
        "zur Schule, zur Scheune, zur Quelle",
        ",",
    )
    findings: tuple[str, ...] = words("fand sah entdeckte bemerkte erblickte")
    things: tuple[str, ...] = words(
        "der Korb, der Hut, der Schlüssel, der Koffer, der Ball, der Brief, der Ring, der Mantel, der Schirm,"
        "der Stiefel, der Löffel, der Spiegel, der Teller, der Topf, der Eimer, der Besen, der Kamm, der Knopf,"
        "der Schal, der Sack, der Stuhl, der Wecker, der Hammer, der Becher, der Rucksack, der Handschuh,"
        "die Lampe, die Tasche, die Uhr, die Karte, die Mütze, die Flasche, die Tasse, die Schachtel, die Münze,"
        "die Kette, die Feder, die Glocke, die Puppe, die Trommel, die Kerze, die Schere, die Brille, die Gabel,"
        "die Schaufel, die Pfanne, die Jacke, die Kanne, die Schüssel, die Zeitung, die Gitarre, die Geige,"
        "das Buch, das Bild, das Messer, das Seil, das Kleid, das Tuch, das Kissen, das Heft, das Glas, das Hemd,"
        "das Netz, das Zelt, das Radio, das Fernrohr, das Paket, das Schild, das Fahrrad, das Armband",
        ",",
    )
    thing_adjectives: tuple[str, ...] = words(
        "alt neu klein groß rot blau grün gelb schwarz weiß braun grau bunt schön seltsam hübsch schmutzig staubig "
        "glänzend nass schlicht wertvoll fremd merkwürdig"
    )
    spots: tuple[str, ...] = words(
        "unter einer Bank, neben einer Mauer, hinter einem Zaun, hinter einem Baum, neben einem Stein,"
        "unter einem Busch, neben einem Karren, hinter einer Hecke, neben einer Leiter, unter einem Brett,"
        "hinter einem Fass, neben einer Kiste, auf einer Treppe, auf einer Decke, vor einer Tür, vor einem Tor",
        ",",
    )
    rests: tuple[str, ...] = words("saß lag schlief stand hockte wartete")
    animals: tuple[str, ...] = words(
        "der Hund, der Kater, der Igel, der Vogel, der Frosch, der Fuchs, der Dackel, der Dachs, der Esel, der Marder,"
        "der Pudel, der Biber, der Storch, der Hase, der Spatz, der Rabe,"
        "die Katze, die Ente, die Maus, die Krähe, die Taube, die Eule, die Amsel, die Möwe, die Gans, die Elster,"
        "die Ziege, die Ratte, die Schildkröte, die Meise, die Kröte, die Henne,"
        "das Kaninchen, das Eichhörnchen, das Huhn, das Kätzchen, das Küken, das Lamm, das Ferkel, das Pony",
        ",",
    )
    animal_adjectives: tuple[str, ...] = words(
        "klein groß jung hungrig scheu frech schwarz weiß braun grau zahm neugierig dick dünn schlau brav wild hübsch "
        "traurig fröhlich einsam zitternd nass munter"
    )
    pet_names: tuple[str, ...] = words(
        "Bello Fipsi Flocke Krümel Mimi Momo Schnuffel Strolch Lumpi Tapsi Pünktchen Rufus Balu Nero Luna Sissi "
        "Zottel Wuschel Kasper Socke Keks Muffin Pfeffer Rocky Tiger Hexe Blitz Donner Nelly Flöckchen Mogli Struppi"
    )
    calls: tuple[str, ...] = words(
        "Was für ein Tag!| Wie schön!| Das glaubt mir keiner!| Welch ein Glück!| So ein Zufall!| Wie seltsam!|"
        "Das ist ja toll!| Komm mit!| Hab keine Angst!| Du bist aber nett!| Das gefällt mir!| Ich bleibe hier!|"
        "Wir werden Freunde!| Guten Tag!| Wer bist du denn?| Woher kommst du?| Ist da jemand?| Wem gehört das?|"
        "Was ist das?| Hast du Hunger?| Kann das sein?| Träume ich?| Darf ich das behalten?| Wo sind denn alle?",
        "|",
    )
    speech: tuple[str, ...] = words("rief flüsterte staunte murmelte seufzte")
    male_kin: tuple[str, ...] = words("Bruder Onkel Freund Nachbar Vetter Großvater")
    female_kin: tuple[str, ...] = words("Schwester Tante Freundin Nachbarin Cousine Großmutter")
    gifts: tuple[str, ...] = words("brachte gab schenkte schickte kaufte")
    amounts: tuple[int, int] = (2, 99)
    goods: tuple[str, ...] = words(
        "Äpfel Birnen Nüsse Kirschen Pflaumen Eier Brote Kekse Bonbons Blumen Rosen Tulpen Zitronen Kerzen Knöpfe "
        "Perlen Münzen Karotten Kartoffeln Tomaten Gurken Zwiebeln Bohnen Erdbeeren Brötchen Kuchen Muscheln Federn "
        "Steine Murmeln Nägel Stifte"
    )
    reasons: tuple[str, ...] = words(
        "Als es dunkel wurde| Als die Sonne unterging| Als die Glocke läutete| Als der Wind stärker wurde|"
        "Als ein Gewitter kam| Als der Mond aufging| Als die ersten Sterne leuchteten| Weil es regnete|"
        "Weil es spät war| Weil es kalt wurde| Weil der Hunger groß war| Weil das Essen wartete|"
        "Nachdem der Regen aufgehört hatte| Nachdem alle gegangen waren| Sobald die Uhr sechs schlug|"
        "Bevor es Nacht wurde",
        "|",
    )
    moods: tuple[str, ...] = words(
        "müde froh zufrieden glücklich traurig still leise nachdenklich vergnügt erleichtert hungrig stolz aufgeregt "
        "singend pfeifend lachend"
    )
    showings: tuple[str, ...] = words("zeigte schenkte gab beschrieb überließ")
    people: tuple[str, ...] = words(
        "der Mutter, dem Vater, der Großmutter, dem Großvater, den Eltern, der ganzen Familie, der Tante, dem Onkel,"
        "den Geschwistern, den Gästen, dem Bruder, der Schwester",
        ",",
    )


# What each article turns into, and the ending an adjective takes after "ein": one row per gender.
_ACCUSATIVE = {"der": ("einen", "en"), "die": ("eine", "e"), "das": ("ein", "es")}
_NOMINATIVE = {"der": ("ein", "er"), "die": ("eine", "e"), "das": ("ein", "es")}
_DEFINITE_ACCUSATIVE = {"der": "den", "die": "die", "das": "das"}
_DEFINITE_DATIVE = {"der": "dem", "die": "der", "das": "dem"}


def _indefinite(noun: str, adjective: str, forms: dict[str, tuple[str, str]]) -> str:
    article, bare = noun.split(" ")
    indefinite, ending = forms[article]
    return f"{indefinite} {adjective}{ending} {bare}"


def _definite(noun: str, forms: dict[str, str]) -> str:
    article, bare = noun.split(" ")
    return f"{forms[article]} {bare}"


@dataclass(frozen=True, kw_only=True)
class GermanStories:
    """Documents of seven sentences about one person, one thing and one animal."""

    lexicon: Lexicon = field(default_factory=Lexicon)
    name: str = "german"

    def sample(self, rng: random.Random) -> Document:
        choices, lexicon = Choices(rng), self.lexicon
        woman = choices.pick((True, False))
        hero = choices.pick(lexicon.women if woman else lexicon.men)
        she, her = ("sie", "ihr") if woman else ("er", "ihm")
        date = f"{choices.integer(*lexicon.days)}. {choices.pick(lexicon.months)}"
        time = f"{choices.integer(*lexicon.hours)}.{choices.integer(*lexicon.minutes)} Uhr"
        motion, goal = choices.pick(lexicon.motions), choices.pick(lexicon.goals)
        if choices.pick((True, False)):
            start = f"Am {date} um {time} {motion} {hero} {goal}."
        else:
            start = f"{hero} {motion} am {date} um {time} {goal}."

        thing = choices.pick(lexicon.things)
        found = _indefinite(thing, choices.pick(lexicon.thing_adjectives), _ACCUSATIVE)
        find = f"Dort {choices.pick(lexicon.findings)} {she} {found} {choices.pick(lexicon.spots)}."

        animal = choices.pick(lexicon.animals)
        seen = _indefinite(animal, choices.pick(lexicon.animal_adjectives), _NOMINATIVE)
        pet = choices.pick(lexicon.pet_names)
        relative = _DEFINITE_ACCUSATIVE[animal.split(" ")[0]]
        beside = _definite(thing, _DEFINITE_DATIVE)
        meet = f"Neben {beside} {choices.pick(lexicon.rests)} {seen}, {relative} {she} {pet} nannte."

        call = f"„{choices.pick(lexicon.calls)}“, {choices.pick(lexicon.speech)} {she}."
        home = (
            f"{choices.pick(lexicon.reasons)}, {choices.pick(lexicon.motions)} {hero} {choices.pick(lexicon.moods)} "
            f"mit {pet} nach Hause."
        )
        shown, showing = _definite(thing, _DEFINITE_ACCUSATIVE), choices.pick(lexicon.showings)
        if choices.pick((True, False)):
            end = f"Zu Hause {showing} {she} {choices.pick(lexicon.people)} {shown}."
        else:
            end = f"{shown[0].upper()}{shown[1:]} {showing} {she} am Abend {choices.pick(lexicon.people)}."
        sentences = (start, find, meet, call, self._gift(choices, hero, woman, her), home, end)
        return Document(" ".join(sentences) + "\n", self.name, choices.log_prob)

    def _gift(self, choices: Choices, hero: str, woman: bool, her: str) -> str:
        lexicon = self.lexicon
        possessive = "Ihr" if woman else "Sein"
        if choices.pick((True, False)):
            giver = f"{possessive}e {choices.pick(lexicon.female_kin)}"
            names = lexicon.women
        else:
            giver = f"{possessive} {choices.pick(lexicon.male_kin)}"
            names = lexicon.men
        # nobody has a sister of the same name, and nobody gets apples twice
        giver += " " + choices.pick([name for name in names if name != hero])
        first = choices.pick(lexicon.goods)
        second = choices.pick([good for good in lexicon.goods if good != first])
        return (
            f"{giver} {choices.pick(lexicon.gifts)} {her} {choices.integer(*lexicon.amounts)} {first} "
            f"und {choices.integer(*lexicon.amounts)} {second}."
        )

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """One regular expression for a whole story; what must return is a back reference."""
        lexicon = self.lexicon

        def one(options: tuple[str, ...], name: str = "") -> str:
            inside = "|".join(re.escape(option) for option in options)
            return f"(?P<{name}>{inside})" if name else f"(?:{inside})"

        def bare(nouns: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(noun.split(" ")[1] for noun in nouns)

        number = "[1-9][0-9]?"
        name = one(lexicon.women + lexicon.men)
        return re.compile(
            rf"(?:Am (?P<day>{number})\. {one(lexicon.months)} um (?P<hour>{number})\.(?P<minute>{number}) Uhr "
            rf"{one(lexicon.motions)} (?P<hero>{name}) {one(lexicon.goals)}|"
            rf"(?P<hero2>{name}) {one(lexicon.motions)} am (?P<day2>{number})\. {one(lexicon.months)} "
            rf"um (?P<hour2>{number})\.(?P<minute2>{number}) Uhr {one(lexicon.goals)})\. "
            rf"Dort {one(lexicon.findings)} (?P<she>sie|er) (?P<found>ein|eine|einen) {one(lexicon.thing_adjectives)}"
            rf"(?P<found_ending>e|en|es) {one(bare(lexicon.things), 'thing')} {one(lexicon.spots)}\. "
            rf"Neben (?P<beside>dem|der) (?P=thing) {one(lexicon.rests)} (?P<seen>ein|eine) "
            rf"{one(lexicon.animal_adjectives)}(?P<seen_ending>e|er|es) {one(bare(lexicon.animals), 'animal')}, "
            rf"(?P<relative>den|die|das) (?P=she) "
            rf"{one(lexicon.pet_names, 'pet')} nannte\. „{one(lexicon.calls)}“, {one(lexicon.speech)} (?P=she)\. "
            rf"(?P<possessive>Ihre?|Seine?) {one(lexicon.male_kin + lexicon.female_kin, 'kin')} "
            rf"(?P<giver>{name}) {one(lexicon.gifts)} (?P<her>ihr|ihm) "
            rf"(?P<amount>{number}) {one(lexicon.goods, 'good')} "
            rf"und (?P<amount2>{number}) {one(lexicon.goods, 'good2')}\. "
            rf"{one(lexicon.reasons)}, {one(lexicon.motions)} (?P<hero3>\w+) {one(lexicon.moods)} "
            rf"mit (?P=pet) nach Hause\. "
            rf"(?:Zu Hause {one(lexicon.showings)} (?P=she) {one(lexicon.people)} (?P<shown>den|die|das) (?P=thing)|"
            rf"(?P<shown2>Den|Die|Das) (?P=thing) {one(lexicon.showings)} (?P=she) am Abend {one(lexicon.people)})\.\n"
        )

    def log_prob(self, text: str) -> float:
        """Nats; -inf where a word is unknown, or an article, an ending, a pronoun or a name does not agree."""
        story, lexicon = self._pattern.fullmatch(text), self.lexicon
        if story is None:
            return -math.inf
        hero = story["hero"] or story["hero2"]
        woman, giver_is_woman = hero in lexicon.women, story["giver"] in lexicon.women
        thing = _gender(story["thing"], lexicon.things)
        animal = _gender(story["animal"], lexicon.animals)
        agrees = (
            story["hero3"] == hero
            and story["she"] == ("sie" if woman else "er")
            and story["her"] == ("ihr" if woman else "ihm")
            and story["possessive"] == ("Ihr" if woman else "Sein") + ("e" if giver_is_woman else "")
            and (story["kin"] in lexicon.female_kin) == giver_is_woman
            and story["giver"] != hero
            and story["good"] != story["good2"]
            and f"{story['found']} -{story['found_ending']}"
            == {"m": "einen -en", "f": "eine -e", "n": "ein -es"}[thing]
            and f"{story['seen']} -{story['seen_ending']}" == {"m": "ein -er", "f": "eine -e", "n": "ein -es"}[animal]
            and story["beside"] == ("der" if thing == "f" else "dem")
            and (story["shown"] or story["shown2"].lower()) == {"m": "den", "f": "die", "n": "das"}[thing]
            and story["relative"] == {"m": "den", "f": "die", "n": "das"}[animal]
        )
        numbers = (
            (story["day"] or story["day2"], lexicon.days),
            (story["hour"] or story["hour2"], lexicon.hours),
            (story["minute"] or story["minute2"], lexicon.minutes),
            (story["amount"], lexicon.amounts),
            (story["amount2"], lexicon.amounts),
        )
        if not agrees or not all(low <= int(number) <= high for number, (low, high) in numbers):
            return -math.inf
        chosen_among = [
            2,  # a woman or a man
            len(lexicon.women if woman else lexicon.men),
            2,  # the date first, or the name
            *(high - low + 1 for _, (low, high) in numbers),
            *map(len, (lexicon.months, lexicon.motions, lexicon.goals)),
            *map(len, (lexicon.findings, lexicon.things, lexicon.thing_adjectives, lexicon.spots)),
            *map(len, (lexicon.rests, lexicon.animals, lexicon.animal_adjectives, lexicon.pet_names)),
            *map(len, (lexicon.calls, lexicon.speech)),
            2,  # the giver: a woman or a man
            len(lexicon.female_kin if giver_is_woman else lexicon.male_kin),
            len(lexicon.women if giver_is_woman else lexicon.men) - (giver_is_woman == woman),
            *map(len, (lexicon.gifts, lexicon.goods)),
            len(lexicon.goods) - 1,
            *map(len, (lexicon.reasons, lexicon.motions, lexicon.moods)),
            2,  # at home, or the thing first
            *map(len, (lexicon.showings, lexicon.people)),
        ]
        return -sum(map(math.log, chosen_among))


def _gender(bare: str, nouns: tuple[str, ...]) -> str:
    return next({"der": "m", "die": "f", "das": "n"}[noun[:3]] for noun in nouns if noun[4:] == bare)
