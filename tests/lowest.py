"""The oldest versions that pyproject.toml allows, as constraints for pip: `make check-lowest`."""

import re
import sys
import tomllib
from pathlib import Path


def constraints(pyproject: str) -> list[str]:
    """Return every requirement with a lower bound, held to that bound."""
    project = tomllib.loads(pyproject)["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    found = {
        match[1]: match[2]
        for requirement in (text for group in groups for text in group)
        if (match := re.match(r"([\w.-]+)(?:\[.*\])?\s*>=\s*([\w.]+)", requirement))
    }
    return [f"{name}=={version}" for name, version in sorted(found.items())]


if __name__ == "__main__":
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    sys.stdout.write("\n".join(constraints(text)) + "\n")
