"""A model that only judges: replies with the right label get the best grade, as a stand-in for a real judge."""

from evo.model import Completion, Request
from evo.ports import Price
from evo.settings import ModelSettings


class Grader:
    can_choose = can_embed = False
    price = Price(1e-6, 1e-6)

    def __init__(self, settings: ModelSettings) -> None:
        self.identity = settings.name
        self._words = settings.options.get("words", "")

    async def complete(self, request: Request) -> Completion:
        lines = request.text.splitlines()
        after = {line.split()[1]: lines[n + 1] for n, line in enumerate(lines) if line.startswith("BEGIN ")}
        text = self._words or f"So it is.\nGRADE: {5 if after['REPLY'] == after['REFERENCE'] else 2}"
        return Completion(text, 100, 10, 1.1e-4)

    async def aclose(self) -> None: ...
