# SPDX-License-Identifier: Apache-2.0
"""ActiveSync as phones speak it: queries in both forms, and bodies in WBXML.

The bodies are written out: WBXML 1.3, UTF-8, without a string table (03 01 6a 00), then a code page
(00 and its number), elements (their token + 0x40, since all have content), inline strings
(03 … 00) and ends (01). Code pages 7 (FolderHierarchy), 0 (AirSync) and 13 (Ping) of [MS-ASWBXML].
"""

import base64
import struct
import threading
from urllib.parse import parse_qs

from .ad import PASSWORDS
from .client import Client, Headers, Response
from .fake_backend import Request, response
from .kerberos import Acceptor

PATH = "/Microsoft-Server-ActiveSync"
TYPE = "application/vnd.ms-sync.wbxml"
COMMANDS = {"Sync": 0, "SendMail": 1, "FolderSync": 9, "Settings": 17, "Ping": 18, "Provision": 20}
VERSIONS = "2.5,12.0,12.1,14.0,14.1,16.0,16.1"

# <FolderSync><SyncKey>0</SyncKey></FolderSync>
FOLDER_SYNC = bytes.fromhex("03016a00 0007 56 52 0330 00 01 01")
# <FolderSync><Status>1</Status><SyncKey>1</SyncKey><Changes><Count>1</Count><Add>
#   <ServerId>5</ServerId><ParentId>0</ParentId><DisplayName>Inbox</DisplayName><Type>2</Type>
# </Add></Changes></FolderSync>
FOLDERS = bytes.fromhex("03016a00 0007 56 4c 033100 01 52 033100 01 4e 57 033100 01 4f"
                        "48 033500 01 49 033000 01 47 03496e626f7800 01 4a 033200 01 01 01 01")
# <Sync><Collections><Collection><SyncKey>0</SyncKey><CollectionId>5</CollectionId>
# </Collection></Collections></Sync>
SYNC = bytes.fromhex("03016a00 0000 45 5c 4f 4b 033000 01 52 033500 01 01 01 01")
# … with SyncKey 1 and Status 1
SYNCED = bytes.fromhex("03016a00 0000 45 5c 4f 4b 033100 01 52 033500 01 4e 033100 01 01 01 01")
# <Ping><HeartbeatInterval>480</HeartbeatInterval><Folders><Folder><Id>5</Id><Class>Email</Class>
# </Folder></Folders></Ping>
PING = bytes.fromhex("03016a00 000d 45 48 0334383000 01 49 4a 4b 033500 01 4c 03456d61696c00 01"
                     "01 01 01")
# <Ping><Status>1</Status></Ping>: the time is up, and nothing has changed
EXPIRED = bytes.fromhex("03016a00 000d 45 47 033100 01 01")
# <Ping><Status>2</Status><Folders><Folder>5</Folder></Folders></Ping>: something has
CHANGED = bytes.fromhex("03016a00 000d 45 47 033200 01 49 4a 033500 01 01 01")


def plain(command: str, user: str | None = "alice", device: str = "ApplDNPHTK1MF0KY",
          kind: str = "iPhone") -> str:
    return f"{PATH}?Cmd={command}" + (f"&User={user}" if user else "") + \
        f"&DeviceId={device}&DeviceType={kind}"


def blob(command: str | int, device: bytes = b"ApplDNPHTK1MF0KY", kind: bytes = b"iPhone",
         version: int = 141, user: bytes | None = None, policy_key: int | None = None) -> str:
    """A base64 query."""
    code = COMMANDS[command] if isinstance(command, str) else command
    key = b"" if policy_key is None else struct.pack("<I", policy_key)
    head = struct.pack("<BBH", version, code, 0x0409)
    fields = b"".join(bytes([len(field)]) + field for field in (device, key, kind))
    more = b"" if user is None else bytes([8, len(user)]) + user
    return f"{PATH}?{base64.b64encode(head + fields + more).decode()}"


class Exchange:
    """A scripted ActiveSync server for a FakeBackend. It accepts Kerberos only, and takes nothing
    for granted: a body that is not the one above is 400. A Ping waits for change(), and expires
    after *heartbeat* seconds, whatever the phone asks for."""

    def __init__(self, acceptor: Acceptor, heartbeat: float) -> None:
        self.heartbeat = heartbeat
        self.waiting = 0
        self.users: set[str] = set()
        self._acceptor = acceptor
        self._lock = threading.Lock()
        self._changed = threading.Event()

    def change(self) -> None:
        """New mail: every Ping that waits is answered, and later ones at once."""
        self._changed.set()

    def settle(self) -> None:
        self._changed.clear()

    def __call__(self, request: Request) -> bytes:
        if not (request.authorization or "").startswith("Negotiate "):
            return response("401 Unauthorized", [("WWW-Authenticate", "Negotiate")])
        with self._lock:
            accepted = self._acceptor.accept(request.authorization)
            self.users.add(accepted.user)
        common = [("WWW-Authenticate", accepted.www_authenticate), ("MS-Server-ActiveSync", "15.1")]
        method, target, _ = request.line.split()
        if method == "OPTIONS":
            return response("200 OK", [*common, ("Allow", "OPTIONS,POST"),
                                       ("MS-ASProtocolVersions", VERSIONS),
                                       ("MS-ASProtocolCommands", ",".join(COMMANDS))])
        body = self._answer(command_of(target), request.body)
        if body is None:
            return response("400 Bad Request", common)
        return response("200 OK", [*common, *([("Content-Type", TYPE)] if body else [])], body)

    def _answer(self, command: str, body: bytes) -> bytes | None:
        if command == "Ping":
            return self._ping() if body in (PING, b"") else None
        if command == "SendMail":
            return b""
        return {("FolderSync", FOLDER_SYNC): FOLDERS, ("Sync", SYNC): SYNCED,
                ("Sync", b""): b""}.get((command, body))

    def _ping(self) -> bytes:
        with self._lock:
            self.waiting += 1
        changed = self._changed.wait(self.heartbeat)
        with self._lock:
            self.waiting -= 1
        return CHANGED if changed else EXPIRED


def command_of(target: str) -> str:
    query = target.partition("?")[2]
    if "&" in query:
        return parse_qs(query)["Cmd"][0]
    code = base64.b64decode(query)[1]
    return next(name for name, known in COMMANDS.items() if known == code)


class Phone:
    """Somebody's phone, on a connection that it keeps."""

    def __init__(self, client: Client, user: str, version: str = "14.1") -> None:
        self.client = client
        self.user = user
        self._version = version

    def options(self) -> Response:
        return self.client.request("OPTIONS", PATH, self.user, PASSWORDS[self.user])

    def send(self, command: str, body: bytes, path: str | None = None,
             headers: Headers = ()) -> Response:
        more = [("Content-Type", TYPE)] if body else []
        return self.client.post(path or plain(command, self.user), body, self.user,
                                PASSWORDS[self.user],
                                [*more, ("MS-ASProtocolVersion", self._version), *headers])
