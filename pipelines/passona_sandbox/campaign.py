"""A made-up campaign: story -> rows of the six reports, each report in its own order.

Row `index` of a report is computed on demand, so a report of any length takes no memory, and the reports agree.
"""

from collections.abc import Callable

from passona_sandbox import clock
from passona_sandbox.blueprint import Blueprint
from passona_sandbox.dice import Order
from passona_sandbox.people import HOSTILE_ONE_IN, People
from passona_sandbox.reports import REPORTS, Row
from passona_sandbox.story import Story
from passona_sandbox.words import words

MALFORMED_ONE_IN = 1500  # times cut short, as in one published sample (`15:25:0`)
HOSTILE_MALFORMED_ONE_IN = 20
SPRING_ONE_IN = 8  # times of the first summer hour, written by a clock that was not put forward


class MadeUp:
    """A campaign whose rows are computed on demand. `story` decides what happened in it."""

    def __init__(
        self, plan: Blueprint, people: People, *, hostile: bool, story: Callable[[Blueprint, People], Story] = Story
    ) -> None:
        self.plan, self._hostile, self._words = plan, hostile, words()
        self._malformed_one_in = HOSTILE_MALFORMED_ONE_IN if hostile else MALFORMED_ONE_IN
        self.story, self._expiry = story(plan, people), clock.with_offset(plan.expiry)
        roll = plan.dice.roll(2)
        self._orders = {report: Order(self.count(report), roll[i]) for i, report in enumerate(REPORTS)}
        self._makers: dict[str, Callable[[int], Row]] = {
            "clicks": self._click,
            "delivery": self._delivery,
            "alt_delivery": self._alt_delivery,
            "recipient": self._recipient,
            "sent": self._sent,
            "unsent": self._unsent,
        }

    @property
    def entry(self) -> Row:
        return self.plan.entry()

    def count(self, report: str) -> int:
        return self.plan.counts.of(report)

    def row(self, report: str, index: int) -> Row:
        return self.make_row(report, self._orders[report].at(index))

    def truth(self, report: str, index: int) -> Row:
        return self.truth_of(report, self._orders[report].at(index))

    def make_row(self, report: str, number: int) -> Row:
        """Return the row of the message, click, member or batch of this number, wherever the report lists it."""
        return self._makers[report](number)

    def truth_of(self, report: str, number: int) -> Row:
        """Return what really happened to it: `person` (a number), `instant`, `delivered`, `robot`."""
        story = self.story
        if report == "clicks":
            click = story.click(number)
            return {"person": click.message, "instant": click.instant, "robot": click.is_robot}
        if report in {"delivery", "alt_delivery"}:
            delivered = story.is_delivered(number)
            return {"person": number, "instant": story.sent_at(number), "delivered": delivered}
        if report == "sent":
            return {"instant": story.sent_at(story.batch(number))}
        return {"person": story.member(number) if report == "recipient" else self._unsent_person(number)}

    def _click(self, number: int) -> Row:
        click = self.story.click(number)
        return {
            "Phone_Number": self.story.person(click.message).phone,
            "Link_Name": self._spoil(click.link[0], click.die >> 8),
            "Link_Destination": click.link[1],
            "Clicked_At": self._time(click.instant, click.die),
            "User_Agent": self._spoil(click.agent.user_agent, click.die >> 3),
            "Device_Type": click.agent.device_type,
            "OS_Version": click.agent.os_version,
            "Browser_Version": click.agent.browser_version,
        }

    def _delivery(self, message: int) -> Row:
        person = self.story.person(message)
        text = self.story.copy(message, person)
        return {
            "SMS_ID": self.story.message_id(message, self.story.sent_at(message)),
            "Sender": self.plan.sender,
            "Recipient": person.phone,
            "Message_Copy": self._spoil(text, self.story.die(message)),
            "Status": self.story.status(message),
            "Expiry_Date": self._expiry,
        }

    def _alt_delivery(self, message: int) -> Row:
        story = self.story
        status, die, sent = story.status(message), story.die(message), story.sent_at(message)
        person = story.person(message)
        names, values = person.fields
        return {
            "MessageId": story.message_id(message, sent),
            "Mobile": person.phone,
            "FieldNames": names,
            "FieldValues": values,
            "MessageSent": self._time(sent, die >> 2),
            "MessageUpdate": None if status == "Pending" else self._time(story.updated_at(message), die >> 7),
            "Status": status,
        }

    def _recipient(self, place: int) -> Row:
        person = self.story.person(self.story.member(place))
        group, description = person.groups[place >= self.plan.counts.people]
        names, values = person.fields
        return {
            "Phone_Number": person.phone,
            "Group_Name": self._spoil(group, self.story.die(place)),
            "Group_Description": description,
            "Field_Names": names,
            "Field_Values": values,
        }

    def _sent(self, number: int) -> Row:
        first, name = self.story.batch(number), self.story.links[0][0]
        return {
            "MessageId": self.plan.uuid,
            "Brand": self.plan.sender,
            "SentOn": self.plan.civil(self.story.sent_at(first)),
            "RecipientCount": self.story.batch(number + 1) - first,
            "TemplateApiId": self.plan.template_uuid,
            "TemplateName": self._spoil(self.story.template[0], number),
            "Message": self.story.template[1].replace("::Offer::", f"::{name}::"),
        }

    def _unsent(self, number: int) -> Row:
        person = self.story.person(self._unsent_person(number))
        names, values = person.fields
        return {
            "MessageId": self.plan.uuid,
            "Mobile": person.phone,
            "FieldNames": names,
            "FieldValues": values,
            "Reason": self.story.reason(number),
        }

    def _unsent_person(self, number: int) -> int:
        return self.plan.counts.messages + number

    def _time(self, instant: int, die: int) -> str:
        """Return a time as the server writes it, errors included."""
        if die % SPRING_ONE_IN == 0 and self.plan.zone == clock.LONDON and clock.is_first_of_summer(instant):
            return clock.winter(instant)
        text = self.plan.civil(instant)
        return text[:-1] if die % self._malformed_one_in == 1 else text

    def _spoil(self, text: str | None, die: int) -> str | None:
        if not self._hostile or die % HOSTILE_ONE_IN:
            return text
        return self._words.hostile[die // HOSTILE_ONE_IN % len(self._words.hostile)]
