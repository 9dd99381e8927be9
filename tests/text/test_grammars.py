import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moe_lessons.text.grammars import GRAMMARS, Arithmetic, GermanStories, JsonRecords, PhoneBook
from moe_lessons.text.grammars.german_stories import Lexicon

ALL = list(GRAMMARS.values())
SEEDS = st.integers(0, 2**32)


def name_of(grammar):
    return grammar.name


class Exhausting(random.Random):
    """Stands in for random.Random and walks, call after call of `sample`, through every sequence of choices."""

    def __init__(self):
        super().__init__()
        self.path, self.at = [], 0

    def randrange(self, n):
        if self.at == len(self.path):
            self.path.append([0, n])
        self.at += 1
        return self.path[self.at - 1][0]

    def advance(self):
        self.at = 0
        while self.path and self.path[-1][0] + 1 == self.path[-1][1]:
            self.path.pop()
        if self.path:
            self.path[-1][0] += 1
        return bool(self.path)


def every_document(grammar):
    rng = Exhausting()
    documents = [grammar.sample(rng)]
    while rng.advance():
        documents.append(grammar.sample(rng))
    return documents


SMALL_GERMAN = Lexicon(
    women=("Anna", "Lena"), men=("Otto", "Karl"), months=("Mai",), days=(1, 1), hours=(9, 10), minutes=(10, 10),
    motions=("ging",), goals=("zum Turm",), findings=("fand",), things=("der Hut", "die Uhr", "das Buch"),
    thing_adjectives=("alt",), spots=("vor einem Tor",), rests=("saß",), animals=("der Igel", "die Maus", "das Huhn"),
    animal_adjectives=("klein",), pet_names=("Bello",), calls=("Wie schön!",), speech=("rief",), male_kin=("Onkel",),
    female_kin=("Tante",), gifts=("gab",), amounts=(2, 3), goods=("Eier", "Rosen"), reasons=("Weil es regnete",),
    moods=("froh",), showings=("gab",), people=("dem Vater",),
)  # fmt: skip
SMALL = [
    Arithmetic(digits=1, factor_digits=1, lines=(1, 1)),
    GermanStories(lexicon=SMALL_GERMAN),
    JsonRecords(words=2, digits=0, items=1, spread=2, kinds=("order",)),
    JsonRecords(words=2, digits=0, items=1, spread=2, kinds=("person",)),
    JsonRecords(words=1, digits=0, items=1, spread=2, kinds=("reading",)),
    JsonRecords(words=1, digits=0, items=1, spread=2, kinds=("flight",)),
    JsonRecords(words=1, digits=2, items=1, spread=1, kinds=("order",)),
    JsonRecords(words=1, digits=0, items=3, spread=1, kinds=("order", "reading", "person")),
    PhoneBook(n_people=5, lines=(1, 4)),
]


@pytest.mark.parametrize("grammar", SMALL, ids=lambda g: f"{g.name}-{'-'.join(getattr(g, 'kinds', ()))}")
def test_the_probabilities_of_a_whole_small_language_add_up_to_one(grammar):
    documents = every_document(grammar)
    texts = {document.text for document in documents}
    assert len(texts) == len(documents), "two ways to draw the same text: the floor would be wrong"
    assert math.fsum(math.exp(grammar.log_prob(text)) for text in texts) == pytest.approx(1, abs=1e-9)
    for document in documents:
        assert grammar.log_prob(document.text) == pytest.approx(document.log_prob, abs=1e-9)


@pytest.mark.parametrize("grammar", ALL, ids=name_of)
@given(seed=SEEDS)
def test_reading_a_text_finds_the_probability_it_was_written_with(grammar, seed):
    document = grammar.sample(random.Random(seed))
    assert document.domain == grammar.name
    assert grammar.log_prob(document.text) == pytest.approx(document.log_prob, abs=1e-6)


