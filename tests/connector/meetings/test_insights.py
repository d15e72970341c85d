from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connector.meetings.ingest import TranscriptInput
from connector.meetings.insights import insights
from connector.meetings.payloads import Insights
from tests.connector.meetings.support import ANA, TRANSCRIPT

PARAGRAPHS = st.lists(
    st.fixed_dictionaries(
        {
            "speaker_id": st.integers(0, 1),
            "transcript": st.text(st.characters(exclude_characters="\x00", codec="utf-8")),
            "timestamps": st.lists(st.floats(0, 10_000), max_size=4),
        }
    ),
    min_size=1,
    max_size=8,
)


def figures(*paragraphs: tuple[int, str, float, float]) -> dict[str, Any]:
    talk = [
        {"speaker_id": who, "transcript": words, "timestamps": [start, end - 0.5]}
        for who, words, start, end in paragraphs
    ]
    return insights(TranscriptInput.model_validate(TRANSCRIPT | {"transcript": talk}))


def test_a_conversation_in_figures() -> None:
    found = figures(
        (0, "one two three four", 0, 2),
        (0, "five six", 2, 3),
        (1, "Um, yes. Er, no", 4.5, 6.5),
        (0, "seven", 7, 8),
    )
    assert found["wpm"] == [
        {"speaker_id": "0", "designation": "rep", "wpm": 105.0},  # 7 words in 4 seconds
        {"speaker_id": "1", "designation": "customer", "wpm": 120.0},
    ]
    assert [one["filler_wpm"] for one in found["filler_wpm"]] == [0.0, 60.0]
    assert [(one["speaker_id"], one["patience"]) for one in found["patience"]] == [
        ("0", 0.5),
        ("1", 1.5),
    ]
    assert found["longest_monologue"] == {"rep": {"speaker_id": "0", "segments": [[0, 3]]}}
    assert found["talk_stats"] == {"talk_percentage": 66.7, "total_talk_time": 4.0}
    assert found["speaker_mapping"] == {"id": 0, "email": ANA, "name": "Ana Rep"}


def test_without_a_rep_nothing_is_said_of_one() -> None:
    found = figures((1, "hello", 0, 1))
    assert found.keys() == {"wpm", "filler_wpm", "patience", "talk_stats"}
    assert found["talk_stats"] == {"talk_percentage": 0.0, "total_talk_time": 0.0}


@given(PARAGRAPHS)
def test_any_transcript_has_figures_in_the_payload_s_shape(
    paragraphs: list[dict[str, Any]],
) -> None:
    talk = TranscriptInput.model_validate(TRANSCRIPT | {"transcript": paragraphs})
    found = Insights.model_validate(insights(talk))
    assert 0 <= found.talk_stats.talk_percentage <= 100
    assert all(one.patience >= 0 for one in found.patience)
