# mypy: allow-untyped-calls
"""One node of Apache Kafka, run from its Maven artifacts: no Docker needed."""

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from tempfile import TemporaryDirectory

from aiokafka.admin import AIOKafkaAdminClient

from app.ports import free_ports

# The versions that are tried now and then: 3.9.2, this one, and the newest.
VERSION = os.environ.get("KAFKA_VERSION", "4.1.1")  # noqa: TID251 - the test run has no settings
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy-dependencies"
_CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"
# Which part says that all others have started, and how.
_STARTER = "kafka.server.KafkaRaftServer"
_STARTED = b"Kafka Server started"
_START_LIMIT_S = 25.0
_STOP_LIMIT_S = 10.0

_POM = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>stacks-feed</groupId><artifactId>broker</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""

# One node that answers fast: no replicas, no initial rebalance delay, back soon after a
# kill (its old registration must expire first), and a cleaner buffer that fits a heap of
# 256 MB.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxied},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised},PROXIED://127.0.0.1:{proxy}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.backoff.ms=1000
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=500
num.network.threads=2
num.io.threads=2
auto.create.topics.enable=false
"""


def _program(name: str) -> str:
    """Return the path of a program that must be here."""
    path = shutil.which(name)
    if path is None:
        raise FileNotFoundError(name)
    return path


def artifacts() -> Path:
    """Return the folder of Kafka's jars; download them the first time.

    Safe for several test runs at once: one downloads under a lock, beside the place,
    and the complete folder appears in one step.
    """
    cache = Path.home() / ".cache" / "stacks-feed"
    jars = cache / f"kafka-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.exists():
            _download(jars)
    return jars


def _download(jars: Path) -> None:
    with TemporaryDirectory(dir=jars.parent) as folder:
        Path(folder, "pom.xml").write_text(_POM.format(version=VERSION))
        command = [_program("mvn"), "-q", "-B", _COPY]
        options = ["-DincludeScope=runtime", "-DoutputDirectory=jars"]
        subprocess.run([*command, *options], cwd=folder, check=True)  # noqa: S603
        Path(folder, "jars").rename(jars)


class MavenKafka:
    """A broker process with its data in ``folder``.

    ``start`` returns at once; ``await ready()`` until it answers. ``kill`` is SIGKILL;
    a ``start`` after it recovers the same data on the same port. With an
    ``advertised_port`` clients (and the broker itself) connect there: a proxy's.
    Those that come by ``proxied_port`` are told that the broker is at ``proxy_port``.
    ``variables`` are added to the environment of the process.
    """

    def __init__(
        self,
        folder: Path,
        *,
        jars: Path,
        advertised_port: int | None = None,
        proxy_port: int | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._folder, self._jars = folder, jars
        self._environment = {**os.environ, **(variables or {})}  # noqa: TID251 - a child needs PATH and the like
        self._port, controller, self._proxied_port = free_ports("127.0.0.1", 3)
        self._advertised_port = advertised_port or self._port
        self._process: subprocess.Popen[bytes] | None = None
        self._output = threading.Thread()
        self._started: Future[None] = Future()
        self._properties = folder / "server.properties"
        self._properties.write_text(
            _PROPERTIES.format(
                port=self._port,
                advertised=self._advertised_port,
                proxied=self._proxied_port,
                proxy=proxy_port or self._proxied_port,
                controller=controller,
                folder=folder,
            )
        )
        self._format()

    @property
    def bootstrap(self) -> str:
        """The address that clients take: the advertised one."""
        return f"127.0.0.1:{self._advertised_port}"

    @property
    def port(self) -> int:
        """The port that the broker itself listens on."""
        return self._port

    @property
    def proxied_port(self) -> int:
        """Where a proxy finds the broker whose clients are to stay behind the proxy."""
        return self._proxied_port

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        if self._process is None:
            raise RuntimeError("the broker is not running")
        return self._process.pid

    def _java(self, *, heap_mb: int) -> list[str]:
        heap = [f"-Xms{heap_mb}m", f"-Xmx{heap_mb}m", "-XX:+UseSerialGC"]
        quick = ["-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        logging = "-Dorg.slf4j.simpleLogger"
        quiet = [f"{logging}.defaultLogLevel=warn", f"{logging}.log.{_STARTER}=info"]
        return [_program("java"), *heap, *quick, *quiet, "-cp", f"{self._jars}/*"]

    def _format(self) -> None:
        tool = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c"]
        subprocess.run(  # noqa: S603
            [*self._java(heap_mb=64), *tool, str(self._properties)],
            capture_output=True,
            check=True,
        )

    def start(self) -> None:
        """Start the process; its output goes to ``broker.log`` in the folder."""
        command = [*self._java(heap_mb=256), "kafka.Kafka", str(self._properties)]
        self._process = subprocess.Popen(  # noqa: S603
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            env=self._environment,
        )
        self._started = Future()
        self._output = threading.Thread(
            target=_keep_output,
            args=(self._process, self._folder / "broker.log", self._started),
            daemon=True,
        )
        self._output.start()

    async def ready(self) -> None:
        """Wait until the broker has started, at most 25 s, and ask it something."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        async with asyncio.timeout(_START_LIMIT_S):
            await asyncio.shield(asyncio.wrap_future(self._started))
            try:
                await admin.start()
                await admin.describe_cluster()
            finally:
                await admin.close()

    def kill(self) -> None:
        """End the process with SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the process if it runs; the data are thrown away, so without ceremony."""
        if self._process is not None:
            self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Start again after ``kill`` and wait until it answers."""
        self.start()
        await self.ready()

    def _end(self, how: signal.Signals) -> None:
        os.kill(self.pid, how)
        assert self._process is not None
        self._process.wait(_STOP_LIMIT_S)
        self._output.join(_STOP_LIMIT_S)
        self._process = None


def _keep_output(
    process: subprocess.Popen[bytes], path: Path, started: Future[None]
) -> None:
    """Copy what a broker says into a file, and note when it says that it has started."""
    assert process.stdout is not None
    with process.stdout as lines, path.open("ab", buffering=0) as output:
        for line in lines:
            output.write(line)
            if _STARTED in line:
                started.set_result(None)
    if not started.done():
        started.set_exception(RuntimeError(f"the broker ended: see {path}"))


if __name__ == "__main__":
    print(artifacts())  # noqa: T201 - for scripts that need the jars
