"""A story in plain sentences: what an SDK puts into its exception, and a terminal shows."""

from __future__ import annotations

from sumun.pages.story import Story

_ENDS = (".", "!", "?", "。", "…")


def message(story: Story) -> str:
    """All of it on one line."""
    return " ".join([*_sentences(story), "; ".join(_to_copy(story))]).rstrip()


def plain_text(story: Story) -> str:
    """The same, a thought a line."""
    return "".join(f"{line}\n" for line in [*_sentences(story), *_to_copy(story)])


def _sentences(story: Story) -> list[str]:
    lead = () if story.why else (story.lead,)
    parts = (story.heading, *lead, *story.why, story.data, story.elsewhere or story.notice, story.next)
    return [part if part.endswith(_ENDS) else f"{part}." for part in parts if part]


def _to_copy(story: Story) -> list[str]:
    """What people copy: no full stop may stick to it."""
    words = story.words
    pairs = ((words.contact, story.contact.label), (words.incident, story.incident))
    return [f"{label}: {text}" for label, text in pairs if text]
