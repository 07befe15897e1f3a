"""What an operator can set, with defaults, units and bounds. `config` says where the values come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from visord import addresses
from visord.naming import MAX_NAME, NAME_PATTERN, not_an_address
from visord.state.auth.principal import is_name

Bytes = Annotated[int, Field(ge=0)]


def _address(text: str) -> str:
    addresses.split(text)
    return text


def _reachable(text: str) -> str:
    wrong = not_an_address(text)
    if wrong is not None:
        raise ValueError(wrong)
    return text


def _listed(value: Any) -> Any:
    """A list, or text with commas: an environment variable can only be text."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


def _users(pairs: tuple[str, ...]) -> tuple[str, ...]:
    for pair in pairs:
        system, equals, user = pair.partition("=")
        if not (system and equals and is_name(user)):
            raise ValueError(f"{pair!r} must be UID=USER or NAME=USER, with a user of the registry")
        uid_of(system)
    return pairs


def uid_of(name: str) -> int:
    """Return the number of a user of this machine. ValueError when there is none of that name."""
    if name.isdecimal():
        return int(name)
    import pwd

    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise ValueError(f"{name!r} is no user of this machine") from None


Address = Annotated[str, AfterValidator(_address)]
"""HOST:PORT."""


class Section(BaseModel):
    """A part of the settings: unknown keys are errors, values never change afterwards.

    What stands below a field is its meaning, which `visord config show` prints: one for each (a test).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ListenSettings(Section):
    """Where clients connect."""

    client: Address = "127.0.0.1:8046"
    """HOST:PORT where clients connect; port 0 picks a free one."""
    advertise: Annotated[str, AfterValidator(_reachable)] | None = None
    """HOST:PORT that clients of a cluster are told; by default what `client` is bound to."""
    http: Address | None = None
    """HOST:PORT of /livez, /readyz, /healthz and /metrics; none by default. Anybody may ask, unless `tls_client_cert`
    is required."""
    http_insecure: bool = False
    """Allow an address other than loopback for `http`: it tells paths, names and addresses to anybody who asks. Not
    needed where `tls_client_cert` is required."""
    console: Address | None = None
    """HOST:PORT of the registry over HTTP: a `visor gateway` that is started and kept running beside this node; none by
    default. With `tls_cert` it speaks TLS, too; without, it listens on loopback only."""
    console_names: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    """Host names by which `console` is asked for, besides numbers and localhost."""
    unix: Path | None = None
    """Path of a Unix socket, besides TCP."""
    unix_mode: Annotated[str, Field(pattern=r"^0?[0-7]{3}$")] = "0660"
    """Permissions of the Unix socket, in octal: a user who may write to it may connect."""
    unix_users: Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_users)] = ()
    """Which users of the registry users of this machine are who come by the Unix socket without a token, by name or
    number: `0=root`, `postgres=ada`. Who is not among them is anonymous."""
    connections: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """Connections at a time, over all clients; fewer where there are too few file descriptors. Those of the Unix socket
    have places of their own."""
    connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = 4096
    """Connections of one host (IPv6: one /64). Beyond it, and beyond `connections`, an idle one goes for a new one."""
    idle_seconds: Annotated[float, Field(ge=0)] = 900.0
    """A connection that asks for nothing and watches nothing is closed after this time; 0: never."""
    message_seconds: Annotated[float, Field(gt=0)] = 60.0
    """How long the rest of a message that has begun may take."""
    stuck_seconds: Annotated[float, Field(gt=0)] = 300.0
    """How long a client may read nothing while answers wait for it."""
    held_bytes: Annotated[int, Field(ge=16 << 20)] = 256 << 20
    """Bytes of unfinished and waiting requests over all connections; beyond it the connection with most is closed."""
    unsent_bytes: Annotated[int, Field(ge=16 << 20)] = 256 << 20
    """Bytes that wait for clients that do not read, over all connections; beyond it the one with most is closed."""
    waiting: Annotated[int, Field(ge=1024, le=1 << 20)] = 16_384
    """Requests that wait for a rev, the leader or an operation, over all connections; each takes about 0.6 KB."""
    in_flight: Annotated[int, Field(ge=1, le=65_536)] = 1024
    """Unanswered requests of one connection before the server stops reading it."""
    watches: Annotated[int, Field(ge=0, le=1_000_000)] = 4096
    """Watches of one connection."""
    glob_cost: Annotated[int, Field(ge=10, le=100_000)] = 4000
    """Microseconds that matching one changed path may cost at most, with the globs of all watches of this node."""
    glob_cost_connection: Annotated[int, Field(ge=10, le=100_000)] = 1000
    """The same for the watches of one connection."""
    insecure: bool = False
    """Allow a listening address other than loopback, although nothing is encrypted or authenticated. Not needed with
    `tls_cert`."""
    tls_cert: Path | None = None
    """PEM file with the certificate that clients see, of `client` and of `http` (and those between it and the
    authority's). With it both speak TLS and nothing else; a Unix socket stays as it is. Read again when it changes."""
    tls_key: Path | None = None
    """PEM file with its private key, without a passphrase; nobody else's (mode 0600)."""
    tls_client_ca: Path | None = None
    """PEM file with the authorities whose certificates clients have."""
    tls_client_cert: Literal["none", "optional", "required"] = "none"
    """Whether clients (and who asks `http`) show a certificate of `tls_client_ca`. optional: who has one may."""
    tls_revoked: Path | None = None
    """File with certificates of clients that were taken back: serial numbers or SHA-256 fingerprints, one a line. Who
    is connected with one is sent away."""

    def users_by_uid(self) -> dict[int, str]:
        """Return who users of this machine are, by their numbers."""
        pairs = (pair.partition("=") for pair in self.unix_users)
        return {uid_of(system): user for system, _, user in pairs}

    @model_validator(mode="after")
    def _tls_is_whole(self) -> ListenSettings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together")
        if (self.tls_client_ca is None) != (self.tls_client_cert == "none"):
            raise ValueError("tls_client_ca and tls_client_cert (optional or required) belong together")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ValueError("tls_client_ca needs tls_cert and tls_key")
        if self.tls_revoked is not None and self.tls_client_ca is None:
            raise ValueError("tls_revoked needs tls_client_ca: without it no client shows a certificate")
        return self


class PeerSettings(Section):
    """Where the other members of the cluster connect, and how they are told from strangers."""

    listen: Address = "127.0.0.1:8047"
    """HOST:PORT where other members connect; port 0 picks a free one."""
    advertise: Annotated[str, AfterValidator(_reachable)] | None = None
    """HOST:PORT that other members dial; by default what `listen` is bound to."""
    tls_cert: Path | None = None
    """PEM file with this node's certificate (and those between it and the authority's)."""
    tls_key: Path | None = None
    """PEM file with its private key; nobody else's (mode 0600)."""
    tls_ca: Path | None = None
    """PEM file with the authority whose certificates members have."""
    tls_revoked: Path | None = None
    """File with certificates of members that were taken back: serial numbers or SHA-256 fingerprints, one a line."""
    tls_names: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    """Names of which a member's certificate must carry one; none: the host that was dialled."""
    join: Annotated[tuple[Annotated[str, AfterValidator(_reachable)], ...], BeforeValidator(_listed)] = ()
    """Peer addresses of members that this node asks to be taken in, as with `--join`; `visord join` writes it. Not used
    once the node is a member."""
    learner: bool = False
    """With `join`: never get a vote by itself."""
    secret_file: Path | None = None
    """File with the shared secret, at least 16 characters; several lines while it is being exchanged."""
    insecure: bool = False
    """Allow a listening address other than loopback, although members are not authenticated."""

    @model_validator(mode="after")
    def _tls_is_whole(self) -> PeerSettings:
        given = [file is not None for file in (self.tls_cert, self.tls_key, self.tls_ca)]
        if any(given) and not all(given):
            raise ValueError("tls_cert, tls_key and tls_ca belong together")
        for name in ("tls_names", "tls_revoked"):
            if getattr(self, name) and not all(given):
                raise ValueError(f"{name} needs tls_cert, tls_key and tls_ca")
        return self


class ClusterSettings(Section):
    """What members do together."""

    hash_seconds: Annotated[float, Field(ge=0)] = 600.0
    """Compare the whole state of all members so often; 0: only when an operator asks, or samples differ."""
    compare_seconds: Annotated[float, Field(ge=0)] = 2.0
    """Compare samples of it (rev, time, and some files, all in turn) so often; 0: never."""


class StorageSettings(Section):
    """How the log and checkpoints use the disk."""

    log_segment_bytes: Annotated[int, Field(ge=256 * 1024, le=1 << 30)] = 64 << 20
    """Size of one file of the log; at least two are there."""
    log_chunk_bytes: Annotated[int, Field(ge=64 * 1024, le=1 << 28)] = 4 << 20
    """Log space that is allocated and written in advance at a time."""
    log_keep_bytes: Bytes = 16 << 20
    """Log that is kept after a checkpoint, so that a replica which lags a little needs no checkpoint."""
    history_segment_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 32)] = 64 << 20
    """Size at which a file of history is full, and a checkpoint begins the next one."""
    history_cache_bytes: Bytes = 64 << 20
    """Memory for values of the past that were read from disk last. The newest version of each file is in memory anyway,
    and so is what was written since the last checkpoint."""
    reserve_bytes: Bytes = 8 << 20
    """Disk that the log leaves free, so that a checkpoint can still be made on a full disk. As much as
    checkpoint_log_bytes makes sure of it, whatever was written."""
    alarm_free_bytes: Bytes = 1 << 30
    """Raise the alarm `little space` when the disk has fewer free bytes, while there is time to act; on a small disk,
    when less than a tenth of it is free. 0: never."""
    spare_log_bytes: Bytes = 4 << 20
    """Prepared log that is kept for deletions, REVOKE and RETAIN, which go on when the disk is full. At most a
    quarter of a segment is."""
    state_bytes: Annotated[int, Field(ge=1 << 20)] = 4 << 30
    """Memory that the state (all files, the revs of their history, sessions, leases) may take, by estimate. Beyond it,
    writes that grow are refused as no_space; deletions, RETAIN and reads go on. A million keys with ten million revs
    are about 800 MB. Set it to about half of what the process may use: a restart and a joining member need some, too.
    """
    checkpoint_log_bytes: Annotated[int, Field(ge=64 * 1024)] = 64 << 20
    """Make a checkpoint after this much log."""
    checkpoint_seconds: Annotated[float, Field(gt=0)] = 300.0
    """Make a checkpoint after this time, when anything has changed."""


