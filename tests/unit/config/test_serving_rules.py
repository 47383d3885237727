"""The rules of `frazil serve`: what a person writes, and what he is told where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from frazil.config.errors import SettingsError
from frazil.config.loading import load_settings
from frazil.config.serving import Match, RetentionRules, Rule, ServeRules, Treatment
from frazil.config.serving_file import load_rules, session_settings

TEXT = """\
max_sessions: 3
rules:
  - name: krios
    match:
      path: ["krios1/*"]
      voltage_kv: 300
    preset: krios-k3
    settings:
      particles:
        diameter_angstrom: 180
      intake:
        sidecar_roots: ["meta/{name}"]
    alerts:
      no_movie_minutes: 30
default:
  wait: true
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "serve.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_rule_says_is_what_watch_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT)
    rules = load_rules(path)
    assert (rules.max_sessions, rules.default) == (3, Treatment(wait=True))
    (rule,) = rules.rules
    assert rule.match.voltage_kv == pytest.approx((297, 303))
    text = session_settings(rule, path, "2026-11-25_apo", Path("/gains/k3.mrc"), workers=4)
    (tmp_path / "session.yaml").write_text(text)
    settings = load_settings(yaml_path=tmp_path / "session.yaml")
    assert settings.preset == "krios-k3"
    assert settings.camera.gain == "/gains/k3.mrc"
    assert settings.particles.diameter_angstrom == 180
    assert settings.alerts.no_movie_minutes == 30
    assert settings.workers.count == 4
    # From the folder of the rules, with the acquisition's own name.
    assert settings.intake.sidecar_roots == (str(tmp_path / "meta/2026-11-25_apo"),)


def test_the_number_of_workers_is_the_rules_where_it_says_one(tmp_path: Path) -> None:
    rule = Rule(name="a", settings={"workers": {"count": 1}})
    assert yaml.safe_load(session_settings(rule, tmp_path, "x", None, workers=7)) == {"workers": {"count": 1}}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("max_sessions: 3", "max_sessions: 0", "line 1: max_sessions is 0: "),
        ("    match:", "    mtch:", "line 4: there is no key rules.mtch. See docs/serve.md"),
        ("  - name: krios\n    match:", "  - match:", "line 3: rules.name is missing"),
        ("voltage_kv: 300", "voltage_kv: high", "line 6: rules.match.voltage_kv is 'high': give a number, or ["),
        ("voltage_kv: 300", "voltage_kv: [310, 290]", "line 6: rules.match.voltage_kv is [310, 290]: the lowest"),
        ("krios-k3", "krios-k4", "line 7: rule krios: unknown preset krios-k4. Did you mean krios-k3?"),
        ("diameter_angstrom", "diametre_angstrom", "line 10: rule krios: unknown setting particles.diametre_a"),
        ("diameter_angstrom: 180", "diameter_angstrom: -1", "line 10: rule krios: particles.diameter_angstrom is -1: "),
        ("no_movie_minutes: 30", "smtp_host: a.b", "line 13: rule krios: alerts.smtp_host needs alerts.smtp_to"),
        ("  wait: true", "  settings: {motion: {x: 1}}", "line 16: default: unknown setting motion.x"),
        ("    preset: krios-k3", "    preset: [", "line "),
        ("default:\n  wait: true\n", "  - name: krios\n", "two rules have the name krios"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_line_and_remedy(tmp_path: Path, before: str, after: str, told: str) -> None:
    assert before in TEXT
    path = written(tmp_path, TEXT.replace(before, after))
    with pytest.raises(SettingsError) as raised:
        load_rules(path)
    assert str(raised.value).startswith(f"{path}: {told}" if told.startswith("line") else f"{path}: ")
    assert told in str(raised.value)
    assert raised.value.remedy


def test_the_rules_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_rules(tmp_path / "serve.yaml")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"gain": "*.mrc", "settings": {"camera": {"gain": "x"}}}, "say the same"),
        ({"alerts": {"bell": False}, "settings": {"alerts": {}}}, "say the same"),
        ({"http_ports": (9000, 8000)}, "first port comes first"),
        ({"http_ports": (80, 90)}, "greater than or equal to 1024"),
    ],
)
def test_one_thing_is_said_in_one_place(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Treatment.model_validate(given)


def test_the_page_has_every_key_with_its_default() -> None:
    page = (Path(__file__).parents[3] / "docs" / "serve.md").read_text(encoding="utf-8")
    for model in (ServeRules, Rule, Match, RetentionRules):
        for name in model.model_fields:
            assert f"`{name}`" in page, f"{model.__name__}.{name}"