@pytest.mark.parametrize("grammar", ALL, ids=name_of)
@given(seed=SEEDS, data=st.data())
def test_a_changed_character_is_never_scored_as_a_document_that_was_not_written(grammar, seed, data):
    text = grammar.sample(random.Random(seed)).text
    at = data.draw(st.integers(0, len(text) - 1))
    char = data.draw(st.sampled_from('0123456789 \n"{}.,:+-*=abcdeimnrs\u0663é'))
    changed = text[:at] + char + text[at + 1 :]
    # a digit may be exchanged for a free digit; then the probability is a proper one
    score = grammar.log_prob(changed)
    assert score == -math.inf or -1e3 < score < 0


@pytest.mark.parametrize("grammar", ALL, ids=name_of)
@pytest.mark.parametrize(
    "damage", [lambda t: "", lambda t: t[:-1], lambda t: t + "\n", lambda t: " " + t, lambda t: t + t]
)
def test_what_no_grammar_writes_has_no_probability(grammar, damage):
    assert grammar.log_prob(damage(grammar.sample(random.Random(5)).text)) == -math.inf


@pytest.mark.parametrize("grammar", ALL, ids=name_of)
def test_one_domain_does_not_speak_another_ones_language(grammar):
    others = [other.sample(random.Random(3)).text for other in ALL if other is not grammar]
    assert [grammar.log_prob(text) for text in others] == [-math.inf] * 3


@pytest.mark.parametrize("grammar", ALL, ids=name_of)
def test_the_same_seed_writes_the_same_documents(grammar):
    first, second = random.Random(7), random.Random(7)
    assert [grammar.sample(first) for _ in range(5)] == [grammar.sample(second) for _ in range(5)]


@pytest.mark.parametrize("grammar", ALL, ids=name_of)
def test_documents_are_short_enough_for_a_small_context(grammar):
    rng = random.Random(1)
    sizes = [len(grammar.sample(rng).text.encode()) for _ in range(500)]
    assert 200 < sum(sizes) / len(sizes) < 450
    assert max(sizes) < 500


@given(seed=SEEDS)
def test_arithmetic_is_right(seed):
    for line in GRAMMARS["arithmetic"].sample(random.Random(seed)).text.splitlines():
        left, right = line.split(" = ")
        assert eval(left) == int(right)


@pytest.mark.parametrize(
    "line",
    [
        "2 + 2 = 5",
        "02 + 2 = 4",
        "2 + 2 = 04",
        "2 + 2 =4",
        "1000 + 1 = 1001",
        "2 * 3 + 1 = 7",
        "101 * 1 = 101",
        "2 = 2",
        "1 + 1 + 1 + 1 = 4",
        "\u0662 + 2 = 4",
        "0 * 5 = -0",
    ],
)
def test_a_wrong_or_strange_line_is_not_arithmetic(line):
    grammar = Arithmetic(lines=(1, 1))
    assert grammar.log_prob("2 + 2 = 4\n") > -math.inf
    assert grammar.log_prob(line + "\n") == -math.inf


@given(seed=SEEDS)
def test_json_records_are_json_written_the_usual_way(seed):
    text = GRAMMARS["json"].sample(random.Random(seed)).text
    assert json.dumps(json.loads(text)) + "\n" == text


@pytest.mark.parametrize("seed", range(4))
def test_a_record_is_left_where_one_character_is_replaced_or_where_its_number_begins(seed):
    grammar = GRAMMARS["json"]
    text = grammar.sample(random.Random(seed)).text
    assert grammar.first_mistake(text) is None
    for place in range(len(text)):
        found = grammar.first_mistake(text[:place] + "~" + text[place + 1 :])
        assert 0 <= place - found < 6, text[place:]  # six digits at most are read at once


def test_a_phone_book_is_fixed_and_every_name_in_it_has_one_number():
    book = PhoneBook()
    assert len(dict(book.entries)) == len(book.entries) == 4000
    assert PhoneBook().entries == book.entries != PhoneBook(seed=1).entries
    assert all(len(number) == 6 and number.isdigit() for _, number in book.entries)


