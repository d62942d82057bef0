"""What all parts of the settings have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0)]

Share = Annotated[float, Field(ge=0, le=1)]

Speed = Annotated[float, Field(ge=0.5, le=2)]
"""Of speech: 1 is a voice's own, 2 twice as fast."""

Money = Annotated[float, Field(gt=0)]
"""In the currency of `voice.prices`."""


class Section(BaseModel):
    """A part of voice.yaml, in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
