"""aider: a coding assistant, run one-shot on a scratch folder.

The message is a whole-file edit block, which the echo model gives back, so that aider carries out a real edit.
"""

import json
import pathlib
import tempfile

import contract
import program
from contract import check, equal

client = contract.Client("aider", "aider-chat")

AIDER = program.beside_python("aider")
OLD = "def greet():\n    return 'hello'\n"
NEW = "def greet(name):\n    # Grüße, 東京 🦀\n    return f\"hello \\\"{name}\\\"\"\n"
EDIT = f"greet.py\n```\n{NEW}```\n"


class Workshop:
    """A scratch home and a scratch folder with one file to edit."""

    def __init__(self, path):
        self.home = pathlib.Path(path) / "home"
        self.folder = pathlib.Path(path) / "project"
        self.folder.mkdir()
        self.file = self.folder / "greet.py"
        self.file.write_text(OLD)
        caches = self.home / ".aider" / "caches"
        caches.mkdir(parents=True)
        facts = {"max_input_tokens": 100_000, "max_tokens": 10_000, "litellm_provider": "openai", "mode": "chat"}
        names = [f"openai/{model}" for model in (contract.ECHO_MODEL, contract.UNKNOWN_MODEL)]
        # A fresh cache of model facts: without one aider fetches it from the net.
        (caches / "model_prices_and_context_window.json").write_text(json.dumps(dict.fromkeys(names, facts)))
        # By default aider puts its own example of an edit behind the user's words, and the echo would carry it out.
        settings = [{"name": name, "edit_format": "whole", "reminder": "sys"} for name in names]
        (self.folder / ".aider.model.settings.yml").write_text(json.dumps(settings))

    def run(self, *arguments, model=contract.ECHO_MODEL, key=contract.API_KEY):
        """Runs aider on the file; returns what it said."""
        options = (
            "--yes-always --no-git --no-pretty --no-fancy-input --no-check-update --no-show-release-notes "
            "--no-show-model-warnings --analytics-disable --no-auto-lint --no-suggest-shell-commands "
            "--no-detect-urls --disable-playwright --map-tokens 0 --edit-format whole"
        ).split()
        command = [AIDER, *options, "--model", f"openai/{model}", *arguments, "greet.py"]
        variables = program.surroundings(
            self.home,
            OPENAI_API_BASE=contract.BASE_URL,
            OPENAI_API_KEY=key,
            LITELLM_LOCAL_MODEL_COST_MAP="True",
        )
        _, out, err = program.run(command, variables, self.folder)
        return out + err


def with_workshop(function):
    """Registers a case that gets a scratch workshop."""

    def case():
        with tempfile.TemporaryDirectory() as path:
            return function(Workshop(path))

    case.__name__ = function.__name__
    return client.case(case)


def check_edit(workshop, said):
    check("Applied edit to greet.py" in said, f"aider said {said[-400:]!r}")
    equal(workshop.file.read_text(), NEW, "greet.py")
    others = sorted(path.name for path in workshop.folder.iterdir() if not path.name.startswith(".aider"))
    equal(others, ["greet.py"], "files in the folder")


@with_workshop
def stream(workshop):
    check_edit(workshop, workshop.run("--stream", "--message", EDIT))
    return "edited a file from a streamed answer"


@with_workshop
def chat(workshop):
    check_edit(workshop, workshop.run("--no-stream", "--message", EDIT))
    return "edited a file from a whole answer"


@with_workshop
def error_auth(workshop):
    said = workshop.run("--message", EDIT, key=contract.WRONG_KEY)
    check("AuthenticationError" in said, f"aider said {said[-400:]!r}")
    check(contract.WRONG_KEY not in said, "the error repeats the key")
    equal(workshop.file.read_text(), OLD, "greet.py")
    return "AuthenticationError told, file untouched"


@with_workshop
def error_unknown_model(workshop):
    said = workshop.run("--message", EDIT, model=contract.UNKNOWN_MODEL)
    check("NotFoundError" in said, f"aider said {said[-400:]!r}")
    equal(workshop.file.read_text(), OLD, "greet.py")
    return "NotFoundError told, file untouched"


if __name__ == "__main__":
    client.main()
