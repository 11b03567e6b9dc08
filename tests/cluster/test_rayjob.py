"""The manifest for KubeRay, against what KubeRay says of a RayJob: a live Kubernetes is out of a test's reach."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from evo.cli.commands import _parser

HERE = Path(__file__).parent
MANIFEST = yaml.safe_load((HERE.parents[1] / "examples" / "kubernetes" / "rayjob.yaml").read_text())
SCHEMA = jsonschema.Draft202012Validator(json.loads((HERE / "rayjob_schema.json").read_text()))


def pods() -> Iterator[dict[str, Any]]:
    spec = MANIFEST["spec"]["rayClusterSpec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        yield group["template"]["spec"]


def test_the_manifest_is_a_rayjob():
    SCHEMA.validate(MANIFEST)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["spec", "backofLimit"], 1),
        (["spec", "backoffLimit"], "2"),
        (["spec", "rayClusterSpec", "headGroupSpec", "rayStartParams", "num-cpus"], 0),
        (["spec", "rayClusterSpec", "workerGroupSpecs", 0, "template", "spec", "containers"], []),
    ],
    ids=["a misspelt field", "a text for a number", "a number for a text", "no container"],
)
def test_the_schema_finds(path: list[Any], value: Any):
    broken = deepcopy(MANIFEST)
    place = broken
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate(broken)


def test_every_volume_mounted_is_there():
    for pod in pods():
        there = {volume["name"] for volume in pod.get("volumes", ())}
        assert {mount["name"] for one in pod["containers"] for mount in one.get("volumeMounts", ())} == there


def test_all_pods_have_one_image():
    assert len({one["image"] for pod in pods() for one in pod["containers"]}) == 1


def test_the_commands_of_the_entrypoint_are_ones_that_evo_understands():
    _, _, script = shlex.split(MANIFEST["spec"]["entrypoint"])
    commands = [part.split() for part in script.replace(" then ", " else ").split(";") if " evo " in f" {part} "]
    assert [words[words.index("evo") + 1] for words in commands] == ["resume", "run"]
    for words in commands:
        assert _parser().parse_args(words[words.index("evo") + 1 :]).address == "auto"
