"""Statements of somebody who means harm, or does not know better: refused with a sentence, and nothing is touched."""

from __future__ import annotations

import hashlib
import re
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import duckdb
import pytest

from analyzer.errors import AnalyzerError
from analyzer.functions import FUNCTIONS, OPERATOR, TABLE_FUNCTIONS
from analyzer.recording import open_recording
from analyzer.sandbox import Sandbox, open_sandbox
from analyzer.statement import check
from recorder.schema import TABLES
from tests.analyzer.conftest import Analyze, error_of, run
from tests.support import REPO

# {out} is a path that does not exist, {secret} a readable file outside of the recording, {segment} a file of the recording.
REFUSED = {
    "COPY exec TO '{out}'": "COPY is not allowed",
    "COPY exec TO '{segment}' (FORMAT parquet, USE_TMP_FILE false)": "COPY is not allowed",
    "COPY exec FROM '{secret}'": "COPY is not allowed",
    "WITH x AS (COPY (SELECT 1) TO '{out}') SELECT 1": "COPY inside of a SELECT",
    "WITH x AS (COPY (SELECT 1) TO '{segment}' (FORMAT parquet, USE_TMP_FILE false)) SELECT count(*) FROM exec": "COPY inside of a SELECT",
    "SELECT (WITH x AS (COPY (SELECT 1) TO '{out}') SELECT 1)": "COPY inside of a SELECT",
    "ATTACH '{out}'": "ATTACH is not allowed",
    "ATTACH '{out}' AS o; CREATE TABLE o.t AS SELECT 1": "2 statements",
    "EXPORT DATABASE '{out}'": "EXPORT is not allowed",
    "INSTALL httpfs": "not allowed",
    "LOAD '{secret}'": "not allowed",
    "SET enable_external_access = true": "SET is not allowed",
    "SET lock_configuration = false": "SET is not allowed",
    "RESET allowed_paths": "not allowed",
    "PRAGMA database_list": "not allowed",
    "CALL pragma_version()": "CALL is not allowed",
    "CREATE TABLE t AS SELECT 1": "CREATE is not allowed",
    "CREATE MACRO clock() AS TABLE SELECT 1": "CREATE is not allowed",
    "DROP VIEW exec": "DROP is not allowed",
    "WITH x AS (INSERT INTO exec SELECT * FROM exec RETURNING *) SELECT 1": "INSERT inside of a SELECT",
    "WITH x AS (DELETE FROM exec RETURNING *) SELECT 1": "DELETE inside of a SELECT",
    "WITH x AS (UPDATE exec SET pid = 1 RETURNING *) SELECT 1": "UPDATE inside of a SELECT",
    "PREPARE x AS SELECT 1": "PREPARE is not allowed",
    "EXPLAIN ANALYZE SELECT 1": "EXPLAIN is not allowed",
    "PIVOT exec ON comm USING count(*)": "PIVOT is not allowed",
    "SELECT * FROM exec PIVOT (count(*) FOR comm IN ('cc'))": "PIVOT and UNPIVOT are not allowed",
    "SELECT 1; SELECT 2": "2 statements",
    "SELECT 1; COPY exec TO '{out}'": "2 statements",
    "SELECT * FROM '{secret}'": "no table",
    'SELECT * FROM "{secret}"': "no table",
    'WITH t AS (SELECT 1) SELECT * FROM (WITH "{secret}" AS (SELECT 1) SELECT 1), "{secret}"': "no table",
    "SELECT * FROM read_text('{secret}')": "read_text() is not allowed",
    "SELECT * FROM read_blob('{secret}')": "read_blob() is not allowed",
    "SELECT * FROM read_csv('{secret}')": "read_csv() is not allowed",
    "SELECT * FROM read_parquet('{segment}')": "read_parquet() is not allowed",
    "SELECT * FROM parquet_metadata('{segment}')": "parquet_metadata() is not allowed",
    "SELECT * FROM sniff_csv('{secret}')": "sniff_csv() is not allowed",
    "SELECT * FROM glob('/*')": "glob() is not allowed",
    "SELECT * FROM query('SELECT 1')": "query() is not allowed",
    "SELECT * FROM query_table('exec')": "query_table() is not allowed",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))": "json_execute_serialized_sql() is not allowed",
    "SELECT * FROM histogram('exec', 'comm')": "histogram() is not allowed",
    "SELECT json_serialize_plan('SELECT * FROM exec')": "json_serialize_plan() is not allowed",
    "SELECT * FROM duckdb_views()": "duckdb_views() is not allowed",
    "SELECT * FROM duckdb_settings()": "duckdb_settings() is not allowed",
    "SELECT * FROM duckdb_tables": "no table",
    "SELECT * FROM information_schema.tables": "no table",
    "SELECT * FROM memory.main.exec": "no table",
    "SELECT * FROM pg_catalog.pg_views": "no table",
    "SELECT * FROM sqlite_master": "no table",
    "SHOW TABLES": "SHOW is not allowed",
    "SELECT * FROM (SHOW ALL TABLES)": "SHOW is not allowed",
    "SELECT current_setting('allowed_paths')": "current_setting() is not allowed",
    "SELECT getenv('HOME')": "getenv() is not allowed",
    "SELECT 'HOME'.getenv()": "getenv() is not allowed",
    "SELECT pid FROM exec ORDER BY getvariable('x')": "getvariable() is not allowed",
    "SELECT sleep_ms(100000)": "sleep_ms() is not allowed",
    "SELECT pg_sleep(100000)": "pg_sleep() is not allowed",
    "SELECT write_log('x')": "write_log() is not allowed",
    "SELECT nextval('s')": "nextval() is not allowed",
    "SELECT max(pid) OVER (ORDER BY txid_current()) FROM exec": "txid_current() is not allowed",
    "SELECT list_transform([1], x -> current_setting('threads')) FROM exec": "current_setting() is not allowed",
    "SELECT * FROM exec AT (VERSION => 1)": "AT is not allowed",
    "SELECT 1 FROM exec WHERE pid IN (SELECT 1 FROM read_text('{secret}'))": "read_text() is not allowed",
    "SELECT * FROM exec, LATERAL (SELECT * FROM glob(filename))": "glob() is not allowed",
    "FROM range(3) LIMIT (SELECT count(*) FROM glob('/*'))": "glob() is not allowed",
}


