"""Which rule holds: by what is known, and not before what an earlier rule asks for is known."""

from __future__ import annotations

from frazil.config.serving import Match, Rule, ServeRules, Treatment
from frazil.daemon.serve.facts import Facts
from frazil.daemon.serve.matching import decide

KRIOS = Rule(name="krios", match=Match(voltage_kv=(297, 303), camera="*falcon*"))
FINE = Rule(name="fine", match=Match(pixel_size_angstrom=(0.5, 0.7), program=("epu",)))
PATH = Rule(name="path", match=Match(path=("tests/*", "demo-*")))
RULES = ServeRules(rules=(KRIOS, FINE, PATH))
WHOLE = Facts("Titan", "BM-Falcon", 299.998, 0.6)


def name(facts: Facts | None, folder: str = "krios/apo", program: str = "epu", *, last_word: bool = False) -> str:
    decision = decide(RULES, folder, program, facts, last_word=last_word)
    return decision.name or ("undecided" if decision.undecided else "none")


def test_the_first_rule_that_holds_counts() -> None:
    assert name(WHOLE) == "krios"
    assert name(Facts("Titan", "K3", 300.0, 0.6)) == "fine"
    assert name(Facts("Titan", "K3", 300.0, 0.6), program="serialem") == "none"
    assert name(Facts("Titan", "K3", 300.0, 1.1), folder="tests/apo") == "path"
    assert name(Facts("Titan", "K3", 300.0, 1.1), folder="Tests/apo") == "none"


def test_what_is_not_known_yet_is_waited_for_and_then_does_not_hold() -> None:
    late = Facts(pixel_size_angstrom=0.6)
    assert name(late) == "undecided"
    assert name(late, last_word=True) == "fine"
    assert name(None, folder="tests/apo") == "undecided"
    assert name(None, folder="tests/apo", last_word=True) == "path"
    # One condition that does not hold is enough, whatever else comes.
    assert name(Facts(camera="K3", pixel_size_angstrom=0.6)) == "fine"
    assert "its first movie" in decide(RULES, "a", "epu", None, last_word=False).why
    assert "its sidecar" in decide(RULES, "a", "epu", late, last_word=False).why


def test_without_a_rule_there_is_a_default_or_a_person() -> None:
    facts = Facts("Titan", "K3", 120.0, 1.1)
    decision = decide(RULES, "a", "plain", facts, last_word=False)
    assert decision.treatment is None
    assert "no rule holds for it (a folder of movies, Titan, K3, 120 kV, 1.1 A/px)" in decision.why
    with_default = RULES.model_copy(update={"default": Treatment(preset="krios-k3")})
    decision = decide(with_default, "a", "plain", facts, last_word=False)
    assert (decision.name, decision.treatment) == ("default", Treatment(preset="krios-k3"))
    left = ServeRules(rules=(Rule(name="training", wait=True),))
    decision = decide(left, "a", "plain", facts, last_word=False)
    assert (decision.treatment, decision.why) == (None, "rule training leaves it to a person: start `frazil watch`")
