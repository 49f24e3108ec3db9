"""prm.json tells a scorer how to read a model."""

from pathlib import Path
from typing import Any

import pytest

from factory.errors import InputError
from factory.training.layouts import Layout
from factory.training.prm_file import (
    PRM_FILE,
    PrmFile,
    good_class,
    read_prm_file,
    write_prm_file,
)

DISCRIMINATIVE = PrmFile(
    kind="discriminative",
    layout="extra_0",
    separator="<extra_0>",
    system="Think.",
    good_label=1,
    data={"num_rows": 3},
)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_prm_file(tmp_path) is None
    write_prm_file(tmp_path, DISCRIMINATIVE)
    assert read_prm_file(tmp_path) == DISCRIMINATIVE
    assert DISCRIMINATIVE.as_layout == Layout(system="Think.")


def test_fields_of_later_versions_are_left_out(tmp_path: Path) -> None:
    (tmp_path / PRM_FILE).write_text('{"kind": "generative", "form": "genprm", "new": 1}')
    assert read_prm_file(tmp_path) == PrmFile(kind="generative", form="genprm")


@pytest.mark.parametrize("text", ["", "[]", '{"kind": "other"}', '{"kind": "generative"}'])
def test_a_damaged_file_is_no_model(tmp_path: Path, text: str) -> None:
    (tmp_path / PRM_FILE).write_text(text)
    with pytest.raises(InputError, match="is damaged"):
        read_prm_file(tmp_path)


@pytest.mark.parametrize(
    ("names", "good"),
    [
        (None, 1),
        ({"0": "LABEL_0", "1": "LABEL_1"}, 1),
        ({0: "bad", 1: "good"}, 1),
        ({"0": "Good", "1": "Bad"}, 0),
        ({"0": "True", "1": "False"}, 0),
        ({"0": "LABEL_GOOD", "1": "LABEL_BAD"}, 0),
        ({"0": "correct step", "1": "incorrect step"}, 0),
        ({"0": "incorrect", "1": "correct"}, 1),
        ({"0": "+", "1": "-"}, 0),
        ({"0": "step", "1": "not correct"}, 0),
    ],
)
def test_the_class_of_good_steps_follows_from_the_names(names: Any, good: int) -> None:
    assert good_class(names) == good