class AuthSettings(Section):
    """Who may do what. Users, roles and tokens are kept in the registry itself (`visor user`, `role`, `token`)."""

    mode: Literal["enforce", "log"] = "enforce"
    """log: while the registry is open, each request that would be denied once it is closed stands in the audit
    (`would_deny`), and is done. Once it is closed both are the same."""


class AuditSettings(Section):
    """Who was let in, was refused, and changed what: kept by each member for itself. `visord dev` keeps none."""

    on: bool = True
    """Keep an audit."""
    directory: Path | None = None
    """Where its files are; by default `audit` in the data directory."""
    file_bytes: Annotated[int, Field(ge=64 * 1024, le=1 << 30)] = 16 << 20
    """Size at which a file is full and the next one begins. There are two chains, each with files of its own: of who
    was let in or refused, and of what was changed."""
    files: Annotated[int, Field(ge=1, le=10_000)] = 15
    """Full files that are kept of each chain; the oldest go."""


class LogSettings(Section):
    """The server's own log lines (on standard error)."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged. info: also normal work; warning: only trouble that somebody should look at."""
    format: Literal["auto", "text", "json"] = "auto"
    """How lines are written. auto: text on a terminal, JSON lines elsewhere."""


class NodeSettings(Section):
    """One node."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=NAME_PATTERN)] = "n1"
    """What people call this member; no two members of a cluster have the same. A data directory keeps its own."""
    data_dir: Path = Path("/var/lib/visord")
    """Where everything is kept; it belongs to the user that runs the node, and to nobody else."""


class Settings(Section):
    """Everything. A key is written `section.key` in messages, `[section] key` in TOML."""

    node: NodeSettings = NodeSettings()
    listen: ListenSettings = ListenSettings()
    peers: PeerSettings = PeerSettings()
    cluster: ClusterSettings = ClusterSettings()
    storage: StorageSettings = StorageSettings()
    auth: AuthSettings = AuthSettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()