@pytest.fixture
def names(tmp_path: Path, copy: Path) -> dict[str, Path]:
    secret = tmp_path / "secret.csv"
    secret.write_text("the secret\n")
    return {"out": tmp_path / "out", "secret": secret, "segment": copy / "exec" / "000000.parquet"}


def contents(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder" for path in folder.rglob("*")}


@pytest.mark.parametrize("sql", REFUSED)
def test_a_hostile_statement_is_refused_with_a_sentence_and_touches_nothing(sql: str, names: dict[str, Path], copy: Path, analyze: Analyze) -> None:
    before = contents(copy.parent)
    done = analyze("--sql", sql.format(**names), copy, cwd=copy.parent)
    assert REFUSED[sql] in error_of(done, 2)
    assert "the secret" not in done.stderr
    assert contents(copy.parent) == before


@pytest.mark.parametrize("sql", REFUSED)
def test_the_allow_list_refuses_by_itself_where_duckdb_is_wide_open(sql: str, names: dict[str, Path]) -> None:
    with duckdb.connect() as connection:
        tree = connection.execute("SELECT json_serialize_sql(?)", [sql.format(**names)]).fetchall()[0][0]
    if not tree.startswith('{"error":true'):  # else it is no SELECT, and nothing ever runs it
        with pytest.raises(AnalyzerError):
            check(sql, tree, set(TABLES), "report")


@pytest.mark.parametrize(
    "sql",
    [
        "COPY exec TO '{out}'",
        "WITH x AS (COPY (SELECT 1) TO '{out}') SELECT 1",
        "COPY exec FROM '{secret}'",
        "ATTACH '{out}'",
        "EXPORT DATABASE '{out}'",
        "INSTALL httpfs",
        "LOAD '{secret}'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_paths = ['{secret}']",
        "SET temp_directory = '{out}'",
        "RESET allowed_paths",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM a_python_variable",
    ],
)
def test_duckdbs_settings_refuse_by_themselves(sql: str, names: dict[str, Path], copy: Path) -> None:
    a_python_variable = {"column": [1]}
    before = contents(copy.parent)
    with open_sandbox([open_recording(copy)]) as sandbox:
        sandbox.view(["exec"])
        with pytest.raises(duckdb.Error):
            sandbox._connection.execute(sql.format(**names)).fetchall()
    assert contents(copy.parent) == before
    assert a_python_variable


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(100000000000) a, range(1000000) b",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
        # One call of one function, in which DuckDB cannot be interrupted. It takes 4e12 steps, and 32 MB.
        "SELECT levenshtein(repeat('x', 2000000), repeat('y', 2000000))",
    ],
)
def test_a_statement_that_runs_for_ever_is_stopped(sql: str, recording: Path, analyze: Analyze) -> None:
    assert "was stopped after 0.5 s" in error_of(analyze("--sql", sql, recording, "--timeout", "0.5"), 2)


