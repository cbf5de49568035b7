"""The wire format of protocol buffers, as far as profiles need it, strict and without building a message.

A decoder of our own, because a library builds every message of a file before a limit can be looked at: 64 KiB of compressed
bytes hold 30 million empty ones. Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perfproof.errors import ProfileError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
WORD = 2**64


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message: the value of a varint, or where its bytes begin and end in the data."""

    number: int
    wire: int
    value: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message that lies in `data` from `start` to `end`. `where` names the file in errors."""

    data: bytes
    start: int
    end: int
    where: str

    def fields(self) -> Iterator[Field]:
        """The fields in the order of the file. Raises ProfileError 221 at what is cut off or no field."""
        place = self.start
        while place < self.end:
            key, place = self._varint(place)
            number, wire = key >> 3, key & 7
            if not number:
                raise self.damaged("a field without a number", place)
            value, start = 0, place
            if wire == VARINT:
                value, place = self._varint(place)
            elif wire == LENGTH:
                value, start = self._varint(place)
                place = start + value
            elif wire in (FIXED64, FIXED32):
                place += 8 if wire == FIXED64 else 4
            else:
                raise self.damaged(f"a field of the unknown type {wire}", place)
            if place > self.end:
                raise self.damaged("cut off", start)
            yield Field(number, wire, value, start, place)

    def inner(self, field: Field) -> Message:
        """The message that a field holds."""
        if field.wire != LENGTH:
            raise self.damaged(f"field {field.number} holds no message", field.start)
        return Message(self.data, field.start, field.end, self.where)

    def numbers(self, field: Field) -> list[int]:
        """The values of a repeated number: one, or packed."""
        if field.wire == VARINT:
            return [field.value]
        if field.wire != LENGTH:
            raise self.damaged(f"field {field.number} holds no numbers", field.start)
        packed = Message(self.data, field.start, field.end, self.where)
        values, place = [], field.start
        while place < field.end:
            value, place = packed._varint(place)
            values.append(value)
        return values

    def number(self, field: Field) -> int:
        """The value of a single number."""
        if field.wire != VARINT:
            raise self.damaged(f"field {field.number} holds no number", field.start)
        return field.value

    def text(self, field: Field) -> str:
        """The text of a field; bytes that are no UTF-8 are replaced."""
        if field.wire != LENGTH:
            raise self.damaged(f"field {field.number} holds no text", field.start)
        return self.data[field.start : field.end].decode("utf-8", "replace")

    def _varint(self, place: int) -> tuple[int, int]:
        value = shift = 0
        while place < self.end:
            byte = self.data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >= WORD:
                    break
                return value, place
            shift += 7
            if shift >= 70:
                break
        raise self.damaged("a number that is cut off or longer than 64 bits", place)

    def damaged(self, what: str, place: int) -> ProfileError:
        """The error for what is no protocol buffer at `place`."""
        return ProfileError(
            221, where=self.where, what=f"no whole pprof profile: {what} at byte {place}", fix="record or download it again"
        )


def signed(value: int) -> int:
    """An int64 as its varint holds it."""
    return value - WORD if value >= WORD // 2 else value
