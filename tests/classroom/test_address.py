"""Where a class listens."""

import socket

from moe_lessons.classroom.address import reachable, taken


def test_a_class_is_open_to_this_machine_alone_unless_told_otherwise():
    assert reachable("127.0.0.1") == "127.0.0.1" and reachable("::1") == "[::1]"
    assert reachable("192.168.7.7") == "192.168.7.7" and reachable("0.0.0.0").count(".") == 3


def test_a_port_that_somebody_has_is_seen():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert taken("127.0.0.1", other.getsockname()[1])
    assert not taken("127.0.0.1", 0)
