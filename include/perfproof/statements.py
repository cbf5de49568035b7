"""Which statements may be explained: EXPLAIN ANALYZE runs a statement, so only a single one that reads may pass.

PostgreSQL's lexical rules are followed as far as the question needs. When in doubt the answer is no: a statement that is
refused costs a plan, one that slips through may cost data. The session that explains is read-only besides.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from enum import StrEnum

from perfproof.errors import ProfileError

MAX_STATEMENT = 100_000
# INTO creates a table, UPDATE and SHARE take row locks, the others write inside a WITH.
WRITES = frozenset({"insert", "update", "delete", "merge", "into"})
DATA_STATEMENTS = frozenset({"select", "with", "insert", "update", "delete", "merge"})
_WORD = re.compile(r"[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]*")
_DOLLAR_QUOTE = re.compile(r"\$(?:[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)?\$")
_ESCAPED = re.compile(r"(?:[eE]|[uU]&)['\"]")
_SPACE = re.compile(r"[ \t\r\n\f\v]+")


class TokenKind(StrEnum):
    """What the check needs to tell apart."""

    WORD = "word"
    QUOTED_NAME = "quoted name"
    TEXT = "text"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a statement. Words are in small letters; comments and white space are no tokens."""

    kind: TokenKind
    text: str


def check_explainable(statement: str, *, where: str) -> None:
    """Raises ProfileError unless `statement` is one SELECT or WITH that neither writes nor locks."""
    tokens = tokenize(statement, where=where)
    while tokens and tokens[-1] == Token(TokenKind.MARK, ";"):
        tokens = tokens[:-1]
    first = tokens[0].text if tokens and tokens[0].kind is TokenKind.WORD else ""
    if first not in ("select", "with"):
        raise ProfileError(121, where=where, what="only SELECT and WITH are explained", got=first or statement, fix="explain it by hand")
    if Token(TokenKind.MARK, ";") in tokens:
        raise ProfileError(122, where=where, what="more than one statement", got=statement, fix="explain them one by one, by hand")
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.kind is not TokenKind.WORD:
            continue
        locks = token.text == "share" and before is not None and before.text in ("for", "key")
        if token.text in WRITES or locks:
            what = "a statement that writes or locks is not explained"
            raise ProfileError(123, where=where, what=what, got=token.text.upper(), fix="explain it by hand")


def called_functions(statement: str, *, where: str) -> tuple[str, ...]:
    """Names that stand before a parenthesis, without their schema: every function that `statement` calls is among them."""
    tokens = tokenize(statement, where=where)
    names = {
        token.text
        for token, after in itertools.pairwise(tokens)
        if token.kind in (TokenKind.WORD, TokenKind.QUOTED_NAME) and after == Token(TokenKind.MARK, "(")
    }
    return tuple(sorted(names))


def is_data_statement(statement: str) -> bool:
    """Whether `statement` reads or writes rows, in contrast to BEGIN, SET and the like."""
    try:
        tokens = tokenize(statement, where="statement")
    except ProfileError:
        return False
    return bool(tokens) and tokens[0].kind is TokenKind.WORD and tokens[0].text in DATA_STATEMENTS


def tokenize(statement: str, *, where: str) -> tuple[Token, ...]:
    """The tokens of `statement`. Raises ProfileError for what cannot be read to its end: it may hide anything."""
    if len(statement) > MAX_STATEMENT or "\0" in statement:
        raise ProfileError(124, where=where, what="the statement is too long or holds a zero byte", got=statement, fix="explain it by hand")
    tokens: list[Token] = []
    at = 0
    while at < len(statement):
        space = _SPACE.match(statement, at)
        if space:
            at = space.end()
        elif statement.startswith("--", at):
            at = _line_end(statement, at)
        elif statement.startswith("/*", at):
            at = _comment_end(statement, at, where)
        else:
            token, at = _token(statement, at, where)
            tokens.append(token)
    return tuple(tokens)


def _token(statement: str, at: int, where: str) -> tuple[Token, int]:
    character = statement[at]
    word = _WORD.match(statement, at)
    if word:
        # E'…' and U&'…' have escapes and continuation lines of their own, in which code could pass for text.
        if _ESCAPED.match(statement, at):
            what = "text or a name with escapes is not explained"
            raise ProfileError(126, where=where, what=what, got=statement[at : at + 20], fix="explain it by hand")
        return Token(TokenKind.WORD, word.group().lower()), word.end()
    if character in "'\"":
        return _quoted(statement, at, character, where)
    dollar = _DOLLAR_QUOTE.match(statement, at)
    if dollar:
        end = statement.find(dollar.group(), dollar.end())
        if end < 0:
            raise _unfinished(where, statement)
        return Token(TokenKind.TEXT, statement[dollar.end() : end]), end + len(dollar.group())
    return Token(TokenKind.MARK, character), at + 1


def _quoted(statement: str, at: int, quote: str, where: str) -> tuple[Token, int]:
    end = statement.find(quote, at + 1)
    while statement.startswith(quote * 2, end):
        end = statement.find(quote, end + 2)
    if end < 0:
        raise _unfinished(where, statement)
    kind = TokenKind.TEXT if quote == "'" else TokenKind.QUOTED_NAME
    return Token(kind, statement[at + 1 : end].replace(quote * 2, quote)), end + 1


def _line_end(statement: str, at: int) -> int:
    ends = [i for i in (statement.find("\n", at), statement.find("\r", at)) if i >= 0]
    return min(ends) + 1 if ends else len(statement)


def _comment_end(statement: str, at: int, where: str) -> int:
    depth, at = 1, at + 2
    while depth:
        opening, closing = statement.find("/*", at), statement.find("*/", at)
        if closing < 0:
            raise _unfinished(where, statement)
        if 0 <= opening < closing:
            depth, at = depth + 1, opening + 2
        else:
            depth, at = depth - 1, closing + 2
    return at


def _unfinished(where: str, statement: str) -> ProfileError:
    return ProfileError(125, where=where, what="a quotation or comment does not end", got=statement, fix="explain it by hand")


def normalised(statement: str) -> str:
    """`statement` as the same text for each way to write it: no comments, one space, small letters, every value and list of values as `$`.

    What cannot be read to its end keeps its letters, with one space for each run of white space.
    """
    try:
        tokens = tokenize(statement, where="statement")
    except ProfileError:
        return " ".join(statement.split())
    words: list[str] = []
    for token in tokens:
        if token.kind is TokenKind.MARK and token.text.isdigit() and words and words[-1].startswith("$"):
            words[-1] = "$"
        elif token.kind in (TokenKind.WORD, TokenKind.MARK):
            words.append(token.text)
        else:
            words.append(f'"{token.text}"' if token.kind is TokenKind.QUOTED_NAME else f"'{token.text}'")
        if words[-3:] == ["$", ",", "$"]:
            del words[-2:]
    return " ".join(words)
