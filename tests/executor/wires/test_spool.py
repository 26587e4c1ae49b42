import asyncio
from pathlib import Path

import pytest

from cwlbalsam.executor.wires import spool
from cwlbalsam.executor.wires.spool import SpoolReader, SpoolWire, SpoolWriter
from cwlbalsam.executor.wires.stream import BrokenStream


def test_a_torn_tail_is_read_once_it_is_whole(tmp_path: Path) -> None:
    writer, reader = SpoolWriter(tmp_path, "agent"), SpoolReader(tmp_path, "agent")
    writer.append(b"first")
    file = tmp_path / "agent.0"
    whole = file.read_bytes()
    writer.append(b"second")
    torn = file.read_bytes()
    file.write_bytes(torn[:-2])
    assert list(reader.read()) == [b"first"]
    file.write_bytes(torn)
    assert list(reader.read()) == [b"second"]
    assert list(reader.read()) == []
    assert torn.startswith(whole)


def test_damage_is_told(tmp_path: Path) -> None:
    writer, reader = SpoolWriter(tmp_path, "agent"), SpoolReader(tmp_path, "agent")
    writer.append(b"message")
    (tmp_path / "agent.0").write_bytes((tmp_path / "agent.0").read_bytes()[:-1] + b"!")
    with pytest.raises(BrokenStream, match="damaged at byte 0"):
        list(reader.read())


def test_files_that_were_read_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "FILE_BYTES", 100)
    writer, reader = SpoolWriter(tmp_path, "agent"), SpoolReader(tmp_path, "agent")
    for number in range(50):
        writer.append(b"%050d" % number)
    assert [int(data) for data in reader.read()] == list(range(50))
    assert len(list(tmp_path.iterdir())) <= 1


def test_two_sides_talk_by_files(tmp_path: Path) -> None:
    async def main() -> None:
        up: list[bytes] = []
        down: list[bytes] = []
        agent = SpoolWire(tmp_path, "agent", up.append, echoes=True)
        launcher = SpoolWire(tmp_path, "launcher", down.append, echoes=False)
        tasks = [asyncio.create_task(wire.run()) for wire in (agent, launcher)]
        for number in range(20):
            agent.send(b"down %d" % number)
            launcher.send(b"up %d" % number)
            await asyncio.sleep(0.005)
        async with asyncio.timeout(10):
            while len(up) < 20 or len(down) < 20:
                await asyncio.sleep(0.01)
        assert up == [b"up %d" % number for number in range(20)]
        assert down == [b"down %d" % number for number in range(20)]
        for task in tasks:
            task.cancel()

    asyncio.run(main())
