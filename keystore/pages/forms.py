"""What the pages ask for. Whether a name will do is the services' to say, not a form's."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from flask_wtf import FlaskForm
from wtforms import (
    DateTimeLocalField,
    EmailField,
    HiddenField,
    IntegerField,
    PasswordField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import InputRequired, Length, Optional, ValidationError
from wtforms.widgets import HiddenInput

from keystore.credentials import found_in
from keystore.limit_models import REASON_LENGTH
from keystore.models import NAME_LENGTH, Role
from keystore.rotation import DEFAULT_OVERLAP, NO_OVERLAP, LeakPolicy

#: Keeps the fields of the question apart from those of the form that it interrupts.
CONFIRM_PREFIX = "confirm-"
LONGEST_PASTE = 10_000
#: Each takes a look-up, and of texts that are made for it 765 fit in.
MOST_IN_A_PASTE = 50
GOOD_ONES = "12 characters or more. A few words that only you would put together do well."


class Form(FlaskForm):  # type: ignore[misc]  # Flask-WTF comes without types
    """What all our forms are: fields, and a CSRF token."""


class SignInForm(Form):
    """E-mail and password."""

    email = EmailField(
        "E-mail",
        [InputRequired("Enter your e-mail address.")],
        render_kw={"autocomplete": "username", "autofocus": True},
    )
    password = PasswordField(
        "Password",
        [InputRequired("Enter your password.")],
        render_kw={"autocomplete": "current-password"},
    )

    def take_another_password(self) -> None:
        """Put the cursor where the mistake most likely is."""
        self.email.render_kw = {"autocomplete": "username"}
        self.password.render_kw = {"autocomplete": "current-password", "autofocus": True}


class ConfirmForm(Form):
    """The password of somebody who is signed in, beside the form that it is to let through."""

    password = PasswordField(
        "Your password",
        [InputRequired("Enter your password.")],
        render_kw={"autocomplete": "current-password", "autofocus": True},
    )
    carries = HiddenField()  # something, when another form waits to go through

    def asked_before(self) -> bool:
        """Tell whether this request answers our question, or is the one that raises it."""
        return self.carries.raw_data != []


class CodeForm(Form):
    """A code of the second factor."""

    code = StringField(
        "Code",
        [InputRequired("Enter the code.")],
        render_kw={
            "autocomplete": "one-time-code",
            "autofocus": True,
            "autocapitalize": "off",
            "spellcheck": "false",
            "maxlength": 40,
        },
    )


class PasswordForm(Form):
    """The present password and the one that is to replace it."""

    present = PasswordField(
        "Present password",
        [InputRequired("Enter your present password.")],
        render_kw={"autocomplete": "current-password", "autofocus": True},
    )
    new = PasswordField(
        "New password",
        [InputRequired("Choose a new password.")],
        description=GOOD_ONES,
        render_kw={"autocomplete": "new-password"},
    )


class EmailForm(Form):
    """The address of somebody who has forgotten their password."""

    email = EmailField(
        "E-mail",
        [InputRequired("Enter your e-mail address."), Length(max=254)],
        render_kw={"autocomplete": "username", "autofocus": True},
    )


class NewPasswordForm(Form):
    """A password that replaces a forgotten one."""

    new = PasswordField(
        "New password",
        [InputRequired("Choose a new password.")],
        description=GOOD_ONES,
        render_kw={"autocomplete": "new-password", "autofocus": True},
    )


class InviteForm(Form):
    """Whom to invite, and as what."""

    email = EmailField(
        "E-mail",
        [InputRequired("Enter the e-mail address of the person.")],
        render_kw={"autocomplete": "off"},
    )
    role = SelectField(
        "Role",
        choices=[
            SelectChoice(Role.MEMBER, "Member: has an account of their own"),
            SelectChoice(Role.ADMIN, "Admin: manages keys and people"),
        ],
        default=Role.MEMBER,
    )


class AcceptForm(Form):
    """What somebody who was invited is called, and their password."""

    name = StringField(
        "Your name",
        [InputRequired("Say what you are called.")],
        render_kw={"autocomplete": "name", "autofocus": True, "maxlength": NAME_LENGTH},
    )
    new = PasswordField(
        "Password",
        [InputRequired("Choose a password.")],
        description=GOOD_ONES,
        render_kw={"autocomplete": "new-password"},
    )


class NameForm(Form):
    """A key's name."""

    name = StringField(
        "Name",
        [InputRequired("Give the key a name.")],
        description="So that you know later where it is used, for example “Zapier” or “Reports”.",
        render_kw={"autocomplete": "off", "autofocus": True, "maxlength": NAME_LENGTH},
    )


