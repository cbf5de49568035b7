"""Which statements may be explained: one SELECT or WITH that reads, and nothing that could hide another."""

from __future__ import annotations

import pytest

from perfproof.errors import ProfileError
from perfproof.statements import called_functions, check_explainable, is_data_statement, normalised

READS = [
    "SELECT 1",
    "select * from orders where customer_id = $1",
    "  -- the history\n select a from b;",
    "WITH x AS (SELECT 1) SELECT * FROM x",
    "/* a /* nested */ comment */ SELECT 1",
    "SELECT 'insert into t; drop table t' AS text",
    'SELECT "update" FROM t',
    "SELECT $tag$ delete from t; $tag$",
    "SELECT deleted, updated_at FROM t",
    "SELECT 'it''s' || $1",
    "SELECT share FROM t WHERE id IN ($1 /*, ... */)",
    "SELECT 1 ; ;",
]
WRITES = [
    "INSERT INTO t VALUES (1)",
    "UPDATE t SET a = 1",
    "delete from t",
    "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
    "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
    "with x as (select 1) merge into t using x on true when matched then do nothing",
    "SELECT * INTO t2 FROM t",
    "SELECT 1.INTO t",
    "SELECT * FROM t FOR UPDATE",
    "SELECT * FROM t FOR NO KEY UPDATE",
    "SELECT * FROM t FOR SHARE",
    "SELECT * FROM t FOR KEY SHARE",
    "select/**/1/**/into/**/t",
]
OTHERS = [
    "",
    ";",
    "-- only a comment",
    "BEGIN",
    "COPY t TO PROGRAM 'x'",
    "DO $$ begin end $$",
    "CALL p()",
    "VACUUM",
    "EXPLAIN ANALYZE DELETE FROM t",
    "(SELECT 1)",
    "TABLE t",
    "VALUES (1)",
    "SELECT 1; DROP TABLE t",
    "SELECT 1; SELECT 2",
    '"select" 1',
    "SELECT 'unfinished",
    'SELECT "unfinished',
    "SELECT 1 /* unfinished",
    "SELECT $x$ unfinished $y$",
    "SELECT E'a\\'; DROP TABLE t; --'",
    "SELECT E'a'\n'b\\' , ' into t from x --'",
    'SELECT U&"p\\0067_sleep"(9)',
    "SELECT '\0'",
    "SELECT $😀$ ' $😀$; DROP TABLE t; --'",
]


@pytest.mark.parametrize("statement", READS)
def test_one_reading_statement_passes(statement: str) -> None:
    """Words in text, quoted names, comments and parts of names are no statements."""
    check_explainable(statement, where="test")


@pytest.mark.parametrize("statement", WRITES)
def test_a_writing_or_locking_statement_is_refused(statement: str) -> None:
    """EXPLAIN ANALYZE runs the statement, so one that writes, creates or locks never gets there."""
    with pytest.raises(ProfileError, match=r"PRO-12[13]"):
        check_explainable(statement, where="test")


@pytest.mark.parametrize("statement", OTHERS)
def test_anything_else_is_refused(statement: str) -> None:
    """What is no single SELECT or WITH, or cannot be read to its end, is refused."""
    with pytest.raises(ProfileError):
        check_explainable(statement, where="test")


def test_called_functions_are_found_whatever_their_spelling() -> None:
    """Schema, quotes, case and space before the parenthesis hide no call."""
    names = called_functions('SELECT pg_catalog.PG_SLEEP (1), "Odd Name"(2), count(*) FROM t WHERE a IN (1)', where="test")
    assert {"pg_sleep", "Odd Name", "count"} <= set(names)


def test_transaction_control_is_no_data_statement() -> None:
    """BEGIN and COMMIT come once a request by design and are no repeated queries."""
    assert is_data_statement("select 1")
    assert is_data_statement("UPDATE t SET a = 1")
    assert not is_data_statement("BEGIN")
    assert not is_data_statement("select 'unfinished")


def test_one_text_stands_for_each_way_to_write_a_statement() -> None:
    """Letters, white space, comments, numbers of values and the length of their lists are no difference."""
    expected = "select a from t where b in ( $ ) and c = $"
    assert normalised("SELECT a -- first\n  FROM t WHERE b IN ($1, $2,$3) AND c=$4") == expected
    assert normalised("select a from t where b in ($1 /*, ... */) and c = $12") == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('select "A" from t', "select a from t"),
        ("select 'A' from t", "select 'a' from t"),
        ("select 'a' from t", 'select "a" from t'),
        ("select a from t limit 10", "select a from t limit 11"),
        ("select a from t where b = $1", "select a from t where b > $1"),
    ],
)
def test_other_statements_stay_others(one: str, other: str) -> None:
    """Quoted names and texts keep their letters."""
    assert normalised(one) != normalised(other)


def test_what_cannot_be_read_keeps_its_letters() -> None:
    """An unfinished quotation or one with escapes: only white space is made one."""
    assert normalised("Select  E'a\\'b'\n from T") == "Select E'a\\'b' from T"
