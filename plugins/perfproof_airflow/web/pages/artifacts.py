"""One artifact of a cycle: shown as what it is, and as a download.

What others wrote is never served as a page of ours: text is escaped, and a picture or an HTML page comes from `/files/` under a policy
that lets nothing in it run. Every byte is read by its digest and hashed again.
"""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from perfproof.evidence.names import is_name
from perfproof.pages.content import content_of
from perfproof.pages.kinds import INLINE, Kind, kind_of, media_type
from perfproof.pages.rendered_markdown import Places as Addresses
from perfproof_airflow.web.page import Page, Places, show
from perfproof_airflow.web.reading import ReaderDep
from perfproof_airflow.web.security import FILE_POLICY, PAGE_POLICY, ViewerDep
from perfproof_airflow.web.shown import shown_blocks

router = APIRouter()
DIGEST = re.compile(r"[0-9a-f]{64}")
# The report links to the evidence beside it; following such a link is a download.
SANDBOX_POLICY = f"{FILE_POLICY} allow-downloads"
# This page alone holds a frame, of this origin, whose content is under SANDBOX_POLICY.
FRAME_POLICY = f"{PAGE_POLICY}; frame-src 'self'"


@router.get("/cycles/{run}/artifacts/{name:path}")
def artifact(
    request: Request, viewer: ViewerDep, reader: ReaderDep, run: str, name: str, sha256: str = "", page: int = 1, raw: int = 0
) -> Response:
    """The page of an artifact: its live version, or the one with the digest `sha256`; `raw` shows a known document as it is."""
    document, data = reader.artifact(run, name, sha256=_digest(sha256))
    places = Places(request.scope.get("root_path", ""))
    digest = sha256 or document["sha256"]
    version = _version(document, digest)
    addresses = Addresses(
        page=lambda other: places.page("cycles", run, "artifacts", other) if is_name(other) else None,
        picture=lambda other: places.page("cycles", run, "files", other, show=1) if is_name(other) and kind_of(other) is Kind.SVG else None,
    )
    content = content_of(name, data, places=addresses, page=page, raw=bool(raw))
    kind = kind_of(name)
    shown = Page(
        "artifact.html.jinja",
        name,
        {
            "run": run,
            "artifact": document,
            "shown": version,
            "kind": kind.value,
            "picture": kind is Kind.SVG,
            "framed": kind is Kind.HTML,
            "blocks": shown_blocks(content.blocks, page_of=addresses.page),
            "content": content,
            "raw": bool(raw),
            "given": {"sha256": sha256, "raw": raw or None},
        },
        here="cycles",
    )
    answer = show(request, shown, viewer=viewer)
    if kind is Kind.HTML:
        answer.headers["Content-Security-Policy"] = FRAME_POLICY
    return answer


@router.get("/cycles/{run}/files/{name:path}")
def file(reader: ReaderDep, run: str, name: str, sha256: str = "", show: int = 0) -> Response:
    """The bytes of an artifact as an attachment; with `show` a picture or an HTML page as it is, below a sandbox."""
    document, data = reader.artifact(run, name, sha256=_digest(sha256))
    kind = kind_of(name)
    inline = bool(show) and kind in INLINE
    # Names of evidence have neither quotation marks nor characters beyond ASCII.
    filename = str(document["name"]).rpartition("/")[2]
    headers = {
        "Content-Security-Policy": SANDBOX_POLICY,
        "Content-Disposition": f'{"inline" if inline else "attachment"}; filename="{filename}"',
        # A browser refuses to open a sandboxed page by itself where it asks for a group of its own.
        "Cross-Origin-Opener-Policy": "unsafe-none",
        "X-Content-SHA256": sha256 or str(document["sha256"]),
    }
    return Response(data, media_type=media_type(kind), headers=headers)


def _digest(sha256: str) -> str | None:
    if sha256 and not DIGEST.fullmatch(sha256):
        raise HTTPException(404, "There is no version with such a digest.")
    return sha256 or None


def _version(document: dict[str, Any], sha256: str) -> dict[str, Any]:
    """Of the version that is shown: digest, size, when, and whether it is the current one."""
    if sha256 == document["sha256"]:
        return {**{key: document[key] for key in ("sha256", "size", "published_at", "seq")}, "current": True}
    old = next((one for one in document["superseded"] if one["sha256"] == sha256), None)
    if old is None:
        return {"sha256": sha256, "size": None, "published_at": None, "seq": None, "current": False}
    return {**old, "current": False}
