"""A Jupyter Server that is a class and nothing else: no kernel, no file, no terminal can be reached through it."""

from pathlib import Path

from jupyter_server.serverapp import ServerApp
from traitlets.config import Config

from moe_lessons.classroom.access import ClassIdentity, ClassRules
from moe_lessons.classroom.address import PORT, reachable
from moe_lessons.classroom.extension import ClassExtension
from moe_lessons.classroom.handlers import LARGEST
from moe_lessons.classroom.keys import Keys


class ClassServer(ServerApp):
    """Answers for the class alone: whatever else a Jupyter Server answers is taken off before the class comes on."""

    default_services = ()
    only_a_class = True

    def init_webapp(self) -> None:
        super().init_webapp()
        self.web_app.wildcard_router.rules.clear()

    def load_config_file(self, suppress_errors: bool = True) -> None:
        """Nothing: somebody's settings for their own Jupyter, such as an open door, are not meant for a class."""

    def write_browser_open_files(self) -> None:
        """A file with the token in it, only where a browser is about to open it."""
        if self.open_browser:
            super().write_browser_open_files()

    def write_server_info_file(self) -> None:
        """Nothing: such a file would lie about with the token in it, where a class is killed."""


class OwnClass(ClassExtension):
    """The extension on a server of its own."""

    serverapp_class = ClassServer


def class_server(
    folder: Path,
    keys: Keys,
    *,
    ip: str = "127.0.0.1",
    port: int = PORT,
    shared: Path | None = None,
    browser: bool = False,
) -> ServerApp:
    """A server that is ready to `start()`; its port is taken. Raises ValueError where another one has the class."""
    address = f"http://{reachable(ip)}:{port}"
    config = Config(
        {
            "ServerApp": {
                "ip": ip,
                "port": port,
                "port_retries": 0,  # learners have the address from before a restart
                "allow_root": True,  # no code of anybody's runs here
                "open_browser": browser,
                "reraise_server_extension_failures": True,  # a server without its class is of no use
                "answer_yes": True,  # Ctrl-C stops it: whatever was acknowledged is on the disk
                "log_level": "ERROR",
                "root_dir": str(folder),
                "identity_provider_class": ClassIdentity,
                "authorizer_class": ClassRules,
                "allow_unauthenticated_access": False,
                "max_body_size": 1000 * LARGEST,  # of a request that the handlers refuse by themselves, in a sentence
                "max_buffer_size": 2 * LARGEST,
            },
            "ClassIdentity": {"token": keys.token, "code": keys.code, "cookie_options": {"samesite": "Lax"}},
            "ClassExtension": {
                "journal": str(folder),
                "shared": str(shared or ""),
                "line": "" if shared else f"moe-lessons join {address} {keys.code}",
            },
        }
    )
    return OwnClass.initialize_server(argv=[], config=config)
