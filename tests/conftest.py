"""What holds for every test."""

from hypothesis import settings

settings.register_profile(
    "sumun", settings.default, deadline=None
)  # no test asserts a time: a busy machine is not a fault
settings.load_profile("sumun")
