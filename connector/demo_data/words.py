"""What is talked about at Northwind: kinds of meetings, their topics, what comes of them.

In every text `{company}`, `{rep}` and `{guest}` stand for those who are there.
"""

from dataclasses import dataclass

REP, GUEST = True, False


@dataclass(frozen=True)
class Topic:
    """One part of a conversation: what was said, what the notes keep, what is to be done."""

    heading: str
    said: tuple[tuple[bool, str], ...]  # (by the rep?, words)
    noted: str
    to_do: str | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of meeting. Internal ones have no company, and may be private."""

    purpose: str
    subject: str
    minutes: int
    topics: tuple[Topic, ...]
    outcomes: tuple[str, ...] = ()
    is_internal: bool = False
    is_private: bool = False
    by_telephone: float = 0.12  # how many of them are calls


TODAY = Topic(
    "How they work today",
    (
        (REP, "Could you walk me through how your team does this at the moment?"),
        (GUEST, "Um, mostly with a shared spreadsheet, and a lot of phone calls in between."),
        (REP, "And where does that hurt the most?"),
        (GUEST, "Late changes. After four in the afternoon nobody knows which version is right."),
    ),
    "A shared spreadsheet and phone calls.\n"
    "- Late changes get lost\n- Two people keep it up to date",
)
PEOPLE_INVOLVED = Topic(
    "Who decides",
    (
        (REP, "Who else should see this before you can decide?"),
        (GUEST, "Our head of operations, and somebody from security will have questions."),
        (REP, "Then I will bring our security answers along next time."),
    ),
    "Head of operations decides; security has a say.",
    "Send the security questionnaire with our answers",
)
WALKTHROUGH = Topic(
    "What was shown",
    (
        (REP, "This is the board your coordinators would see in the morning."),
        (GUEST, "Can we filter that by region? We have three depots."),
        (REP, "Yes, and each depot can have a board of its own."),
        (GUEST, "That alone would save us an hour a day."),
    ),
    "The morning board, filters by region, the phone app.\n- Liked: a board for each depot",
    "Set up a trial with the data of one depot",
)
PRICE = Topic(
    "Price",
    (
        (GUEST, "What would this cost for forty people?"),
        (REP, "It goes by seats. I will send you an offer with two options tomorrow."),
        (GUEST, "Good. Er, anything below last year's number will be easy."),
    ),
    "Forty seats. Budget about as last year.",
    "Send an offer with two options",
)
ROLLOUT = Topic(
    "Plan of the first weeks",
    (
        (REP, "We would start with one team, then add another each week."),
        (GUEST, "The second week of the month is bad, that is our inventory."),
        (REP, "Then we pause there and train the shift leads instead."),
    ),
    "One team first, then one more each week.\n"
    "- Pause during inventory\n- Shift leads are trained first",
    "Share the plan with dates",
)
USAGE = Topic(
    "How it is used",
    (
        (REP, "Eighty percent of your people sign in every week, which is more than we hoped."),
        (GUEST, "The night shift is still missing. Hmm, they find the app too bright."),
        (REP, "There is a dark mode now. I will show you where."),
    ),
    "80 % use it weekly; the night shift hardly does.",
    "Show the night shift the dark mode",
)
RENEWAL = Topic(
    "Renewal",
    (
        (REP, "Your contract ends next quarter. Shall we talk about what you need from then on?"),
        (GUEST, "We would like ten more seats, and a longer term if the price follows."),
        (REP, "I will have that calculated for two and for three years."),
    ),
    "Ten more seats, a longer term if the price follows.",
    "Calculate two and three years with ten more seats",
)
TROUBLE = Topic(
    "What went wrong",
    (
        (GUEST, "Since Monday the export comes out empty for the Leeds depot."),
        (REP, "I can see it. A column was renamed, and the export still asks for the old name."),
        (GUEST, "Ah. So it was us."),
        (REP, "It should have told you. I am writing that down as a fault of ours."),
    ),
    "The export for Leeds is empty since a column was renamed.\n- The export should say so",
    "Make the export name a missing column",
)
PIPELINE = Topic(
    "Deals of this month",
    (
        (REP, "Two deals are waiting for security, the rest is on time."),
        (REP, "Let us give both the questionnaire today, so that they need not ask."),
    ),
    "Two deals wait for security; the others are on time.",
    "Send the security questionnaire to both",
)
STAND_UP = Topic(
    "Since yesterday",
    (
        (REP, "Yesterday I finished the offer, today I have two demos."),
        (REP, "I am stuck with the trial data and could use some help."),
    ),
    "Offers are out; help is needed with trial data.",
)
GROWTH = Topic(
    "Development",
    (
        (REP, "What would you like to learn next?"),
        (REP, "I would like to run a renewal on my own from start to end."),
    ),
    "Wants to run a renewal alone. Agreed for the next one.",
    "Hand over the next renewal",
)

EXTERNAL = (
    Kind(
        "Discovery call",
        "Discovery call: {company}",
        30,
        (TODAY, PEOPLE_INVOLVED),
        ("Demo agreed", "Not a fit", "No decision"),
    ),
    Kind(
        "Product demo",
        "Product demo: {company}",
        45,
        (TODAY, WALKTHROUGH, PRICE),
        ("Trial agreed", "Offer requested", "No decision"),
    ),
    Kind("Kick-off", "Kick-off with {company}", 60, (PEOPLE_INVOLVED, ROLLOUT), ("Started",)),
    Kind(
        "Quarterly review",
        "{company} × Northwind: quarterly review",
        45,
        (USAGE, ROLLOUT),
        ("Expansion likely", "At risk"),
    ),
    Kind("Renewal", "Renewal {company}", 30, (USAGE, RENEWAL, PRICE), ("Renewed", "Negotiating")),
    Kind(
        "Support",
        "Support: export at {company}",
        15,
        (TROUBLE,),
        ("Solved", "Escalated"),
        by_telephone=0.6,
    ),
)

INTERNAL = (
    Kind("Stand-up", "Sales stand-up", 15, (STAND_UP,), is_internal=True),
    Kind("Pipeline review", "Pipeline review", 45, (PIPELINE,), is_internal=True),
    Kind("One-on-one", "One-on-one", 30, (GROWTH,), is_internal=True, is_private=True),
)
