"""The examples are what the models take."""

import json

import pytest
from pydantic import BaseModel

from app.api.texts import EXAMPLES


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: model.__name__)
def test_an_example_is_one(model: type[BaseModel]) -> None:
    example = EXAMPLES[model]
    read = model.model_validate_json(json.dumps(example))
    # Of a client's message what is not named would be ignored.
    said = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert said == example
