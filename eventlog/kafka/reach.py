# mypy: allow-untyped-calls
"""Says why no broker could be reached: the driver only says that none was."""

import asyncio

from aiokafka.conn import create_conn

from .config import KafkaConfig, security_options
from .errors import DRIVER_ERRORS

_PROBE_LIMIT_S = 1.0


async def why_not(config: KafkaConfig) -> str | None:
    """Try each address once more; return what is wrong, ``None`` if nothing is found.

    An address that answers but refuses us tells more than one that does not answer.
    """
    why = None
    for address in config.bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            async with asyncio.timeout(_PROBE_LIMIT_S):
                _, writer = await asyncio.open_connection(host, int(port))
        except TimeoutError:
            why = f"{address} does not answer"
        except (OSError, ValueError) as error:
            why = f"{address}: {error}"
        else:
            writer.close()
            said = await _refusal(config, host, int(port))
            return f"{address} answers but lets no Kafka client in{said}: check the security settings"
    return why


async def _refusal(config: KafkaConfig, host: str, port: int) -> str:
    """Return in brackets what went wrong with TLS or the login; empty if nothing did."""
    options = security_options(config.security)
    try:
        async with asyncio.timeout(_PROBE_LIMIT_S):
            connection = await create_conn(host, port, **options)
    except TimeoutError:
        return ""
    except DRIVER_ERRORS as error:
        said = " ".join(f"{error}".split())
        return f" ({said})" if said else ""
    await connection.close()
    return ""
