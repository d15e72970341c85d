"""Secrets of ours that were found where others can read them: whose they are, what is done.

Nothing is done unless the whole secret was shown (see keystore.possession); a text that we do not
know leaves no trace. What follows is the organization's policy (see keystore.rotation.leaked), on
record with the place, once for each place.

An access token that was found is ended by itself, when the policy is to end anything: the secret
that obtained it is not in it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from keystore import (
    audit,
    credentials,
    generations,
    held,
    key_events,
    leak_mail,
    ownership,
    possession,
    rotation,
)
from keystore.audit import Actor
from keystore.clock import Clock, rising
from keystore.credentials import Random, SecretValue
from keystore.db import writing
from keystore.generations import Generations
from keystore.key_events import OnEvent
from keystore.leak_models import SOURCE_LENGTH, URL_LENGTH, Leaked, LeakReport
from keystore.leak_records import Record
from keystore.mail import Mails
from keystore.models import AccessToken, Key, Organization, Secret
from keystore.possession import Match
from keystore.rotation import Consequence, LeakAction, LeakPolicy, SecretState
from keystore.vault import Vault

#: A scanner tells of one text at a time; a report has up to a thousand records, each with look-ups.
MOST_IN_A_RECORD = 10
#: A secret is found in a repository, its forks and its history: one mail tells of all of them.
ONE_MAIL_IN = timedelta(days=1)
SHOWN = 50
#: Stands in another organization's log for whoever pasted their secret here.
FINDER = Actor("system", "Somebody who found it")


@dataclass(frozen=True)
class Exposed:
    """A secret of the organization's that somebody has shown; what it is worth now."""

    key: Key
    what: Leaked
    generation: int
    state: SecretState
    until: datetime | None


@dataclass(frozen=True)
class _Place:
    """Where it was found, fit to be stored: the address may hold the secret itself."""

    source: str
    url: str

    def fingerprint(self, match: Match) -> str:
        named = json.dumps([match.token_id, self.source, self.url])
        return hashlib.sha256(named.encode()).hexdigest()


