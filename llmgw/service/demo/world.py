"""Who and what there is in the demo: models with their speed and price, callers with their habits, what they ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmgw.domain.route import Tier

if TYPE_CHECKING:
    from random import Random


class Model(NamedTuple):
    """``first_ms`` until the first token, ``speed`` tokens a second, prices in dollars a million tokens."""

    provider: str
    name: str
    tier: Tier
    first_ms: int
    speed: int
    input: float
    output: float
    cached: float = 0.0
    """What part of its input tokens comes from the provider's cache."""


class Caller(NamedTuple):
    """``weight`` is how often it calls beside others, ``models`` what it asks for and how often.

    ``tokens`` is how long its prompts are, ``stream`` the part of its calls that stream.
    """

    key: str
    tenant: str
    user: str
    tags: tuple[str, ...]
    weight: int
    models: dict[str, int]
    tokens: int
    stream: float


AUTO = "gateway-auto"
MODELS = (
    Model("ollama", "qwen3:8b", Tier.LOCAL, 240, 45, 0, 0),
    Model("groq", "llama-3.1-8b-instant", Tier.CHEAP, 120, 280, 0.05, 0.08),
    Model("openai", "gpt-5-nano", Tier.CHEAP, 310, 150, 0.05, 0.40),
    Model("openai", "gpt-5-mini", Tier.CHEAP, 420, 110, 0.25, 2.00),
    Model("anthropic", "claude-sonnet-4-5", Tier.PREMIUM, 690, 75, 3.00, 15.00, 0.6),
)
CALLERS = (
    Caller("me", "default", "ada", ("editor",), 8, {AUTO: 5, "claude-sonnet-4-5": 1}, 3000, 0.9),
    Caller("bot", "default", "", ("batch", "support"), 9, {AUTO: 3, "gpt-5-mini": 2}, 700, 0.1),
    Caller("ci", "ml", "", ("build",), 5, {"gpt-5-nano": 3, AUTO: 2}, 1600, 0.0),
    Caller("notebook", "ml", "grace", (), 3, {"gpt-5-mini": 3, "claude-sonnet-4-5": 1}, 4000, 0.6),
    Caller("shop", "shop", "", ("prod",), 6, {"llama-3.1-8b-instant": 4, AUTO: 2}, 400, 0.5),
)
TASKS = (
    "Summarise this ticket in one sentence",
    "Translate to French",
    "What does this error mean",
    "Write a unit test for this function",
    "Explain this diff to a new colleague",
    "Classify the sentiment of this review",
    "Extract the invoice number and the total",
    "Refactor this class without changing what it does",
    "Suggest three names for this product",
    "Is this message spam",
)
THINGS = (
    "the parcel has not arrived and the order page shows nothing",
    "TypeError: object of type NoneType has no len() in reports.py line 88",
    "def area(shape): return shape.width * shape.height",
    "the blue jacket fits well, but one seam came loose after a week",
    "invoice 2026-1182, three licences, due within thirty days",
    "our meeting moved to Thursday, please confirm with the team",
    "a lamp that follows the sun and charges by day",
    "the build is red since the cache was cleared on the runner",
    "the customer asks whether the warranty covers water damage",
    "the query scans the whole table although there is an index",
)
CONTEXT = "; ".join(THINGS) + "; "
ANSWER = (
    "Here is a short answer that a model might have given: the matter is clear enough, the next step is small, and "
    "whoever reads this can take it today. "
)


def prompt(caller: Caller, random: Random) -> str:
    """What a caller asks; some things are asked again and again, and those a cache can answer."""
    task, thing = random.choice(TASKS), random.choice(THINGS)
    again = random.random() < 0.45
    detail = "" if again else f" (case {random.randrange(10**6)})"
    return (
        f"{task}: {thing}{detail}.\n\n"
        + (CONTEXT * (1 + 4 * caller.tokens // len(CONTEXT)))[: 4 * caller.tokens]
    )


def model_of(name: str) -> Model:
    """The model of that name."""
    return next(each for each in MODELS if each.name == name)
