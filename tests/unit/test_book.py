"""The book: Sphinx builds it without a warning, every reference within it leads somewhere, and no block names what is not."""

import json
import re
import subprocess
import sys
from pathlib import Path

from steering.model.session import SessionState
from steering.northbound.resources.routes import ROUTES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SCHEMA = json.loads((ROOT / "policies" / "schema.json").read_text())
# Keys of rules that are words of TCP/IP, or say the same as another term.
PLAIN = (
    "acl", "action", "deny", "source", "destination", "time", "dscp", "ip version", "mptcp version", "direction", "weights", "max stretch",
    "ratio", "transports", "terminate only", "access", "mcps", "whatif",
)  # fmt: skip


def test_it_is_built_without_a_warning_and_every_reference_leads_somewhere(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-n",
        "-b",
        "html",
        str(DOCS),
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "operator.html").read_text()
    assert 'href="controller-loss.html"' in page and (tmp_path / "genindex.html").exists()


def test_every_lab_that_the_operators_guide_names_exists() -> None:
    from topologies.catalogue import MODULES

    text = (DOCS / "operator.rst").read_text()
    table = text[text.index("Deployments") : text.index("Installed as a service")]
    labs = re.findall(r"^      - ``([a-z-]+)``$", table, re.M)
    assert len(labs) > 4 and not [lab for lab in labs if lab not in MODULES]


def test_every_file_that_a_page_names_exists() -> None:
    missing = [
        f"{page.name}: {name}"
        for page in DOCS.glob("*.rst")
        for name in re.findall(
            r"``((?:docs|ops|policies|packaging|steering|topologies|tests)/[\w./-]+\w)``", page.read_text()
        )
        if not (ROOT / name).exists()
    ]
    assert missing == []


def test_the_glossary_has_every_word_of_the_drafts_of_rest_and_of_rules() -> None:
    text = (DOCS / "glossary.rst").read_text()
    terms = {
        one.strip().lower() for line in re.findall(r"^ {4}(\S.*)$", text, re.M) for one in line.split(",")
    }
    pages = "".join(page.read_text() for page in DOCS.glob("*.rst"))
    words = set(re.findall(r"\bMP_[A-Z_]+[A-Z]|\bADD_ADDR\b", pages))
    words |= {route.path.split("/")[2] for route in ROUTES if route.path.startswith("/v1/")} - {
        "openapi.json",
        "metrics",
        "health",
        "status",
        "page",
    }
    words |= {key for part in ("WhenFile", "ThenFile") for key in SCHEMA["$defs"][part]["properties"]}
    spelt = {word.lower().replace("-", " ").replace("_", " "): word for word in words}
    known = {term.replace("-", " ").replace("_", " ") for term in terms} | set(PLAIN)
    assert [word for told, word in sorted(spelt.items()) if not {told, told.removesuffix("s")} & known] == []
    assert [state for state in SessionState if f"``{state.value}``" not in text] == []
