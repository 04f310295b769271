"""The book: Sphinx builds it without a warning, every reference within it leads somewhere, and no block names what is not."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


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