def test_a_statement_that_takes_more_memory_than_there_is_ends_with_a_sentence(recording: Path) -> None:
    # The strings of constant expressions are not in DuckDB's own count: only the limit of the process stops them.
    sql = "SELECT length(repeat('x', 200000000) || repeat('y', 200000000))"
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limited = partial(resource.setrlimit, resource.RLIMIT_DATA, (min(500 << 20, hard if hard > 0 else 500 << 20), hard))
    done = run("analyzer.cli", "--sql", sql, recording, preexec_fn=limited)
    assert "more memory than a report may take" in error_of(done, 2)
    assert resource.getrlimit(resource.RLIMIT_DATA) == (soft, hard)


def test_the_command_limits_the_memory_of_its_process() -> None:
    code = "import resource; from analyzer.limits import limit_process; limit_process(); print(resource.getrlimit(resource.RLIMIT_DATA)[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO, timeout=60)
    assert 1 << 30 < int(done.stdout) <= 5 << 30


def test_nothing_is_left_behind_in_the_temporary_folder(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    for arguments in (
        ["overview", recording],
        ["--sql", "SELECT nothing FROM exec", recording],
        ["--sql", "SELECT sum(range) FROM range(1e18)", recording],
    ):
        assert analyze(*arguments, "--timeout", "0.2", env={"TMPDIR": str(tmp_path)}).returncode in (0, 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "sql",
    [
        "FROM exec",
        "TABLE exec",
        "VALUES (1, 'a')",
        "DESCRIBE exec",
        "SUMMARIZE exec",
        "WITH exec AS (SELECT pid FROM exec) SELECT count(*) FROM exec",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i FROM n",
        "SELECT comm, count(*) FILTER (WHERE pid > 1) FROM exec GROUP BY ALL HAVING count(*) > 0 ORDER BY ALL LIMIT 10% OFFSET 1",
        "SELECT pid FROM exec EXCEPT SELECT pid FROM exit UNION ALL SELECT i FROM range(3) t(i)",
        "SELECT DISTINCT ON (comm) argv[1], argv[1:2], [x FOR x IN argv IF x > 'a'] FROM exec WINDOW w AS (ORDER BY pid) QUALIFY rank() OVER w = 1",
        "SELECT e.comm, x.signal FROM exec e ASOF LEFT JOIN exit x ON e.pid = x.pid AND e.ts_ns <= x.ts_ns",
        "SELECT * EXCLUDE (pid) REPLACE (upper(comm) AS comm) FROM exec TABLESAMPLE 100%",
        "SELECT date_trunc('second', ts), extract(minute FROM ts), ts + INTERVAL 1 SECOND, CASE WHEN is_thread THEN 1 END, TRY(1 // 0) FROM clone",
        "SELECT {'a': 1, 'b': [1.5]}, MAP {'k': DATE '2026-01-01'}, struct_pack(x := 1), 'a' || 'b', 5 ^ 2, NOT true, 1 IN (1, 2), 'a' LIKE '_'",
        "SELECT quantile_cont(duration_ns, [0.5, 0.9]), list(DISTINCT pid ORDER BY pid), string_agg(comm, ','), approx_count_distinct(pid) FROM exit",
        "SELECT u.unnest, t.ordinality FROM exec, unnest(argv) u, unnest([1]) WITH ORDINALITY t(n, ordinality)",
        "SELECT comm, GROUPING(comm) FROM exec GROUP BY ROLLUP (comm)",
        "SELECT columns('p.*'), #1, comm COLLATE nocase FROM exec WHERE EXISTS (SELECT 1) AND pid = ANY (SELECT pid FROM clone)",
        "SELECT 1;",
    ],
)
def test_an_honest_statement_runs(sql: str, recording: Path) -> None:
    with open_sandbox([open_recording(recording)]) as sandbox:
        result = sandbox.execute(sandbox.prepare(sql, "report"), "report")
        assert len(result.fields) > 0
        assert sum(len(batch) for batch in result.batches) > 0


def test_every_allowed_function_exists_and_only_computes() -> None:
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT lower(function_name), function_type, coalesce(stability, 'CONSISTENT'), concat_ws(' ', return_type, parameter_types) "
            "FROM duckdb_functions()"
        ).fetchall()
    assert FUNCTIONS - {name for name, *_ in rows} == set()
    assert TABLE_FUNCTIONS - {name for name, kind, *_ in rows if kind == "table"} == set()
    # Functions of a time with a zone depend on the session's zone, which the sandbox sets. The others that depend on the session must not be allowed.
    volatile = {
        name
        for name, kind, stability, types in rows
        if kind in ("scalar", "aggregate", "macro")
        and stability != "CONSISTENT"
        and not (stability == "CONSISTENT_WITHIN_QUERY" and re.search("TIME ZONE|TIMESTAMPTZ", types))
    }
    # error() is volatile only so that the optimizer does not raise it too early.
    assert (FUNCTIONS & volatile) - {"error"} == set()
    assert FUNCTIONS & {"now", "current_date", "current_timestamp", "transaction_timestamp", "today", "age", "random", "uuid"} == set()
    assert {name for name, *_ in rows if OPERATOR.fullmatch(name)} & {"glob", "query"} == set()


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/Los_Angeles"])
def test_the_answer_does_not_depend_on_the_time_zone_of_who_asks(zone: str, recording: Path, analyze: Analyze) -> None:
    done = analyze("--sql", "SELECT hour(to_timestamp(0)) AS h", recording, "--format", "csv", env={"TZ": zone})
    assert done.stdout.split() == ["h", "0"]


def test_the_sandbox_has_the_settings_that_it_claims(recording: Path) -> None:
    sandbox = Sandbox([open_recording(recording)], 600)
    settings = dict(sandbox._connection.execute("SELECT name, value FROM duckdb_settings()").fetchall())
    sandbox.close()
    off = [
        "enable_external_access",
        "autoinstall_known_extensions",
        "autoload_known_extensions",
        "python_enable_replacements",
        "allow_community_extensions",
    ]
    assert {name: settings[name] for name in off} == dict.fromkeys(off, "false")
    assert settings["lock_configuration"] == "true"
    assert settings["max_execution_time"] == "600000"
    assert str(recording) in settings["allowed_paths"]
