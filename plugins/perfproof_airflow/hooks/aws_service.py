"""Questions to one AWS service: one total time for calls that belong together, retries where waiting can help, AWS's errors as ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.aws_sender import Again, Sender, client_settings
from perfproof_airflow.hooks.http_answers import ATTEMPTS, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, RETRIED_STATUSES, Limits, Unreachable
from perfproof_airflow.hooks.refused import QueryRefused

MAX_PAGES = 200
# All answers of one question, as they are kept: 700,000 samples.
MAX_ALL_BYTES = 32 << 20
_THROTTLED = frozenset(
    {
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException", "RequestLimitExceeded",
        "TooManyRequestsException", "LimitExceeded", "LimitExceededException", "SlowDown", "PriorRequestNotComplete",
    }
)  # fmt: skip
_PASSING = frozenset({"InternalFailure", "InternalServiceFault", "InternalServerError", "ServiceUnavailable", "RequestTimeout"})
NOT_PERMITTED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"})
_UNKNOWN_CALLER = frozenset(
    {
        "AuthFailure", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch", "IncompleteSignature", "ExpiredToken",
        "ExpiredTokenException", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "OptInRequired",
        "UnrecognizedClientException", "RequestExpired",
    }
)  # fmt: skip


class Denied(TelemetryError):
    """AWS refuses this account or what it asks. `aws_code` is AWS's own word for it."""

    def __init__(self, number: int, *, where: str, what: str, fix: str, got: str, aws_code: str) -> None:
        super().__init__(number, where=where, what=what, fix=fix, got=got)
        self.aws_code = aws_code


@dataclass(slots=True)
class Question:
    """Calls that belong together and share one total time. `answers` are the answers so far, one line of JSON each."""

    service: AwsService
    deadline: float
    answers: list[bytes] = field(default_factory=list)
    size: int = 0

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parsed answer. Raises Unreachable, Denied, QueryRefused for what AWS finds wrong in it, or TelemetryError."""
        answer = self.service.answered(operation, parameters, self.deadline)
        self.answers.append(_line(operation, answer))
        self.size += len(self.answers[-1])
        if self.size > MAX_ALL_BYTES:
            raise TelemetryError(
                717, where=self.service.where, what="the answers are too large together", expected=f"at most {MAX_ALL_BYTES} bytes",
                fix="ask for a shorter window, a larger step or fewer names",
            )  # fmt: skip
        return answer

    def pages(self, operation: str, parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Each page of the answer, by NextToken. Raises QueryRefused if they do not end."""
        asked = dict(parameters)
        tokens: set[str] = set()
        for _ in range(MAX_PAGES):
            answer = self.call(operation, asked)
            yield answer
            token = answer.get("NextToken")
            if not token:
                return
            if token in tokens:
                break
            tokens.add(token)
            asked["NextToken"] = token
        raise self.service.refused(725, f"the pages of {operation} do not end", f"{len(tokens) + 1} pages", "narrow the query")

    def pause(self, attempt: int) -> bool:
        """Waits before another attempt; False if there is no time or no attempt left."""
        return self.service.paused(attempt, None, self.deadline)

    @property
    def raw(self) -> bytes:
        """The answers as botocore parsed them, numbers in full, times in UTC: the form on the wire changes with botocore's version."""
        return b"\n".join(self.answers)