class Leaks:
    """What was found of all organizations' secrets."""

    def __init__(
        self,
        vault: Vault,
        clock: Clock,
        mails: Mails,
        base_url: str,
        *,
        random: Random | None = None,
        on_event: Sequence[OnEvent] = (),
    ) -> None:
        self._vault = vault
        self._clock = rising(clock)
        self._mails = mails
        self._pages = f"{base_url.rstrip('/')}/settings/organization/developer/keys/"
        self._generations = Generations(vault, random or SystemRandom())
        self._on_event = on_event

    def report(self, session: Session, record: Record, *, reporter: Actor) -> bool:
        """Do what is to be done about a record; tell whether there is a secret of ours in it.

        A record that was reported before changes nothing and gets the same answer.
        """
        place = _Place(
            audit.storable(record.source)[:SOURCE_LENGTH], audit.storable(record.url)[:URL_LENGTH]
        )
        found = [
            match
            for text in record.token.map(credentials.found_in)[:MOST_IN_A_RECORD]
            if (match := possession.find(session, self._vault, text)) is not None
        ]
        for match in found:
            self._take(session, match, place, reporter)
        return bool(found)

    def check(
        self, session: Session, text: SecretValue, *, organization_id: UUID, actor: Actor
    ) -> Sequence[Exposed]:
        """Tell what of this organization's secrets is in a text; nothing is changed but the log.

        All of the text is looked at, as "nothing" must be true: how long it may be is the caller's.
        Another organization's secret is not told from any other text. But it was found, and that
        organization's policy is to know: it is taken as a report.
        """
        exposed = []
        for candidate in text.map(credentials.found_in):
            match = possession.find(session, self._vault, candidate)
            if match is None:
                continue
            if match.organization_id == organization_id:
                exposed.append(self._checked(session, match, actor))
            else:
                self._take(session, match, _Place("pasted", ""), FINDER)
        return exposed

    def reports(
        self, session: Session, organization_id: UUID, key_id: UUID | None = None
    ) -> Sequence[tuple[LeakReport, Key]]:
        """Return the last reports of an organization's secrets, or of one key's; newest first."""
        query = (
            select(LeakReport, Key)
            .join(Key, Key.id == LeakReport.key_id)
            .where(LeakReport.organization_id == organization_id)
            .order_by(LeakReport.reported_at.desc(), LeakReport.id.desc())
            .limit(SHOWN)
        )
        if key_id is not None:
            query = query.where(LeakReport.key_id == key_id)
        with session.begin():
            return [(report, key) for report, key in session.execute(query)]

    def policy(self, session: Session, organization_id: UUID) -> LeakPolicy:
        """Return what an organization wants done."""
        with session.begin():
            return session.get_one(
                Organization, organization_id, populate_existing=True
            ).leak_policy

    @audit.refusals("organization.leak_policy_changed", of="organization")
    def set_policy(
        self, session: Session, *, organization_id: UUID, policy: LeakPolicy, actor: Actor
    ) -> None:
        """Choose what is done from now on; what was done already stays.

        Raises BeyondMembers for anybody but an admin.
        """
        with writing(session):
            organization = ownership.hold_as_admin(session, actor, organization_id)
            if organization.leak_policy is policy:
                return
            before, organization.leak_policy = organization.leak_policy, policy
            audit.record(
                session,
                self._clock.now(),
                actor,
                "organization.leak_policy_changed",
                organization_id=organization_id,
                subject_type="organization",
                subject_id=organization_id,
                before={"leak_policy": before},
                after={"leak_policy": policy},
            )

    def _take(self, session: Session, match: Match, place: _Place, reporter: Actor) -> None:
        """Record a leak and do what the policy says, unless this very report came before."""
        with session.begin():
            if _is_known(session, match, place):
                return
        with writing(session):
            lock = {"key_share": True}
            key = session.get_one(Key, match.key_id, populate_existing=True, with_for_update=lock)
            if not _is_known(session, match, place):
                self._act(session, key, match, place, reporter)

    def _act(
        self, session: Session, key: Key, match: Match, place: _Place, reporter: Actor
    ) -> None:
        now = self._clock.now()
        secret = session.get_one(Secret, match.secret_id, populate_existing=True)
        policy = session.get_one(
            Organization, key.organization_id, populate_existing=True
        ).leak_policy
        before = key.generation
        state = possession.worth(session, match, key, secret, now)
        if match.token_id is None:
            follows = rotation.leaked(policy, state, secret.until, generations.life(key), now)
            self._follow(session, key, follows, now)
        else:
            follows = self._end_token(session, match.token_id, state, policy, now)
        was_told = _was_told(session, match, now)
        report = _report(key, secret, match, place, follows, state=state, policy=policy, now=now)
        session.add(report)
        session.flush()
        self._record(session, key, report, reporter, generation_before=before)
        if state is not SecretState.DEAD:
            key_events.tell(self._on_event, session, key_events.Leaked(key, now, report))
            if not was_told or follows.action is not LeakAction.NONE:
                leak_mail.post(session, self._mails, report, key, f"{self._pages}{key.id}/")

    def _follow(self, session: Session, key: Key, follows: Consequence, now: datetime) -> None:
        if follows.successor is not None:
            # What it says is thrown away here: nobody is there to be shown it.
            self._generations.succeed(session, key, follows.successor, now, seen=False)
        elif follows.action is LeakAction.KILLED:
            generations.kill(session, key.id, now, SecretState.RETIRING)
        elif follows.until is not None:
            generations.shorten(session, key.id, follows.until)

    @staticmethod
    def _end_token(
        session: Session, token_id: int, state: SecretState, policy: LeakPolicy, now: datetime
    ) -> Consequence:
        """End a token under any policy that ends things: its client gets another by itself."""
        if policy is LeakPolicy.NOTIFY or state is SecretState.DEAD:
            return Consequence(LeakAction.NONE)
        session.get_one(AccessToken, token_id).revoked_at = now
        return Consequence(LeakAction.KILLED)

    def _checked(self, session: Session, match: Match, actor: Actor) -> Exposed:
        now = self._clock.now()
        with writing(session):
            key = session.get_one(Key, match.key_id, populate_existing=True)
            secret = session.get_one(Secret, match.secret_id, populate_existing=True)
            state = possession.worth(session, match, key, secret, now)
            held.record(
                session,
                now,
                actor,
                "key.leak_checked",
                key,
                what=match.what,
                generation=secret.generation,
                state=state,
            )
        return Exposed(key, match.what, secret.generation, state, secret.until)

    def _record(
        self,
        session: Session,
        key: Key,
        report: LeakReport,
        reporter: Actor,
        *,
        generation_before: int,
    ) -> None:
        changed = {}
        if key.generation != generation_before:
            changed = {
                "before": {"generation": generation_before},
                "after": {"generation": key.generation, "former_until": report.until},
            }
        held.record(
            session,
            report.reported_at,
            reporter,
            "key.leaked",
            key,
            what=report.what,
            generation=report.generation,
            state=report.state,
            policy=report.policy,
            done=report.action,
            source=report.source,
            url=report.url,
            **changed,
        )


def _report(
    key: Key,
    secret: Secret,
    match: Match,
    place: _Place,
    follows: Consequence,
    *,
    state: SecretState,
    policy: LeakPolicy,
    now: datetime,
) -> LeakReport:
    return LeakReport(
        organization_id=key.organization_id,
        key_id=key.id,
        secret_id=secret.id,
        generation=secret.generation,
        what=match.what,
        source=place.source,
        url=place.url,
        fingerprint=place.fingerprint(match),
        reported_at=now,
        state=state,
        policy=policy,
        action=follows.action,
        until=follows.until,
    )


def _is_known(session: Session, match: Match, place: _Place) -> bool:
    known = select(LeakReport.id).where(
        LeakReport.secret_id == match.secret_id,
        LeakReport.fingerprint == place.fingerprint(match),
    )
    return session.scalars(known).one_or_none() is not None


def _was_told(session: Session, match: Match, now: datetime) -> bool:
    """Tell whether the admins have heard of this secret's being in the open just lately."""
    told = select(LeakReport.id).where(
        LeakReport.secret_id == match.secret_id,
        LeakReport.what == match.what,
        LeakReport.state != SecretState.DEAD,
        LeakReport.reported_at > now - ONE_MAIL_IN,
    )
    return session.scalars(told.limit(1)).first() is not None
