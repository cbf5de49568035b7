"""Formats are told apart by content, and nothing that is not wholly one of them is read."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from pathlib import Path

import pytest

from perfproof.errors import ProfileError
from perfproof.profile_formats import stacks
from perfproof.profile_formats.collapsed import collapsed, parse_collapsed
from perfproof.profile_formats.content import MAX_BYTES, Format, read_profile

FIXTURES = Path(__file__).parents[3] / "fixtures" / "profiles"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("go-cpu-before.pb.gz", Format.PPROF),
        ("go-heap.pb.gz", Format.PPROF),
        ("py-spy-raw.txt", Format.COLLAPSED),
        ("py-spy-speedscope.json", Format.SPEEDSCOPE),
    ],
)
def test_real_files_are_recognised_compressed_or_not(name: str, form: Format) -> None:
    """The name is not looked at, and gzip makes no difference."""
    data = (FIXTURES / name).read_bytes()
    other = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else gzip.compress(data)
    one, two = read_profile(data, where="one"), read_profile(other, where="two")
    assert one.form is form
    assert one == two


@pytest.mark.parametrize("name", ["go-cpu-before.pb.gz", "py-spy-raw.txt", "py-spy-speedscope.json"])
def test_every_profile_survives_collapsed_stacks(name: str) -> None:
    """Collapsed and read again, the stacks and weights are the same: no frame can break a line."""
    profile = read_profile((FIXTURES / name).read_bytes(), where=name).profile
    assert parse_collapsed(collapsed(profile), where="again").stacks == profile.stacks


def test_collapsed_text_comes_back_to_the_byte() -> None:
    """Text, profile, text: equal for random stacks in the fixed order."""
    draw = random.Random(2)
    lines = sorted({";".join(draw.choices(["a", "b c", "d (e.py:3)", "f:g"], k=draw.randint(1, 5))) for _ in range(60)})
    text = collapsed(parse_collapsed("".join(f"{line} {draw.randint(1, 9)}\n" for line in lines), where="x"))
    assert collapsed(parse_collapsed(text, where="x")) == text


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("profile.txt", "a 1\n")
    return buffer.getvalue()


WHOLE = gzip.compress(b"a;b 1\n" * 50, mtime=0)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "PRO-202"),
        (b" \n ", "PRO-202"),
        (zipped(), "PRO-203"),
        (WHOLE[:-9], "PRO-204"),
        (WHOLE[:-1] + b"\xff", "PRO-204"),
        (WHOLE + b"more", "PRO-204"),
        (b"\x1f\x8b\x08garbage", "PRO-204"),
        (gzip.compress(WHOLE, mtime=0), "PRO-205"),
        (b"\xff\xfe\xfa", "PRO-201"),
        (b"{}", "PRO-201"),
        (b"[1, 2]", "PRO-201"),
        (b'{"shared": {}, "shared": {}}', "PRO-207"),
        (b'{"profiles": NaN}', "PRO-207"),
        (b"[" * 100_000, "PRO-207"),
        (b"<html><body>login</body></html>", "PRO-102"),
        (b"a\0b", "PRO-22"),
    ],
)
def test_what_is_no_profile_is_one_error(data: bytes, code: str) -> None:
    """Empty, archives, damaged and doubled gzip, other JSON, a login page."""
    with pytest.raises(ProfileError, match=code) as raised:
        read_profile(data, where="test")
    assert "\n" not in str(raised.value)


def test_a_gzip_bomb_is_stopped_at_the_limit() -> None:
    """A few hundred KiB that unpack to more than 64 MiB are refused, after the limit and no later."""
    bomb = gzip.compress(b"a;b 1\n" * (MAX_BYTES // 6 + 10), compresslevel=1)
    assert len(bomb) < 1 << 20
    with pytest.raises(ProfileError, match="PRO-101"):
        read_profile(bomb, where="bomb")


def test_too_many_stacks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both the number of stacks and that of their frames is bounded."""
    text = "".join(f"f{i};g 1\n" for i in range(50))
    monkeypatch.setattr(stacks, "MAX_STACKS", 49)
    with pytest.raises(ProfileError, match="PRO-104"):
        read_profile(text.encode(), where="test")
    monkeypatch.setattr(stacks, "MAX_STACKS", 50)
    monkeypatch.setattr(stacks, "MAX_FRAMES", 99)
    with pytest.raises(ProfileError, match="PRO-104"):
        read_profile(text.encode(), where="test")


def test_a_value_is_chosen_of_pprof_only() -> None:
    """Asking collapsed stacks for inuse_space is a mistake that is said."""
    with pytest.raises(ProfileError, match="PRO-206"):
        read_profile(b"a 1\n", where="test", value="inuse_space")


def test_names_of_any_format_are_clean_frames() -> None:
    """HTML, line ends and `;` of a name stay one frame of one line."""
    name = "<b>;\n\x1b[2J"
    document = {
        "shared": {"frames": [{"name": name}, {"name": " "}]},
        "profiles": [{"type": "sampled", "unit": "none", "samples": [[0, 1]], "weights": [1]}],
    }
    profile = read_profile(json.dumps(document).encode(), where="test").profile
    assert list(profile.stacks) == [("<b>:\\n\\x1b[2J", "[unnamed]")]
    assert collapsed(profile).count("\n") == 1
