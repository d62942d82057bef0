"""What all parts of the settings have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0)]

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of voice.yaml, in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
