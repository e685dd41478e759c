"""What really happened in a made-up campaign: who got which message when, who clicked, whose message was not sent.

People 0 .. messages-1 of a campaign got message 0 .. messages-1, those after them are unsent. Everything is computed
from the blueprint and a number; the reports (`campaign`) show it in their own formats and orders.
"""

from typing import NamedTuple

from passona_sandbox import clock
from passona_sandbox.blueprint import Blueprint
from passona_sandbox.dice import Dice
from passona_sandbox.people import People, Person
from passona_sandbox.words import Agent, words

FAILED_PERMILLE = 60
PENDING_PERMILLE = 150  # of the messages of a campaign that is still sending
ROBOT_PERCENT = 18  # of clicks: phones and messengers fetch previews of links in an SMS
REPEATED_PERMILLE = 50  # of every other click: the same as the click before it, to the letter
_WEYL = 0x9E3779B1  # 2**32 divided by the golden ratio: successive numbers fall evenly apart
_CODE = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Click(NamedTuple):
    """One click: on which message, at which instant, through which link, and by which agent."""

    message: int
    instant: int
    link: tuple[str, str]
    agent: Agent
    is_robot: bool
    die: int


class Story:
    """The events of one campaign, by number."""

    def __init__(self, plan: Blueprint, people: People) -> None:
        self.plan, self._people, self._words = plan, people, words()
        self._messages, self._started, self._span = plan.counts.messages, plan.started, plan.span
        self._clicks = Dice("clicks", plan.uuid)
        roll = plan.dice.roll(1)
        self._salt = roll[0]
        templates = self._words.templates
        self.template = templates[plan.dice.roll(0)[8] % len(templates)]  # its name is the campaign's, too
        links = self._words.links
        self.links = [links[(roll[2] + place) % len(links)] for place in range(1 + roll[3] % 3)]
        self._pending_permille = PENDING_PERMILLE if plan.stage == "sending" else 0

    def person(self, place: int) -> Person:
        return self._people.person(self.plan.first_person + place)

    def member(self, place: int) -> int:
        """Return the person at this place of the groups: everybody once, then some in a second group."""
        counts = self.plan.counts
        if place < counts.people:
            return place
        return (place - counts.people) * (counts.people // counts.second_groups)

    def message_id(self, message: int, sent: int) -> str:
        return clock.uuid1(sent, message, self.plan.node)

    def sent_at(self, message: int) -> int:
        """Return when the message was sent: one after another over the campaign's span."""
        return self._started + message * self._span // self._messages

    def updated_at(self, message: int) -> int:
        """Return when the message got its last status: on the phone within seconds, or expired."""
        return self.sent_at(message) + 1 + self.die(message) % 9 if self.is_delivered(message) else self.plan.expiry

    def batch(self, number: int) -> int:
        return self._messages * number // self.plan.counts.batches

    def copy(self, message: int, person: Person) -> str:
        number = (message * 0x9E3779B97F4A7C15 + self._salt) % 62**8
        code = "".join([_CODE[number // 62**place % 62] for place in range(8)])
        text = self.template[1].replace("::Offer::", f"https://psms.io/{code}")
        return text.replace("::First Name::", person.first_name)

    def is_delivered(self, message: int) -> bool:
        """Return True if the message arrived; the first one always does."""
        return message == 0 or self._luck(message) >= FAILED_PERMILLE + self._pending_permille

    def status(self, message: int) -> str:
        if self.is_delivered(message):
            return "Success"
        if self._luck(message) < self._pending_permille:
            return "Pending"
        return self._words.failures[message % len(self._words.failures)]

    def reason(self, place: int) -> str:
        if self.plan.stage == "sending":
            return "pending"
        return self._words.reasons[place % len(self._words.reasons)]

    def click(self, number: int) -> Click:
        """Return what happened at this click; robots come within seconds, people within days."""
        roll = self._clicks.roll(number)
        if number % 2 and roll[0] % 1000 < REPEATED_PERMILLE:
            roll = self._clicks.roll(number - 1)
        message = roll[1] % self._messages
        while not self.is_delivered(message):
            message = (message + 1) % self._messages
        is_robot = roll[2] % 100 < ROBOT_PERCENT
        agents = self._words.robots if is_robot else self._words.browsers
        instant = self.clicked_at(message, roll, is_robot=is_robot)
        link, agent = self.links[roll[5] % len(self.links)], agents[roll[6] % len(agents)]
        return Click(message, instant, link, agent, is_robot, roll[7])

    def clicked_at(self, message: int, roll: tuple[int, ...], *, is_robot: bool) -> int:
        """Return when a click with these dice happened, not after the horizon."""
        delay = roll[3] % 25 if is_robot else 20 + roll[3] % (1 << 7 + roll[4] % 14)
        sent = self.sent_at(message)
        return min(sent + 1 + delay, max(self.plan.horizon, sent))

    def die(self, number: int) -> int:
        """Return a number below 2**32 for this one; successive ones are spread evenly."""
        return number * _WEYL + self._salt & 0xFFFFFFFF

    def _luck(self, message: int) -> int:
        return self.die(message) * 1000 >> 32
