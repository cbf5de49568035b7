"""Who has no password gets nothing: each server of the stack is asked with the usual default words. Runs inside a container of it.

Standard library and the packages of the image only. Prints one line for each server; exit code 1 if one let a stranger in.
"""

from __future__ import annotations

import json
import socket
import sys
import urllib.error
import urllib.request

DEFAULT_WORDS = ("", "postgres", "airflow", "admin", "password", "redis")
ACCOUNTS = ("admin", "airflow", "demo-admin")
SECONDS = 10


def postgres() -> bool:
    """Whether any default password opens the database server."""
    import psycopg

    for user in ("postgres", "airflow"):
        for word in DEFAULT_WORDS:
            try:
                psycopg.connect(host="postgres", user=user, password=word, dbname="postgres", connect_timeout=SECONDS).close()
            except psycopg.OperationalError as error:
                if "password" not in str(error):
                    raise
            else:
                return True
    return False


def redis() -> bool:
    """Whether the broker answers without its password, or to a default one."""
    for word in DEFAULT_WORDS:
        with socket.create_connection(("redis", 6379), timeout=SECONDS) as connection:
            connection.sendall((f"AUTH {word}\r\n" if word else "").encode() + b"PING\r\n")
            answer = connection.recv(200)
        if b"PONG" in answer or not answer.startswith(b"-"):
            return True
    return False


def s3() -> bool:
    """Whether the S3 server lists its buckets for nobody."""
    try:
        with urllib.request.urlopen("http://s3:8333/", timeout=SECONDS) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        if error.code != 403:
            raise
        return False


def airflow() -> bool:
    """Whether the API gives a token for a default password."""
    for user in ACCOUNTS:
        for word in (*DEFAULT_WORDS, user):
            body = json.dumps({"username": user, "password": word}).encode()
            request = urllib.request.Request("http://api-server:8080/auth/token", data=body, headers={"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
                    return True
            except urllib.error.HTTPError as error:
                if error.code not in (400, 401, 403, 422):
                    raise
    return False


def main() -> int:
    """Asks all four."""
    opened = 0
    for server in (postgres, redis, s3, airflow):
        let_in = server()
        opened += let_in
        sys.stdout.write(f"{server.__name__}: {'LETS STRANGERS IN' if let_in else 'refuses'}\n")
    return 1 if opened else 0


if __name__ == "__main__":
    sys.exit(main())
