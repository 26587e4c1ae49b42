"""What sites and tools say, which may be anything."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.sites.transfers import gridftp, http, rsync, scp, tar
from cwlbalsam.sites.transfers.base import Endpoint, Item, Load, Parcel, Ssh, TransferError, Trouble, WebRoot
from cwlbalsam.sites.transfers.failures import MESSAGE_LENGTH, classify, message_of
from cwlbalsam.sites.transfers.hand import convert, parse_answer
from cwlbalsam.sites.transfers.manifest import Found, make_manifest
from cwlbalsam.sites.transfers.remote import arrivals
from cwlbalsam.sites.transfers.ssh import options, remote_command, scp_place

HOME = Endpoint(site="home", root="/home/me", local=True)
SITE = Endpoint(site="far", root="/work", ssh=Ssh(host="far.org", port=2222, user="me"), gridftp="ftp://far.org:2811/")
LOAD = Load(
    id="b",
    source=HOME,
    target=SITE,
    parcels=[Parcel(path="/home/me/a b", name="0", size=5)],
    stage="/work/.transfers/b/send",
    aliases="/home/me/.transfers/b-out/send",
)


@given(st.text())
def test_any_message_is_some_trouble_and_one_plain_line(text: str) -> None:
    assert classify(text) in Trouble
    line = message_of(text)
    assert len(line) <= MESSAGE_LENGTH + 3
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in line)


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("ssh: connect to host h port 22: Connection refused", Trouble.UNREACHABLE),
        ("me@h: Permission denied (publickey,password).", Trouble.LOGIN),
        ("Host key verification failed.", Trouble.LOGIN),
        ('scp: dest open "/x": Permission denied', Trouble.DENIED),
        ('rsync: write failed on "/x": No space left on device (28)', Trouble.FULL),
        ("client_loop: send disconnect: Broken pipe", Trouble.CUT),
        ("Connection to 127.0.0.1 closed by remote host.", Trouble.CUT),
        ("rsync error: unexplained error (code 255) at io.c(231)", Trouble.CUT),
        ("error: globus_xio: An end of file occurred", Trouble.CUT),
        ("bash: line 1: rsync: command not found", Trouble.UNFIT),
        ("tar: ./0: file changed as we read it", Trouble.CHANGED),
        ("http://h/401: 404 Not Found", Trouble.MISSING),
        ("503 Service Unavailable: http://h/x", Trouble.UNREACHABLE),
        ("", Trouble.OTHER),
    ],
)
def test_known_messages_are_told_apart(text: str, trouble: Trouble) -> None:
    assert classify(text) is trouble


@given(st.binary())
def test_an_answer_is_one_or_an_error(printed: bytes) -> None:
    with pytest.raises(TransferError):
        parse_answer("far", printed, "")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_an_answer_of_any_shape_is_checked(value: Any) -> None:
    printed = b"Welcome!\n\0" + json.dumps({"answer": value}).encode() + b"\0"
    assert parse_answer("far", printed, "") == value
    try:
        found = convert("far", value, list[Found])
    except TransferError:
        return
    make_manifest([Item(source="/s", target="/t")] * len(found), found)


MEMBER_NAMES = st.text(st.sampled_from("ab./\0"), max_size=8)


@given(MEMBER_NAMES, st.sampled_from(["file", "directory", "link"]), MEMBER_NAMES)
def test_no_member_of_a_directory_leads_out_of_it(path: str, kind: Any, text: str) -> None:
    import posixpath

    found = Found(size=0, mtime=0, mode=0o755, members=[(path, kind, 0, 0, 0o644, text)])
    item = Item(source="/s/d", target="/t/d", kind="directory")
    manifest = make_manifest([item], [found])
    if manifest.entries:
        inside = posixpath.normpath(f"/t/d/{path}")
        assert inside.startswith("/t/d")
        if kind == "link":
            assert posixpath.normpath(f"/t/d/{posixpath.dirname(path)}/{text}").startswith("/t/d")


@pytest.mark.parametrize(
    "members",
    [
        [("d", "link", "."), ("d/x", "file", "")],
        [("d", "directory", ""), ("d/up", "link", ".."), ("out", "link", "d/up/..")],
        [("d", "directory", ""), ("d/up", "link", ".."), ("d/up/x", "file", "")],
        [("a", "link", "b"), ("b", "link", "a")],
        [("none/x", "file", "")],
        [("d", "directory", ""), ("d/", "file", "")],
    ],
)
def test_members_lead_out_by_no_link_among_them(members: list[tuple[str, Any, str]]) -> None:
    item = Item(source="/s/d", target="/t/d", kind="directory")
    told = [(path, kind, 0, 0, 0o755, text) for path, kind, text in members]
    manifest = make_manifest([item], [Found(size=0, mtime=0, mode=0o755, members=told)])
    assert manifest.results[0].trouble is Trouble.OTHER


def test_links_among_members_stay() -> None:
    item = Item(source="/s/d", target="/t/d", kind="directory")
    told: list[Any] = [
        ("bin", "link", 0, 0, 0, "now/bin"),
        ("now", "link", 0, 0, 0, "v/1"),
        ("v", "directory", 0, 0, 0o755, ""),
        ("v/1", "directory", 0, 0, 0o755, ""),
        ("v/1/bin", "directory", 0, 0, 0o755, ""),
        ("v/1/bin/x", "link", 0, 0, 0, "../../1/bin"),
    ]
    assert make_manifest([item], [Found(size=0, mtime=0, mode=0o755, members=told)]).entries


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_a_site_sends_in_place_of_a_file_is_not_followed(tmp_path: Path, kind: str) -> None:
    (tmp_path / "mine").write_text("secret")
    stage = tmp_path / "send"
    stage.mkdir()
    if kind == "link":
        (stage / "0").symlink_to(tmp_path / "mine")
    else:
        os.mkfifo(stage / "0")
    sha1 = "sha1$" + hashlib.sha1(b"secret").hexdigest()
    entry = {"target": str(tmp_path / "to"), "size": None, "mtime": None, "mode": None, "sha1": sha1, "name": "0"}
    tree = {**entry, "target": str(tmp_path / "tree"), "members": [["x", "file", 6, 0, 0o644, "", "0"]]}
    answers = arrivals.place(str(stage), [tree, entry], True)
    assert [(trouble, "no plain file" in message) for trouble, message, _ in answers] == [("corrupt", True)] * 2
    assert not os.path.lexists(tmp_path / "to")
    assert not (tmp_path / "tree").exists()


def test_words_reach_a_remote_command_as_they_are() -> None:
    argv = remote_command(SITE.ssh or Ssh(host=""), ["tar", "-C", "/a b/$(x)'\n", "-xf", "-"])
    assert argv[0] == "ssh"
    assert argv[-3:] == ["--", "far.org", "tar -C '/a b/$(x)'\"'\"'\n' -xf -"]
    assert {"Port=2222", "User=me", "BatchMode=yes"} <= set(argv)


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "a b", "a\nb"])
def test_a_host_is_never_taken_for_an_option(host: str) -> None:
    with pytest.raises(TransferError, match="not a name of a host"):
        options(Ssh(host=host))


def test_each_tool_gets_its_command() -> None:
    assert scp.command(LOAD)[-2:] == ["/home/me/.transfers/b-out/send", "far.org:/work/.transfers/b/"]
    assert rsync.command(LOAD)[-4:] == [
        *("--files-from=-", "--", "/home/me/.transfers/b-out/send/", "far.org:/work/.transfers/b/send/")
    ]
    assert "--sparse" not in rsync.command(LOAD)
    send, receive = tar.commands(LOAD)
    assert send == ["tar", "-C", "/home/me/.transfers/b-out/send", "-chSf", "-", "."]
    assert receive[-1].startswith("tar -C /work/.transfers/b/send -xf -")
    assert gridftp.listing(LOAD) == (
        "file:///home/me/.transfers/b-out/send/0 ftp://far.org:2811/work/.transfers/b/send/0\n"
    )
    assert "-p" not in gridftp.command(LOAD, "f")


def test_patterns_are_escaped_for_scp_and_blanks_quoted_for_rsync() -> None:
    assert scp_place(Ssh(host="::1"), "/a*[b]") == "[::1]:/a\\*\\[b\\]"
    assert rsync.quoted(["ssh", "-i", "/my key", "it's"]) == "ssh -i '/my key' \"it's\""
    with pytest.raises(TransferError):
        rsync.quoted(["'\""])


@given(st.text(min_size=1))
def test_a_url_stays_below_what_the_server_shows(path: str) -> None:
    web = WebRoot(url="https://h/data/", base="/srv")
    try:
        found = http.url(web, f"/srv/{path}")
    except TransferError:
        return
    except UnicodeEncodeError:  # half a character, which no file system gives
        return
    assert found.startswith("https://h/data/")
    assert ".." not in found.removeprefix("https://h/").split("/")
    assert not set(found) & set(" \n\"'<>#?")
