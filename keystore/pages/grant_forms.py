"""What the pages ask for about a key's rights: what it does, whose meetings it sees, from where."""

from collections.abc import Iterable, Sequence
from uuid import UUID, uuid4

from wtforms import (
    BooleanField,
    DateTimeLocalField,
    HiddenField,
    RadioField,
    SelectField,
    SelectMultipleField,
    SubmitField,
    TextAreaField,
)
from wtforms import validators as check
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.widgets import CheckboxInput

from keystore import scopes
from keystore.models import Key, Role, User
from keystore.pages.forms import Form, NameForm
from keystore.scopes import DataScope

OWN_CHOICE = "own"


class GrantForm(Form):
    """What a key may do, and on whose meetings."""

    task = RadioField("What is it for?", default="connect")
    operations = SelectMultipleField("What it may do", option_widget=CheckboxInput())
    data = RadioField("Which meetings does it see?")
    person = SelectField("Whose meetings", validate_choice=False)
    #: Pressed to see what the choice would come to; nothing is saved then.
    trial = SubmitField("Try")

    people: Sequence[User] = ()
    member: User | None = None  # who fills it in, if that is a member

    def offer(self, people: Iterable[User], visitor: User, *, present: Key | None = None) -> None:
        """Offer what this visitor may choose; a legacy key may stay one."""
        is_admin = visitor.role is Role.ADMIN
        self.member = None if is_admin else visitor
        self.people = [one for one in people if one.is_active]
        offered = frozenset(scopes.OPERATIONS) if is_admin else scopes.OF_MEMBERS
        stays_legacy = present is not None and present.data_scope is DataScope.LEGACY
        kinds = [
            one
            for one in DataScope
            if (is_admin or one.is_personal) and (stays_legacy or one is not DataScope.LEGACY)
        ]
        self.task.choices = [
            *(
                SelectChoice(name, preset.title)
                for name, preset in scopes.PRESETS.items()
                if preset.operations <= offered
            ),
            SelectChoice(OWN_CHOICE, "Own choice"),
        ]
        self.operations.choices = [
            SelectChoice(name, says) for name, says in scopes.OPERATIONS.items() if name in offered
        ]
        self.data.choices = [SelectChoice(one.value, scopes.TITLES[one][0]) for one in kinds]
        self.person.choices = [
            SelectChoice("", "Choose a person"),
            *(SelectChoice(str(one.id), f"{one.name} ({one.email})") for one in self.people),
        ]
        if not self.is_submitted():
            self._fill(kinds[-1], present)

    def _fill(self, usual: DataScope, present: Key | None) -> None:
        granted = scopes.DEFAULT if present is None else frozenset(present.scopes)
        presets = (name for name, one in scopes.PRESETS.items() if one.operations == granted)
        self.task.data = next(presets, OWN_CHOICE)
        self.operations.data = sorted(granted)
        self.data.data = (usual if present is None else present.data_scope).value
        self.person.data = "" if present is None else str(present.owner_id or "")

    @property
    def granted(self) -> frozenset[str]:
        """The operation scopes chosen."""
        if self.task.data == OWN_CHOICE:
            return frozenset(self.operations.data or ())
        return scopes.PRESETS[self.task.data].operations

    @property
    def data_scope(self) -> DataScope:
        """The data scope chosen."""
        return DataScope(self.data.data)

    @property
    def owner(self) -> User | None:
        """The person chosen, where the data scope is tied to one; a member is that one."""
        if not self.data_scope.is_personal:
            return None
        chosen = (one for one in self.people if str(one.id) == self.person.data)
        return self.member or next(chosen, None)

    @property
    def owner_id(self) -> UUID | None:
        """The id of that person."""
        return None if self.owner is None else self.owner.id

    def validate(self, extra_validators: object = None) -> bool:
        """Check each field, and that the choices belong together."""
        if not super().validate(extra_validators):
            return False
        if not self.granted:
            self.operations.errors = ["Tick at least one thing that the key may do."]
        if self.data_scope.is_personal and self.owner is None:
            self.person.errors = ["Choose whose meetings the key sees."]
        return not self.operations.errors and not self.person.errors


class NetworksField(TextAreaField):
    """Networks, one a line."""

    @property
    def lines(self) -> list[str]:
        """Those that were typed."""
        return (self.data or "").split()


NETWORKS_HELP = (
    "One network or address a line, like 203.0.113.0/24 or 2001:db8::1. Leave it empty for a key "
    "that works from anywhere."
)


class AddKeyForm(GrantForm, NameForm):
    """A new key, and the id it will have: sent twice, the form still makes one key."""

    key_id = HiddenField(
        validators=[check.InputRequired(), check.UUID()], default=lambda: str(uuid4())
    )
    expires_at = DateTimeLocalField(
        "Expires at (UTC)",
        [check.Optional()],
        description="Leave it empty for a key that does not expire.",
    )
    networks = NetworksField("Networks it may be used from", description=NETWORKS_HELP)


class NetworksForm(Form):
    """Where a key may be used from."""

    networks = NetworksField(
        "Networks it may be used from",
        description=NETWORKS_HELP,
        render_kw={"rows": 6, "autofocus": True, "spellcheck": "false"},
    )


class MembersForm(Form):
    """Whether members have keys of their own."""

    allowed = BooleanField("Members may make personal keys")
