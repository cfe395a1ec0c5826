"""How many examples are made: few and the same ones each time, or with HYPOTHESIS_PROFILE=more many and new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

#: A render takes long, and most of what is generated is thrown away before one.
_SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]

settings.register_profile(
    "few",
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=_SLOW,
    phases=[Phase.explicit, Phase.generate],  # to make an example smaller takes minutes of renders
)
settings.register_profile("more", max_examples=500, deadline=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "few"))
