"""The rule book: bad files and exactly what a user sees of them."""

from pathlib import Path

import pytest

from tests.conftest import rendered

BOOK = sorted((Path(__file__).parent / "errors").glob("*.qsync"))


@pytest.mark.parametrize("path", BOOK, ids=lambda p: p.stem)
def test_a_bad_file_is_explained(path):
    assert rendered(path.read_text()) + "\n" == path.with_suffix(".txt").read_text()


@pytest.mark.parametrize("path", BOOK, ids=lambda p: p.stem)
def test_the_code_of_a_file_is_its_name(path):
    assert f"[{path.stem.split('_')[0]}]" in path.with_suffix(".txt").read_text()


def test_the_book_is_not_empty():
    assert len(BOOK) > 30


def test_several_faults_are_told_at_once():
    text = "mode a : bosn\nmode b : boson(levels = 4)\nhamiltonian b'*c\ndissipator b : b\n"
    assert rendered(text).count("error[") == 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["check", "nowhere"], 1, "E700"),
        (["check", "empty.qsync"], 1, "E200"),
        (["check", "binary.qsync"], 1, "E111"),
        (["check", "long.qsync"], 1, "E109"),
        (["check", "deep.qsync"], 1, "E108"),
        (["check", "./"], 1, "E110"),
        (["run", "vdp_kerr", "--set", "nothing=1"], 1, "E703"),
        (["run", "vdp_kerr", "--only", "resonance"], 1, "E705"),
        (["run", "big.qsync"], 3, "E501"),
        (["explain", "vdp_kerr", "--set", "K=1)"], 1, "E10"),
        (["bogus"], 2, ""),
        (["run"], 2, ""),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else None,
)
def test_bad_input_ends_in_a_message_and_an_exit_code(
    command, tmp_path, arguments, code, said
):
    (tmp_path / "empty.qsync").write_text("")
    (tmp_path / "binary.qsync").write_bytes(bytes(range(256)))
    (tmp_path / "long.qsync").write_text("hamiltonian " + "a + " * 2_500_000)
    (tmp_path / "deep.qsync").write_text("hamiltonian " + "(" * 50_000)
    (tmp_path / "big.qsync").write_text(
        "mode a, b : boson(levels = 500)\nhamiltonian (a + a')*(b + b')\ndissipator 1 : a, b\n"
        "experiment e { solve steadystate; measure n = <a.n> }\n"
    )
    got, out, err = command(*arguments)
    assert got == code
    assert said in out + err
    assert "Traceback" not in out + err


def test_a_diagnostic_is_json_for_editors(command, tmp_path):
    import json

    (tmp_path / "bad.qsync").write_text(
        "mode a : boson(levels = 3)\nhamiltonian a'*b\n"
    )
    code, out, _ = command("check", "bad.qsync", "--json")
    (found,) = [d for d in json.loads(out) if d["severity"] == "error"]
    assert code == 1
    assert found["code"] == "E203"
    assert found["span"] == {
        "file": "bad.qsync",
        "line": 2,
        "column": 16,
        "end_line": 2,
        "end_column": 17,
    }


def test_new_and_copy_never_overwrite(command, tmp_path):
    (tmp_path / "vdp_kerr.qsync").write_text("mine")
    assert command("models", "copy", "vdp_kerr")[0] == 2
    assert command("new", "vdp_kerr")[0] == 2
    assert (tmp_path / "vdp_kerr.qsync").read_text() == "mine"
