"""Health check without curl: exit code 0 if every address given answers 200 within its time."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

SECONDS = 5.0


def healthy(url: str) -> bool:
    """Whether a GET of `url` ends with status 200. A proxy of the environment is not asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=SECONDS) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(0 if len(sys.argv) > 1 and all(healthy(url) for url in sys.argv[1:]) else 1)
