"""Makes the database of an Airflow and the connections that come as JSON on standard input, in one process.

`python -m perfproof_demo.airflow_setup < connections.json`, with AIRFLOW_HOME set. The secrets never stand on a command line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any


def main() -> None:
    """Migrates the database and replaces the given connections."""
    from airflow.utils.db import upgradedb

    connections = json.load(sys.stdin)
    upgradedb()
    _replace(connections)


def _replace(connections: Mapping[str, Mapping[str, Any]]) -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        for name, fields in connections.items():
            session.execute(delete(Connection).where(Connection.conn_id == name))
            session.add(Connection(conn_id=name, **fields))


if __name__ == "__main__":
    main()