class RegenerateForm(Form):
    """The generation that the person has seen and wants replaced, and why."""

    generation = IntegerField(validators=[InputRequired()], widget=HiddenInput())
    how = RadioField(
        "Why are you regenerating?",
        [InputRequired("Choose one of the two.")],
        choices=[
            SelectChoice("planned", "Planned: the old secret goes on working for a while"),
            SelectChoice(
                "compromised", "Compromised: somebody else may have it, so it stops working now"
            ),
        ],
        default="planned",
    )
    hours = SelectField(
        "How long the old secret goes on working",
        coerce=int,
        choices=[
            SelectChoice("1", "1 hour"),
            SelectChoice("4", "4 hours"),
            SelectChoice("24", "24 hours"),
            SelectChoice("72", "3 days"),
            SelectChoice("168", "7 days"),
        ],
        default=DEFAULT_OVERLAP // timedelta(hours=1),
    )

    @property
    def overlap(self) -> timedelta:
        """How long the former secret is to go on working."""
        planned = self.how.data == "planned"
        return timedelta(hours=self.hours.data) if planned else NO_OVERLAP


class ExpiryForm(Form):
    """When a key ends, in UTC; nothing for never."""

    expires_at = DateTimeLocalField(
        "Expires at (UTC)",
        [Optional()],
        description="From then on the key is refused for good. Leave it empty for a key that "
        "does not expire.",
    )


class PasteForm(Form):
    """A text in which there may be a secret; it is never shown again, not even beside an error."""

    pasted = TextAreaField(
        "What you found",
        [
            InputRequired("Paste what you found."),
            Length(max=LONGEST_PASTE, message="Paste only the lines around it."),
        ],
        description="A Client Secret or an access token, alone or with the lines around it. It is "
        "checked and not kept.",
        render_kw={
            "autocomplete": "off",
            "autocapitalize": "off",
            "spellcheck": "false",
            "rows": 4,
        },
    )

    def validate(self, extra_validators: Mapping[str, Sequence[Any]] | None = None) -> bool:
        """Check the form; what does not go through is not carried back to the page either."""
        is_valid = bool(super().validate(extra_validators))
        if not is_valid:
            self.pasted.data = ""
        return is_valid

    def validate_pasted(self, field: TextAreaField) -> None:
        """Refuse too many as a whole: of a part the answer might be "nothing", and be wrong."""
        if len(found_in(field.data or "")) > MOST_IN_A_PASTE:
            raise ValidationError(
                f"More than {MOST_IN_A_PASTE} texts in it look like secrets, and none was looked "
                "up. Paste fewer lines at a time."
            )


class LeakPolicyForm(Form):
    """What is done when a secret was found in the open."""

    policy = RadioField(
        "What happens to it?",
        [InputRequired("Choose one of the three.")],
        choices=[
            SelectChoice(LeakPolicy.NOTIFY, "Nothing: you decide, once you have read the mail"),
            SelectChoice(
                LeakPolicy.RETIRE, "It ends within a day, so that you have time to change over"
            ),
            SelectChoice(
                LeakPolicy.KILL, "It ends at once, and whatever uses it stops until you change over"
            ),
        ],
    )


class LimitForm(Form):
    """How many requests a minute; nothing for as many as there would be without it."""

    limit = IntegerField(
        "Requests a minute", [Optional()], render_kw={"min": 1, "inputmode": "numeric"}
    )


class SpikeForm(Form):
    """A time, in UTC, with a higher limit."""

    starts_at = DateTimeLocalField("From (UTC)", [InputRequired("Say when it begins.")])
    ends_at = DateTimeLocalField("To (UTC)", [InputRequired("Say when it ends.")])
    rate_limit = IntegerField(
        "Requests a minute",
        [InputRequired("Say how many requests a minute there may be.")],
        render_kw={"min": 1, "inputmode": "numeric"},
    )
    reason = StringField(
        "Reason",
        [InputRequired("Give a reason.")],
        description="For your colleagues and the audit log, for example “Import of last year”.",
        render_kw={"autocomplete": "off", "maxlength": REASON_LENGTH},
    )


class ActForm(Form):
    """A button: nothing but the proof that it was pressed here."""


class DeleteForm(Form):
    """The key's name, typed to show that this key is meant."""

    name = StringField(
        "Name of the key",
        [InputRequired("Type the key's name.")],
        render_kw={
            "autocomplete": "off",
            "autofocus": True,
            "autocapitalize": "off",
            "spellcheck": "false",
        },
    )
