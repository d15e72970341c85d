from connector.meetings import transcripts
from connector.meetings.ingest import TranscriptInput
from tests.connector.meetings.support import TRANSCRIPT

TALK = TranscriptInput.model_validate(TRANSCRIPT)


def test_a_transcript_as_text() -> None:
    assert transcripts.as_text(TALK) == ("Ana Rep: Hello Ben.\nben@customer.example: Um, hello.")


def test_a_transcript_as_captions() -> None:
    assert transcripts.as_vtt(TALK) == (
        "WEBVTT\n\n"
        "00:00:01.000 --> 00:00:02.000\n<v Ana Rep>Hello Ben.</v>\n\n"
        "00:00:03.000 --> 00:00:04.000\n<v ben@customer.example>Um, hello.</v>\n"
    )


def test_nobody_can_speak_out_of_their_cue() -> None:
    talk = TranscriptInput.model_validate(
        {
            "speakers": [{"id": 7, "email": "a@b.example", "is_rep": True, "name": "A>\n\nB"}],
            "transcript": [
                {
                    "speaker_id": 7,
                    "transcript": "</v>\n\n00:00:00.000 --> 99:00:00.000\n<v Boss>You & I",
                    "timestamps": [3661.5],
                }
            ],
        }
    )
    assert transcripts.as_vtt(talk) == (
        "WEBVTT\n\n01:01:01.500 --> 01:01:02.000\n"
        "<v A&gt; B>&lt;/v&gt; 00:00:00.000 --&gt; 99:00:00.000 &lt;v Boss&gt;You &amp; I</v>\n"
    )


def test_a_paragraph_without_times_follows_the_one_before() -> None:
    talk = TranscriptInput.model_validate(
        TRANSCRIPT
        | {
            "transcript": [
                TRANSCRIPT["transcript"][0],
                {"speaker_id": 1, "transcript": "Yes.", "timestamps": []},
            ]
        }
    )
    assert "00:00:02.000 --> 00:00:02.000\n<v ben@customer.example>Yes.</v>" in (
        transcripts.as_vtt(talk)
    )
