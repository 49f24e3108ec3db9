"""The card and the manifest that a repo gets while its dataset grows."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from factory.errors import InputError
from factory.hub.source import growing_card, read_source
from tests.hub.folders import HEADER, empty_folder, manifest_in, seal_bytes, write_documents


def header_of(card: str) -> dict[str, object]:
    return dict(yaml.safe_load(card.split("---\n")[1]))


def test_a_final_card_stays_as_it_is(tmp_path: Path) -> None:
    folder = empty_folder(tmp_path / "dataset")
    seal_bytes(folder, 2)
    text = (folder / "README.md").read_text()
    assert growing_card(text, manifest_in(folder).shards, is_final=True) == text


def test_a_growing_card_says_how_far_it_is_and_names_no_final_sizes(tmp_path: Path) -> None:
    folder = empty_folder(tmp_path / "dataset")
    seal_bytes(folder, 3)
    info = {**HEADER["dataset_info"], "splits": [{"num_examples": 9}]}  # type: ignore[dict-item]
    text = f"---\n{yaml.safe_dump({**HEADER, 'dataset_info': info})}---\n# Body\n"
    card = growing_card(text, manifest_in(folder).shards, is_final=False)
    assert header_of(card) == HEADER
    assert "> Growing: 6 rows in 3 shards so far." in card
    assert card.endswith("# Body\n")


@pytest.mark.parametrize("text", ["", "# No header\n", "---\npretty_name: x\n---\n# Body\n"])
@pytest.mark.parametrize("is_final", [False, True])
def test_a_card_that_names_no_files_is_told_them(tmp_path: Path, text: str, is_final: bool) -> None:
    folder = empty_folder(tmp_path / "dataset")
    seal_bytes(folder, 1)
    card = growing_card(text, manifest_in(folder).shards, is_final=is_final)
    files = [{"split": "train", "path": "data/*.parquet"}]
    assert header_of(card)["configs"] == [{"config_name": "default", "data_files": files}]
    assert card.endswith(text.rpartition("---\n")[2])


def test_a_card_whose_header_is_not_yaml_is_refused(tmp_path: Path) -> None:
    folder = empty_folder(tmp_path / "dataset")
    seal_bytes(folder, 1)
    with pytest.raises(InputError, match="does not begin with a YAML header"):
        growing_card("---\na: [\n---\n", manifest_in(folder).shards, is_final=True)


def test_the_manifest_of_a_part_lists_that_part_and_claims_no_more(tmp_path: Path) -> None:
    folder = empty_folder(tmp_path / "dataset")
    seal_bytes(folder, 3)
    finished = replace(manifest_in(folder), is_complete=True, summary={"num_problems": 3})
    write_documents(folder, finished)
    source = read_source(folder, None)
    assert source is not None
    whole = json.loads((folder / "manifest.json").read_text())
    part = json.loads(source.documents(source.shards[:1], is_final=False)["manifest.json"])
    less = {"shards": whole["shards"][:1], "is_complete": False, "summary": {}}
    assert part == whole | less
    assert source.documents(source.shards, is_final=True)["manifest.json"] == source.manifest_text


def test_a_folder_that_is_not_there_yet_has_no_source(tmp_path: Path) -> None:
    assert read_source(tmp_path / "none", None) is None
