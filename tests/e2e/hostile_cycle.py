"""A cycle whose every text wants to run: a real one, copied entry by entry through the store, with scripts in what anybody said.

What decides stays as it was (types, digests, figures, times), so that the pages show each fact and each document in their own form.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from perfproof.approvals import read_request
from perfproof.evidence import EntryType, EvidenceStore, Reference, idempotency
from perfproof.evidence.records import PUBLICATIONS, Entry

HOST = "hostile.invalid"
# The console is heard from every frame, also from one whose window nobody else may look into.
SIGN = "console.error(31337);window.__hit=1;window.top.__hit=1"
PAYLOADS = (
    f"<script>{SIGN}</script>",
    f'<img src="http://{HOST}/i.png" onerror="{SIGN}">',
    f"\"><svg onload='{SIGN}'><foreignObject><body onload='{SIGN}'></body></foreignObject></svg>",
    f"' autofocus tabindex=1 onfocus='{SIGN}' x='",
    f"javascript:{SIGN}",
    f"<style>@import url(http://{HOST}/s.css);body{{background:url(http://{HOST}/c.png)}}</style>",
    f"</title></textarea></pre><script src=http://{HOST}/s.js></script>",
    f"[go](javascript:{SIGN}) ![see](http://{HOST}/m.png)",
    f'<a href="javascript:{SIGN}">go</a><form action="http://{HOST}/f"><input autofocus onfocus="alert(1)"></form>',
    f'<iframe srcdoc="<script>parent.__hit=1;alert(1)</script>"></iframe><object data="javascript:{SIGN}"></object>',
    f'<meta http-equiv="refresh" content="0;url=http://{HOST}/r"><base href="http://{HOST}/">',
    f'<math><mtext><mglyph><style><img src=x onerror="{SIGN}"></style></mglyph></mtext></math>{{{{7*7}}}}',
)  # fmt: skip
# Texts that decide something: identifiers, digests, times, paths, addresses.
WORD = re.compile(r"\S*")
SVG = f"""<script>{SIGN}</script><image href="http://{HOST}/i.png" onerror="{SIGN}" width="9" height="9"/>
<a href="javascript:{SIGN}"><text y="20">go</text></a>
<style>@import url(http://{HOST}/s.css); svg {{ background: url(http://{HOST}/c.png) }}</style>
<foreignObject width="90" height="40"><body xmlns="http://www.w3.org/1999/xhtml" onload="{SIGN}"><script>{SIGN}</script>
<iframe src="javascript:{SIGN}"></iframe><img src="x" onerror="{SIGN}"/></body></foreignObject>
<animate attributeName="x" onbegin="{SIGN}" dur="1s"/><set attributeName="onload" to="{SIGN}"/>"""
MARKDOWN = "\n\n".join(
    (
        "# " + PAYLOADS[0], *PAYLOADS, f"<javascript:{SIGN}>", f"[go]: javascript:{SIGN}", "[go]", f"![x](javascript:{SIGN})",
        "[data](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)", f"[vb](vbscript:alert(1)) [up](//{HOST}/x)",
        f"```{PAYLOADS[1]}\n{PAYLOADS[0]}\n```", f"| {PAYLOADS[0]} | b |\n| --- | --- |\n| {PAYLOADS[1]} | `{PAYLOADS[2]}` |",
    )
)  # fmt: skip


@dataclass(slots=True)
class Copy:
    """Copies the log of `source` into `target`, which is another run of the same evidence. `names` are words that become hostile."""

    source: EvidenceStore
    target: EvidenceStore
    run_ids: tuple[str, str]
    names: Sequence[str]
    _digests: dict[str, str] = field(default_factory=dict)
    _number: count[int] = field(default_factory=count)

    def make(self, *, until: str | None = None) -> None:
        """The whole log, or what was there before the first answer to the step `until`: then that request is open."""
        first, *others = self.source.entries()
        genesis = json.loads(self.source.get_object(first.body["genesis"]))
        self.target.open_run(genesis=self._tree(genesis), time=first.moment, actor=first.actor)
        for entry in others:
            if until and entry.type is EntryType.APPROVAL_GRANTED and entry.body.get("step") == until:
                return
            self._entry(entry)

    def _entry(self, entry: Entry) -> None:
        key = idempotency("copy", "hostile", next(self._number), [])
        if entry.type not in PUBLICATIONS:
            body = self._tree(entry.body)
            if entry.type is EntryType.APPROVAL_REQUESTED:
                # What is asked has changed, and only a request that says what it asks waits for anybody.
                body["subject_sha256"] = read_request(body["request"], where="copy").question.subject_sha256
            self.target.append(type=entry.type, body=body, idem=key, time=entry.moment, actor=entry.actor, attempt=entry.attempt)
            return
        name = self._renamed(entry.body["name"])
        data = self._content(name, self.source.get_object(entry.body["sha256"]))
        inputs = [
            Reference(self._renamed(one["name"]), self._digests.get(one["sha256"], one["sha256"]), "") for one in entry.body["inputs"]
        ]
        published = self.target.publish(
            name, data, idem=key, time=entry.moment, actor=entry.actor, attempt=entry.attempt, inputs=inputs,
            verified_by=entry.body["verified_by"],
        )  # fmt: skip
        self._digests[entry.body["sha256"]] = published.sha256

    def _renamed(self, text: str) -> str:
        """`text` with the other run's names; each of them only once, since one holds the other."""
        text = text.replace(self.source.run, self.target.run)
        return text.replace(f'"{self.run_ids[0]}"', f'"{self.run_ids[1]}"') if text != self.run_ids[0] else self.run_ids[1]

    def _hostile(self, text: str) -> str:
        return f"{text} {PAYLOADS[next(self._number) % len(PAYLOADS)]}"

    def _tree(self, value: Any) -> Any:
        """`value` with a payload behind each text that is more than a word, and behind each word of `names`."""
        if isinstance(value, Mapping):
            return {(self._hostile(key) if key in self.names else key): self._tree(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._tree(one) for one in value]
        if not isinstance(value, str):
            return value
        if value in self._digests:
            return self._digests[value]
        return self._renamed(value) if WORD.fullmatch(value) and value not in self.names else self._hostile(self._renamed(value))

    def _content(self, name: str, data: bytes) -> bytes:
        match name.rpartition(".")[2]:
            case "json":
                return json.dumps(self._tree(json.loads(data)), indent=1).encode()
            case "svg":
                return data.replace(b"</svg>", SVG.encode() + b"</svg>")
            case "html":
                return data.replace(b"</body>", "".join(PAYLOADS).encode() + SVG.encode() + b"</body>")
            case "csv":
                return data + hostile_rows(data)
            case "gz":
                plain = gzip.decompress(data)
                return gzip.compress(plain + hostile_rows(plain), mtime=0)
            case "zip":
                return _hostile_archive()
            case "md":
                return data + f"\n\n{MARKDOWN}\n".encode()
            case _:
                return data + "".join(f"# {one}\n" for one in PAYLOADS).encode()


def hostile_rows(table: bytes) -> bytes:
    """As many cells a row as the table's first has, each with a payload."""
    cells = table.partition(b"\n")[0].count(b",") + 1
    quoted = ['"' + one.replace('"', '""') + '"' for one in PAYLOADS]
    return "".join(",".join(quoted[(row + cell) % len(quoted)] for cell in range(cells)) + "\n" for row in range(3)).encode()


def _hostile_archive() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number, payload in enumerate(PAYLOADS):
            archive.writestr(zipfile.ZipInfo(f"{number}{payload}.html"), payload)
    return packed.getvalue()
