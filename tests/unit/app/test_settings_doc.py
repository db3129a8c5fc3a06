"""The generated page names every setting."""

from pathlib import Path

from app import settings_doc
from app.sections import SECTIONS
from app.settings import variable


def test_the_page_lists_every_setting_once() -> None:
    page = settings_doc.markdown()
    for part in SECTIONS:
        for name in part.model_fields:
            assert page.count(f"| `{variable(name)}` |") == 1


def test_the_page_says_what_values_a_setting_takes() -> None:
    page = settings_doc.markdown()
    assert "| `STACKS_FEED_PORT` | integer | `1999` |" in page
    assert "| `STACKS_FEED_LIVE` | `true`, `false` | `false` |" in page
    assert "| `STACKS_FEED_NETWORK` | `mainnet`, `testnet` | `mainnet` |" in page
    assert "| `STACKS_FEED_HIRO_API_KEY` | secret |  |" in page
    assert "| `STACKS_FEED_PRICE_SOURCES` | JSON list |  |" in page
    assert "| `STACKS_FEED_KAFKA_CA_FILE` | path |  |" in page


def test_the_page_is_written_where_it_belongs() -> None:
    Path("docs").mkdir()
    settings_doc.main()
    assert settings_doc.PAGE.read_text() == settings_doc.markdown()
