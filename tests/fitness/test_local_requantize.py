from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from evo.errors import ConfigError
from fitness.gguf import fast_copy
from fitness.requantize import Q4_1, Q8_0, from_q4_1, from_q8_0, requantize, to_q8_0

F32 = 0


def q4_1_block(scale: float, least: float, levels: list[int]) -> bytes:
    packed = bytes(levels[i] | levels[i + 16] << 4 for i in range(16))
    return np.array([scale, least], "<f2").tobytes() + packed


def random_blocks(rng: np.random.Generator, count: int) -> bytes:
    return b"".join(
        q4_1_block(rng.uniform(0.001, 0.1), rng.uniform(-0.5, 0), [int(x) for x in rng.integers(0, 16, 32)])
        for _ in range(count)
    )


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def entry(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def model_file(path: Path, q4: bytes, plain: npt.NDArray[np.float32], alignment: int = 64) -> bytes:
    """Write a small model: a string, an array of strings, a number, then Q4_1, F32 and Q4_1 tensors."""
    keys = text("general.name") + struct.pack("<I", 8) + text("toy")
    keys += text("tokens") + struct.pack("<IIQ", 9, 8, 3) + text("a") + text("") + text("ccc")
    keys += text("numbers") + struct.pack("<IIQ3f", 9, 6, 3, 1.0, 2.0, 3.0)
    keys += text("general.alignment") + struct.pack("<II", 4, alignment)
    keys = struct.pack("<4sIQQ", b"GGUF", 3, 3, 4) + keys
    padded = q4 + bytes(-len(q4) % alignment)
    middle = plain.tobytes() + bytes(-plain.nbytes % alignment)
    tensors = entry("first", (32, 3), Q4_1, 0) + entry("bias", plain.shape, F32, len(padded))
    tensors += entry("last", (96,), Q4_1, len(padded) + len(middle))
    head = keys + tensors
    path.write_bytes(head + bytes(-len(head) % alignment) + padded + middle + q4)
    return keys


def test_a_block_is_read_as_the_format_says() -> None:
    levels = [i % 16 for i in range(32)]
    (weights,) = from_q4_1(q4_1_block(0.5, -2.0, levels))
    assert weights.tolist() == [-2.0 + 0.5 * level for level in levels]


def test_eight_bits_keep_every_weight_to_a_254th_of_its_blocks_largest() -> None:
    data = random_blocks(np.random.default_rng(0), 500)
    before, after = from_q4_1(data), from_q8_0(to_q8_0(data))
    largest = np.abs(before).max(axis=1, keepdims=True)
    half_a_step, scale_in_half_precision = 1 / 254, 1 / 1024
    assert np.all(np.abs(before - after) <= largest * (half_a_step + scale_in_half_precision))
    assert not np.array_equal(before, after)


def test_a_block_of_zeros_stays_zero() -> None:
    assert not from_q8_0(to_q8_0(q4_1_block(0.0, 0.0, [7] * 32))).any()


def test_a_model_is_rewritten_and_the_rest_kept(tmp_path: Path) -> None:
    q4 = random_blocks(np.random.default_rng(1), 3)
    plain = np.arange(5, dtype=np.float32)
    source, target = tmp_path / "toy.gguf", tmp_path / "fast.gguf"
    keys = model_file(source, q4, plain)
    requantize(source, target)
    written = target.read_bytes()
    assert written.startswith(keys)
    eight = to_q8_0(q4)
    padded, middle = len(eight) + -len(eight) % 64, plain.nbytes + -plain.nbytes % 64
    tensors = entry("first", (32, 3), Q8_0, 0) + entry("bias", (5,), F32, padded)
    tensors += entry("last", (96,), Q8_0, padded + middle)
    begin = len(keys + tensors) + -len(keys + tensors) % 64
    assert written[len(keys) : len(keys) + len(tensors)] == tensors
    assert written[begin : begin + len(eight)] == eight
    assert written[begin + padded :][: plain.nbytes] == plain.tobytes()
    assert written[begin + padded + middle :][: len(eight)] == eight


def test_the_fast_copy_is_made_once_beside_its_source(tmp_path: Path) -> None:
    source = tmp_path / "toy.gguf"
    model_file(source, random_blocks(np.random.default_rng(2), 3), np.ones(4, np.float32))
    copy = fast_copy(source)
    written = copy.stat().st_mtime_ns
    assert copy.parent == tmp_path
    assert fast_copy(source) == copy
    assert copy.stat().st_mtime_ns == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy.as-Q8_0.gguf", "toy.gguf", "toy.lock"]


def test_another_version_is_refused_and_nothing_left(tmp_path: Path) -> None:
    source = tmp_path / "old.gguf"
    source.write_bytes(struct.pack("<4sIQQ", b"GGUF", 2, 0, 0))
    with pytest.raises(ConfigError, match="version 3, got b'GGUF' version 2"):
        requantize(source, tmp_path / "new.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["old.gguf"]
