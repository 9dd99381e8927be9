"""Who may do what: the teacher everything that a class can do, a learner sends entries, a stranger nothing."""

import hmac
from typing import Any

from jupyter_server.auth import Authorizer, IdentityProvider, User
from traitlets import Unicode

from moe_lessons.classroom.keys import plain

TEACHER, LEARNER = "teacher", "learner"
RESOURCE = "class"
SEND = "send"


class ClassIdentity(IdentityProvider):
    """Knows the teacher by a token, and by the cookie that it leaves in a browser; learners by the class's code."""

    code = Unicode(help="what learners send").tag(config=True)

    async def get_user_token(self, handler: Any) -> User | None:
        """The role whose token this is. Both are compared in a time that does not depend on where they differ."""
        given = self.get_token(handler) or ""
        teacher = hmac.compare_digest(given.encode(), self.token.encode())
        learner = hmac.compare_digest(plain(given).encode(), plain(self.code).encode())
        return User(TEACHER) if teacher else User(LEARNER) if learner and self.code else None

    def get_user_cookie(self, handler: Any) -> User | None:
        """Of cookies, the teacher's alone counts."""
        kept = handler.get_secure_cookie(self.get_cookie_name(handler), **self.get_secure_cookie_kwargs)
        return User(TEACHER) if kept == TEACHER.encode() else None

    def user_to_cookie(self, user: User) -> str:
        return user.username

    def set_login_cookie(self, handler: Any, user: User) -> None:
        if user.username == TEACHER:
            super().set_login_cookie(handler, user)

    def cookie_secret_hook(self, h: Any) -> Any:
        """A new class has a new token, and with it no old cookie counts."""
        h.update(self.token.encode())
        return h

    @property
    def login_available(self) -> bool:
        return False  # no page asks for a token

    @property
    def logout_available(self) -> bool:
        return False


class ClassRules(Authorizer):
    """A learner may send; all else is the teacher's."""

    def is_authorized(self, handler: Any, user: User, action: str, resource: str) -> bool:
        if resource != RESOURCE:
            return False
        return user.username == TEACHER or (user.username == LEARNER and action == SEND)
