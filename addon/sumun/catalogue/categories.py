"""What a generative-AI service is for: a closed set, used in rules, metrics and the reference."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sumun.model.text import Text

CATEGORIES: Final[Mapping[str, Text]] = MappingProxyType(
    {
        id_: Text((("en", en), ("ko", ko)))
        for id_, en, ko in (
            ("chat-assistant", "Chat assistants", "대화형 비서"),
            ("llm-api", "Model APIs", "모델 API"),
            ("aggregator", "Front ends and gateways to several models", "여러 모델을 묶은 서비스"),
            ("search", "AI search and research", "AI 검색"),
            ("code-assistant", "Coding assistants", "코딩 도우미"),
            ("agent", "Agents and agent builders", "AI 에이전트"),
            ("writing", "Writing, documents and presentations", "글쓰기·문서·발표 자료"),
            ("meeting", "Meeting notes and transcription", "회의록·받아쓰기"),
            ("image", "Images and design", "이미지·디자인"),
            ("video", "Video", "영상"),
            ("audio", "Voice and music", "음성·음악"),
            ("companion", "Companions and characters", "가상 친구·캐릭터"),
            ("model-hub", "Model hubs", "모델 저장소"),
            ("local-runtime-download", "Downloads of local runtimes and models", "로컬 실행 도구 내려받기"),
        )
    }
)
"""Title of each category, by id, in the order in which the reference shows them."""

ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "web": "pages that people open",
        "api": "requests that programs or the pages make",
        "app": "back ends and downloads of phone and desktop applications",
        "auth": "sign-in",
        "cdn": "static files and user content",
        "telemetry": "measurements, experiments, crash reports",
        "marketing": "documentation, help, status, company pages",
    }
)
"""What a domain does for its service, by id."""

PLATFORMS: Final = ("android", "ios", "windows", "macos", "chrome", "vscode")
"""Where an application or an extension is installed; its id is that of the platform's own store."""
