"""What a secret looks like: tokens, keys, and values that stand where a password stands.

Every shape is looked for by a literal that it must hold, and its pattern is tried only there, over a bounded length: the time stays
proportional to the size of the data, whatever somebody puts into it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class SecretKind(StrEnum):
    """What was found, in the words of an error."""

    PRIVATE_KEY = "a private key"
    AWS = "an AWS access key"
    GOOGLE = "a Google Cloud credential"
    GITHUB = "a GitHub token"
    GITLAB = "a GitLab token"
    SLACK = "a Slack token"
    STRIPE = "a Stripe key"
    PACKAGE_INDEX = "a package index token"
    JWT = "a JSON Web Token"
    AUTHORIZATION = "an authorization header"
    URL_PASSWORD = "a password in a URL"  # noqa: S105  the words for one
    ASSIGNMENT = "a value under the name of a secret"
    FERNET = "a Fernet key"
    KNOWN = "a secret that this process has registered"
    OPAQUE = "compressed content that is too large to be searched"


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape. `anchors` are lower case; `pattern` is matched where one begins; its group `value` (or `bare`) is the secret."""

    kind: SecretKind
    anchors: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    plausible: Callable[[re.Match[bytes]], bool]

    def find(self, data: bytes, place: int) -> tuple[int, int, int] | None:
        """Begin of the match at `place`, begin and end of the secret in it; None where there is none."""
        match = self.pattern.match(data, place)
        if match is None or not self.plausible(match):
            return None
        return (match.start(), *match.span("value" if match["value"] is not None else "bare"))


def _shape(kind: SecretKind, anchors: str, pattern: bytes, plausible: Callable[[re.Match[bytes]], bool] | None = None) -> Shape:
    compiled = re.compile(pattern, re.IGNORECASE if anchors.endswith(" (any case)") else 0)
    words = tuple(anchors.removesuffix(" (any case)").encode().split(b" "))
    return Shape(kind, words, compiled, _no_example if plausible is None else plausible)


def _no_example(match: re.Match[bytes]) -> bool:
    return EXAMPLE.search(match["value"]) is None


# A token begins where a word does; the letter of an escape (\n, \u001b, %3D) is no part of a word.
_EDGE = rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"
# A quotation mark, also one that JSON or HTML has escaped.
_MARK = rb"(?:\\{0,3}[\"']|&quot;|&\#x27;|&\#39;|`)"
_GAP = rb"[ \t]{0,4}"
EXAMPLE = re.compile(rb"EXAMPLE$|[xX]{8}|\*{3}|\.\.\.|0{12}")

# Stands for a value: stars, a variable, a template, a parameter of a query, a path, a name in a program, a word of a schema.
PLACEHOLDER = re.compile(
    rb"[*x._-]+|[$<{?~].*|%[sr(].*|:\w+|\.{0,2}/.*|[A-Za-z_]+(?:\.[A-Za-z_]+)+|(?-i:[A-Z]+(?:_[A-Z]+)+)"
    rb"|[a-z_]*(?:passw|secret|token|credential|api_?key)[a-z_]*"
    rb"|(?:pass|pw|xxx+|none|null|true|false|required|optional|string|text|bytes|redacted|masked|hidden|changeme|change-me|example"
    rb"|placeholder|unset|empty|default|same-origin)",
    re.IGNORECASE | re.DOTALL,
)
# Says something about a secret and is none.
_ABOUT = re.compile(
    rb"(?:sha256|digest|hash|fingerprint|ids?|names?|count|total|len|length|size|file|path|dir|url|uri|type|kind|field|fields|at"
    rb"|expiry|expires|expires_in|ttl|policy|bucket|rate|per_second|of)$",
    re.IGNORECASE,
)
_KEY_BODY = re.compile(rb"[A-Za-z0-9+/=]{16}")
_PROSE = 8
_SHORTEST = 6


def _stands_for_itself(match: re.Match[bytes]) -> bool:
    """Whether the value of an assignment is one: no placeholder, no word of a sentence, no number of things."""
    value, name = match["value"] or match["bare"], match["name"].lower()
    if len(value) < _SHORTEST or _ABOUT.search(match["tail"]) or PLACEHOLDER.fullmatch(value):
        return False
    if value.isdigit() and not name.startswith(b"pass"):
        return False
    if b" " in value and name != b"passphrase":
        return False
    if match["value"] is None and match["sign"].endswith(b":"):
        return len(value) >= _PROSE and any(c in b"0123456789" for c in value) and any(c >= 0x41 for c in value)
    return True


