from __future__ import annotations

import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from _policies import BOOKWORM, PINNED_TESTING, SOURCES_ONE_LINE
from _programs import Programs

from devenv.core.errors import DevenvError, ToolMissing
from scripts.machine import apt, engine_packages


@pytest.fixture
def machine(
    debian: Callable[[str], None], programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Programs:
    """A Debian 12 without Docker whose apt reads the lists of testing once a source for it is there."""
    debian(BOOKWORM)
    folder = tmp_path / "apt"
    folder.mkdir()
    (folder / "sources.list").write_text(SOURCES_ONE_LINE, encoding="utf-8")
    source, pin = folder / "sources.list.d" / "ours.sources", folder / "preferences.d" / "ours"
    monkeypatch.setattr(engine_packages, "SOURCE_FILE", source)
    monkeypatch.setattr(engine_packages, "PIN_FILE", pin)
    policy = tmp_path / "policy"
    # The pin has to be there when testing is first read: apt would take it for an ordinary source.
    programs.add(
        "apt-get",
        f"""case "$*" in
*update) test -e "{source}" && test -e "{pin}" && printf '%s' '{PINNED_TESTING}' >>"{policy}" ;;
esac
exit 0""",
    )
    return programs


def test_an_old_release_gets_the_engine_from_a_pinned_testing(machine: Programs, tmp_path: Path) -> None:
    engine_packages.install_engine(24)
    assert engine_packages.PIN_FILE.read_text() == "Package: *\nPin: release a=testing\nPin-Priority: 90\n"
    written = engine_packages.SOURCE_FILE.read_text()
    assert "URIs: http://mirror.test/debian/\nSuites: testing\nComponents: main\n" in written
    assert "Signed-By: /usr/share/keyrings/debian.gpg\n" in written
    assert stat.S_IMODE(engine_packages.SOURCE_FILE.stat().st_mode) == 0o644
    install = machine.calls("apt-get")[-1]
    assert "install -y --no-install-recommends -t testing docker.io docker-buildx iptables" in install
    assert (tmp_path / "apt" / "sources.list").read_text() == SOURCES_ONE_LINE


def test_a_testing_that_is_there_already_is_used_as_it_is(machine: Programs, tmp_path: Path) -> None:
    (tmp_path / "policy").write_text(BOOKWORM + PINNED_TESTING, encoding="utf-8")
    engine_packages.install_engine(24)
    assert not engine_packages.SOURCE_FILE.exists()
    assert not engine_packages.PIN_FILE.exists()
    assert "-t testing" in machine.calls("apt-get")[-1]


def test_a_mirror_without_testing_leaves_nothing_behind(machine: Programs) -> None:
    machine.add("apt-get", "echo 'E: The repository does not have a Release file.' >&2; exit 100")
    with pytest.raises(ToolMissing, match="does not have a Release file"):
        engine_packages.install_engine(24)
    assert not engine_packages.SOURCE_FILE.exists()
    assert not engine_packages.PIN_FILE.exists()


def test_a_release_that_is_new_enough_needs_no_testing(machine: Programs) -> None:
    machine.add("apt-cache", 'echo "  Candidate: 28.5.2+dfsg4-5"')
    engine_packages.install_engine(24)
    assert not engine_packages.SOURCE_FILE.exists()
    (install,) = machine.calls("apt-get")
    assert install.endswith("install -y --no-install-recommends docker.io docker-buildx iptables docker-cli")


def test_a_distribution_made_from_debian_never_gets_debian_testing(
    machine: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "os_release", lambda: {"ID": "ubuntu", "ID_LIKE": "debian"})
    with pytest.raises(ToolMissing, match=r"docker\.io 20\.10\.24") as raised:
        engine_packages.install_engine(24)
    assert "Ubuntu" in raised.value.hint
    assert not engine_packages.SOURCE_FILE.exists()


def test_an_install_that_fails_is_mended_tried_again_and_then_told(machine: Programs) -> None:
    machine.add("apt-cache", 'echo "  Candidate: 28.5.2"')
    machine.add("apt-get", "echo 'E: Unable to fetch some archives' >&2; exit 100")
    with pytest.raises(DevenvError, match="Unable to fetch some archives"):
        engine_packages.install_engine(24)
    steps = [re.sub(r"-o \S+ |--force-\S+|-y |--no-install-recommends ", "", call) for call in machine.calls()[-5:]]
    packages = "docker.io docker-buildx iptables docker-cli"
    assert [step.strip() for step in steps] == [
        f"apt-get install {packages}",
        "dpkg --configure -a",
        "apt-get update",
        "apt-get install --fix-broken",
        f"apt-get install {packages}",
    ]


@pytest.mark.parametrize(
    ("status", "cut_short"),
    [
        ("install ok installed", False),
        ("install ok half-configured", True),
        ("install ok unpacked", True),
        ("deinstall ok config-files", False),
        ("", False),
    ],
)
def test_a_package_is_cut_short_when_dpkg_says_so(programs: Programs, status: str, cut_short: bool) -> None:
    programs.add("dpkg-query", f'printf "%s" "{status}"')
    assert apt.is_cut_short("docker.io") == cut_short
