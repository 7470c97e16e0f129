"""A judge serves what is proven, learns, forgets nothing over a restart, and is quick. # D-14"""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from support.near_misses import near_misses
from support.semantics import willing

from llmgw.rules.similarity import features
from llmgw.rules.similarity.decision import Neighbour
from llmgw.rules.similarity.groups import MOST, RIVALS, Groups
from llmgw.rules.similarity.judge import Judge
from llmgw.rules.similarity.turn import read
from llmgw.rules.similarity.verifier import FOLDER, shipped

ASKED = "how do i reset the password of my account"
WORDINGS = (
    "how can i reset my account password", "i need to reset the password of my account", "reset my password please",
    "please help me to reset my account's password", "where can i reset the password of my account",
    "what do i do to reset my account password", "tell me how to reset the password for my account",
    "i would like to reset my account password",
)  # fmt: skip


def neighbours(group: int = 1) -> list[Neighbour]:
    return [Neighbour(at, read(text), 0.97 - at / 100, group) for at, text in enumerate(WORDINGS)]


def taught(seed: int = 0) -> Judge:
    """A judge that has heard three hundred times that its candidate was right."""
    judge = Judge(0.02, "minilm", chance=random.Random(seed))
    for _ in range(300):
        judge.learn(judge.consider(read(ASKED), neighbours()), right=True)
    return judge


@pytest.mark.parametrize("embedder", ["minilm", "screen", "openai/text-embedding-3-small"])
def test_a_young_judge_serves_nothing(embedder: str) -> None:
    """What has never been compared is never served, not even the same words in another order of politeness."""
    verdict = Judge(0.05, embedder).consider(read(ASKED), neighbours())
    assert not verdict.hit
    assert verdict.reason == "unproven"
    assert verdict.neighbour is not None


def test_a_taught_judge_serves() -> None:
    """After enough right answers it serves, from a neighbour that no guard forbids, and audits some."""
    judge = taught()
    verdicts = [judge.consider(read(ASKED), neighbours()) for _ in range(200)]
    assert all(verdict.hit for verdict in verdicts)
    audits = [verdict for verdict in verdicts if verdict.audit]
    assert 0 < len(audits) < 60
    assert all(verdict.weight > 1 for verdict in audits)


def test_no_audits_where_none_are_allowed() -> None:
    """An audit costs a call: a share of nought means none."""
    judge = Judge(0.02, "minilm", taught().snapshot(), audit=0)
    assert not any(judge.consider(read(ASKED), neighbours()).audit for _ in range(300))


def test_a_near_miss_is_not_served_by_a_taught_judge() -> None:
    """However much it trusts a group, a near miss of each of its entries is refused, and with the reason."""
    judge = taught()
    for one, other in near_misses():
        verdict = judge.consider(read(other), [Neighbour(1, read(one), 0.999, 1)])
        assert not verdict.hit
        assert verdict.reason not in {"hit", "score"}


def test_nothing_near_is_a_verdict_of_its_own() -> None:
    """Without neighbours there is nothing to compare, and learning from that changes nothing."""
    judge = taught()
    before = judge.snapshot()
    verdict = judge.consider(read(ASKED), [])
    judge.learn(verdict, right=False)
    assert (verdict.hit, verdict.neighbour) == (False, None)
    assert judge.snapshot() == before


def test_a_judge_survives_a_restart() -> None:
    """A snapshot brings back groups and weights to the bit, and the threshold follows from them."""
    judge = taught()
    other = Judge(0.02, "minilm", judge.snapshot())
    assert other.snapshot() == judge.snapshot()
    judge.risk.decide()
    assert other.risk.threshold == pytest.approx(judge.risk.threshold, abs=1e-3)
    verdict = other.consider(read(ASKED), neighbours())
    assert verdict.hit
    assert verdict.score == judge.consider(read(ASKED), neighbours()).score


@pytest.mark.parametrize("state", [b"", b"\x00torn", b"\x81\xa7version\x01", taught().snapshot()[:-40]])
def test_a_damaged_snapshot_is_as_good_as_none(state: bytes) -> None:
    """What cannot be read is dropped, and the judge begins anew."""
    assert Judge(0.02, "minilm", state).snapshot() == Judge(0.02, "minilm").snapshot()


