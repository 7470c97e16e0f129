"""Writes llmgw/config/prices.toml from a git directory of github.com/pydantic/genai-prices: make_prices.py GIT_DIR."""  # noqa: INP001

import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import msgspec

from llmgw.config.price_sync import Data, generate

LIST = Path(__file__).parents[1] / "llmgw/config/prices.toml"
CHECKED = re.compile(r"^  - id: '?(.+?)'?$|^    prices_checked: '?([0-9-]{10})", re.MULTILINE)


def git(folder: str, *arguments: str) -> str:
    command = ["git", "-C", folder, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def checked_days(folder: str) -> dict[tuple[str, str], str]:
    """When each model's price was last compared with its provider's page: the YAML sources say it, the JSON does not."""
    days = {}
    for path in git(folder, "ls-tree", "--name-only", "HEAD", "prices/providers/").split():
        if path.endswith(".yml"):
            text = git(folder, "show", f"HEAD:{path}")
            provider = re.search(r"^id: (\S+)", text, re.MULTILINE)[1]
            for model, day in CHECKED.findall(text):
                if model:
                    current = model
                else:
                    days[provider, current] = day
    return days


def main(folder: str) -> None:
    path = "prices/new_data/v2/data.json"
    commit, day = git(folder, "log", "-1", "--format=%h %cs", "--", path).split()
    data = msgspec.json.decode(git(folder, "show", f"HEAD:{path}"), type=Data)
    days = checked_days(folder)
    for provider in data:
        for model in provider["models"]:
            if checked := days.get((provider["id"], model["id"])):
                model["prices_checked"] = checked
    LIST.write_text(generate(data, f"genai-prices {commit}", date.fromisoformat(day)), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
