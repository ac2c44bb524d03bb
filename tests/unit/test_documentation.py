"""Documentation names what there is."""

import re

import pytest

from fuxiflow import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_requirement_has_its_reason():
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text().lower()
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if "==" in line:
            name = line.split("==")[0].lower()
            assert re.search(rf"[| ,]{re.escape(name)}[ ,;|]", text), (
                f"docs/explanation/architecture.md gives no reason for {name}"
            )


def test_the_readmes_commands_are_targets_of_make():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^make ([\w-]+)", (ROOT / "README.md").read_text(), re.M)) <= targets


def test_continuous_integration_runs_the_readmes_test_command():
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(), re.M)
