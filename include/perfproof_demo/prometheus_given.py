"""The Prometheus that PROMETHEUS_URL names: does it answer, and does it scrape both shops as often as the protocol needs."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from perfproof_demo.errors import DemoError
from perfproof_demo.settings import DemoSettings, Side

WHERE = "PROMETHEUS_URL"
# A server that was started together with the demo has to have scraped for the whole look back.
WAIT_SECONDS = 15.0
POLL_SECONDS = 0.5
LOOK_BACK_SECONDS = 10
# The rates are taken over 10 s; two scrapes in them may be late or lost.
FEWEST_SCRAPES = 8
FIX = "give that server what `.venv/bin/perfproof-demo scrape-config` prints, or unset PROMETHEUS_URL"


def require_scraped(
    settings: DemoSettings,
    *,
    seconds: float = WAIT_SECONDS,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Returns when `up` is 1 for both shops, once each, and was recorded once a second.

    Raises DemoError with the one thing that is still wrong after `seconds`; at once if the server does not answer.
    """
    url = str(settings.prometheus_url)
    deadline = clock() + seconds
    with httpx.Client(timeout=5, trust_env=False, transport=transport) as client:
        while True:
            wrong = next((error for side in Side if (error := _wrong(client, url, settings.shop_instance(side)))), None)
            if wrong is None:
                return
            if clock() >= deadline:
                raise wrong
            sleep(POLL_SECONDS)


def require_answer(settings: DemoSettings, *, transport: httpx.BaseTransport | None = None) -> None:
    """Raises DemoError if the server answers no query."""
    with httpx.Client(timeout=5, trust_env=False, transport=transport) as client:
        _values(client, str(settings.prometheus_url), "up")


def _wrong(client: httpx.Client, url: str, instance: str) -> DemoError | None:
    series = f'up{{instance="{instance}"}}'
    values = _values(client, url, series)
    if not values:
        return DemoError(854, where=WHERE, what=f"the server does not scrape {instance}", got=f"no {series} at {url}", fix=FIX)
    if len(values) > 1:
        return DemoError(
            855, where=WHERE, what=f"the server scrapes {instance} {len(values)} times", got=f"{len(values)} series {series} at {url}",
            expected="one: the queries of the protocol file take the only series of an instance", fix="remove the other jobs",
        )  # fmt: skip
    if values != [1.0]:
        return DemoError(
            856, where=WHERE, what=f"the server cannot scrape {instance}", got=f"{series} is {values[0]:g} at {url}",
            expected="1, from where that server runs", fix="run it on this machine, outside of containers",
        )  # fmt: skip
    scrapes = sum(_values(client, url, f"count_over_time({series}[{LOOK_BACK_SECONDS}s])"))
    if scrapes < FEWEST_SCRAPES:
        return DemoError(
            857, where=WHERE, what=f"the server scrapes {instance} too rarely", got=f"{scrapes:g} times in {LOOK_BACK_SECONDS} s",
            expected=f"{FEWEST_SCRAPES} or more", fix=FIX,
        )  # fmt: skip
    return None


def _values(client: httpx.Client, url: str, query: str) -> list[float]:
    """The values of an instant query, without their labels."""
    try:
        answer = client.get(f"{url}/api/v1/query", params={"query": query})
        if answer.status_code != httpx.codes.OK:
            raise _no_answer(url, f"status {answer.status_code}")
        return [float(row["value"][1]) for row in answer.json()["data"]["result"]]
    except httpx.HTTPError as error:
        raise _no_answer(url, str(error) or type(error).__name__) from None
    except (ValueError, KeyError, IndexError, TypeError):
        raise _no_answer(url, f"status 200 with {answer.headers.get('content-type', 'no type')}") from None


def _no_answer(url: str, got: str) -> DemoError:
    return DemoError(
        853, where=WHERE, what=f"{url} does not answer a query as Prometheus does", got=got[:200],
        fix="start it, correct the address, or unset PROMETHEUS_URL",
    )  # fmt: skip
