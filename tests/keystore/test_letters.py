"""Whatever people and organizations are called, what we write fits into a mail."""

from hypothesis import given
from hypothesis import strategies as st

from keystore import letters
from keystore.credentials import LINK_PREFIX
from keystore.errors import BadName
from keystore.keys import clean_name
from keystore.mail_models import SUBJECT_LENGTH

LINK = f"https://keyhook.example/invitation/{LINK_PREFIX}0123456789/"


def names() -> st.SearchStrategy[str]:
    def is_a_name(text: str) -> bool:
        try:
            return clean_name(text) == text
        except BadName:
            return False

    return st.text(min_size=1, max_size=80).filter(is_a_name)


@given(names(), names())
def test_a_subject_is_one_line_of_visible_characters(organization: str, inviter: str) -> None:
    letter = letters.invitation(
        organization=organization,
        inviter=inviter,
        role="admin",
        link=LINK,
        days=7,
        site="https://keyhook.example",
    )

    assert letter.subject.isprintable()
    assert len(letter.subject) <= SUBJECT_LENGTH
    assert f"\n\n{LINK}\n\n" in letter.text
