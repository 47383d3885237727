"""Who wins, who is refused, and what the refusal says."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from frazil.config.errors import SettingsError
from frazil.config.loading import (
    flag_name,
    load_settings,
    parameter_hash,
    said_by_a_person,
    settings_to_yaml,
)
from frazil.config.reference import KNOWN_KEYS, SECTIONS
from frazil.config.safe_yaml import MAX_YAML_BYTES, parse_yaml_mapping
from frazil.config.settings import PATH_KEYS, Settings


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_given_is_the_defaults() -> None:
    assert load_settings() == Settings()


VOLTAGES = {"preset": 300.0, "yaml": 120.0, "environment": 160.0, "flag": 180.0}


@pytest.mark.parametrize("given_by", range(1, 16))
def test_strongest_source_wins_for_every_combination(given_by: int, tmp_path: Path) -> None:
    preset, in_yaml, in_environment, in_flag = (bool(given_by & bit) for bit in (1, 2, 4, 8))
    settings = load_settings(
        preset="krios-k3" if preset else None,
        yaml_path=write(tmp_path, f"microscope:\n  voltage_kv: {VOLTAGES['yaml']}\n") if in_yaml else None,
        environ={"FRAZIL_MICROSCOPE__VOLTAGE_KV": str(VOLTAGES["environment"])} if in_environment else {},
        flags={"microscope.voltage_kv": VOLTAGES["flag"] if in_flag else None},
    )
    strongest = "flag" if in_flag else "environment" if in_environment else "yaml" if in_yaml else "preset"
    assert settings.microscope.voltage_kv == VOLTAGES[strongest]
    origin = settings.origins["microscope.voltage_kv"]
    expected = {
        "flag": "flag --voltage-kv",
        "environment": "environment FRAZIL_MICROSCOPE__VOLTAGE_KV",
        "yaml": str(tmp_path / "mine.yaml"),
        "preset": "preset krios-k3",
    }[strongest]
    assert origin == expected
    assert said_by_a_person(settings, "microscope.voltage_kv") == (None if strongest == "preset" else expected)


def test_merging_is_by_key_not_by_section(tmp_path: Path) -> None:
    settings = load_settings(
        preset="glacios-falcon4i",
        yaml_path=write(tmp_path, "microscope:\n  amplitude_contrast: 0.07\n"),
        flags={"pixel_size_angstrom": 0.9},
    )
    microscope = settings.microscope
    assert (microscope.voltage_kv, microscope.cs_mm) == (200.0, 2.7)
    assert (microscope.amplitude_contrast, microscope.pixel_size_angstrom) == (0.07, 0.9)


def test_preset_named_by_argument_then_environment_then_yaml(tmp_path: Path) -> None:
    path = write(tmp_path, "preset: krios-k3\n")
    assert load_settings(yaml_path=path).preset == "krios-k3"
    environ = {"FRAZIL_PRESET": "krios-falcon4i"}
    assert load_settings(yaml_path=path, environ=environ).preset == "krios-falcon4i"
    assert load_settings(preset="glacios-falcon4i", yaml_path=path, environ=environ).microscope.voltage_kv == 200.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("*.tif,*.mrc", ("*.tif", "*.mrc")), ('["*.a", "b, c"]', ("*.a", "b, c")), ("*.eer", ("*.eer",))],
)
def test_lists_from_the_environment(text: str, expected: tuple[str, ...]) -> None:
    assert load_settings(environ={"FRAZIL_INTAKE__INCLUDE": text}).intake.include == expected


def test_words_and_null_and_nothing_from_the_environment() -> None:
    settings = load_settings(
        preset="krios-k3",
        environ={
            "FRAZIL_MICROSCOPE__CS_MM": "null",
            "FRAZIL_MICROSCOPE__PHASE_PLATE": "true",
            "FRAZIL_MICROSCOPE__NAME": "300",
            "FRAZIL_MOTION__PATCH_GRID_X": "",
            "FRAZIL_RUNTIME_DIR": "/somewhere",
            "HOME": "/root",
        },
    )
    assert settings.microscope.cs_mm is None
    assert settings.microscope.phase_plate is True
    assert settings.microscope.name == "300"
    assert settings.motion.patch_grid_x == 7


UNKNOWN: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"flags": {"voltage": 300}}, "", ["flag --voltage", "microscope.voltage_kv"]),
    ({"flags": {"microscope.voltage_kV": 300}}, "", ["microscope.voltage_kv"]),
    ({"environ": {"FRAZIL_CTF__BOX": "512"}}, "", ["environment FRAZIL_CTF__BOX", "ctf.box_px"]),
    ({"environ": {"FRAZIL_CTF_BOX_PX": "512"}}, "", ["FRAZIL_CTF_BOX_PX", "two underscores"]),
    ({}, "microscop:\n  voltage_kv: 300\n", ["microscop", "mine.yaml"]),
    ({}, "voltage_kv: 300\n", ["voltage_kv", "mine.yaml", "microscope.voltage_kv"]),
    ({}, "motion:\n  patch_grid: 5\n", ["motion.patch_grid", "mine.yaml", "motion.patch_grid_x"]),
    ({}, "ctf:\n  pixel_size_angstrom: 1\n", ["ctf.pixel_size_angstrom", "microscope.pixel_size_angstrom"]),
    ({"preset": "krios"}, "", ["krios", "krios-k3", "simulated"]),
]


@pytest.mark.parametrize(("arguments", "text", "words"), UNKNOWN)
def test_unknown_key_is_refused_with_source_and_nearest(
    arguments: dict[str, Any], text: str, words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(yaml_path=write(tmp_path, text) if text else None, **arguments)
    for word in words:
        assert word in str(caught.value)


@given(st.sampled_from(sorted(KNOWN_KEYS)), st.data())
def test_one_wrong_letter_names_the_right_key(key: str, data: st.DataObject) -> None:
    section, leaf = key.split(".")
    position = data.draw(st.integers(0, len(leaf) - 1))
    letter = data.draw(st.sampled_from("qzxj"))
    wrong = leaf[:position] + letter + leaf[position + 1 :]
    if f"{section}.{wrong}" in KNOWN_KEYS:
        return
    with pytest.raises(SettingsError) as caught:
        load_settings(flags={f"{section}.{wrong}": 1})
    assert key in str(caught.value)


BAD = [
    ("microscope.voltage_kv", 2000, "number from 60 up to 1300 kV, or null"),
    ("microscope.voltage_kv", True, "number from 60 up to 1300 kV, or null"),
    ("microscope.voltage_kv", "high", "number from 60 up to 1300 kV, or null"),
    ("microscope.pixel_size_angstrom", 0, "number above 0 up to 100 Å, or null"),
    ("microscope.dose_per_frame_e_per_a2", float("inf"), "number above 0 e/Å², or null"),
    ("thresholds.min_defocus_um", float("nan"), "number µm, or null"),
    ("motion.patch_grid_x", 2.5, "whole number from 1 up to 20"),
    ("ctf.box_px", 513, "even whole number from 128 up to 2048 px"),
    ("camera.gain_orientation", "rot45", "rot90-flipud"),
    ("workers.device", "tpu", "auto, cpu, cuda"),
    ("microscope.phase_plate", "perhaps", "true, false"),
    ("particles.symmetry", "C0", "C1"),
    ("intake.include", "*.tif", "list of text"),
]


@pytest.mark.parametrize(("key", "value", "allowed"), BAD)
def test_bad_value_names_key_value_source_and_range(key: str, value: object, allowed: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags={key: value})
    message = str(caught.value)
    assert key in message
    assert repr(value) in message
    assert f"flag {flag_name(key)}" in message
    assert allowed in message


def test_two_settings_that_exclude_each_other_name_both_and_the_source() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags={"ctf.min_defocus_angstrom": 60000})
    for word in ("ctf.min_defocus_angstrom", "ctf.max_defocus_angstrom", "flag --min-defocus-angstrom"):
        assert word in str(caught.value)


def test_ambiguous_short_flag_name_lists_the_candidates() -> None:
    with pytest.raises(SettingsError, match=r"ctf\.box_px, particles\.box_px"):
        load_settings(flags={"box_px": 512})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("microscope:\n  voltage_kv: 300\n  voltage_kv: 200\n", "line 3.*voltage_kv is given twice"),
        ("ctf: {}\nmotion: {}\nctf: {}\n", "ctf is given twice"),
        ("camera: &a {gain: x}\nctf: *a\n", "aliases"),
        ("microscope: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
        ("camera: " + "[" * 40 + "]" * 40, "nested deeper"),
        ("- a\n- b\n", "something else"),
        ("microscope: 300\n", "microscope is a section"),
        ("microscope: [unclosed\n", "line "),
        ("a: 1\n---\nb: 2\n", "another document"),
        ("camera:\n  name: 2026-99-99\n", "not valid YAML"),
        ("#" * (MAX_YAML_BYTES + 1), "larger than"),
    ],
)
def test_yaml_that_is_dangerous_or_broken_is_refused(text: str, word: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=word):
        load_settings(yaml_path=write(tmp_path, text))


def test_alias_bomb_is_refused_without_being_expanded() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    with pytest.raises(SettingsError, match="aliases"):
        parse_yaml_mapping("\n".join(lines), source="bomb.yaml")


def test_files_that_cannot_be_read_or_decoded(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(yaml_path=tmp_path / "absent.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("camera:\n  name: Kälte\n".encode("latin-1"))
    with pytest.raises(SettingsError, match="UTF-8"):
        load_settings(yaml_path=latin)


def test_a_byte_order_mark_and_empty_sections_are_no_error(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfmicroscope:\n  voltage_kv: 1e2\ncamera:\n")
    assert load_settings(yaml_path=path).microscope.voltage_kv == 100.0


def test_paths_are_taken_from_the_yaml_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    path = write(tmp_path, "camera:\n  gain: ref/gain.mrc\nintake:\n  sidecar_roots: [epu, /abs]\n")
    settings = load_settings(yaml_path=path, flags={"defects": "defects.txt"})
    assert settings.camera.gain == str(tmp_path / "ref/gain.mrc")
    assert settings.intake.sidecar_roots == (str(tmp_path / "epu"), "/abs")
    assert settings.camera.defects == str(elsewhere / "defects.txt")
    assert set(KNOWN_KEYS) >= PATH_KEYS


def test_a_range_of_diameters_has_two_ends() -> None:
    with pytest.raises(SettingsError, match="needs particles.diameter_angstrom") as caught:  # noqa: RUF043
        load_settings(flags={"particles.least_diameter_angstrom": 90.0})
    assert "--least-particle-diameter-angstrom" in str(caught.value)
    both = {"particles.least_diameter_angstrom": 90.0, "particles.diameter_angstrom": 80.0}
    with pytest.raises(SettingsError, match="exchange them") as caught:
        load_settings(flags=both)
    for word in ("90", "80", "--particle-diameter-angstrom"):
        assert word in str(caught.value)
    whole = load_settings(flags=both | {"particles.diameter_angstrom": 120.0})
    assert whole.particles.least_diameter_angstrom == 90.0


def test_stored_settings_come_back_as_they_were(tmp_path: Path) -> None:
    first = load_settings(
        preset="krios-k3",
        environ={"FRAZIL_CTF__BOX_PX": "256"},
        flags={"pixel_size_angstrom": 0.83, "gain": "g.mrc", "symmetry": "d7"},
    )
    assert load_settings(yaml_path=write(tmp_path, settings_to_yaml(first))) == first
    assert set(yaml.safe_load(settings_to_yaml(first))) == {"preset", "origins", *SECTIONS}
    assert pickle.loads(pickle.dumps(first)) == first


def test_another_preset_replaces_what_the_first_filled_but_not_what_was_said(tmp_path: Path) -> None:
    first = load_settings(preset="krios-k3", flags={"cs_mm": 2.62})
    stored = write(tmp_path, settings_to_yaml(first))
    resumed = load_settings(preset="glacios-falcon4i", yaml_path=stored)
    assert resumed.microscope.voltage_kv == 200.0
    assert resumed.intake.include == ("*.eer",)
    assert resumed.microscope.cs_mm == 2.62
    assert said_by_a_person(resumed, "microscope.cs_mm") == "flag --cs-mm"
    assert said_by_a_person(resumed, "microscope.voltage_kv") is None


def test_parameter_hash_sees_what_changes_results_and_nothing_else() -> None:
    base = load_settings(preset="krios-k3", flags={"pixel_size_angstrom": 1.0})
    same = load_settings(
        flags={
            "microscope.voltage_kv": 300,
            "cs_mm": 2.7,
            "pixel_size_angstrom": 1,
            "patch_grid_x": 7,
            "settle_s": 9,
            "max_astigmatism_angstrom": 1.0,
            "workers.count": 3,
            "min_free_disk_gb": 50,
            "camera.name": "other",
        }
    )
    assert parameter_hash(base) == parameter_hash(same)
    changed = [
        {"pixel_size_angstrom": 1.01},
        {"gain_orientation": "rot90"},
        {"b_factor_px2": 151},
        {"ctf.box_px": 256},
        {"diameter_angstrom": 120},
        {"phase_plate": True},
    ]
    hashes = {
        parameter_hash(load_settings(preset="krios-k3", flags={"pixel_size_angstrom": 1.0} | more)) for more in changed
    }
    hashes |= {parameter_hash(base), parameter_hash(base, inputs={"gain": "digest"})}
    assert len(hashes) == len(changed) + 2
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in hashes)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_parameter_hash_is_the_same_in_every_process(hash_seed: str) -> None:
    program = (
        "from frazil.config.loading import load_settings, parameter_hash; "
        "print(parameter_hash(load_settings(preset='krios-k3'), inputs={'b': '2', 'a': '1'}))"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert other.stdout.strip() == parameter_hash(load_settings(preset="krios-k3"), inputs={"a": "1", "b": "2"})
