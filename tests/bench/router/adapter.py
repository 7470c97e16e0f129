"""This package's router for the black-box benchmark ``evaluate.py``: ``--adapter adapter:make`` or ``:make_online``."""

from llmgw.rules.tiering.learning import Learning
from llmgw.rules.tiering.likeness import Likeness
from llmgw.rules.tiering.score import shipped


class Cold:
    """The score alone, as it is before any outcome."""

    def __init__(self, model=None):
        self.model = model or shipped()

    def score(self, prompt):
        return self.model.score(prompt).gain


class Online(Cold):
    """The score as the owner's outcomes have it; ``embed`` gives a text's likeness, None leaves neighbours out."""

    def __init__(self, model=None, embed=None):
        super().__init__(model)
        self.embed = embed or (lambda _: None)
        self.learning = Learning(self.model.weights.bias[0])

    def score(self, prompt):
        return self.learning.adjust(self.model.score(prompt), self.embed(prompt)).gain

    def observe(self, prompt, weak, strong):
        seen = {
            tier: float(quality)
            for tier, quality in (("local", weak), ("premium", strong))
            if quality is not None
        }
        self.learning.learn(self.model.score(prompt).features, seen, self.embed(prompt))


def make():
    """Before any outcome."""
    return Cold()


def make_online():
    """Learns from outcomes, with the static embedding for neighbours."""
    from llmgw.providers.embedding.static import StaticTable

    return Online(embed=Likeness(StaticTable.load().embed).of)