def test_the_floor_of_the_phone_book_counts_names_and_not_numbers():
    book = PhoneBook(n_people=2000, lines=(3, 3))
    document = book.sample(random.Random(0))
    assert document.log_prob == pytest.approx(-3 * math.log(2000))
    wrong = document.text[:-2] + str((int(document.text[-2]) + 1) % 10) + "\n"
    assert book.log_prob(wrong) == -math.inf


@pytest.mark.parametrize("n_people", [0, -1, 4097])
def test_a_phone_book_refuses_more_people_than_names(n_people):
    with pytest.raises(ValueError, match=r"n_people is .* choose"):
        PhoneBook(n_people=n_people)


@given(seed=SEEDS)
def test_the_things_of_a_german_story_keep_their_gender_and_people_their_pronoun(seed):
    """An independent reading, word by word: the articles before one noun agree all through the story."""
    lexicon = Lexicon()
    text = GRAMMARS["german"].sample(random.Random(seed)).text
    tokens = text.replace(".", " ").replace(",", " ").split()
    thing = next(noun for noun in lexicon.things if noun[4:] == tokens[tokens.index("Neben") + 2])
    before = {tokens[i - 1].lower() for i, token in enumerate(tokens) if token == thing[4:]}
    articles = {"der": {"dem", "den"}, "die": {"der", "die"}, "das": {"dem", "das"}}[thing[:3]]
    # the first mention has an adjective before it, the other two an article
    assert before & {"der", "die", "das", "dem", "den"} == articles
    assert ("er" in tokens) != ("sie" in tokens)
    hero = next(token for token in tokens if token in lexicon.women + lexicon.men)
    assert ("sie" in tokens) == (hero in lexicon.women)


def test_the_lexicon_has_no_word_twice_and_no_pet_with_the_name_of_a_person():
    lexicon = Lexicon()
    lists = [value for value in vars(lexicon).values() if isinstance(value[0], str)]
    assert all(len(set(words)) == len(words) for words in lists)
    assert not set(lexicon.women) & set(lexicon.men)
    assert not set(lexicon.pet_names) & set(lexicon.women + lexicon.men)
    assert {noun[:4] for noun in lexicon.things + lexicon.animals} == {"der ", "die ", "das "}


def test_every_word_of_the_german_lexicon_is_written_sooner_or_later():
    rng, lexicon = random.Random(0), Lexicon()
    text = "".join(GRAMMARS["german"].sample(rng).text for _ in range(1500))
    wanted = (
        lexicon.women + lexicon.men + lexicon.months + lexicon.calls + lexicon.goods + lexicon.moods + lexicon.people
    )
    assert [word for word in wanted if word not in text] == []


@pytest.mark.parametrize(
    "right, wrong",
    [
        ("dem Hut", "der Hut"),
        ("einen alten Hut", "ein alter Hut"),
        ("einen alten Hut", "einen alte Hut"),
        ("ein kleiner Igel", "eine kleine Igel"),
        ("Igel, den sie", "Igel, die sie"),
        ("Bello nannte", "nannte Bello"),
        ("Ihre Tante", "Seine Tante"),
        ("Ihre Tante", "Ihr Tante"),
        ("gab ihr", "gab ihm"),
        ("Tante Lena", "Tante Anna"),
        ("2 Eier", "2 Rosen"),
        ("ging Anna froh", "ging Lena froh"),
        ("Den Hut", "Der Hut"),
        ("9.10 Uhr", "8.10 Uhr"),
    ],
)
def test_wrong_german_has_no_probability(right, wrong):
    grammar = GermanStories(lexicon=SMALL_GERMAN)
    text = (
        "Am 1. Mai um 9.10 Uhr ging Anna zum Turm. Dort fand sie einen alten Hut vor einem Tor. Neben dem Hut saß ein "
        "kleiner Igel, den sie Bello nannte. „Wie schön!“, rief sie. Ihre Tante Lena gab ihr 2 Eier und 3 Rosen. "
        "Weil es regnete, ging Anna froh mit Bello nach Hause. Den Hut gab sie am Abend dem Vater.\n"
    )
    assert grammar.log_prob(text) > -math.inf
    assert text.count(right) == 1
    assert grammar.log_prob(text.replace(right, wrong)) == -math.inf
