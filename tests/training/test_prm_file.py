"""prm.json tells a scorer how to read a model."""

from pathlib import Path

import pytest

from factory.errors import InputError
from factory.training.layouts import Layout
from factory.training.prm_file import PRM_FILE, PrmFile, read_prm_file, write_prm_file

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
