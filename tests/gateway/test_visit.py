"""gateway/visit.py; test_cli.py visits through the commands, embedded servers included."""

import pytest

from gateway.config import Settings
from gateway.visit import VisitError, visit


async def test_a_visit_is_one_connection_that_ends(database):
    async with visit(Settings(database_url=database)) as connection:
        assert await connection.fetchval("SELECT count(*) FROM api_keys") == 0
        assert await connection.fetchval("SELECT '{}'::jsonb") == {}
    assert connection.is_closed()


async def test_a_database_without_tables_is_not_visited_by_mistake(blank_database, tmp_path):
    settings = Settings(database_url=blank_database)
    with pytest.raises(VisitError, match="has no tables yet"):
        async with visit(settings):
            pass
    async with visit(settings, tables=False) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    with pytest.raises(VisitError, match="has no tables yet"):
        async with visit(Settings(data_dir=tmp_path / "new")):
            pass
    assert not (tmp_path / "new").exists()


async def test_a_database_that_is_away_is_a_sentence_without_the_password():
    settings = Settings(database_url="postgresql://u:s3cret@127.0.0.1:1/x")
    with pytest.raises(VisitError, match="can't be reached") as error:
        async with visit(settings):
            pass
    assert "s3cret" not in str(error.value)
