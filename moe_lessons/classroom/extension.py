"""The class as an extension of a Jupyter Server: its state, its addresses, and the shared folder that it may read."""

from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from tornado.ioloop import PeriodicCallback
from traitlets import Unicode

from moe_lessons.classroom.classroom import Classroom
from moe_lessons.classroom.handlers import HANDLERS
from moe_lessons.classroom.keys import classroom_dir
from moe_lessons.classroom.shared_folder import SharedFolder

EVERY = 1000  # milliseconds between two looks into a shared folder


class ClassExtension(ExtensionApp):
    """Receives what learners send, and shows the board."""

    name = "moe_lessons_class"
    extension_url = "/class/"
    load_other_extensions = False

    journal = Unicode(help="folder of the class's journal; default: in the course's cache folder").tag(config=True)
    shared = Unicode(help="a folder into which learners write, where there is no server for them").tag(config=True)
    line = Unicode(help="what learners type, for the page").tag(config=True)

    @classmethod
    def get_extension_package(cls) -> str:
        return "moe_lessons.classroom"

    def load_config_file(self, suppress_errors: bool = True) -> None:
        """Nobody's settings on a server of the class's own, to which an extension would hand them on."""
        if not getattr(self.serverapp, "only_a_class", False):
            super().load_config_file(suppress_errors)

    def initialize_settings(self) -> None:
        """Read what was sent so far. Raises ValueError where another process has the class open."""
        self.classroom = Classroom(Path(self.journal) if self.journal else classroom_dir())
        self.folder = SharedFolder(Path(self.shared), self.classroom.count_only) if self.shared else None
        line = self.line or (f"moe-lessons join --folder {self.shared}" if self.shared else "")
        self.settings.update({"moe_classroom": self.classroom, "moe_class_join": line})

    def initialize_handlers(self) -> None:
        self.handlers.extend(HANDLERS)

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        if self.folder is not None:
            self.folder.look()
            self._looking = PeriodicCallback(self.folder.look, EVERY)
            self._looking.start()

    async def stop_extension(self) -> None:
        if self.folder is not None:
            self._looking.stop()
        self.classroom.close()
