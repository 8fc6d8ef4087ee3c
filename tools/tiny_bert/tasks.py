"""Labelled examples for the heads of the embedded model: generated, the same for the same seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tsnb.tiny_bert import corpus

if TYPE_CHECKING:
    import random

TALE = 0.25  # share of the sentences that tell no fact
NAME = ("first", "last")
ANSWERS = ("does not answer", "answers")
TAGS = ("other", "person", "job", "place")
TAG_OF = {"{first}": 1, "{last}": 1, "{job}": 2, "{city}": 3, "{place}": 3}


class Sentence(NamedTuple):
    """A filled template; `fact` is the number of a fact in the grammar, or -1."""

    template: str
    words: dict[str, str]
    fact: int

    @property
    def text(self) -> str:
        """The sentence as it is read."""
        return self.template.format(**self.words)


class Asked(NamedTuple):
    """A question about a text, and where the answer stands: `text[start:end]`."""

    question: str
    text: str
    start: int
    end: int


class Paired(NamedTuple):
    """A question, a text, and an index of `ANSWERS`: whether the text answers the question."""

    question: str
    text: str
    label: int


class Tagged(NamedTuple):
    """A text, and an index of `TAGS` for each of its words."""

    text: str
    tags: list[int]


def asked(rng: random.Random, room: int, *, unseen: bool = False) -> Asked:
    """Draw a text and a question that one place of it answers.

    Parameters
    ----------
    rng
        Source of chance; the same state gives the same example.
    room
        At most so many pieces in the text, though one sentence at least.
    unseen
        Take names from the held-out pairs, which the model was not trained on.

    Examples
    --------
    >>> from random import Random
    >>> drawn = asked(Random(0), 20)
    >>> drawn.question, drawn.text[drawn.start : drawn.end]
    ('where was jane day born ?', 'denver')
    """
    sentences = _sentences(rng, room, unseen=unseen)
    at = rng.choice([at for at, sentence in enumerate(sentences) if sentence.fact >= 0])
    fact = corpus.grammar()["fact"][sentences[at].fact]
    question, answer = fact["asked"].format(**sentences[at].words), fact["answer"]
    before = sentences[at].template.partition(answer)[0].format(**sentences[at].words)
    start = len(" ".join([*(sentence.text for sentence in sentences[:at]), before]))
    return Asked(question, _joined(sentences), start, start + len(answer.format(**sentences[at].words)))


def paired(rng: random.Random, room: int, *, unseen: bool = False) -> Paired:
    """Draw a question and a text about the same person, which answers it in half of the cases.

    In the others the text does not tell what is asked. Parameters as for `asked`.

    Examples
    --------
    >>> from random import Random
    >>> drawn = paired(Random(1), 9)
    >>> drawn.question, drawn.text, ANSWERS[drawn.label]
    ('what did nils myers do in denver ?', 'in denver nils myers kept a letter .', 'answers')
    """
    facts = corpus.grammar()["fact"]
    untold, sentences = rng.randrange(len(facts)), list[Sentence]()
    while all(sentence.fact < 0 for sentence in sentences):
        sentences = [sentence for sentence in _sentences(rng, room, unseen=unseen) if sentence.fact != untold]
    sentence = rng.choice([sentence for sentence in sentences if sentence.fact >= 0])
    label = rng.randrange(len(ANSWERS))
    template = facts[sentence.fact if label else untold]["asked"]
    words = sentence.words if label else {name: sentence.words[name] for name in NAME}
    return Paired(corpus.fill(rng, template, dict(words)), _joined(sentences), label)


def tagged(rng: random.Random, room: int, *, unseen: bool = False) -> Tagged:
    """Draw a text about one person, its words tagged. Parameters as for `asked`.

    Examples
    --------
    >>> from random import Random
    >>> drawn = tagged(Random(2), 6)
    >>> drawn.text, [TAGS[tag] for tag in drawn.tags]
    ('who was ella fisher ?', ['other', 'other', 'person', 'person', 'other'])
    """
    drawn = corpus.sentences(rng, room, unseen=unseen)
    tags = [TAG_OF.get(part, 0) for template, _ in drawn for part in template.split()]
    return Tagged(" ".join(text for _, text in drawn), tags)


def _sentences(rng: random.Random, room: int, *, unseen: bool) -> list[Sentence]:
    """Draw sentences about a person until one does not fit; one tells a fact, and none twice."""
    person = corpus.person(rng, unseen=unseen)
    facts = [item["told"] for item in corpus.grammar()["fact"]]
    sentences: list[Sentence] = []
    for fact in rng.sample(range(len(facts)), len(facts)):
        tale = bool(sentences) and rng.random() < TALE
        template = rng.choice(_tales()) if tale else facts[fact]
        room -= corpus.most_pieces(template)
        if sentences and room < 0:
            break
        words = dict(zip(NAME, person, strict=True))
        corpus.fill(rng, template, words)
        sentences.append(Sentence(template, words, -1 if tale else fact))
    rng.shuffle(sentences)
    return sentences


def _tales() -> list[str]:
    """Return the grammar's stories that answer no question about a fact."""
    stories = corpus.grammar()["sentences"]["story"]
    return [story for story in stories if not {"born", "work"} & {*story.split()}]


def _joined(sentences: list[Sentence]) -> str:
    return " ".join(sentence.text for sentence in sentences)
