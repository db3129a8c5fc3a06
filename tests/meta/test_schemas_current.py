"""What is generated and checked in is what the models and settings say today."""

from app.schemas_export import FOLDER, documents
from app.settings_doc import PAGE, markdown
from tests.support.shared_data import ROOT


def test_the_exported_schemas_are_those_of_the_models() -> None:
    """If not: `make schemas`."""
    checked_in = {path.name: path.read_bytes() for path in (ROOT / FOLDER).iterdir()}
    assert checked_in == documents()


def test_the_page_of_settings_is_that_of_the_settings() -> None:
    """If not: `make settings`."""
    assert (ROOT / PAGE).read_text(encoding="utf-8") == markdown()


def test_the_example_of_an_environment_names_settings_that_exist() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    names = {line[1:].partition("=")[0] for line in lines if line.startswith("#STACKS")}
    page = markdown()
    assert names
    assert {name for name in names if f"| `{name}` |" not in page} == set()
