"""Permissions and parts: the api-server, its plugin and provider, the DAGs, and the directories that a cycle writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from perfproof.doctor.finding import Area, Finding, ok, problem, unchecked
from perfproof.errors import PerfproofError

AREA = Area.PERMISSIONS
NAME = "perfproof"
PLUGIN_FIX = "take perfproof out of [core] plugins_folder: the installed package registers its plugin by itself; restart the api-server"


@dataclass(frozen=True, slots=True)
class Dag:
    """A DAG as Airflow knows it; `paused` None: it does not know it. `needed`: why it may not be paused, None if it may."""

    id: str
    paused: bool | None
    needed: str | None


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that is written; `error` says why it cannot be."""

    path: str
    purpose: str
    error: str | None


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the api-server says. A part that is None was not told, for the reason in `untold` under its field's name.

    `error`: why it cannot be asked at all; `unasked`: why nobody asked. `plugins` and `plugin_errors` are (name or source, source or
    error). `import_errors` are (file, error).
    """

    url: str
    error: PerfproofError | None = None
    unasked: str | None = None
    user: str = ""
    plugins: Sequence[tuple[str, str]] | None = None
    plugin_errors: Sequence[tuple[str, str]] = ()
    providers: Mapping[str, str] | None = None
    dags: Sequence[Dag] | None = None
    import_errors: Sequence[tuple[str, str]] | None = None
    untold: Mapping[str, str] = field(default_factory=dict)


def judge_server(facts: ServerFacts, *, version: str) -> Iterator[Finding]:
    """The findings about the api-server; `version` is that of the perfproof that is installed here."""
    if facts.unasked is not None:
        fix = "set AIRFLOW_USER and AIRFLOW_PASSWORD, or add the Connection perfproof_api"
        yield unchecked(AREA, facts.url, f"plugin, provider, DAGs, pools and triggerers: {facts.unasked}", fix=fix)
        return
    if facts.error is not None:
        yield problem(
            AREA, 301, where=facts.url, what=f"Airflow's REST API cannot be asked as {facts.user}: {facts.error.what}",
            got=facts.error.got, fix="correct the address (--url), or user and password",
        )  # fmt: skip
        return
    yield ok(AREA, facts.url, f"the REST API answers {facts.user}")
    for name in ("plugins", "providers", "dags", "import_errors"):
        if name in facts.untold:
            fix = f"ask as an account that may see it, and not as {facts.user}"
            yield unchecked(AREA, facts.url, f"{name.replace('_', ' ')}: {facts.untold[name]}", fix=fix)
    yield from _plugin(facts)
    yield from _provider(facts, version)
    yield from _dags(facts)


def _plugin(facts: ServerFacts) -> Iterator[Finding]:
    if facts.plugins is None:
        return
    ours = [source for name, source in facts.plugins if name == NAME]
    again = [f"{source}: {error}" for source, error in facts.plugin_errors if _is_ours(source, error)]
    if not ours:
        yield problem(
            AREA, 305, where="plugin perfproof", what="the api-server has not loaded it, so no mark counts as an approval",
            got=again[0] if again else "not in its list of plugins", fix="install the package where the api-server runs, and restart it",
        )  # fmt: skip
    elif len(ours) > 1 or again:
        yield problem(
            AREA, 306, where="plugin perfproof", what="it is registered twice", got="; ".join([*ours, *again]),
            expected="once, by the entry point of the installed package", fix=PLUGIN_FIX,
        )  # fmt: skip
    elif "entrypoint" not in ours[0].casefold().replace(" ", "") and "==" not in ours[0]:
        yield problem(
            AREA, 306, where="plugin perfproof", what="it was loaded from a folder, beside the installed package", got=ours[0],
            expected="the entry point of the installed package", fix=PLUGIN_FIX,
        )  # fmt: skip
    else:
        yield ok(AREA, "plugin perfproof", f"loaded once, by {ours[0]}")


def _is_ours(source: str, error: str) -> bool:
    return f"'{NAME}'" in error or NAME in source


def _provider(facts: ServerFacts, version: str) -> Iterator[Finding]:
    if facts.providers is None:
        return
    theirs = facts.providers.get(NAME)
    if theirs is None:
        yield problem(
            AREA, 307, where="provider perfproof", what="the api-server does not list it", expected=version,
            fix="install the package where the api-server runs, and restart it",
        )  # fmt: skip
    elif theirs != version:
        yield problem(
            AREA, 308, where="provider perfproof", what="the api-server runs another version than this machine", got=theirs,
            expected=version,
            fix="install one version on every component, then restart them",
        )  # fmt: skip
    else:
        yield ok(AREA, "provider perfproof", f"listed, version {theirs} as here")


def _dags(facts: ServerFacts) -> Iterator[Finding]:
    for file, error in facts.import_errors or ():
        yield problem(
            AREA, 304, where=file, what="this DAG file cannot be imported", got=error,
            fix="mend it, or take it out of the DAGs folder; airflow dags list-import-errors shows all of it",
        )  # fmt: skip
    if facts.import_errors is not None and not facts.import_errors:
        yield ok(AREA, "DAG files", "all are imported without an error")
    for dag in facts.dags or ():
        where = f"DAG {dag.id}"
        if dag.paused is None:
            yield problem(
                AREA, 302, where=where, what="Airflow does not know it", fix="put the files of dags/ into the DAGs folder or a DAG bundle"
            )
        elif dag.paused and dag.needed is not None:
            yield problem(
                AREA,
                303,
                where=where,
                what=f"is paused: {dag.needed}",
                got="paused",
                expected="not paused",
                fix=f"airflow dags unpause {dag.id}",
            )
        else:
            yield ok(AREA, where, "is known, and paused, which it may be" if dag.paused else "is known and not paused")


def judge_directories(directories: Sequence[Directory], *, user: str) -> Iterator[Finding]:
    """The findings about what `user` must be able to write."""
    for one in directories:
        if one.error is None:
            yield ok(AREA, one.path, f"{one.purpose}: {user} may write it")
        else:
            yield problem(
                AREA, 309, where=one.path, what=f"{one.purpose}: {user} cannot write it", got=one.error,
                fix=f"make it a directory that {user} owns, on this machine and on every worker",
            )  # fmt: skip


def judge_protocol_file(name: str, error: PerfproofError | None) -> Finding:
    """The finding about a protocol file that was to be read."""
    if error is None:
        return ok(AREA, name, "is a valid protocol file")
    return problem(AREA, 310, where=name, what=f"is no valid protocol file: {error.what}", got=f"{error.code} {error.where}", fix=error.fix)
