"""What all tests share: goldens and Hypothesis's profiles.

Goldens are texts under tests/golden that a renderer must give again, rewritten only by ``pytest --update-goldens``.

``CI`` in the environment makes Hypothesis try the same examples in every run; ``HYPOTHESIS_PROFILE=long`` makes it try
many more.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from analyzer import jit, language

pytest.register_assert_rewrite("tests.script")
collect_ignore = ["sample_project"]  # test_packages.py runs it

QUICK = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", QUICK)
settings.register_profile("ci", QUICK, derandomize=True)
settings.register_profile("long", QUICK, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "quick"))

GOLDEN = Path(__file__).parent / "golden"


def pytest_configure(config: pytest.Config) -> None:
    # Whatever the machine speaks; programs that tests start inherit it.
    os.environ["LANGUAGE"] = "en"
    # Whatever defaults its user has, and wants of colours.
    os.environ["TCPFLOW_VIEW_CONFIG"] = ""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        os.environ.pop(name, None)
    # Processes of pytest-xdist are told how wide the terminal is.
    os.environ.pop("COLUMNS", None)
    # Under nohup, the programs that tests start would ignore it too.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Hypothesis imports libcst to show a failing example, and libcst something deprecated.
    config.addinivalue_line("filterwarnings", "ignore:mypy_extensions.TypedDict is deprecated:DeprecationWarning")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="write what is rendered now; review the diff")


@pytest.fixture(autouse=True)
def nothing_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test decides by its own packets whether kernels are compiled, not by those of all tests before."""
    monkeypatch.setattr(jit, "_expected_packets", 0)
    monkeypatch.setattr(jit, "_expected_now", 0)
    monkeypatch.setattr(jit, "_only_from_disk", False)


@pytest.fixture(autouse=True)
def english() -> None:
    """Each test begins in English."""
    language.speak("en")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden("read/name.txt", text)`` compares the text with the file."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-goldens"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"no golden {name}: pytest --update-goldens writes it"
        assert text == path.read_text(encoding="utf-8")

    return check
