"""A guess at how often a post has a term, to choose the rarest one as a rule's anchor.

It only decides on speed: a wrong guess costs candidates, never matches. Figures are posts in a
million, from the look of the term alone: short words and those of the list are frequent.
"""

from typing import Final

from earshot.model.tokens import is_unspaced

ALL: Final = 1_000_000.0
OFTEN: Final = {
    "from": 20,
    "to": 50,
    "conversation": 20,
    "domain": 300,
    "url": 300,
    "channel": 2_000,
    "bio": 2_000,
    "place": 1_000,
    "country": 200_000,
    "lang": 300_000,
    "source": 600_000,
}
"""Of fields."""
_BY_LENGTH: Final = (0, 60_000, 40_000, 15_000, 6_000, 3_000, 1_500, 800, 500, 300)
_FREQUENT: Final = frozenset(
    # ruff: noqa: SIM905 - a list of words reads best as a text
    """a about after all also am an and any are as at back be because been but by can could day de
    did do does don't down even first for from get go going good got had has have he her here him
    his how i i'm if in into is it it's just know la like look love make me more most much my new
    no not now of off on one only or other our out over people que really right rt say see she
    should so some still take than that that's the their them then there these they think this
    time to today too two up us use very via want was way we well were what when where which who
    why will with work would year you your el en es los no por un una y der die das ist le les des
    et o e não do da em para um pra com di il che per""".split()
)


def how_often(token: str) -> float:
    """Posts in a million that have this token, roughly."""
    if token[0] in "#@$":
        return 100
    if token in _FREQUENT:
        return 150_000
    if is_unspaced(token):
        return 4_000
    if not token[0].isalnum():
        return 8_000
    return _BY_LENGTH[min(len(token), len(_BY_LENGTH) - 1)]
