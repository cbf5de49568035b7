"""How a command reaches an Airflow as the person who calls it: address, account, and what goes wrong in one line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from perfproof.errors import ParameterError
from perfproof_airflow.rest import AirflowApi


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the Airflow is, and who asks; the password is in AIRFLOW_PASSWORD only."""
    parser.add_argument("--url", default=os.environ.get("AIRFLOW_URL", "http://127.0.0.1:8080"), help="base URL (default: AIRFLOW_URL)")
    parser.add_argument("--user", default=os.environ.get("AIRFLOW_USER", ""), help="user name (default: AIRFLOW_USER)")


@contextmanager
def airflow(options: argparse.Namespace) -> Iterator[AirflowApi]:
    """The API as the calling user. What goes wrong with it is a ParameterError of one line, without the password."""
    password = os.environ.get("AIRFLOW_PASSWORD", "")
    if not options.user or not password:
        raise ParameterError(221, where="perfproof", what="no user or password", fix="set AIRFLOW_USER and AIRFLOW_PASSWORD")
    api = AirflowApi(options.url, options.user, password)
    try:
        yield api
    except httpx.HTTPStatusError as error:
        raise refused(options.url, error.response) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ParameterError(223, where=options.url, what="Airflow does not answer", got=str(error), fix="check --url") from None
    except (ValueError, KeyError, TypeError) as error:
        what = "what answers is no Airflow 3"
        raise ParameterError(223, where=options.url, what=what, got=f"{type(error).__name__}: {error}", fix="check --url") from None
    finally:
        api.close()


def refused(where: str, response: httpx.Response) -> ParameterError:
    """The error for an answer that says no, with Airflow's own reason."""
    try:
        detail = response.json().get("detail")
    except (ValueError, AttributeError):
        detail = response.text
    return ParameterError(222, where=where, what=f"Airflow answered {response.status_code}", got=detail or None, fix="see the message")