def test_a_miss_names_a_second_group_to_compare() -> None:
    """The likeliest entry of another group, guards aside; the likelier of the two where only one can be compared."""
    judge = taught()
    unlike = Neighbour(90, read("reset the password of my account in 3 days"), 0.99, 2)
    hit = judge.consider(read(ASKED), [*neighbours(), unlike])
    assert hit.hit
    assert hit.other is None
    near = [Neighbour(91, read("where is my parcel"), 0.5, 3), unlike]
    forbidden = judge.consider(read(ASKED), near)
    assert forbidden.neighbour is not None
    assert forbidden.other is not None
    assert (forbidden.neighbour.group, forbidden.other.group, forbidden.likelier) == (3, 2, True)
    alone = judge.consider(read(ASKED), [unlike])
    assert alone.neighbour is unlike
    assert (alone.other, alone.likelier, alone.features) == (None, False, None)
    known = judge.consider(read("reset the password of my account in 4 days"), [*neighbours(), unlike])
    assert known.other is not None
    assert {known.neighbour and known.neighbour.group, known.other.group} == {1, 2}


def test_of_two_others_the_better_known_is_compared_and_a_guard_counts_against_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With all scores alike a proven group goes first, and what a guard forbids is the less likely for it."""
    monkeypatch.setattr("llmgw.rules.similarity.judge.FAMILIAR", 0.5)
    judge = Judge(0.01, willing())
    allowed = Neighbour(91, read("where is my parcel"), 0.5, 3)
    near = [
        Neighbour(at, read(f"reset the password of my account in {at} days"), 0.9 + at / 100, at)
        for at in (5, 6)
    ]
    for group in (5, 6):
        judge.groups = Groups()
        judge.groups.learn(group, right=True, chance=None)
        verdict = judge.consider(read(ASKED), [allowed, *near])
        assert verdict.neighbour is allowed
        assert verdict.other is near[group - 5]
        assert verdict.score == pytest.approx(3, abs=0.1)
        assert not verdict.likelier


@pytest.mark.parametrize(
    ("right", "also", "group"),
    [
        (True, None, 3),
        (False, True, 2),
        (False, False, 77),
        (None, True, 2),
        (None, False, 77),
        (None, None, 77),
    ],
)
def test_labels_tell_where_a_fresh_answer_belongs(right: bool | None, also: bool | None, group: int) -> None:
    """To the group that it agrees with, else to one of its own; who does not agree is a rival of that group."""
    judge = Judge(0.02, "minilm")
    near = [
        Neighbour(91, read("where is my parcel"), 0.5, 3),
        Neighbour(90, read("reset the password of my account in 3 days"), 0.99, 2),
    ]
    verdict = judge.consider(read(ASKED), near)
    assert judge.learn(verdict, right, also=also, fresh=77) == group
    for number, told in ((3, right), (2, also)):
        record = judge.groups.get(number)
        assert (record.right, record.wrong) == (told is True, told is False)
        assert (group in record.rivals) == (told is False)


def test_wrong_answers_are_heard() -> None:
    """A group whose answer turns out wrong again and again is served no more."""
    judge = taught()
    for _ in range(60):
        judge.learn(judge.consider(read(ASKED), neighbours()), right=False, weight=10)
    assert not judge.consider(read(ASKED), neighbours()).hit


def test_memory_is_bounded() -> None:
    """Groups and their rivals are forgotten, the one unused longest first."""
    groups = Groups()
    for at in range(MOST + 50):
        groups.learn(at, right=True, chance=0.5)
    for at in range(RIVALS + 20):
        groups.learn(MOST, right=False, chance=0.5, rival=10 * MOST + at)
    assert len(groups.records) == MOST
    assert groups.get(0).right == 0
    assert len(groups.get(MOST).rivals) == RIVALS


def test_the_shipped_weights_are_small_whole_and_of_known_origin() -> None:
    """Both sets fit today's figures, say where they come from, and were made without QQP."""
    for name in ("minilm", "static"):
        path = FOLDER / f"{name}.json"
        weights = shipped(name)
        assert path.stat().st_size < 100_000
        assert "without QQP" in path.read_text()
        assert weights.pair.shape == (len(features.NAMES),)
        assert weights.covariance.shape == (len(weights.mean),) * 2
        assert (np.linalg.eigvalsh(weights.covariance) > 0).all()
        assert weights.curve[1] < 0


def test_a_verdict_is_quick() -> None:
    """Eight candidates are verified in under 0.3 ms, and judged with all guards in a few."""
    judge, turn, near = taught(), read(ASKED), neighbours()
    rows = features.pairs(turn, [each.turn for each in near], [each.cosine for each in near])
    assert best_of(lambda: judge.weights.logits(rows)) < 0.0003
    assert best_of(lambda: judge.consider(turn, near)) < 0.005


def best_of(work: object, times: int = 30) -> float:
    """Seconds of the quickest run: what the machine does beside it is no concern of this."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()  # type: ignore[operator]
        taken.append(time.perf_counter() - begun)
    return min(taken)