class AwsService:
    """Asks one AWS service through an Airflow Connection of type aws. Nothing is opened before the first question.

    `client` replaces the Connection in tests; it is made with `client_settings()`. `region` is asked in place of the Connection's, for
    a service that answers in few regions. One object serves one thread.
    """

    def __init__(
        self, name: str, connection_id: str, *, source: str, client: Any = None, limits: Limits | None = None,
        region: str | None = None, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.name = name
        self.region = region
        self.connection_id = connection_id
        self.where = f"{source} ({connection_id})"
        self.limits = limits or Limits()
        self._sleep = sleep
        self._clock = clock
        self._given = client
        self._ready: Any = None
        self._sender = Sender(self.where, self.limits.answer_bytes, clock)

    def question(self) -> Question:
        """The next calls, which have the whole time of `limits` together. Raises TelemetryError for a Connection that gives no client."""
        # Before the time begins: importing what makes a client of a Connection takes seconds.
        self._client()
        return Question(self, self._clock() + self.limits.total_seconds)

    def answered(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """The parsed answer of one call (`get_metric_data`) before `deadline`, retried with growing pauses while that can help."""
        last = "no attempt"
        for attempt in range(ATTEMPTS):
            try:
                return self._once(operation, parameters, deadline)
            except Again as again:
                last = str(again)
                if not self.paused(attempt, again.retry_after, deadline):
                    break
        raise Unreachable(
            718, where=self.where, what=f"no answer to {operation} in {self.limits.total_seconds:g} s and {ATTEMPTS} attempts at most",
            got=last, fix="check region and endpoint of the Connection and AWS's own state, then clear this task",
        )  # fmt: skip

    def paused(self, attempt: int, retry_after: str | None, deadline: float) -> bool:
        """Waits before the attempt after `attempt` (from 0); False if there is no time or no attempt left."""
        given = (retry_after or "").strip()
        asked = float(given) if given.isascii() and given.isdecimal() and len(given) < 7 else 0.0
        pause = min(LONGEST_PAUSE_SECONDS, max(asked, FIRST_PAUSE_SECONDS * 2.0**attempt))
        if attempt + 1 >= ATTEMPTS or self._clock() + pause >= deadline:
            return False
        self._sleep(pause)
        return True

    def refused(self, number: int, what: str, got: Any, fix: str, *, expected: Any = None) -> QueryRefused:
        """The error for a query that cannot be measured while others may."""
        return QueryRefused(number, where=self.where, what=what, got=got, expected=expected, fix=fix)

    def _once(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError, PartialCredentialsError

        client = self._client()
        self._sender.deadline = deadline
        try:
            answer = getattr(client, operation)(**parameters)
        except (Again, TelemetryError):
            raise
        except ClientError as error:
            raise self._told(operation, error.response) from error
        except ParamValidationError as error:
            raise self.refused(719, f"{operation} cannot be asked so", error, "correct the query in the protocol file") from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise self._unusable("it has no credentials", error) from error
        except Exception as error:
            # Whatever a body that is no answer makes the parsers raise.
            raise TelemetryError(
                714, where=self.where, what=f"the answer to {operation} cannot be read", got=f"{type(error).__name__}: {error}",
                fix="check that endpoint_url of the Connection is an AWS endpoint",
            ) from error  # fmt: skip
        if not isinstance(answer, dict):
            raise TelemetryError(714, where=self.where, what=f"the answer to {operation} is none", got=answer, fix="check endpoint_url")
        return answer

    def _told(self, operation: str, response: Mapping[str, Any]) -> Exception:
        """What AWS's own error means here."""
        told = response.get("Error", {})
        code, text = str(told.get("Code", "")), f"{told.get('Code', '')}: {told.get('Message', '')}"
        metadata = response.get("ResponseMetadata", {})
        status = metadata.get("HTTPStatusCode", 0)
        if code in _THROTTLED or code in _PASSING or status in RETRIED_STATUSES:
            return Again(text, metadata.get("HTTPHeaders", {}).get("retry-after"))
        if code in NOT_PERMITTED or code in _UNKNOWN_CALLER or status in (401, 403):
            action = f"{self.name}:{self._client().meta.method_to_api_mapping[operation]}"
            fix = f"permit {action}" if code in NOT_PERMITTED else "correct the credentials of the Connection"
            return Denied(716, where=self.where, what=f"AWS refuses {operation} to this account", got=text, fix=fix, aws_code=code)
        return self.refused(719, f"AWS refuses {operation}", text, "correct the query in the protocol file")

    def _client(self) -> Any:
        if self._ready is None:
            client = self._given if self._given is not None else self._connected()
            client.meta.events.register("before-send", self._sender.send)
            self._ready = client
        return self._ready

    def _connected(self) -> Any:
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
        from airflow.sdk import Connection
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            # Asked for by name first: the hook below falls back to whatever credentials the machine has.
            Connection.get(self.connection_id)
        except AirflowNotFoundException:
            raise TelemetryError(
                710, where=f"Connection {self.connection_id}", what="not defined", fix="create it with type aws, region_name in its extra"
            ) from None
        try:
            hook: Any = AwsBaseHook(aws_conn_id=self.connection_id, client_type=self.name)
            self._sender.verify = True if hook.verify is None else hook.verify
            return hook.get_client_type(region_name=self.region or hook.region_name, config=hook.config.merge(client_settings()))
        except Exception as error:
            raise self._unusable("no client can be made of it", error) from error

    def _unusable(self, what: str, error: Exception) -> TelemetryError:
        return TelemetryError(
            710, where=f"Connection {self.connection_id}", what=what, got=error,
            fix="give it access key and secret, or a role, and region_name in its extra",
        )  # fmt: skip


def _line(operation: str, answer: Mapping[str, Any]) -> bytes:
    document = {"operation": operation, "answer": {name: value for name, value in answer.items() if name != "ResponseMetadata"}}
    return json.dumps(document, default=_in_words, sort_keys=True).encode()


def _in_words(value: Any) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
