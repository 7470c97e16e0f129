"""`llmgw bench cache`: a workload of one's own, replayed without a gateway. # D-15"""

import json

import pytest

WAYS = (
    "How do I {}?", "how can i {}", "What is the way to {}?", "Please tell me how to {}.", "I want to {}, how does that work?",
)  # fmt: skip
TASKS = (
    "reset my password", "close my account", "order a new card", "change my address", "see my invoices",
    "invite a colleague", "export my data", "turn off the newsletter", "delete a project", "rename a team",
)  # fmt: skip


@pytest.fixture
def workload(tmp_path):
    """Fifty questions of ten kinds, each asked in five ways, and the first ten of them once more."""
    lines = [{"prompt": way.format(task), "cls": task} for way in WAYS for task in TASKS]
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, lines + lines[:10])), encoding="utf-8")
    return str(path)


def test_every_policy_is_measured(llmgw, workload):
    """The same questions go through the exact cache, the semantic one, and the thresholds that others use."""
    told = llmgw.run("bench", "cache", workload, "--price", "openai/gpt-4o-mini", "--json")
    assert told.code == 0
    rows = {each["policy"]: each for each in told.json["policies"]}
    assert list(rows) == ["exact", "semantic 0.01", "cosine 0.92", "cosine 0.95", "cosine 0.98"]
    exact, semantic = rows["exact"], rows["semantic 0.01"]
    assert {row["requests"] for row in rows.values()} == {60}
    assert (exact["hits"], exact["exact"], exact["semantic"]) == (10, 10, 0)
    assert exact["wrong_percent"] is None
    assert semantic["hits"] >= 10
    assert 0 < semantic["saved_nanousd"] >= exact["saved_nanousd"]
    assert semantic["lookup_p99_us"] >= semantic["lookup_p50_us"] > 0
    near = rows["cosine 0.92"]
    assert near["semantic"] > 0
    assert near["wrong_low_percent"] <= near["wrong_percent"] <= near["wrong_high_percent"]
    assert "60 questions, compared by static" in told.err


def test_a_looser_promise_serves_no_less(llmgw, workload):
    """The promise is an option, and named with the policy."""
    rows = [
        llmgw.run("bench", "cache", workload, "--max-error", share, "--json").json["policies"][1]
        for share in ("0.001", "0.3")
    ]
    assert [row["policy"] for row in rows] == ["semantic 0.001", "semantic 0.3"]
    assert rows[0]["semantic"] <= rows[1]["semantic"]


def test_without_labels_nobody_knows(llmgw, tmp_path):
    """Bare texts are replayed, and it is said that wrong hits cannot be counted; costs are unknown, not zero."""
    path = tmp_path / "bare.jsonl"
    path.write_text('"How do I reset my password?"\n"How do I reset my password?"\n')
    told = llmgw.run("bench", "cache", str(path), "--json")
    assert "wrong hits are not counted" in told.err
    assert [row["exact"] for row in told.json["policies"]] == [1] * 5
    assert {row["saved_nanousd"] for row in told.json["policies"]} == {None}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nowhere.jsonl"], 5),
        (["{file}", "--embedder", "openai/text-embedding-3-small"], 2),
        (["{file}", "--embedder", "minilm"], 5),
        (["{file}", "--price", "gpt"], 2),
        (["{file}", "--price", "nobody/nothing"], 5),
        (["{file}", "--max-error", "2"], 2),
    ],
)
def test_what_cannot_be_measured(llmgw, workload, words, code):
    """A file, an embedder or a price that is not there ends with the exit code for it."""
    failed = llmgw.run("bench", "cache", *(word.format(file=workload) for word in words))
    assert failed.code == code
    assert failed.err.startswith("error: ")
    assert failed.out == ""