SHAPES = (
    _shape(
        SecretKind.PRIVATE_KEY, "-----begin",
        rb"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?P<value>(?:[^-]|-(?!----)){16,8000}+)",
        lambda match: _KEY_BODY.search(match["value"], 0, 400) is not None,
    ),
    _shape(SecretKind.AWS, "akia asia", _EDGE + rb"A(?:KI|SI)A(?P<value>[A-Z2-7]{16})(?![A-Za-z0-9])"),
    _shape(SecretKind.GOOGLE, "aiza", _EDGE + rb"AIza(?P<value>[0-9A-Za-z_-]{35})(?![0-9A-Za-z_-])"),
    _shape(SecretKind.GOOGLE, "ya29.", _EDGE + rb"ya29\.(?P<value>[0-9A-Za-z_-]{20,200})"),
    _shape(SecretKind.GOOGLE, "gocspx-", rb"GOCSPX-(?P<value>[0-9A-Za-z_-]{20,60})"),
    _shape(SecretKind.GITHUB, "ghp_ gho_ ghu_ ghs_ ghr_", rb"gh[pousr]_(?P<value>[A-Za-z0-9]{36,255})"),
    _shape(SecretKind.GITHUB, "github_pat_", rb"github_pat_(?P<value>[A-Za-z0-9_]{22,255})"),
    _shape(SecretKind.GITLAB, "glpat- gldt- glrt- glptt- glcbt- gloas-", rb"gl(?:pat|dt|rt|ptt|cbt|oas)-(?P<value>[A-Za-z0-9_.-]{20,80})"),
    _shape(SecretKind.SLACK, "xoxb- xoxp- xoxa- xoxe- xoxr- xoxs-", rb"xox[abeprs]-(?P<value>[A-Za-z0-9-]{10,120})"),
    _shape(SecretKind.SLACK, "xapp-", rb"xapp-(?P<value>[0-9]-[A-Za-z0-9-]{10,120})"),
    _shape(SecretKind.SLACK, "hooks.slack.com/", rb"hooks\.slack\.com/(?:services|workflows)/(?P<value>T[A-Za-z0-9_/]{16,120})"),
    _shape(SecretKind.STRIPE, "sk_live_ sk_test_ rk_live_ rk_test_", _EDGE + rb"[sr]k_(?:live|test)_(?P<value>[A-Za-z0-9]{16,250})"),
    _shape(SecretKind.STRIPE, "whsec_", _EDGE + rb"whsec_(?P<value>[A-Za-z0-9+/=]{24,100})"),
    _shape(SecretKind.PACKAGE_INDEX, "pypi-age npm_", rb"(?:pypi-(?=AgE)|npm_(?=[A-Za-z0-9]{36}))(?P<value>[A-Za-z0-9_-]{36,255})"),
    _shape(
        SecretKind.JWT, "eyj",
        _EDGE + rb"(?P<value>eyJ[A-Za-z0-9_-]{10,2000}+\.eyJ[A-Za-z0-9_-]{10,4000}+)\.[A-Za-z0-9_-]{0,1000}",
    ),
    _shape(
        SecretKind.AUTHORIZATION, "authorization (any case)",
        rb"authorization" + _MARK + rb"?" + _GAP + rb"[:=,]" + _GAP + _MARK + rb"?(?:bearer|basic|token|digest|apikey)[ \t+]{1,3}"
        rb"(?P<value>[A-Za-z0-9._~+/=-]{8,4000})",
        lambda match: not PLACEHOLDER.fullmatch(match["value"]),
    ),
    _shape(
        SecretKind.AUTHORIZATION, "bearer (any case)",
        rb"bearer[ \t]{1,3}(?=[A-Za-z0-9._~+/=-]{0,2000}[0-9])(?P<value>[A-Za-z0-9._~+/=-]{20,2000})",
    ),
    _shape(
        SecretKind.URL_PASSWORD, "://",
        # Some services take a token as the user, so the user is no less secret.
        rb"://(?P<value>[^\s/?\#@:\"'<>\\]{0,100}:(?P<bare>[^\s/?\#@\"'<>\\]{1,200}))@[^\s@]",
        lambda match: not PLACEHOLDER.fullmatch(match["bare"]),
    ),
    _shape(
        SecretKind.FERNET, "fernet (any case)",
        rb"fernet[a-z_ -]{0,20}" + _MARK + rb"?" + _GAP + rb"[:=]" + _GAP + _MARK + rb"?(?P<value>[A-Za-z0-9_-]{43}=)",
    ),
    _shape(
        SecretKind.ASSIGNMENT,
        "password (any case)",
        # SQL needs no sign between the two.
        rb"password[ \t]{1,4}'(?P<value>[^\s']{6,200})'",
        lambda match: not PLACEHOLDER.fullmatch(match["value"]),
    ),
    _shape(
        SecretKind.ASSIGNMENT,
        "password passwd passphrase pwd secret api_key api-key apikey access_key access-key accesskey auth_key private_key signing_key"
        " token credential (any case)",
        rb"(?P<name>pass(?:word|wd|phrase)|pwd|secret|(?:api|access|auth|private|signing)[_-]?key|token|credential)"
        rb"(?P<tail>[a-z0-9_-]{0,40}+)" + _MARK + rb"?" + _GAP + rb"(?P<sign>=>|:=|={1,2}|:)" + _GAP
        + rb"(?:" + _MARK + rb"(?P<value>[^\"'\\\r\n`&]{1,200}+)(?=\\{0,3}[\"'`&\\])"
        + rb"|(?P<bare>[^\s\"'\\,;&<>(){}\[\]|`]{1,200}+)(?![(\[{]))",
        _stands_for_itself,
    ),
)  # fmt: skip
