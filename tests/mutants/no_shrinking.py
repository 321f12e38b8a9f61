"""A pytest plugin: a property that fails is not made smaller; of a mutant it is enough that it fails."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("no-shrinking", phases=[Phase.explicit, Phase.generate], database=None)
settings.load_profile("no-shrinking")
