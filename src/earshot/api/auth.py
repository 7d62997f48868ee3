"""Sessions in a cookie, tokens in a header, and how often one may try to sign in."""

import hashlib
from urllib.parse import urlsplit

from fastapi import Request, Response

from earshot.api.deps import Actor
from earshot.api.limits import Limiter, network_of
from earshot.api.problems import ProblemError
from earshot.api.rights import rights_of
from earshot.clock import Clock
from earshot.control import SESSION_DAYS, Control, Person
from earshot.settings import Settings


class Auth:
    """Who a request is of. Asks the control room each time, so that a revocation acts at once."""

    def __init__(self, control: Control, settings: Settings, clock: Clock) -> None:
        self._control = control
        self.https = urlsplit(settings.web.public_url).scheme == "https"
        self.cookie = "__Host-earshot" if self.https else "earshot"
        self._by_address = Limiter(clock, burst=20, every=15.0)
        self._by_account = Limiter(clock, burst=8, every=30.0)

    def actor(self, request: Request) -> Actor | None:
        """The one who asks; a bearer token that does not hold is nobody, whatever the cookie."""
        header = request.headers.get("authorization")
        if header is not None:
            scheme, _, text = header.partition(" ")
            return self.by_token(text.strip()) if scheme.lower() == "bearer" else None
        secret = request.cookies.get(self.cookie)
        return self.by_session(secret) if secret else None

    def by_session(self, secret: str) -> Actor | None:
        """Whose session this is; None: ended, old or made up."""
        person = self._control.session(secret)
        if person is None:
            return None
        return Actor(person, rights_of(person.role), "session", secret)

    def by_token(self, text: str) -> Actor | None:
        """Whose token this is, with the rights that both token and person have."""
        if (known := self._control.token(text)) is None:
            return None
        person, scopes = known
        return Actor(person, rights_of(person.role) & scopes, "token", text)

    def again(self, actor: Actor) -> Actor | None:
        """The same one, as of now; None when session or token do not hold any more."""
        look = self.by_session if actor.via == "session" else self.by_token
        return look(actor.secret)

    def sign_in(self, request: Request, name: str, password: str) -> tuple[Person, str]:
        """Open a session; a former one of this browser ends.

        Raises:
            ProblemError: `bad-credentials`, or `too-many-requests` by address or account.
        """
        address, account = self._address(request), _account(name)
        self._by_address.take(address)
        self._by_account.take(account)
        person = self._control.sign_in(name, password)
        if person is None:
            raise ProblemError("bad-credentials")
        self._by_account.forgive(account)
        return person, self.open_session(request, person)

    def redeem(
        self, request: Request, code: str, name: str, password: str | None
    ) -> tuple[Person, str]:
        """Make the first administrator (or let an existing one in) and open a session.

        Raises:
            ProblemError: `too-many-requests` by address.
            UsageError: The code is wrong, used or old.
        """
        self._by_address.take(self._address(request))
        person = self._control.redeem_setup(code, name=name, password=password)
        return person, self.open_session(request, person)

    def open_session(self, request: Request, person: Person) -> str:
        """A new session's secret; the one that the request came with ends."""
        if old := request.cookies.get(self.cookie):
            self._control.end_session(old)
        agent = request.headers.get("user-agent", "")[:300]
        return self._control.new_session(person.id, agent=agent)

    def set_cookie(self, response: Response, secret: str) -> None:
        """Hand the session to the browser; scripts cannot read it."""
        response.set_cookie(
            self.cookie,
            secret,
            max_age=SESSION_DAYS * 86400,
            path="/",
            secure=self.https,
            httponly=True,
            samesite="lax",
        )

    def drop_cookie(self, response: Response) -> None:
        """Take the session from the browser."""
        response.delete_cookie(
            self.cookie, path="/", secure=self.https, httponly=True, samesite="lax"
        )

    def _address(self, request: Request) -> str:
        return network_of(request.client.host if request.client else "")


def _account(name: str) -> str:
    """Key of an account: fixed in size, whatever was sent as a name."""
    return hashlib.sha256(name.strip().casefold().encode()).hexdigest()
