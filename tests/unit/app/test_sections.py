"""Every setting is typed, has a default and a help, and one name."""

from app.sections import SECTIONS


def test_every_setting_has_a_default_and_a_help() -> None:
    bare = [
        name
        for part in SECTIONS
        for name, field in part.model_fields.items()
        if field.is_required() or not field.description
    ]
    assert bare == []


def test_no_two_sections_declare_one_setting() -> None:
    names = [name for part in SECTIONS for name in part.model_fields]
    assert len(names) == len(set(names))
